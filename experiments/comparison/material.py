"""What encoders see: features of EfficientNet-Lite0 where examples are colour pictures, the numbers themselves else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from experiments import data, features
from experiments.comparison.settings import SPLITS, Config
from experiments.data import pictures
from experiments.runs import RunError


class Material(NamedTuple):
    """A data set, and everything that is known of its examples.

    Attributes:
        name: of the data set.
        splits: the ones that were asked for.
        whole: the data set, with the number of each example in the place of its image.
        views: {name: [n, ...]}, the examples as they are, and where a head is trained features of them.
    """

    name: str
    splits: tuple[str, ...]
    whole: pictures.Pictures
    views: dict[str, np.ndarray]


class Divided(NamedTuple):
    """Numbers of examples, `[classes, examples]`: as many of each class.

    Attributes:
        train: to learn from while settings are chosen.
        validation: to choose them by.
        seen: both, to learn from with what was chosen.
        unseen: to report on.
        names: of the unseen classes.
        seen_names: of the others.
    """

    train: np.ndarray
    validation: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray
    names: tuple[str, ...]
    seen_names: tuple[str, ...]


def gather(config: Config) -> Material:
    """Load it, and compute features once.

    Raises:
        DataError: it cannot be had.
        RunError: it has no split of a name that was asked for.
    """
    name, whole = data.load_whole(config.dataset, config.data_dir)
    known = pictures.NAMED[name]
    splits = tuple(dict.fromkeys(config.splits)) or SPLITS.get(name) or known
    if unknown := set(splits) - set(known):
        raise RunError(f"--splits {' '.join(sorted(unknown))}: {name} has {', '.join(known)}.")
    raw = "pixels" if whole.images.dtype == np.uint8 else "examples"
    views = {raw: whole.images}
    if config.encoder == "head" and whole.images.shape[1:] == (32, 32, 3):
        views |= features.of(whole.images, name, side=config.side)
    return Material(name, splits, whole._replace(images=np.arange(len(whole.images))), views)


def divide(material: Material, split: str, most: int) -> Divided:
    """Share the examples out; of classes that judge at most so many each."""
    parts = pictures.divide(material.name, split, material.whole)
    seen = pictures.merge(parts.train, parts.validation)
    judged = by_class(parts.validation, most), by_class(parts.test, most)
    return Divided(by_class(parts.train), judged[0], by_class(seen), judged[1], parts.test.names, seen.names)


def by_class(part: pictures.Part, most: int | None = None) -> np.ndarray:
    """`[classes, examples, ...]`, as many of each class as the smallest has, or at most so many."""
    sizes = np.bincount(part.labels)
    number = min(sizes.min(), most or sizes.min())
    return np.stack([part.images[np.flatnonzero(part.labels == c)[:number]] for c in range(len(sizes))])


def rows(view: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Examples as vectors, `[classes, examples, d]`; bytes become numbers in 0..1."""
    found = view[numbers].reshape(*numbers.shape, -1).astype(np.float32)
    return found / 255 if view.dtype == np.uint8 else found
