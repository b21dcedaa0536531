"""Features of pictures by an encoder that stays as it is, computed once and kept.

    of(pictures, "cifar100", side=96) -> Pictures whose `images` are features [n, 1280]

Blocks are written as they come: killed and started again it goes on with the next one.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from rich.console import Console
from rich.progress import track

from experiments.data.cache import cache_folder
from experiments.data.pictures import Pictures
from experiments.encoders import efficientnet, pretrained
from experiments.runs import RunError

BLOCK = 500  # pictures in a file
BATCH = 50  # pictures at a time
ENCODER = "efficientnet-lite0"


def of(pictures: Pictures, name: str, *, side: int, cache: Path | None = None) -> Pictures:
    """The pictures with the encoder's last map, averaged, in their place.

    Args:
        pictures: `[n, h, w, 3]` uint8.
        name: of the data set, which the cache is called by.
        side: pixels that a picture is enlarged to.
        cache: where the features are kept; by default beside the data sets.
    """
    folder = (cache or cache_folder()) / f"features-{ENCODER}-{name}-{side}"
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(pictures.images), BLOCK)
    files = [folder / f"{start:06d}.npy" for start in starts]
    missing = [(start, file) for start, file in zip(starts, files, strict=True) if not file.exists()]
    if missing:
        graph, state = nnx.split(efficientnet.load())
        encode = partial(_features, graph, state, side=side)
        said = f"features of {name} at {side} pixels"
        for start, file in track(missing, description=said, console=Console(file=sys.stderr)):
            write(file, in_batches(encode, pictures.images[start : start + BLOCK]))
    features = np.concatenate([read(file) for file in files])
    if len(features) != len(pictures.images):
        raise RunError(f"{folder} holds features of other pictures; delete it, and they are made again.")
    return pictures._replace(images=features)


@partial(jax.jit, static_argnames=("graph", "side"))
def _features(graph: nnx.GraphDef, state: nnx.State, images: jax.Array, *, side: int) -> jax.Array:
    return nnx.merge(graph, state).features(pretrained.resize(images, side))


def in_batches(encode, images: np.ndarray) -> np.ndarray:
    """All of one shape, so that one program serves; the last batch is filled up with its first picture."""
    parts = []
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH]
        full = np.concatenate([part, np.repeat(part[:1], BATCH - len(part), axis=0)])
        parts.append(np.asarray(encode(full))[: len(part)])
    return np.concatenate(parts)


def write(path: Path, array: np.ndarray) -> None:
    """Whole or not at all."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as stream:
        np.save(stream, array)
    temporary.replace(path)


def read(path: Path) -> np.ndarray:
    """One block."""
    try:
        return np.load(path)
    except (ValueError, EOFError) as error:
        raise RunError(f"{path} is damaged; delete it, and it is made again.") from error
