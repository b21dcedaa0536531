"""Characters for few-shot learning: Omniglot, or letters drawn from fonts where there is no Omniglot.

    load(dataset="auto", split="vinyals") -> Dataset(name, split, train, validation, test)

Both sets are a list of characters, 20 drawings of 28 x 28 each, kept in a cache (`cache.py`): Omniglot (`omniglot.py`)
or letters (`glyphs.py`). From there they take the same road (`characters.py`).
"""

from __future__ import annotations

import os
from typing import Literal

from experiments.data import glyphs, omniglot
from experiments.data.cache import cache_folder, cached
from experiments.data.characters import Characters, Dataset, divide
from experiments.data.errors import DataError, NotFoundError
from experiments.messages import say


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
            return divide("omniglot", split, omniglot.find(data_dir, cache))
        except NotFoundError as missing:
            if dataset == "omniglot" or data_dir is not None:
                raise
            say(f"{missing.what}; using the glyphs instead, letters drawn from fonts.")
        except ImportError as error:
            raise DataError(
                f"Omniglot needs {error.name or error}; run `pip install 'clusterjax[experiments]'`."
            ) from error
    return divide("glyphs", "scripts", cached(cache / f"glyphs-{glyphs.key()}.npz", Characters, glyphs.draw))
