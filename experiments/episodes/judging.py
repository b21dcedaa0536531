"""Judge embeddings of classes never seen in training by few-shot episodes, and write what was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from clusterjax import fewshot
from experiments.data import Part
from experiments.runs import write_arrays

KEY = 0  # one key for every run: any two of them are compared on the same episodes


class Setting(NamedTuple):
    """One kind of episode.

    Attributes:
        measure: what the rows of a result file call it.
        way: classes in an episode.
        shot: drawings that are shown of each.
        queries: drawings to recognise of each.
        within_alphabet: all classes of an episode are upright characters of one alphabet (Lake et al. 2015).
    """

    measure: str
    way: int
    shot: int
    queries: int
    within_alphabet: bool = False


SETTINGS = (
    Setting("accuracy", 5, 1, 15),
    Setting("accuracy", 5, 5, 15),
    Setting("accuracy", 20, 1, 15),
    Setting("accuracy", 20, 5, 15),
    Setting("within_alphabet_accuracy", 20, 1, 1, within_alphabet=True),
)


def name(setting: Setting) -> str:
    """A short name, as in `5-way 1-shot`."""
    return f"{setting.way}-way {setting.shot}-shot" + (" within an alphabet" if setting.within_alphabet else "")


def fewshot_accuracy(embeddings: jax.Array, part: Part, num_episodes: int) -> dict[Setting, fewshot.EpisodeResult]:
    """The result of every setting that the part has classes for.

    Args:
        embeddings: `[classes * drawings, d]`, class by class.
        part: the classes.
        num_episodes: episodes of each setting.
    """
    classes, drawings = part.images.shape[:2]
    labels = np.repeat(np.arange(classes), drawings)
    upright = np.repeat(part.upright, drawings)
    alphabets = np.repeat(part.alphabets, drawings)
    results = {}
    for setting in SETTINGS:
        # Under one alphabet only upright characters: a rotated one is not a character of it.
        inside = setting.within_alphabet
        largest = np.unique(part.alphabets[part.upright], return_counts=True)[1].max() if inside else classes
        if largest < setting.way or drawings < setting.shot + setting.queries:
            continue
        results[setting] = fewshot.evaluate(
            jax.random.key(KEY),
            embeddings,
            labels,
            way=setting.way,
            shot=setting.shot,
            queries=setting.queries,
            num_episodes=num_episodes,
            groups=alphabets if inside else None,
            where=upright if inside else None,
        )
    return results


def rows(results: dict[Setting, fewshot.EpisodeResult], about: dict) -> list[dict]:
    """One row a measure, values in percent, each with all that is known `about` the run."""
    return [
        {
            **about,
            "measure": setting.measure,
            "way": setting.way,
            "shot": setting.shot,
            "queries": setting.queries,
            "episodes": len(result.accuracy),
            "value": round(100 * float(result.mean), 3),
            "ci95": round(100 * float(result.ci95), 3),
        }
        for setting, result in results.items()
    ]


def save_episodes(path: Path, results: dict[Setting, fewshot.EpisodeResult]) -> None:
    """Keep how many queries of each episode were right: what a paired comparison needs."""
    right = {
        f"{s.measure}-{s.way}-{s.shot}-{s.queries}": np.asarray(result.accuracy, np.float64) * s.way * s.queries
        for s, result in results.items()
    }
    write_arrays(path, {name: np.round(count, 2).astype(np.float32) for name, count in right.items()})


def save_embeddings(path: Path, embeddings: jax.Array, part: Part) -> None:
    """Keep the embeddings with the number of each one's class and the classes' names, to look at with other tools."""
    labels = np.repeat(np.arange(len(part.images)), part.images.shape[1])
    write_arrays(path, {"embeddings": np.asarray(embeddings), "labels": labels, "names": np.asarray(part.names)})


def markdown(table: Sequence[dict]) -> str:
    """Rows of one run as a Markdown table."""
    lines = ["| episodes of unseen classes | accuracy % | 95 % interval |", "|---|---|---|"]
    for row in table:
        kind = " within an alphabet" if row["measure"].startswith("within") else ""
        lines.append(f"| {row['way']}-way {row['shot']}-shot{kind} | {row['value']:.2f} | ± {row['ci95']:.2f} |")
    return "\n".join(lines)
