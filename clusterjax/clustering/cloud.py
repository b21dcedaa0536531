"""Points as the iterations of k-means see them: centred, in blocks, never an array of all points by all centroids."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import NOISE
from clusterjax.clustering.assignment import nearest
from clusterjax.partition import sums_by_cluster

# Scores held at a time, centroids by points.
TILE_ELEMENTS = 2**19
LEAST_BLOCK = 2048


class Cloud(NamedTuple):
    """Points as the iterations see them.

    Attributes:
        x: [n, d], around their mean; 0 in the row of a point that takes no part.
        mass: [n], how much each counts in a centroid, 0 where it takes no part.
        present: [n], which take part: with no mass a point still has a label.
        origin: [1, d], the mean.
    """

    x: jax.Array
    mass: jax.Array
    present: jax.Array
    origin: jax.Array


class Blocks(NamedTuple):
    """The same block by block, [count, block, ...], the last filled up with points that take no part.

    Attributes:
        x: [count, block, d + 1], with a column of ones, of zeros where a point takes no part: it takes the centroids'
            lengths into the scores, and the masses into the sums.
        squared: [count, block], length of each point, squared.
        counts_as: mass by which a row is multiplied in the sums; None where each counts as it stands in `x`.
        columns: [1, d + 1, block], `x` again as a product wants it, which saves a small one a third of its time; None
            where there are several blocks, of which it would save nothing.
    """

    x: jax.Array
    mass: jax.Array
    present: jax.Array
    squared: jax.Array
    counts_as: jax.Array | None
    columns: jax.Array | None = None


def in_blocks(cloud: Cloud, max_k: int, *, alike: bool) -> Blocks:
    """The points in blocks for so many centroids; `alike` where all that take part have mass 1."""
    n = len(cloud.x)
    size = min(max(TILE_ELEMENTS // max_k, LEAST_BLOCK), max(n, 1))
    count = -(-n // size)
    x = jnp.concatenate([cloud.x, cloud.present[:, None].astype(cloud.x.dtype)], 1)
    parts = Blocks(x, cloud.mass, cloud.present, jnp.square(cloud.x).sum(1), None if alike else cloud.mass)

    def cut(a: jax.Array) -> jax.Array:
        padded = jnp.pad(a, [(0, count * size - n)] + [(0, 0)] * (a.ndim - 1))
        return padded.reshape(count, size, *a.shape[1:])

    blocks = jax.tree.map(cut, parts)
    return blocks if count > 1 else blocks._replace(columns=jax.lax.optimization_barrier(blocks.x.swapaxes(1, 2)))


def assign_and_add(blocks: Blocks, centroids: jax.Array, live: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Labels [count, block]; and for each cluster the sum of its points with their mass after it, [max_k, d + 1]."""

    def one(sums: jax.Array, block: Blocks) -> tuple[jax.Array, jax.Array]:
        labels = nearest(block.x, centroids, live, block.columns)
        return sums + added(block, labels, len(centroids)), labels

    zero = jnp.zeros((len(centroids), blocks.x.shape[-1]), blocks.x.dtype)
    sums, labels = jax.lax.scan(one, zero, blocks)
    return labels, sums


def added(block: Blocks, labels: jax.Array, max_k: int) -> jax.Array:
    """Sums of one block, [max_k, d + 1]."""
    rows = block.x if block.counts_as is None else block.x * block.counts_as[:, None]
    return sums_by_cluster(rows, labels, max_k)


def squared_to_own(blocks: Blocks, centroids: jax.Array, labels: jax.Array) -> jax.Array:
    """Squared distance of each point to its centroid, by differences, [count, block]; 0 where it is rounding."""

    def one(of: tuple[Blocks, jax.Array]) -> jax.Array:
        block, labels = of
        squared = jnp.square(block.x[:, :-1] - centroids.at[labels].get(mode="clip")).sum(1)
        noise = (NOISE * jnp.finfo(squared.dtype).eps) ** 2 * block.squared
        return jnp.where(squared <= noise, 0, squared)

    return jax.lax.map(one, (blocks, labels))
