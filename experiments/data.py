"""Characters for few-shot learning: Omniglot, or letters drawn from fonts where there is no Omniglot.

    load(dataset="auto", split="vinyals") -> Dataset(name, split, train, validation, test)

Both sets are a list of characters, 20 drawings of 28 x 28 each, kept in a cache: Omniglot as TensorFlow Datasets
prepared it (`records.py`) or as its authors publish it (`archives.py`), or letters (`glyphs.py`). From there they take
the same road: characters are shared out by a committed list (`splits/`), then turned into classes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from experiments import archives, glyphs, records
from experiments.cache import Characters, cache_folder, cached, key, read_cache, say
from experiments.drawings import AGAIN, SPLITS, VERSION, DataError, NotFoundError, listed


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
            otherwise says so in one line and takes `glyphs`; without a network that is known within two seconds.
        split: of Omniglot. `vinyals`: 1028 / 172 / 423 characters, every rotation a class in all three parts.
            `lake`: 25 / 5 / 20 whole alphabets, rotations in the first two only. The glyphs have one split, `scripts`.
        data_dir: folder that holds `omniglot/<version>/` as TensorFlow Datasets prepared it; then no other place is
            tried. Default: `$TFDS_DATA_DIR`, then `~/tensorflow_datasets`, then the cache, then the network.
        cache_dir: where what was fetched and the compact arrays are kept. Default: `$CLUSTERJAX_CACHE`, else
            `clusterjax` in the user's cache folder.

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
            return divide("omniglot", split, omniglot(data_dir, cache))
        except NotFoundError as missing:
            if dataset == "omniglot" or data_dir is not None:
                raise
            say(f"{missing.what}; using the glyphs instead, letters drawn from fonts.")
        except ImportError as error:
            raise DataError(
                f"Omniglot needs {error.name or error}; run `pip install 'clusterjax[experiments]'`."
            ) from error
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
# Where Omniglot comes from


def omniglot(data_dir: str | os.PathLike[str] | None, cache: Path) -> Characters:
    """All of Omniglot: from the folder named, a folder found, the cache, or the network, in this order."""
    folders = [Path(os.path.expanduser(data_dir))] if data_dir is not None else records.default_folders()
    for folder in folders:
        if prepared := records.prepared_version(folder):
            return kept(cache, records.files(prepared), lambda: records.read(prepared))
    if data_dir is not None:
        what = "holds no omniglot/<version>/*.array_record files" if os.path.isdir(folders[0]) else "does not exist"
        raise NotFoundError(
            f"The data folder {folders[0]} {what}", "check the name, or leave it out and have Omniglot fetched"
        )
    for path in sorted(cache.glob(f"omniglot-v{VERSION}-*.npz")):
        if characters := read_cache(path):
            return characters
    fetched = archives.fetch(cache / "omniglot")
    return kept(cache, fetched, lambda: archives.read(fetched))


def kept(cache: Path, files: Sequence[Path], read: Callable[[], Characters]) -> Characters:
    """What the cache kept of the very same files (hashing 12 MB takes milliseconds), or what is read from them."""
    try:
        name = f"omniglot-v{VERSION}-{key(files)}.npz"
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); {AGAIN}.") from error
    return cached(cache / name, read)


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
