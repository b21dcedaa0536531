"""Train an encoder, or go on with its training, and judge it by the test classes; or print what was found before."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console

from experiments import commands, data, losses, runs, train
from experiments.encoders import ENCODERS, pixels
from experiments.episodes import judging, pictures
from experiments.episodes.settings import CONFIGS, Config
from experiments.runs import RunError


def parse(arguments: Sequence[str] | None, about: str) -> Config:
    """Command line to settings: `--config` names the defaults, every other option changes one of them."""
    first = argparse.ArgumentParser("omniglot.py", add_help=False, allow_abbrev=False)
    first.add_argument("--config", choices=sorted(CONFIGS), default="quick")
    chosen, rest = first.parse_known_args(arguments)
    described = f"{about}\n--config {{{','.join(CONFIGS)}}} names the defaults (now those of {chosen.config})."
    return tyro.cli(Config, args=rest, default=CONFIGS[chosen.config], description=described, prog="omniglot.py")


def is_trained(config: Config) -> bool:
    """Whether there is anything to train."""
    return config.encoder in ENCODERS and config.loss != "none"


def name(config: Config) -> str:
    """What the embeddings come from, as results call it: the loss, or one of the two floors."""
    if is_trained(config):
        return config.loss
    return "untrained" if config.encoder in ENCODERS else "pixels"


def run_name(config: Config, dataset: data.Dataset) -> str:
    """A folder's name that says what the run is: two runs of different settings have different names."""
    known, others = runs.changed(config, CONFIGS)
    parts = [dataset.name, dataset.split, name(config), f"seed{config.seed}", known]
    said = ("dataset", "split", "loss", "seed", *(() if config.encoder in ENCODERS else ("encoder",)))
    return runs.folder_name(parts, {field: value for field, value in others.items() if field not in said})


def check(config: Config, dataset: data.Dataset) -> None:
    """Say what cannot be before anything is written or an hour is spent on it."""
    if config.episodes < 2:
        raise RunError(f"--episodes {config.episodes}: an interval takes 2 or more.")
    if not 0 <= config.seed < 2**32:
        raise RunError(f"--seed {config.seed}: choose one from 0 to 2**32 - 1.")
    if config.dim is not None and config.dim < 1:
        raise RunError(f"--dim {config.dim}: an embedding has at least 1 number.")
    if not is_trained(config):
        return
    parts = training_parts(config, dataset)
    classes, drawings = sum(len(part.images) for part in parts), parts[0].images.shape[1]
    if not 2 <= config.classes <= classes:
        raise RunError(f"--classes {config.classes}: a batch takes from 2 to {classes} classes here.")
    if not 2 <= config.drawings <= drawings:
        raise RunError(f"--drawings {config.drawings}: a class has {drawings} drawings, a batch takes from 2 to all.")
    if config.steps < 0 or config.validate_every < 1:
        raise RunError("--steps must be 0 or more, --validate-every 1 or more.")
    if not config.learning_rate > 0:
        raise RunError(f"--learning-rate {config.learning_rate}: it must be positive.")
    losses.check(config, classes, config.dim or 64)


def training_parts(config: Config, dataset: data.Dataset) -> list[data.Part]:
    """The classes to learn from."""
    return [dataset.train] if config.train_on == "train" else [dataset.train, dataset.validation]


def fit(config: Config, dataset: data.Dataset, folder: Path, console: Console) -> Callable[[np.ndarray], jax.Array]:
    """Train where there is something to train; returns images `[classes, drawings, 28, 28]` -> embeddings."""
    if config.encoder == "pixels":
        return pixels
    if config.loss == "none":
        graph, state = train.create(config, train.shape_of(dataset.train.images))
        return lambda images: train.embed(graph, train.variables(state), jnp.asarray(images))
    part = data.merge(*training_parts(config, dataset))
    validation = dataset.validation if config.train_on == "train" else None
    with commands.progress(console, config.steps) as tell:

        def report(text: str, step: int) -> None:
            tell(text or "training", step)

        graph, variables = train.train(config, losses.find(config), part, validation, folder, report)
    return lambda images: train.embed(graph, variables, jnp.asarray(images))


def describe_run(config: Config, dataset: data.Dataset, folder: Path, commit: str) -> dict:
    """What each row of the result file says of the run."""
    log = folder / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    return {
        "experiment": "omniglot",
        "run": run_name(config, dataset),
        **runs.settings(config),
        "split": dataset.split,
        "loss": name(config),
        "steps": config.steps if is_trained(config) else 0,
        "train_seconds": round(sum(line["seconds"] for line in lines)),
        "command": runs.command("experiments/omniglot.py", config, CONFIGS),
        "commit": commit,
        "device": runs.device(),
        "jax": jax.__version__,
    }


def run(config: Config, console: Console) -> None:
    """Data, training, evaluation, pictures: everything that the folder of a run holds."""
    dataset = data.load(config.dataset, config.split, config.data_dir)
    config = dataclasses.replace(config, dataset=dataset.name)  # what was found, where the settings say auto
    if dataset.name == "glyphs":
        config = dataclasses.replace(config, split=Config.split)  # a choice that is Omniglot's
    check(config, dataset)
    folder = config.out or Path("runs/omniglot") / run_name(config, dataset)
    about = {
        "experiment": "omniglot",
        **runs.settings(config),
        "commit": runs.commit(),
        "code": runs.code(*([losses.find(config)] if is_trained(config) else [])),
    }
    with runs.open_run(folder, about, overwrite=config.overwrite) as found:
        console.print(f"{dataset.name}, split {dataset.split}: run in {folder}", soft_wrap=True)
        table = found["rows"] if "rows" in found else judge(config, dataset, folder, console, found)
        console.print(judging.markdown(table), soft_wrap=True)
        told = "Numbers, pictures, embeddings of the test classes and checkpoints are in"
        console.print(f"\n{told} {folder}.", soft_wrap=True)


def judge(config: Config, dataset: data.Dataset, folder: Path, console: Console, about: dict) -> list[dict]:
    """Train, and judge by the test classes; what was found is in the folder and returned as rows."""
    encode = fit(config, dataset, folder, console)
    with console.status("embedding and judging the test classes"):
        embeddings = encode(dataset.test.images)
        results = judging.fewshot_accuracy(embeddings, dataset.test, config.episodes)
        table = judging.rows(results, describe_run(config, dataset, folder, about["commit"]))
    judging.save_episodes(folder / "episodes.npz", results)
    judging.save_embeddings(folder / "embeddings.npz", embeddings, dataset.test)
    with console.status("drawing pictures"):
        pictures.draw(folder, np.asarray(embeddings), dataset.test)
    runs.write(folder / "results.jsonl", "".join(json.dumps(row) + "\n" for row in table))
    runs.write(folder / "table.md", judging.markdown(table) + "\n")
    # Last, because it is what says that the run is done.
    runs.write(folder / "results.json", json.dumps({**about, "rows": table}, indent=1) + "\n")
    return table


def main(arguments: Sequence[str] | None, about: str) -> int:
    """The command; `about` is what its help begins with."""
    return commands.run(
        "omniglot.py",
        "goes on from the last checkpoint",
        lambda console: run(parse(arguments, about), console),
    )
