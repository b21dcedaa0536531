"""All runs of one split: references, trials of each loss on the validation classes, and its runs on the unseen ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.decomposition import PCA

from experiments import losses, runs, train
from experiments.comparison import judging, ledger, material, training, tuning
from experiments.comparison.settings import Config
from experiments.messages import say

REGIMES = {"head": "head on frozen features", "efficientnet-lite0": "fine-tuned"}
NOT_OF_A_RUN = ("dataset", "losses", "seeds", "splits", "trials", "validate_every")


class Place(NamedTuple):
    """Where a comparison is at.

    Attributes:
        config: its settings, those of one loss once that is chosen.
        folder: of everything it writes.
        told: what each row says that is no setting.
        done: the rows of the runs that are there, by their identity.
        advance: to be told which run is next, and then that it is done.
        split: which classes are unseen.
        view: what the encoder sees.
        divided: the numbers of the examples.
    """

    config: Config
    folder: Path
    told: dict
    done: dict[str, list[dict]]
    advance: Callable[[str], None]
    split: str
    view: np.ndarray
    divided: material.Divided


def about(place: Place, config: Config, phase: str) -> dict:
    """What each row says of its run; settings that are left at their defaults by None are left out."""
    settings = {key: value for key, value in runs.settings(config).items() if key not in NOT_OF_A_RUN}
    return {
        "experiment": "comparison",
        "dataset": place.told["dataset"],
        "split": place.split,
        "regime": REGIMES.get(config.encoder, "from scratch"),
        "phase": phase,
        **{key: value for key, value in settings.items() if value is not None},
        **({} if phase == "reference" else code_of(config)),
    }


def code_of(config: Config) -> dict[str, str]:
    """A digest of the file of a loss that is not of this project: once that is edited its runs are others."""
    file = runs.source(losses.find(config)) if ":" in config.loss else None
    if file is None or runs.ROOT in file.absolute().parents:
        return {}
    return {"code": hashlib.sha256(file.read_bytes()).hexdigest()[:16]}


def once(place: Place, run: dict, find: Callable[[], list[dict]]) -> list[dict]:
    """The rows of a run: those that are there, or what `find` finds now."""
    known = ledger.identity(run)
    if known not in place.done:
        place.advance(f"{place.split}, {run['phase']}: {run['loss'].rpartition(':')[2]}, seed {run['seed']}")
        told = {key: value for key, value in place.told.items() if key != "dataset"}
        rows = [{**run, **row, **told} for row in find()]
        ledger.append(place.folder / "results.jsonl", rows)
        place.done[known] = rows
    place.advance("")
    return place.done[known]


def fit(place: Place, config: Config, learn: np.ndarray, phase: str) -> training.Trained:
    """The encoder that these settings train on these examples."""
    if config.encoder == "head":
        return training.head(config, jnp.asarray(material.rows(place.view, learn)))
    # of other settings another folder: the checkpoints in it are gone on with
    digest = hashlib.sha256(ledger.identity(about(place, config, phase)).encode()).hexdigest()[:8]
    folder = place.folder / "networks" / runs.folder_name([place.split, config.loss, digest], {})
    folder.mkdir(parents=True, exist_ok=True)
    validation = place.view[place.divided.validation]

    def report(text: str, step: int) -> None:
        place.advance(f"{place.split}, {config.loss}: step {step} of {config.steps}, {text}")

    return training.network(config, place.view[learn], validation, folder, report)


def examples(place: Place, numbers: np.ndarray) -> np.ndarray:
    """What the encoder sees of them."""
    return material.rows(place.view, numbers) if place.config.encoder == "head" else place.view[numbers]


def references(place: Place, views: dict[str, np.ndarray]) -> None:
    """The examples themselves, their features at every stage, both with PCA; and the encoder before its first step."""
    for name, reduced in product(views, (False, True)):
        config = replace(place.config, loss=f"{name}, PCA" if reduced else name, steps=0, seed=0)
        once(place, about(place, config, "reference"), partial(introspect, place, config, views[name], reduced))
    for seed in range(place.config.seeds):
        config = replace(place.config, loss="untrained", steps=0, seed=seed)
        once(place, about(place, config, "reference"), partial(leave_untrained, place, config))


def introspect(place: Place, config: Config, view: np.ndarray, reduced: bool) -> list[dict]:
    """Rows of the features themselves."""
    validation, unseen = (
        np.concatenate(material.rows(view, numbers)) for numbers in (place.divided.validation, place.divided.unseen)
    )
    if reduced:
        seen = np.concatenate(material.rows(view, place.divided.seen))
        pca = PCA(min(config.dim or 64, seen.shape[1]), svd_solver="covariance_eigh").fit(seen)
        validation, unseen = pca.transform(validation), pca.transform(unseen)
    metric, _ = judging.better_metric(jnp.asarray(validation), train.drawing_labels(place.divided.validation))
    x, labels = judging.seen_by(metric, jnp.asarray(unseen)), train.drawing_labels(place.divided.unseen)
    keep(place, config.loss, x, None)
    table = judging.judge(x, labels)
    if x.shape[1] <= judging.WIDE or view is place.view:  # a sweep over thousands of features takes minutes
        table += judging.chosen_k(x, labels)
    told = {"width": x.shape[1], "judged_by": metric, "train_seconds": 0.0}
    return [{**row, **told} for row in table]


def leave_untrained(place: Place, config: Config) -> list[dict]:
    """Rows of the encoder before its first step."""
    trained = training.untrained(config, examples(place, place.divided.seen[:1]))  # for their shape
    return rows_of_unseen(place, config, trained, on_validation(place, trained)[0])


def on_validation(place: Place, trained: training.Trained) -> tuple[str, float]:
    """The metric that the embedding is best judged by, and the MAP@R of the validation classes."""
    x = trained.embed(examples(place, place.divided.validation))
    return judging.better_metric(x, train.drawing_labels(place.divided.validation))


def tuned(place: Place, config: Config) -> tuple[Config, str]:
    """The settings that did best on the validation classes, and the metric that they were judged by."""
    tried = tuning.candidates(config, *place.divided.train.shape)
    if config.trials == 0:
        return tried[0], "euclidean"
    rows = []
    for candidate in tried:
        rows += once(place, about(place, candidate, "trial"), partial(try_out, place, candidate))
    best = int(np.argmax([row["value"] for row in rows]))
    return tried[best], rows[best]["judged_by"]


def try_out(place: Place, config: Config) -> list[dict]:
    """The one row of a trial; one that diverged is as bad as can be, and the others go on."""
    try:
        trained = fit(place, config, place.divided.train, "trial")
        seconds = round(trained.seconds, 2)
        metric, value = on_validation(place, trained)
    except runs.DivergedError:
        metric, value, seconds = "euclidean", 0.0, None
    told = {"judged_by": metric, "train_seconds": seconds}
    return [{"measure": "map_at_r", "value": judging.percent(value), "ci95": None, **told}]


def final(place: Place, config: Config, metric: str) -> list[dict]:
    """Rows of a run with the settings that were chosen, on all seen classes."""
    # a network keeps the weights that do best on the validation classes, which it must not have learned from
    learn = place.divided.seen if config.encoder == "head" else place.divided.train
    return rows_of_unseen(place, config, fit(place, config, learn, "test"), metric)


def rows_of_unseen(place: Place, config: Config, trained: training.Trained, metric: str) -> list[dict]:
    """What is found of the unseen classes; of the first seed the numbers of clusters too, and its embeddings stay."""
    unseen, seen = place.divided.unseen, place.divided.seen[:, : place.config.test_images]
    x = judging.seen_by(metric, trained.embed(examples(place, unseen)))
    labels = train.drawing_labels(unseen)
    table = judging.judge(x, labels)
    if config.seed == 0:
        table += judging.chosen_k(x, labels)
        keep(place, config.loss, x, judging.seen_by(metric, trained.embed(examples(place, seen))))
    told = {"judged_by": metric, "train_seconds": round(trained.seconds, 2)}
    return [{**row, **told} for row in table]


def keep(place: Place, loss: str, unseen: jax.Array, seen: jax.Array | None) -> None:
    """Embeddings `[classes, examples, d]` for pictures, and for whoever wants to look at them with other tools."""
    folder = place.folder / "embeddings"
    folder.mkdir(exist_ok=True)
    divided, arrays = place.divided, {}
    for side, x, names in (("unseen", unseen, divided.names), ("seen", seen, divided.seen_names)):
        if x is not None:
            arrays[side] = np.asarray(x, np.float32).reshape(len(names), -1, x.shape[-1])
            arrays["names" if side == "unseen" else "seen_names"] = np.asarray(names)
    runs.write_arrays(folder / f"{place.split}-{loss.rpartition(':')[2]}.npz", arrays)


def number_of_runs(config: Config, divided: material.Divided, views: dict[str, np.ndarray]) -> int:
    """How many `compare` will make."""
    tried = [tuning.candidates(replace(config, loss=loss), *divided.train.shape) for loss in config.losses]
    trials = sum(map(len, tried)) if config.trials else 0
    return 2 * len(views) + config.seeds * (1 + len(config.losses)) + trials


def compare(place: Place, views: dict[str, np.ndarray]) -> None:
    """All runs of one split."""
    references(place, views)
    for loss in place.config.losses:
        config, metric = tuned(place, replace(place.config, loss=loss))
        for seed in range(place.config.seeds):
            one = replace(config, seed=seed)
            run = {**about(place, one, "test"), "trials": config.trials}
            try:
                once(place, run, partial(final, place, one, metric))
            except runs.DivergedError:
                what = f"{place.split}, {loss.rpartition(':')[2]}, seed {seed}"
                say(f"{what}: the loss is not finite; the tables are without that run.")
                place.advance("")
