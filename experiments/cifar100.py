"""Which loss makes clean clusters of classes it never saw? CIFAR-100, 50 classes seen and 50 not.

    python experiments/cifar100.py                                  # all losses, 5 seeds, 3 splits
    python experiments/cifar100.py --losses silhouette nca --seeds 1 --splits 1

EfficientNet-Lite0 with ImageNet weights stays as it is; a linear head on its features is trained with each loss on the
seen classes, on the same batches, and judged on the others by measures that nobody trained on. Each run adds its rows
to one file: started again, the command goes on with the runs that are missing. Without CIFAR-100 it says so, and takes
scikit-learn's digits and their pixels.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clusterjax import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    clustering_accuracy,
    fewshot,
    kmeans,
    normalized_mutual_info_score,
    silhouette_score,
)
from clusterjax.retrieval import retrieval_summary
from experiments import data, features, losses, runs, train
from experiments.configs import Training
from experiments.runs import RunError

REFERENCES = ("features", "untrained")  # the features themselves; the head before its first step
COMPARED = (
    "silhouette",
    "silhouette_ratio",
    "simplified_silhouette",
    "davies_bouldin",
    "dunn",
    "prototypical",
    "nca",
    "contrastive",
    "triplet",
    "supervised_contrastive",
    "ntxent",
    "multi_similarity",
    "softmax",
    "normalized_softmax",
    "proxy_anchor",
    "cosine_corel",
    "gaussian_corel",
)


@dataclass(frozen=True)
class Config(Training):
    """What a table depends on."""

    dataset: Literal["auto", "cifar100", "digits"] = "auto"
    """cifar100 insists on it; auto takes digits where there is none, and says so."""
    data_dir: Path | None = None
    """Folder with cifar100/<version>/ as TensorFlow Datasets prepared it. Default: $TFDS_DATA_DIR, then
    ~/tensorflow_datasets; where they hold none it is fetched from its authors, once."""
    out: Path | None = None
    """Folder of the rows. Default: runs/cifar100/<dataset>-dim<dim>."""
    losses: tuple[str, ...] = field(default=COMPARED)
    """Which losses to compare, by name; the references are always there."""
    seeds: int = 5
    """Runs of each loss, with other batches and other first weights."""
    splits: int = 3
    """Of the five committed ones, so many."""
    side: int = 96
    """Pixels that a picture is enlarged to before it is embedded."""
    test_images: int = 600
    """Pictures of each unseen class that are judged, of 600."""

    encoder: str = "head"
    """What is trained on the features."""
    dim: int | None = 16
    """Length of the embedding."""
    steps: int = 500
    """Training steps."""
    classes: int = 40
    """Classes in a batch."""
    drawings: int = 8
    """Pictures of each class in a batch."""


def by_class(part: data.pictures.Part, most: int | None = None) -> np.ndarray:
    """Examples `[classes, drawings, ...]`, as many of each class as the smallest has, or at most so many."""
    sizes = np.bincount(part.labels)
    number = min(sizes.min(), most or sizes.min())
    return np.stack([part.images[np.flatnonzero(part.labels == c)[:number]] for c in range(len(sizes))])


def embeddings_of(config: Config, seen: np.ndarray, unseen: np.ndarray) -> tuple[jax.Array, float]:
    """Train, and embed the unseen classes, `[classes * drawings, d]`; and the seconds that the training took."""
    if config.loss == "features":
        return jnp.asarray(unseen.reshape(-1, unseen.shape[-1])), 0.0
    loss = None if config.loss == "untrained" else losses.find(config)
    graph, state = train.create(config, train.shape_of(seen), loss, len(seen))
    start = time.perf_counter()
    if loss is not None:
        one = replace(config, out=None, data_dir=None, seed=0, losses=(), seeds=1, splits=1)  # what is compiled
        state, values = train.take_steps(
            state, jnp.asarray(seen), jax.random.key(config.seed), graph=graph, loss=loss, config=one,
            length=config.steps,
        )  # fmt: skip
        if not np.isfinite(np.asarray(values)).all():
            raise RunError(f"--loss {config.loss}: the loss is not finite; lower --learning-rate.")
    seconds = time.perf_counter() - start
    return train.embed(graph, train.variables(state), jnp.asarray(unseen)), seconds


def judge(x: jax.Array, labels: np.ndarray) -> dict[str, float]:
    """Measures of embeddings of classes that nobody trained on, in percent."""
    k, key = int(labels.max()) + 1, jax.random.key(0)
    found = retrieval_summary(x, labels, num_clusters=k)
    clusters = kmeans(key, x, k, num_restarts=3).labels
    shots = {
        f"{way}-way {shot}-shot": float(fewshot.evaluate(key, x, labels, way=way, shot=shot, num_episodes=2000).mean)
        for way, shot in ((5, 1), (5, 5))
        if way <= k
    }
    measured = {
        "recall_at_1": float(found.precision_at_1),
        "map_at_r": float(found.map_at_r),
        "r_precision": float(found.r_precision),
        "knn_accuracy": float(found.knn_accuracy),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ami": float(adjusted_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
        "matched_accuracy": float(clustering_accuracy(labels, clusters)),
        "silhouette": float(silhouette_score(x, labels)),
        **shots,
    }
    return {measure: round(100 * value, 3) for measure, value in measured.items()}


def all_runs(config: Config, splits: Sequence[str]) -> list[tuple[str, Config]]:
    """Every run of the table; split by split, so that the first rows already compare all losses."""
    named = [(split, seed, loss) for split in splits for seed in range(config.seeds) for loss in config.losses]
    found = [(split, 0, "features") for split in splits]
    found += [(split, seed, "untrained") for split in splits for seed in range(config.seeds)]
    return [(split, replace(config, loss=loss, seed=seed)) for split, seed, loss in found + named]


def about(config: Config, name: str, split: str) -> dict:
    """What each row says of its run."""
    of_table = ("losses", "seeds", "splits")
    return {
        "experiment": "cifar100",
        **{key: value for key, value in runs.settings(config).items() if key not in of_table},
        "dataset": name,
        "split": split,
        "regime": "head on frozen features",
    }


def run(config: Config, console: Console) -> Path:
    """Every run that is missing; returns the file of rows."""
    name, whole = data.load_whole(config.dataset, config.data_dir)
    if name == "digits":
        whole = whole._replace(images=whole.images.reshape(len(whole.images), -1).astype(np.float32) / 255)
        config = replace(config, classes=min(config.classes, 5))  # of ten, half are seen
    splits = data.pictures.NAMED[name][: config.splits if name == "cifar100" else 1]
    check(config, name, len(splits))
    if name != "digits":
        whole = features.of(whole, name, side=config.side)
    folder = config.out or Path("runs/cifar100") / f"{name}-dim{config.dim}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = folder / "results.jsonl"
    done = {identity(json.loads(line)) for line in rows.read_text().splitlines()} if rows.exists() else set()
    told = {"commit": runs.commit(), "device": runs.device(), "jax": jax.__version__}
    told["command"] = f"python experiments/cifar100.py --dataset {name}"
    wanted = [(split, one) for split, one in all_runs(config, splits)]
    missing = [(split, one) for split, one in wanted if identity(about(one, name, split)) not in done]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("runs", total=len(wanted), completed=len(wanted) - len(missing))
        at, seen, unseen = "", np.zeros((0, 0, 0)), np.zeros((0, 0, 0))
        for split, one in missing:
            progress.update(task, description=f"{split}, {one.loss}, seed {one.seed}")
            if split != at:
                parts = data.pictures.divide(name, split, whole)
                seen = by_class(data.pictures.merge(parts.train, parts.validation))
                unseen, at = by_class(parts.test, config.test_images), split
            x, seconds = embeddings_of(one, seen, unseen)
            labels = np.repeat(np.arange(len(unseen)), unseen.shape[1])
            row = {**about(one, name, split), "train_seconds": round(seconds, 2), **told}
            found = [{**row, "measure": m, "value": v, "ci95": None} for m, v in judge(x, labels).items()]
            with rows.open("a") as stream:  # a run's rows at once
                stream.write("".join(json.dumps(line, default=str) + "\n" for line in found))
            progress.advance(task)
    return rows


def identity(row: dict) -> str:
    """What makes a run the one it is: all its settings."""
    told = ("measure", "value", "ci95", "train_seconds", "commit", "device", "jax", "command")
    return json.dumps({key: value for key, value in sorted(row.items()) if key not in told}, default=str)


def check(config: Config, name: str, splits: int) -> None:
    """Say what cannot be before an hour is spent on it."""
    if config.seeds < 1 or config.splits < 1 or splits < min(config.splits, 1):
        raise RunError("--seeds and --splits must be 1 or more.")
    seen = 50 if name == "cifar100" else 5
    if not 2 <= config.classes <= seen:
        raise RunError(f"--classes {config.classes}: a batch takes from 2 to {seen} classes here.")
    if config.drawings < 2 or config.steps < 1 or not config.learning_rate > 0:
        raise RunError("--drawings must be 2 or more, --steps 1 or more, --learning-rate positive.")
    for loss in config.losses:
        losses.check(replace(config, loss=loss), seen, config.dim or 64)


def table(rows: Sequence[dict]) -> str:
    """Mean over seeds and splits of each measure, a row a loss, best MAP@R first; half a 95 % interval beside it."""
    from scipy.stats import t as student

    measures = list(dict.fromkeys(row["measure"] for row in rows))
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        values.setdefault((row["loss"], row["measure"]), []).append(row["value"])
    mean = {key: float(np.mean(found)) for key, found in values.items()}
    order = sorted({row["loss"] for row in rows}, key=lambda loss: -mean[loss, "map_at_r"])

    def cell(loss: str, measure: str) -> str:
        found = values[loss, measure]
        if len(found) < 2:
            return f"{mean[loss, measure]:.1f}"
        half = student.ppf(0.975, len(found) - 1) * np.std(found, ddof=1) / len(found) ** 0.5
        return f"{mean[loss, measure]:.1f} ± {half:.1f}"

    lines = ["| loss | " + " | ".join(measures) + " |", "|---" * (len(measures) + 1) + "|"]
    return "\n".join(lines + [f"| {loss} | " + " | ".join(cell(loss, m) for m in measures) + " |" for loss in order])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and turn what a user can mend into one sentence and exit status 2."""
    config = tyro.cli(Config, args=arguments, description=__doc__, prog="cifar100.py")
    console = Console(markup=False, highlight=False)
    jax.config.update("jax_enable_x64", False)  # whatever the environment says
    try:
        rows = run(config, console)
    except (data.DataError, RunError) as error:
        print(f"cifar100.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cifar100.py: stopped; the same command goes on with the runs that are missing.", file=sys.stderr)
        return 130
    console.print(table([json.loads(line) for line in rows.read_text().splitlines()]))
    console.print(f"\nAll rows are in {rows}.", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
