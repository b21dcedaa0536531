"""Run the comparison, or what is missing of it, and print its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import tyro
from filelock import FileLock, Timeout
from rich.console import Console

from experiments import commands, losses, runs, train
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
    names = [loss.rpartition(":")[2] for loss in config.losses]
    if not names or len(set(names)) < len(names):
        raise RunError("--losses wants one or more, each of another name: tables know them by what is after the colon.")
    if config.validate_every < 1:
        raise RunError("--validate-every must be 1 or more.")
    if config.steps < 1 or not config.learning_rate > 0:
        raise RunError("--steps must be 1 or more, --learning-rate positive.")
    if config.dim is not None and config.dim < 1:
        raise RunError(f"--dim {config.dim}: an embedding has at least 1 number.")
    for loss in config.losses:
        fits = tuning.fitted(replace(config, loss=loss), *divided.train.shape)
        losses.check(fits, len(divided.seen), config.dim or 64)


def seen_by(config: Config, found: material.Material) -> np.ndarray:
    """The examples as the encoder has them: the features of a stage where there are some."""
    return found.views.get(config.stage, next(iter(found.views.values())))


def folder_name(config: Config, dataset: str, default: Config) -> str:
    """What all runs of a table share, so that two tables have two folders."""
    said = ("dataset", "encoder", "dim", "losses", "seeds", "splits")
    others = {field: value for field, value in runs.changed(config, {"": default})[1].items() if field not in said}
    return runs.folder_name([dataset, config.encoder, f"dim{config.dim}"], others)


def run(config: Config, script: str, default: Config, console: Console) -> None:
    """Every run that is missing, and what is in the folder then."""
    found = material.gather(config)
    divided = {split: material.divide(found, split, config.test_images) for split in found.splits}
    for parts in divided.values():
        check(config, parts)
    if config.encoder != "head":
        train.check(config, seen_by(config, found).shape[1:])
    folder = config.out or Path("runs/comparison") / folder_name(config, found.name, default)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            run_missing(config, script, default, found, divided, folder, console)
    except Timeout as error:
        raise RunError(f"{folder} is being written by another process; wait for it, or give another --out.") from error
    console.print((folder / "table.md").read_text(encoding="utf-8"), soft_wrap=True)
    console.print(f"Rows, embeddings and pictures are in {folder}.", soft_wrap=True)


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
    total = sum(number_of_runs(config, parts, found.views) for parts in divided.values())
    with commands.progress(console, total) as tell:
        doing, ended = "runs", 0

        def advance(text: str) -> None:
            nonlocal doing, ended
            doing, ended = text or doing, ended + (not text)
            tell(doing, ended)

        done = ledger.by_run(ledger.read(folder / "results.jsonl"))
        for split, parts in divided.items():
            compare(Place(config, folder, told, done, advance, split, seen_by(config, found), parts), found.views)
    runs.write(folder / "table.md", tables.comparison(ledger.read(folder / "results.jsonl")) + "\n")
    with console.status("drawing pictures"):
        pictures.draw(folder, found.splits[0], found.splits[-1])


def main(arguments: Sequence[str] | None, *, script: str, about: str, default: Config) -> int:
    """The command."""

    def work(console: Console) -> None:
        config = tyro.cli(Config, args=arguments, default=default, description=about, prog=script)
        run(config, script, default, console)

    return commands.run(script, "goes on with the runs that are missing", work)
