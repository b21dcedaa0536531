"""Omniglot's drawings, from whichever files they were read, as one array in one order.

    gather(drawings, folder) -> Characters

Every drawing is reduced to 28 x 28 *grey* values by area averaging, `A @ ink @ A.T`. The first few-shot code picked
single pixels instead, which breaks strokes: they are 2 to 3 pixels wide and every 3.75th is kept. `A` is symmetric
under a flip, so that turning the small picture by 90 degrees is the same as turning the large one first.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from experiments.cache import DRAWINGS, SIZE, Characters

SPLITS = Path(__file__).parent / "splits"
VERSION = 2  # of what the cache holds: raise it when the same files would give other arrays
AGAIN = "delete that folder and fetch or copy Omniglot again"


class DataError(ValueError):
    """The data cannot be had; the message is one sentence that says what to do."""


class NotFoundError(DataError):
    """There is no Omniglot, as opposed to a broken one: the only failure that may be answered with another dataset."""

    def __init__(self, what: str, cure: str):
        super().__init__(f"{what}; {cure}.")
        self.what = what


def listed(part: str) -> list[str]:
    """The characters of one published list, `train`, `val` or `test`, as `Alphabet/character05`."""
    sets = json.loads((SPLITS / "omniglot" / f"{part}.json").read_text(encoding="utf-8"))
    return [f"{a}/{c}" for alphabets in sets.values() for a, characters in alphabets.items() for c in characters]


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


def first_line(error: Exception) -> str:
    """What fits into one sentence of a message that may be a page long, or empty."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
