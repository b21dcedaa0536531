"""Omniglot: 1623 characters of 50 alphabets, as TensorFlow Datasets prepared it or as its authors publish it.

    find(data_dir, cache) -> Characters

Both ways give the same arrays, bit for bit.

Every drawing is reduced to 28 x 28 *grey* values by area averaging, `A @ ink @ A.T`. The first few-shot code picked
single pixels instead, which breaks strokes: they are 2 to 3 pixels wide and every 3.75th is kept. `A` is symmetric
under a flip, so that turning the small picture by 90 degrees is the same as turning the large one first.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np

from experiments.data import finding
from experiments.data.characters import DRAWINGS, SIZE, Characters, listed
from experiments.data.errors import DataError
from experiments.data.finding import Source

VERSION = 2  # of what the cache holds: raise it when the same files would give other arrays
AGAIN = finding.again("Omniglot")
URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
MEMBER = re.compile(r"images_\w+/([^/]+)/character(\d\d)/(\d{4}_\d\d\.png)")


def find(data_dir: str | os.PathLike[str] | None, cache: Path) -> Characters:
    """All of Omniglot: from the folder named, a folder found, the cache, or the network, in this order."""
    return finding.find(source(), data_dir, cache)


def source() -> Source[Characters]:
    """Where it comes from: GitHub, where nothing is prepared."""
    md5s = {name: archive.md5 for name, archive in ARCHIVES.items()}
    mirror = "CLUSTERJAX_OMNIGLOT_URL"
    return Source("Omniglot", "omniglot", VERSION, Characters, URL, mirror, md5s, read_prepared, read_archives)


# ---------------------------------------------------------------------------------------------------------------------
# A folder that TensorFlow Datasets prepared


def read_prepared(folder: Path) -> Characters:
    """Decode every record; what is not Omniglot's is an error."""
    return gather(prepared_drawings(folder), folder)


def prepared_drawings(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield `Alphabet/characterNN` and the PNG file of every drawing."""
    records = finding.records(folder)
    alphabets = (folder / "alphabet.labels.txt").read_text(encoding="utf-8").split()
    if alphabets != sorted({name.split("/")[0] for name in known()}):  # two that are swapped would swap the drawings
        raise DataError(f"{folder / 'alphabet.labels.txt'} does not list Omniglot's alphabets from A to Z; {AGAIN}.")
    for _, record in records:
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
    total = DRAWINGS * len(known())
    names, images = [], []
    with finding.decoding("Omniglot", drawings, total) as rows:
        for name, png in rows:
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
