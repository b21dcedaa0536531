"""Omniglot: 1623 characters of 50 alphabets, as TensorFlow Datasets prepared it or as its authors publish it.

    find(data_dir, cache) -> Characters

TensorFlow is not needed: the records are ArrayRecord files. Both ways give the same arrays, bit for bit.

Every drawing is reduced to 28 x 28 *grey* values by area averaging, `A @ ink @ A.T`. The first few-shot code picked
single pixels instead, which breaks strokes: they are 2 to 3 pixels wide and every 3.75th is kept. `A` is symmetric
under a flip, so that turning the small picture by 90 degrees is the same as turning the large one first.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import numpy as np

from experiments.data import fetching
from experiments.data.cache import cached, key, read_cache
from experiments.data.characters import DRAWINGS, SIZE, Characters, DataError, NotFoundError, listed
from experiments.messages import first_line

VERSION = 2  # of what the cache holds: raise it when the same files would give other arrays
AGAIN = "delete that folder and fetch or copy Omniglot again"
URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
MEMBER = re.compile(r"images_\w+/([^/]+)/character(\d\d)/(\d{4}_\d\d\.png)")


def find(data_dir: str | os.PathLike[str] | None, cache: Path) -> Characters:
    """All of Omniglot: from the folder named, a folder found, the cache, or the network, in this order."""
    folders = [Path(os.path.expanduser(data_dir))] if data_dir is not None else default_folders()
    for folder in folders:
        if prepared := prepared_version(folder):
            return kept(cache, prepared_files(prepared), lambda: read_prepared(prepared))
    if data_dir is not None:
        what = "holds no omniglot/<version>/*.array_record files" if os.path.isdir(folders[0]) else "does not exist"
        raise NotFoundError(
            f"The data folder {folders[0]} {what}", "check the name, or leave it out and have Omniglot fetched"
        )
    for path in sorted(cache.glob(f"omniglot-v{VERSION}-*.npz")):
        if characters := read_cache(path):
            return characters
    fetched = fetch(cache / "omniglot")
    return kept(cache, fetched, lambda: read_archives(fetched))


def kept(cache: Path, files: Sequence[Path], read: Callable[[], Characters]) -> Characters:
    """What the cache kept of the very same files (hashing 12 MB takes milliseconds), or what is read from them."""
    try:
        name = f"omniglot-v{VERSION}-{key(files)}.npz"
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); {AGAIN}.") from error
    return cached(cache / name, read)


# ---------------------------------------------------------------------------------------------------------------------
# A folder that TensorFlow Datasets prepared


def default_folders() -> list[Path]:
    """Where TensorFlow Datasets would look: `$TFDS_DATA_DIR`, then its default."""
    # os.path's expanduser, as the one of Path raises where nobody has a home.
    return [Path(os.path.expanduser(f)) for f in (os.environ.get("TFDS_DATA_DIR"), "~/tensorflow_datasets") if f]


def prepared_version(folder: Path) -> Path | None:
    """The newest `omniglot/<version>` with ArrayRecord files; a preparation that was cut short has another name."""
    versions = {p.parent for p in folder.glob("omniglot/*/omniglot-train.array_record*")}
    numbered = [p for p in versions if p.name.replace(".", "").isdigit()]
    return max(numbered, key=lambda p: tuple(map(int, p.name.split("."))), default=None)


def prepared_files(folder: Path) -> list[Path]:
    """All that `read_prepared` may look at: the records, and what says how to read them and what their numbers mean."""
    return sorted(path for path in folder.iterdir() if path.is_file())


def read_prepared(folder: Path) -> Characters:
    """Decode every record; what is not Omniglot's is an error."""
    try:
        return gather(prepared_drawings(folder), folder)
    except (DataError, ImportError):
        raise
    except Exception as error:  # ArrayRecord, protobuf and PIL raise what they like, RuntimeError most often
        raise DataError(
            f"The records in {folder} cannot be read, most likely a truncated file ({first_line(error)}); {AGAIN}."
        ) from error


def prepared_drawings(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield `Alphabet/characterNN` and the PNG file of every drawing."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_datasets as tfds

        builder: Any = tfds.builder_from_directory(folder)
        # Decoded by us, not by TFDS: the files are one bit a pixel, and TFDS would make three bytes of it.
        sources = builder.as_data_source(["train", "test"], decoders={"image": tfds.decode.SkipDecoding()})
    alphabets = (folder / "alphabet.labels.txt").read_text(encoding="utf-8").split()
    if alphabets != sorted({name.split("/")[0] for name in known()}):  # two that are swapped would swap the drawings
        raise DataError(f"{folder / 'alphabet.labels.txt'} does not list Omniglot's alphabets from A to Z; {AGAIN}.")
    for source in sources:
        for start in range(0, len(source), 1000):
            for record in source.__getitems__(range(start, min(start + 1000, len(source)))):
                # TFDS counts a character from 0, the files and the split lists from 1.
                yield f"{alphabets[record['alphabet']]}/character{record['alphabet_char_id'] + 1:02d}", record["image"]


# ---------------------------------------------------------------------------------------------------------------------
# The authors' two zip files of PNG


class Archive(NamedTuple):
    """Its md5, and the name of the split that TensorFlow Datasets makes of it."""

    md5: str
    split: str


ARCHIVES = {
    "images_background.zip": Archive("68d2efa1b9178cc56df9314c21c6e718", "train"),
    "images_evaluation.zip": Archive("6b91aef0f799c5bb55b94e3f2daec811", "test"),
}


def fetch(folder: Path) -> list[Path]:
    """The two files in the folder, where they are whole; what is not is fetched.

    Args:
        folder: for these files alone. They come from GitHub, or from the mirror in `$CLUSTERJAX_OMNIGLOT_URL`.

    Raises:
        NotFoundError: one is missing and cannot be fetched. Nothing is lost: the next call goes on from here.
    """
    url = (os.environ.get("CLUSTERJAX_OMNIGLOT_URL") or URL).rstrip("/")
    try:
        return fetching.fetch("Omniglot", url, {name: archive.md5 for name, archive in ARCHIVES.items()}, folder)
    except fetching.FetchError as error:
        raise NotFoundError(
            f"There is no prepared Omniglot, and {error}",
            f"try again where there is a network, or put {' and '.join(ARCHIVES)} into {folder}, or name "
            "a folder that TensorFlow Datasets prepared with --data-dir or TFDS_DATA_DIR",
        ) from error


def read_archives(paths: Sequence[Path]) -> Characters:
    """Decode every drawing."""
    return gather(chain.from_iterable(map(archived_drawings, paths)), paths[0].parent)


def archived_drawings(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield `Alphabet/characterNN` and the PNG file of every drawing, in the order of TensorFlow Datasets.

    It shuffles by the md5 of the split's name and a key that holds the file's name. With the same order the arrays are
    the same, bit for bit, and so are the batches and episodes that are drawn from them.
    """
    split = ARCHIVES[path.name].split

    def place(member: re.Match[str]) -> bytes:
        alphabet, number, file = member.groups()
        return hashlib.md5(f"{split}{alphabet}_{int(number) - 1}_{file}".encode()).digest()

    with ZipFile(path) as archive:
        for member in sorted(filter(None, map(MEMBER.fullmatch, archive.namelist())), key=place):
            yield f"{member[1]}/character{member[2]}", archive.read(member[0])


# ---------------------------------------------------------------------------------------------------------------------
# Drawings, from whichever files they were read, as one array in one order


@cache
def known() -> tuple[str, ...]:
    """Omniglot's 1623 characters, sorted; the published lists share out every one of them."""
    return tuple(sorted(listed("train") + listed("val") + listed("test")))


def gather(drawings: Iterable[tuple[str, bytes]], folder: Path) -> Characters:
    """Decode all of Omniglot under a progress bar, and sort it by character.

    Args:
        drawings: name of the character and PNG file of every drawing; those of one character stay in this order.
        folder: where they come from, to be named where they are not Omniglot's.

    Returns:
        1623 characters, every rotation a class.
    """
    from rich.console import Console
    from rich.progress import track

    total = DRAWINGS * len(known())
    names, images = [], []
    for name, png in track(drawings, "Decoding Omniglot", total, console=Console(stderr=True), transient=True):
        names.append(name)
        images.append(shrink(decode(png)))
    found, counts = np.unique(names, return_counts=True)
    if tuple(found) != known() or (counts != DRAWINGS).any():
        what = f"{len(names)} drawings of {len(found)} characters, not {DRAWINGS} of each of the {len(known())} known"
        raise DataError(f"{folder} holds {what}; {AGAIN}.")
    order = np.argsort(np.array(names), kind="stable")
    pictures = np.stack(images)[order].reshape(len(found), DRAWINGS, SIZE, SIZE)
    return Characters(pictures, known(), np.ones((len(found), 4), bool))


def decode(png: bytes) -> np.ndarray:
    """Where there is ink, `[105, 105]` bool; the files have one bit a pixel, 1 for paper."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("L")) == 0


def shrink(ink: np.ndarray) -> np.ndarray:
    """Reduce square pictures to 28 x 28 by the mean over each output pixel's area.

    Args:
        ink: `[..., n, n]`, 1 where there is ink, n >= 28.

    Returns:
        `[..., 28, 28]` uint8, 255 for full ink.
    """
    average = averaging(ink.shape[-1])
    return np.rint(255 * (average @ ink.astype(np.float32) @ average.T)).astype(np.uint8)


@cache
def averaging(n: int) -> np.ndarray:
    """`A`: the share that each of n pixels has in each of 28, `[28, n]`."""
    edges = np.arange(SIZE + 1) * n / SIZE
    pixels = np.arange(n)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.maximum(overlap, 0) * SIZE / n).astype(np.float32)
