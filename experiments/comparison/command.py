"""Run the comparison, or what is missing of it, and print its table."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import tyro
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments import data, losses, runs
from experiments.comparison import judging, ledger, material, pictures, tables, tuning
from experiments.comparison.compare import Place, compare, number_of_runs
from experiments.comparison.settings import Config
from experiments.runs import RunError


def check(config: Config, divided: material.Divided) -> None:
    """Say what cannot be before an hour is spent on it."""
    if config.seeds < 1 or config.trials < 0:
        raise RunError("--seeds must be 1 or more, --trials 0 or more.")
    if config.classes < 2 or config.drawings < 2 or config.test_images < judging.QUERIES + 5:
        raise RunError("--classes and --drawings must be 2 or more, --test-images 20 or more.")
    if config.steps < 1 or not config.learning_rate > 0:
        raise RunError("--steps must be 1 or more, --learning-rate positive.")
    if config.dim is not None and config.dim < 1:
        raise RunError(f"--dim {config.dim}: an embedding has at least 1 number.")
    for loss in config.losses:
        fits = tuning.fitted(replace(config, loss=loss), *divided.train.shape)
        losses.check(fits, len(divided.seen), config.dim or 64)


def run(config: Config, script: str, default: Config, console: Console) -> Path:
    """Every run that is missing; returns the folder of rows, embeddings and pictures."""
    found = material.gather(config)
    divided = {split: material.divide(found, split, config.test_images) for split in found.splits}
    for parts in divided.values():
        check(config, parts)
    folder = config.out or Path("runs/comparison") / f"{found.name}-{config.encoder}-dim{config.dim}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            run_missing(config, script, default, found, divided, folder, console)
    except Timeout as error:
        raise RunError(f"{folder} is being written by another process; wait for it, or give another --out.") from error
    return folder


def run_missing(
    config: Config,
    script: str,
    default: Config,
    found: material.Material,
    divided: dict[str, material.Divided],
    folder: Path,
    console: Console,
) -> None:
    """What `run` does once it holds the folder."""
    told = {
        "dataset": found.name,
        "commit": runs.commit(),
        "device": runs.device(),
        "jax": jax.__version__,
        "command": runs.command(f"experiments/{script}", replace(config, dataset=found.name), {"": default}),
    }
    view = found.views[config.stage] if config.stage in found.views else next(iter(found.views.values()))
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        total = sum(number_of_runs(config, parts, found.views) for parts in divided.values())
        task = progress.add_task("runs", total=total)

        def advance(text: str) -> None:
            progress.update(task, description=text) if text else progress.advance(task)

        done = ledger.by_run(ledger.read(folder / "results.jsonl"))
        for split, parts in divided.items():
            compare(Place(config, folder, told, done, advance, split, view, parts), found.views)
    runs.write(folder / "table.md", tables.comparison(ledger.read(folder / "results.jsonl")) + "\n")
    with console.status("drawing pictures"):
        pictures.draw(folder, found.splits[0], found.splits[-1])


def main(arguments: Sequence[str] | None, *, script: str, about: str, default: Config) -> int:
    """Run, and turn what a user can mend into one sentence and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a locale may not have the letters of a table
    config = tyro.cli(Config, args=arguments, default=default, description=about, prog=script)
    console = Console(markup=False, highlight=False)
    jax.config.update("jax_enable_x64", False)  # whatever the environment says
    try:
        folder = run(config, script, default, console)
    except (data.DataError, RunError) as error:
        print(f"{script}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"{script}: {what}; with that mended the same command goes on with what is missing.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{script}: stopped; the same command goes on with the runs that are missing.", file=sys.stderr)
        return 130
    console.print((folder / "table.md").read_text(encoding="utf-8"), soft_wrap=True)
    console.print(f"Rows, embeddings and pictures are in {folder}.", soft_wrap=True)
    return 0
