"""Few-shot recognition of characters never seen: train an encoder with the silhouette loss, judge it by episodes.

    python experiments/omniglot.py                                       # the quick run, under 10 minutes on two cores
    python experiments/omniglot.py --config paper --loss prototypical    # the long one

A run lives in one folder. Started again with the same settings it goes on where it was, and if it was done it prints
its table. Named settings, their duration and what they score: experiments/configs.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clusterjax import losses
from experiments import data, evaluate, figures, train
from experiments.configs import CONFIGS, Config

LOSSES = {
    "silhouette": losses.silhouette_loss,
    "silhouette_ratio": losses.silhouette_ratio_loss,
    "prototypical": losses.prototypical_loss,
    "nca": losses.nca_loss,
}
OPTIONS = ("metric", "power", "temperature", "target", "average")  # settings that are the loss's own
HIDDEN = ("data_dir", "out", "overwrite")  # settings that say where a run lies, not what it is


def parse(arguments: Sequence[str] | None) -> Config:
    """Command line to settings: `--config` names the defaults, every other option changes one of them."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config", choices=sorted(CONFIGS), default="quick")
    chosen, rest = first.parse_known_args(arguments)
    described = f"{__doc__}\n--config {{{','.join(CONFIGS)}}} names the defaults (now those of {chosen.config})."
    return tyro.cli(Config, args=rest, default=CONFIGS[chosen.config], description=described, prog="omniglot.py")


def find_loss(config: Config) -> Callable[..., jax.Array]:
    """The loss that the settings name, with their options."""
    if config.loss in LOSSES:
        function = LOSSES[config.loss]
    elif ":" in config.loss:
        module, _, attribute = config.loss.partition(":")
        try:
            function = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise train.RunError(f"--loss {config.loss}: {error}.") from error
    else:
        raise train.RunError(f"--loss {config.loss}: choose one of {', '.join(LOSSES)}, none, or MODULE:FUNCTION.")
    options = {option: value for option in OPTIONS if (value := getattr(config, option)) is not None}
    unknown = options.keys() - inspect.signature(function).parameters.keys()
    if unknown:
        raise train.RunError(f"--loss {config.loss} takes no --{' or --'.join(sorted(unknown))}; leave it out.")
    return partial(function, **options) if options else function


def is_trained(config: Config) -> bool:
    """Whether there is anything to train."""
    return config.encoder == "conv4" and config.loss != "none"


def name(config: Config) -> str:
    """What the embeddings come from, as results call it: the loss, or one of the two floors."""
    if is_trained(config):
        return config.loss
    return "untrained" if config.encoder == "conv4" else "pixels"


def run_name(config: Config, dataset: data.Dataset) -> str:
    """A folder's name that says what the run is: two runs of different settings have different names."""
    known, others = changed(config)
    told = ("dataset", "split", "encoder", "loss", "seed")
    differences = [f"{field}={value}" for field, value in others.items() if field not in told]
    parts = [dataset.name, dataset.split, name(config), f"seed{config.seed}", known, *differences]
    return re.sub(r"[^\w.=+-]", ".", "-".join(parts))


def run_folder(config: Config, dataset: data.Dataset) -> Path:
    """The folder of this run, new or to be gone on with; one that holds another run only if that may be deleted."""
    folder = config.out or Path("runs/omniglot") / run_name(config, dataset)
    settings = {"experiment": "omniglot", **describe_settings(config, dataset)}
    file = folder / "config.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    ours = found.get("experiment") == "omniglot"
    if ours and config.overwrite:
        shutil.rmtree(folder)
    elif ours:
        other = [field for field in sorted(settings | found) if settings.get(field) != found.get(field)]
        if other:
            changes = ", ".join(f"{field} {found.get(field)!r}, not {settings.get(field)!r}" for field in other)
            raise train.RunError(
                f"{folder} holds a run with other settings ({changes}); give another --out, "
                "or --overwrite to delete it."
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise train.RunError(f"{folder} is not empty and holds no run; give another --out.")
    folder.mkdir(parents=True, exist_ok=True)
    evaluate.write(file, json.dumps(settings, indent=1) + "\n")
    return folder


def describe_settings(config: Config, dataset: data.Dataset) -> dict:
    """Every setting that the numbers depend on, and the data that were found."""
    settings = {field: value for field, value in dataclasses.asdict(config).items() if field not in HIDDEN}
    return settings | {"dataset": dataset.name, "split": dataset.split}


def check(config: Config, part: data.Part) -> None:
    """Say what cannot be before an hour is spent on it."""
    classes, drawings = part.images.shape[:2]
    if not 2 <= config.classes <= classes:
        raise train.RunError(f"--classes {config.classes}: a batch takes from 2 to {classes} classes here.")
    if not 2 <= config.drawings <= drawings:
        raise train.RunError(
            f"--drawings {config.drawings}: a class has {drawings} drawings, a batch takes from 2 to all."
        )
    if config.steps < 0 or config.validate_every < 1 or config.episodes < 2:
        raise train.RunError("--steps must be 0 or more, --validate-every 1 or more, --episodes 2 or more.")
    if config.train_on not in ("train", "train+validation"):
        raise train.RunError(f"--train-on {config.train_on}: choose train or train+validation.")


def fit(config: Config, dataset: data.Dataset, folder: Path, console: Console) -> Callable[[np.ndarray], jax.Array]:
    """Train where there is something to train; returns images `[classes, drawings, 28, 28]` -> embeddings."""
    if config.encoder == "pixels":
        return lambda images: jnp.asarray(images.reshape(-1, images[0, 0].size), jnp.float32) / 255
    if config.loss == "none":
        graph, state = train.create(config)
        variables = nnx.merge_state(state.params, state.statistics)
        return lambda images: train.embed(graph, variables, jnp.asarray(images))
    both = config.train_on == "train+validation"
    part = data.merge(dataset.train, dataset.validation) if both else dataset.train
    check(config, part)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=config.steps)

        def report(text: str, step: int) -> None:
            progress.update(task, completed=step, description=text or "training")

        validation = None if both else dataset.validation
        graph, variables = train.train(config, find_loss(config), part, validation, folder, report)
    return lambda images: train.embed(graph, variables, jnp.asarray(images))


def describe_run(config: Config, dataset: data.Dataset, folder: Path) -> dict:
    """What each row of the result file says of the run."""
    log = folder / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    config = dataclasses.replace(config, dataset=dataset.name)  # what was found, where the settings said auto
    known, others = changed(config)
    options = ({"config": known} if known != "quick" else {}) | others
    flags = [
        f"--{option.replace('_', '-')}" + ("" if value is True else f" {value}") for option, value in options.items()
    ]
    return {
        "experiment": "omniglot",
        "run": run_name(config, dataset),
        **describe_settings(config, dataset),
        "loss": name(config),
        "steps": config.steps if is_trained(config) else 0,
        "train_seconds": round(sum(line["seconds"] for line in lines)),
        "command": " ".join(["python experiments/omniglot.py", *flags]),
        "commit": commit(),
        "device": f"{jax.devices()[0].device_kind}, {platform.machine()}, {cores()} cores",
        "jax": jax.__version__,
    }


def changed(config: Config) -> tuple[str, dict]:
    """The nearest named settings, and what differs from them: what one types to run this again."""
    differences = {
        known: {
            field.name: getattr(config, field.name)
            for field in dataclasses.fields(Config)
            if field.name not in HIDDEN and getattr(config, field.name) != getattr(defaults, field.name)
        }
        for known, defaults in CONFIGS.items()
    }
    nearest = min(differences, key=lambda known: len(differences[known]))
    return nearest, differences[nearest]


def commit() -> str:
    """The commit of the code that runs, with a + where files differ from it; empty outside a checkout."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--", "../clusterjax", ".")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(config: Config, console: Console) -> Path:
    """Data, training, evaluation, pictures; returns the folder that holds them all."""
    dataset = data.load(config.dataset, config.split, config.data_dir)
    if is_trained(config):
        find_loss(config)
    folder = run_folder(config, dataset)
    console.print(f"{dataset.name}, split {dataset.split}: run in {folder}")
    if not (folder / "results.json").exists():
        encode = fit(config, dataset, folder, console)
        with console.status("embedding and judging the test classes"):
            embeddings = encode(dataset.test.images)
            results = evaluate.fewshot_accuracy(embeddings, dataset.test, config.episodes)
            table = evaluate.rows(results, describe_run(config, dataset, folder))
        evaluate.save_episodes(folder / "episodes.npz", results)
        evaluate.save_embeddings(folder / "embeddings.npz", embeddings, dataset.test)
        with console.status("drawing pictures"):
            figures.draw(folder, np.asarray(embeddings), dataset.test)
        evaluate.write_rows(folder / "results.jsonl", table)
        evaluate.write(folder / "table.md", evaluate.markdown(table) + "\n")
        # Last, because it is what says that the run is done.
        evaluate.write(
            folder / "results.json",
            json.dumps({**json.loads((folder / "config.json").read_text()), "rows": table}, indent=1),
        )
    console.print((folder / "table.md").read_text())
    console.print(f"Numbers, pictures, embeddings of the test classes and checkpoints are in {folder}.")
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and turn what a user can mend into one sentence and exit status 2."""
    config = parse(arguments)
    console = Console(stderr=False)
    try:
        run(config, console)
    except (data.DataError, train.RunError) as error:
        print(f"omniglot.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("omniglot.py: stopped; the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
