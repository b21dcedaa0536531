"""Features of pictures by an encoder that stays as it is, computed once and kept.

    of(pictures.images, "cifar100", side=96) -> {"stage3": [n, 40], ..., "head": [n, 1280]}

Blocks are written as they come: killed and started again it goes on with the next one.
"""

from __future__ import annotations

import sys
import zipfile
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from rich.console import Console
from rich.progress import track

from experiments.data.cache import cache_folder
from experiments.encoders import efficientnet, pretrained
from experiments.runs import RunError, write_arrays

BLOCK = 500  # pictures in a file
BATCH = 50  # pictures at a time
ENCODER = "efficientnet-lite0"
STAGES = "stage3", "stage5", "stage7", "head"  # what a user of introspection would try; the last is the usual one


def of(images: np.ndarray, name: str, *, side: int, cache: Path | None = None) -> dict[str, np.ndarray]:
    """The mean of the map of each of `STAGES` over its pixels, float16.

    Args:
        images: `[n, h, w, 3]` uint8.
        name: of the data set, which the cache is called by.
        side: pixels that a picture is enlarged to.
        cache: where the features are kept; by default beside the data sets.
    """
    folder = (cache or cache_folder()) / f"features-{ENCODER}-{name}-{side}"
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(images), BLOCK)
    files = [folder / f"{start:06d}.npz" for start in starts]
    missing = [(start, file) for start, file in zip(starts, files, strict=True) if not file.exists()]
    if missing:
        graph, state = nnx.split(efficientnet.load())
        encode = partial(_features, graph, state, side=side)
        said = f"features of {name} at {side} pixels"
        for start, file in track(missing, description=said, console=Console(file=sys.stderr)):
            write_arrays(file, in_batches(encode, images[start : start + BLOCK]))
    blocks = [read(file) for file in files]
    features = {stage: np.concatenate([block[stage] for block in blocks]) for stage in STAGES}
    if any(len(rows) != len(images) for rows in features.values()):
        raise RunError(f"{folder} holds features of other pictures; delete it, and they are made again.")
    return features


@partial(jax.jit, static_argnames=("graph", "side"))
def _features(graph: nnx.GraphDef, state: nnx.State, images: jax.Array, *, side: int) -> dict[str, jax.Array]:
    maps = pretrained.pooled(nnx.merge(graph, state).stages(pretrained.resize(images, side)))
    return {stage: maps[stage].astype(jnp.float16) for stage in STAGES}


def in_batches(encode, images: np.ndarray) -> dict[str, np.ndarray]:
    """All of one shape, so that one program serves; the last batch is filled up with its first picture."""
    parts = []
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH]
        full = np.concatenate([part, np.repeat(part[:1], BATCH - len(part), axis=0)])
        parts.append({stage: np.asarray(rows)[: len(part)] for stage, rows in encode(full).items()})
    return {stage: np.concatenate([part[stage] for part in parts]) for stage in STAGES}


def read(path: Path) -> dict[str, np.ndarray]:
    """One block."""
    try:
        with np.load(path) as file:
            return {stage: file[stage] for stage in STAGES}
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged; delete it, and it is made again.") from error
