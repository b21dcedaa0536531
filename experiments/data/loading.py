"""Which data set: the one that is asked for, or another where there is none and any will do, which is then said.

    load(dataset="auto", split="vinyals") -> characters.Dataset(name, split, train, validation, test)
    load_pictures(name="cifar100", split=None) -> pictures.Dataset(name, split, train, validation, test)

Characters for few-shot learning are Omniglot (`omniglot.py`) or letters drawn from fonts (`glyphs.py`), 20 drawings of
28 x 28 each, and are turned into classes in `characters.py`. Pictures are CIFAR (`cifar.py`) or scikit-learn's digits
(`digits.py`), and are shared out in `pictures.py`, as are the utterances of `speakers.py`, which are none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal, TypeVar

from experiments.data import characters, cifar, digits, glyphs, omniglot, pictures, speakers
from experiments.data.cache import cache_folder, cached
from experiments.data.errors import DataError, NotFoundError
from experiments.messages import say

Whole = TypeVar("Whole")


def load(
    dataset: Literal["auto", "omniglot", "glyphs"] = "auto",
    split: Literal["vinyals", "lake"] = "vinyals",
    data_dir: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> characters.Dataset:
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
    one_of("dataset", dataset, ("auto", "omniglot", "glyphs"))
    one_of("split", split, ("vinyals", "lake"))
    cache = cache_folder(cache_dir)
    if dataset != "glyphs":
        instead = "the glyphs instead, letters drawn from fonts" if dataset == "auto" and data_dir is None else None
        if whole := found("Omniglot", lambda: omniglot.find(data_dir, cache), instead):
            return characters.divide("omniglot", split, whole)
    drawn = cached(cache / f"glyphs-{glyphs.key()}.npz", characters.Characters, glyphs.draw)
    return characters.divide("glyphs", "scripts", drawn)


def load_pictures(
    name: Literal["auto", "cifar100", "cifar10", "digits", "speakers"] = "cifar100",
    split: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> pictures.Dataset:
    """Load CIFAR, digits or Japanese vowels, split into pictures to learn from, choose by and report on.

    Args:
        name: `cifar100` and `cifar10` insist on it; `auto` takes CIFAR-100 where it is prepared, cached or can be
            fetched, and otherwise says so in one line and takes `digits`.
        split: of CIFAR-100. `unseen0` (default) to `unseen4`: 40 / 10 / 50 classes, `fc100`: 60 / 20 / 20 (12 / 4 / 4
            superclasses), `cifar-fs`: 64 / 16 / 20; a class has its 600 pictures of both published halves. CIFAR-10 has
            one split, `official`: all classes in all parts, 4500 / 500 / 1000 pictures of each. The digits have one,
            `unseen`: 3 / 2 / 5 classes; so have the speakers: 3 / 2 / 4.
        data_dir: folder that holds `cifar100/<version>/`; then no other place is tried. Default: as in `load`.
        cache_dir: as in `load`.

    Returns:
        A `pictures.Dataset`.

    Raises:
        DataError: CIFAR was asked for and cannot be had, or a folder that was named or found is broken.
    """
    one_of("name", name, ("auto", *pictures.NAMED))
    wanted = "cifar100" if name == "auto" else name
    split = split or pictures.NAMED[wanted][0]
    one_of("split", split, pictures.NAMED[wanted])
    come, whole = load_whole(name, data_dir, cache_dir)
    return pictures.divide(come, split if come == wanted else pictures.NAMED[come][0], whole)


def load_whole(
    name: Literal["auto", "cifar100", "cifar10", "digits", "speakers"] = "cifar100",
    data_dir: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> tuple[str, pictures.Pictures]:
    """Which set has come, and all of it, to be split by `pictures.divide`; else as `load_pictures`."""
    one_of("name", name, ("auto", *pictures.NAMED))
    wanted = "cifar100" if name == "auto" else name
    if wanted == "speakers":
        return wanted, speakers.read()
    if wanted != "digits":
        title = cifar.SETS[wanted].title
        instead = "scikit-learn's digits instead" if name == "auto" and data_dir is None else None
        if whole := found(title, lambda: cifar.find(wanted, data_dir, cache_folder(cache_dir)), instead):
            return wanted, whole
    return "digits", digits.read()


def one_of(argument: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a name that is not known, with those that are."""
    if value not in known:
        *most, last = map(repr, known)
        choose = f"{', '.join(most)} or {last}" if most else last
        raise DataError(f"{argument} is {value!r}; choose {choose}.")


def found(title: str, find: Callable[[], Whole], instead: str | None) -> Whole | None:
    """What `find` finds; None, with a line said, where there is none and something will do instead."""
    try:
        return find()
    except NotFoundError as missing:
        if instead is None:
            raise
        say(f"{missing.what}; using {instead}.")
        return None
    except ImportError as error:
        raise DataError(f"{title} needs {error.name or error}; run `pip install 'clusterjax[experiments]'`.") from error
