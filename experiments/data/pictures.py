"""Pictures with the class of each, and how a set of them is split into classes that are seen and classes that are not.

divide(name, split, pictures) -> Dataset(name, split, train, validation, test)
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.data.characters import SPLITS

PUBLISHED = {"train": "train.json", "validation": "val.json", "test": "test.json"}
NAMED = {  # the splits of each data set, the usual one first
    "cifar100": ("unseen0", "unseen1", "unseen2", "unseen3", "unseen4", "fc100", "cifar-fs"),
    "cifar10": ("official",),
    "digits": ("unseen",),
    "speakers": ("unseen",),
}


class Pictures(NamedTuple):
    """A whole data set before it is split, as the cache holds it.

    Attributes:
        images: `[n, height, width, channels]` uint8; of the speakers `[n, frames, coefficients]` float32.
        labels: `[n]` int32, the place of the class in `names`.
        training: `[n]` bool, the published training half.
        names: of the classes.
    """

    images: np.ndarray
    labels: np.ndarray
    training: np.ndarray
    names: tuple[str, ...]


class Part(NamedTuple):
    """The pictures of one side of a split.

    Attributes:
        images: `[n, height, width, channels]` uint8. **Divide by 255** before use.
        labels: `[n]` int32, the place of the class in `names`: counted within the part, every number is used.
        names: of the part's classes.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]


class Dataset(NamedTuple):
    """Three parts without a picture in common, and without a class in common unless the split is `official`.

    Attributes:
        name: `cifar100`, `cifar10`, `digits` or `speakers`; every result carries it.
        split: which classes are where, see `splits/README.md`.
        train: to learn from. Before the last training, `merge(train, validation)` gives back all that is seen.
        validation: to choose by.
        test: to report on.
    """

    name: str
    split: str
    train: Part
    validation: Part
    test: Part


def divide(name: str, split: str, pictures: Pictures) -> Dataset:
    """Share the pictures out: whole classes by a committed list, or every class by its published halves."""
    if split == "official":
        parts = [pick(pictures, pictures.names, share) for share in shares(pictures)]
    else:
        every = np.ones(len(pictures.labels), bool)
        parts = [pick(pictures, members(name, split, part), every) for part in ("train", "validation", "test")]
    return Dataset(name, split, *parts)


def members(name: str, split: str, part: str) -> list[str]:
    """The classes of one part, `train`, `validation` or `test`, by the committed list."""
    folder = SPLITS / name
    if split == "fc100":
        return [fine for coarse in read(folder / split / PUBLISHED[part]) for fine in superclasses()[coarse]]
    if split == "cifar-fs":
        return [fine for _, fine in read(folder / split / PUBLISHED[part])]
    return read(folder / f"{split}.json")[part]


def superclasses() -> dict[str, list[str]]:
    """The 20 superclasses of CIFAR-100, and the five classes of each."""
    return read(SPLITS / "cifar100" / "superclasses.json")


def read(path: Path) -> Any:
    """A committed list."""
    return json.loads(path.read_text(encoding="utf-8"))


def shares(pictures: Pictures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which pictures are for training, validation (the last tenth of every class's training half) and testing."""
    train = pictures.training.copy()
    for label in range(len(pictures.names)):
        own = np.flatnonzero(pictures.training & (pictures.labels == label))
        train[own[len(own) - len(own) // 10 :]] = False
    return train, pictures.training & ~train, ~pictures.training


def pick(pictures: Pictures, chosen: Collection[str], share: np.ndarray) -> Part:
    """The share's pictures of the chosen classes, both in the data set's order."""
    kept = np.array([name in chosen for name in pictures.names])
    number = (np.cumsum(kept) - 1).astype(np.int32)  # of a class within the part
    here = share & kept[pictures.labels]
    names = tuple(name for name in pictures.names if name in chosen)
    return Part(pictures.images[here], number[pictures.labels[here]], names)


def merge(*parts: Part) -> Part:
    """Put parts of one data set together, as the last training on all that is seen wants it.

    Args:
        *parts: parts of the same `Dataset`.

    Returns:
        One `Part` with the pictures of all, in the order given. A class that several parts have stays one class.
    """
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    labels = [np.array([names.index(name) for name in part.names], np.int32)[part.labels] for part in parts]
    return Part(np.concatenate([part.images for part in parts]), np.concatenate(labels), names)
