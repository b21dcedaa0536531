"""Characters for few-shot learning: Omniglot, or letters drawn from fonts where there is no Omniglot.

    load(dataset="auto", split="vinyals") -> Dataset(name, split, train, validation, test)

Both sets are a list of characters, 20 drawings of 28 x 28 each (`records.py`, `glyphs.py`), kept in a cache, and take
the same road from there: characters are shared out by a committed list (`splits/`), then turned into classes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from experiments import glyphs, records
from experiments.cache import Characters, cache_folder, cached, say
from experiments.records import DataError

SPLITS = Path(__file__).parent / "splits"


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


def load(
    dataset: Literal["auto", "omniglot", "glyphs"] = "auto",
    split: Literal["vinyals", "lake"] = "vinyals",
    data_dir: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load Omniglot or the glyph set, split into classes to learn from, to choose by and to report on.

    Args:
        dataset: `omniglot` insists on it; `auto` takes it where it is prepared, cached or can be fetched, and
            otherwise says so in one line and takes `glyphs`.
        split: of Omniglot. `vinyals`: 1028 / 172 / 423 characters, every rotation a class in all three parts.
            `lake`: 25 / 5 / 20 whole alphabets, rotations in the first two only. The glyphs have one split, `scripts`.
        data_dir: folder that holds `omniglot/<version>/` as TensorFlow Datasets prepared it. Default: `$TFDS_DATA_DIR`,
            then `~/tensorflow_datasets`.
        cache_dir: where the compact arrays are kept. Default: `$CLUSTERJAX_CACHE`, else `clusterjax` in the
            user's cache folder.

    Returns:
        A `Dataset`.

    Raises:
        DataError: `omniglot` was asked for and cannot be had, or a folder that was named or found is broken.
    """
    if dataset not in ("auto", "omniglot", "glyphs"):
        raise DataError(f"dataset is {dataset!r}; choose 'auto', 'omniglot' or 'glyphs'.")
    if split not in ("vinyals", "lake"):
        raise DataError(f"split is {split!r}; choose 'vinyals' or 'lake'.")
    cache = cache_folder(cache_dir)
    if dataset != "glyphs":
        try:
            characters = records.characters(None if data_dir is None else Path(data_dir).expanduser(), cache)
            return divide("omniglot", split, characters)
        except records.NotFoundError as missing:
            if dataset == "omniglot" or data_dir is not None:
                raise
            say(f"{missing.what}; using the glyphs instead, letters drawn from fonts.")
    return divide("glyphs", "scripts", cached(cache / f"glyphs-{glyphs.key()}.npz", glyphs.draw))


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
        listed = [json.loads((SPLITS / "omniglot" / f"{part}.json").read_text()) for part in ("train", "val", "test")]
        place = {name: i for i, name in enumerate(names)}
        train, validation, test = (
            [
                place[f"{a}/{c}"]
                for alphabets in sets.values()
                for a, characters in alphabets.items()
                for c in characters
            ]
            for sets in listed
        )
        return train, validation, test
    listed = json.loads((SPLITS / f"{split}.json").read_text())
    train, validation, test = (
        [i for i, name in enumerate(names) if name.split("/")[0] in set(listed[part])]
        for part in ("train", "validation", "test")
    )
    return train, validation, test


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
