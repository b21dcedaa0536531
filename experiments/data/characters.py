"""Characters, shared out by a committed list (`splits/`) and turned into classes: Omniglot's way and the glyphs'.

divide(name, split, characters) -> Dataset(name, split, train, validation, test)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

SPLITS = Path(__file__).parent.parent / "splits"
SIZE = 28
DRAWINGS = 20


class Characters(NamedTuple):
    """A whole dataset before it is split, as the cache holds it.

    Attributes:
        images: `[characters, 20, 28, 28]` uint8, upright.
        names: one a character, `Alphabet/character05`.
        turns: `[characters, 4]` bool: which of the rotations by 0, 90, 180, 270 degrees are classes of their own.
    """

    images: np.ndarray
    names: tuple[str, ...]
    turns: np.ndarray


class Part(NamedTuple):
    """The classes of one side of a split; a rotated character is a class of its own.

    Attributes:
        images: `[classes, 20, 28, 28]` uint8, grey: 0 is paper, 255 is full ink. **Divide by 255** before use.
        names: one a class, `Alphabet/character05` upright, `Alphabet/character05/rot090` turned counter-clockwise.
        alphabets: `[classes]` int32, the number of the class's alphabet in the whole dataset (not in the part).
        upright: `[classes]` bool, False for rotated classes: the within-alphabet task draws from the upright ones.
    """

    images: np.ndarray
    names: tuple[str, ...]
    alphabets: np.ndarray
    upright: np.ndarray


class Dataset(NamedTuple):
    """Three parts without a class in common.

    Attributes:
        name: `omniglot` or `glyphs`; every result carries it.
        split: `vinyals` or `lake` for Omniglot, `scripts` for the glyphs.
        train: the classes to learn from.
        validation: the classes to choose by.
        test: the classes to report on.
    """

    name: str
    split: str
    train: Part
    validation: Part
    test: Part


# ---------------------------------------------------------------------------------------------------------------------
# Splits and classes


def divide(name: str, split: str, characters: Characters) -> Dataset:
    """Share the characters out by the committed lists, and turn each share into classes."""
    alphabets = {alphabet: i for i, alphabet in enumerate(sorted({n.split("/")[0] for n in characters.names}))}
    train, validation, test = members(split, characters.names)
    return Dataset(
        name,
        split,
        classes(characters, train, alphabets),
        classes(characters, validation, alphabets),
        # The within-alphabet task of Lake's split is about alphabets as they are written.
        classes(characters, test, alphabets, rotated=split != "lake"),
    )


def members(split: str, names: Sequence[str]) -> tuple[list[int], list[int], list[int]]:
    """Places of the train, validation and test characters in `names`, by the committed lists."""
    if split == "vinyals":
        place = {name: i for i, name in enumerate(names)}
        train, validation, test = ([place[name] for name in listed(part)] for part in ("train", "val", "test"))
        return train, validation, test
    alphabets = json.loads((SPLITS / f"{split}.json").read_text(encoding="utf-8"))
    train, validation, test = (
        [i for i, name in enumerate(names) if name.split("/")[0] in alphabets[part]]
        for part in ("train", "validation", "test")
    )
    return train, validation, test


def listed(part: str) -> list[str]:
    """The characters of one published list, `train`, `val` or `test`, as `Alphabet/character05`."""
    sets = json.loads((SPLITS / "omniglot" / f"{part}.json").read_text(encoding="utf-8"))
    return [f"{a}/{c}" for alphabets in sets.values() for a, characters in alphabets.items() for c in characters]


def classes(characters: Characters, chosen: Sequence[int], alphabets: dict[str, int], *, rotated: bool = True) -> Part:
    """The chosen characters as classes: first all of them upright, then turned by 90, 180 and 270 degrees."""
    parts = []
    for quarter in range(4 if rotated else 1):
        kept = [i for i in chosen if characters.turns[i, quarter]]
        names = [characters.names[i] for i in kept]
        parts.append(
            Part(
                np.rot90(characters.images[kept], quarter, axes=(2, 3)),
                tuple(f"{name}/rot{90 * quarter:03d}" if quarter else name for name in names),
                np.array([alphabets[name.split("/")[0]] for name in names], np.int32),
                np.full(len(kept), quarter == 0),
            )
        )
    return merge(*parts)


def merge(*parts: Part) -> Part:
    """Put parts of one dataset together, as the last training on train and validation classes wants it.

    Args:
        *parts: parts of the same `Dataset`.

    Returns:
        One `Part` with the classes of all, in the order given.
    """
    return Part(
        np.concatenate([part.images for part in parts]),
        tuple(name for part in parts for name in part.names),
        np.concatenate([part.alphabets for part in parts]),
        np.concatenate([part.upright for part in parts]),
    )
