"""The only label algebra: labels and a mask become weights [n, k], one-hot rows, and zero rows for who takes no part.

Everything that compares every point with every other goes through `distance_sums`, a tile at a time, forward and
backward: memory is O(n * block) however many points there are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from math import isqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from clusterjax.distances import (
    above_noise,
    cosine,
    euclidean,
    gram_factors,
    gram_squared,
    is_traced,
    matmul,
    precomputed,
    ratio,
    safe_sqrt,
    squared_euclidean,
    unit_rows,
    whitened,
    whitened_euclidean,
)
from clusterjax.typing import Array, Centroids, Labels, Mask, Members, Sums, Weights

# Distances held at a time, in a square tile: 1 MB in float32, which stays in a core's cache on the way from the product
# to the root to the sums.
BLOCK_ELEMENTS = 2**18


def count_clusters(labels: Labels, num_clusters: int | None, where: Mask | None) -> int:
    """The static number of clusters, as given or, of concrete labels, the largest and one; refuses what does not fit.

    Raises:
        TypeError: labels that are not integers, or a mask that is not boolean.
        ValueError: labels or a mask of the wrong shape, a label not below `num_clusters`, traced labels without it.
    """
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(
            f"labels must be integers, not {labels.dtype}: np.unique(labels, return_inverse=True)[1] gives them"
        )
    if jnp.ndim(labels) != 1:
        raise ValueError(f"labels must be one-dimensional, one a point, not of shape {labels.shape}")
    if where is not None and where.dtype != bool:
        raise TypeError(f"where must be boolean, not {where.dtype}: pass where != 0")
    if where is not None and where.shape != labels.shape:
        raise ValueError(f"where must have the shape of labels, {labels.shape}, not {where.shape}")
    if num_clusters is not None and operator.index(num_clusters) < 1:
        raise ValueError(f"num_clusters must be at least 1, not {num_clusters}")
    kept = _taking_part(labels, where)
    if kept is None:
        if num_clusters is None:
            raise ValueError("labels are traced here, so their number of clusters is unknown: pass num_clusters=")
        return num_clusters
    largest = int(kept.max(initial=-1))
    if num_clusters is not None and largest >= num_clusters:
        raise ValueError(f"label {largest} is out of range: labels must be below num_clusters={num_clusters}")
    return max(largest + 1, 1) if num_clusters is None else num_clusters


def cluster_sizes(labels: Labels, where: Mask | None) -> np.ndarray | None:
    """How many points each cluster has, or None where the values are not known yet."""
    kept = _taking_part(labels, where)
    return None if kept is None else np.bincount(kept)


def _taking_part(labels: Labels, where: Mask | None) -> np.ndarray | None:
    if is_traced(labels, where):
        return None
    values = np.asarray(labels)
    return values[values >= 0 if where is None else (values >= 0) & np.asarray(where)]


def check_points(x: Array, num_points: int, metric: Partial, where: Mask | None = None) -> None:
    """Refuse data that are no points, or no distances where those are announced."""
    shape = jnp.shape(x)
    if len(shape) != 2:
        raise ValueError(f"the data must be two-dimensional, a row a point, not of shape {shape}")
    if shape[0] != num_points:
        raise ValueError(f"there must be one label for each point: {num_points} labels for {shape[0]} points")
    if metric.func is not precomputed:
        return
    if shape[0] != shape[1]:
        raise ValueError(f"precomputed distances must be a square matrix, not of shape {shape}")
    if not is_traced(x, where):
        own = np.abs(np.diagonal(np.asarray(x, dtype=float)))
        own = own if where is None else own[np.asarray(where)]
        if (own > 1e-4 * np.nanmax(np.abs(x), initial=0)).any():
            raise ValueError("precomputed distances must have a zero diagonal: is the matrix one of similarities?")


def members(labels: Labels, where: Mask | None, num_clusters: int) -> Members:
    """Labels, with `num_clusters` for the points that take no part: masked, negative or out of range."""
    labels = jnp.asarray(labels, dtype=jnp.int32)
    inside = (labels >= 0) & (labels < num_clusters)
    return jnp.where(inside if where is None else inside & where, labels, num_clusters)


def weights(labels: Labels, num_clusters: int, where: Mask | None, dtype: jnp.dtype) -> Sums:
    """One-hot labels; the row of a point that takes no part is zero."""
    return jax.nn.one_hot(members(labels, where, num_clusters), num_clusters, dtype=dtype)


def present_mean(x: Array, w: Weights) -> jax.Array:
    """Mean of the rows that take part, which the others cannot spoil: [1, d]. Of equal rows it is that row exactly."""
    present = (w != 0).any(1, keepdims=True)
    one = jax.lax.stop_gradient(jnp.where(present, x, 0)[present.argmax()][None, :])
    return one + ratio(jnp.where(present, x - one, 0).sum(0, keepdims=True), present.sum(dtype=x.dtype))


def clean(x: Array, w: Weights, metric: Partial) -> jax.Array:
    """`x` with the rows of no cluster replaced, whatever they held, NaN included, by the mean of the others."""
    present = (w != 0).any(1)
    if metric.func is precomputed:
        return jnp.where(present[:, None] & present[None, :], x, 0)
    return jnp.where(present[:, None], x, jax.lax.stop_gradient(present_mean(x, w)))


def centroids(x: Array, w: Weights) -> Centroids:
    """Weighted mean of each cluster; of an empty one, the mean of all."""
    mean = present_mean(x, w)  # averaging deviations keeps the digits of data far from the origin
    return mean + ratio(matmul(w.T, x - mean), w.sum(0)[:, None])


def distance_sums(x: Array, w: Weights, metric: Partial, own: Members | None = None) -> Sums:
    """Sum of the distances from each point to the members of each cluster, itself apart.

    `S_ik = sum_{j != i} w_jk d(x_i, x_j)`

    Args:
        x: [n, d], or the distances [n, n] with the precomputed metric.
        w: [n, k], at least 0.
        metric: as `resolve` gives it; symmetric.
        own: `members` of the same partition where `w` is one-hot. Rows are then added to their cluster, which a product
            with `w` does with k times the work.

    Returns:
        [n, k]. Memory is O(n * block) forward and backward; O(n k) work for squared_euclidean and cosine.
    """
    x, sizes = clean(x, w, metric), w.sum(0, keepdims=True)
    if metric.func is precomputed:
        return matmul(jnp.where(jnp.eye(len(x), dtype=bool), 0, x), w)
    if metric.func is cosine:
        unit = unit_rows(x)
        itself = w * (1 - (unit * unit).sum(1, keepdims=True))  # 1 for a zero vector
        return above_noise(sizes - matmul(unit, matmul(unit.T, w)) - itself, sizes)
    if metric.func is whitened_euclidean:
        return distance_sums(whitened(x, *metric.args), w, Partial(euclidean), own)
    if metric.func is squared_euclidean:
        # sum_j w_jk |x_i - x_j|^2 = w_k |x_i - c_k|^2 + sum_j w_jk |x_j - c_k|^2
        x = _centred(x, w)
        to_centroids = _squared_euclidean(x, centroids(x, w))
        return sizes * to_centroids + (w * to_centroids).sum(0, keepdims=True)
    if metric.func is euclidean:
        blocks = _cut(_centred(x, w), w, own, width=1)
        return _euclidean_sums(blocks).reshape(-1, w.shape[1])[: len(x)]

    def sums(rows: _Block, columns: _Block) -> jax.Array:
        return _total(_others(metric(columns.x, rows.x), columns, rows), columns).T

    # any function at all: JAX differentiates each tile, and may hold an array [block, block, d] meanwhile
    blocks = _cut(x, w, own, width=x.shape[1])
    return _by_tiles(sums, blocks, blocks).reshape(-1, w.shape[1])[: len(x)]


class _Block(NamedTuple):
    """Points along one side of a tile, with their place in the partition; all blocks when there is one more axis.

    Attributes:
        x: [block, d].
        w: [block, k], weights.
        own: [block], `members`, or None where the weights are soft.
        ids: [block], which rows of the data they are.
    """

    x: jax.Array
    w: jax.Array
    own: jax.Array | None
    ids: jax.Array


def _centred(x: jax.Array, w: Weights) -> jax.Array:
    """Points around the mean of those that take part."""
    # Around one of them first, which is exact: points all in one place become zeros, not the rounding of their mean.
    one = jnp.take(x, (w != 0).any(1).argmax(), axis=0)[None]
    x = x - jax.lax.stop_gradient(one)
    return x - jax.lax.stop_gradient(present_mean(x, w))


def _cut(x: jax.Array, w: Weights, own: Members | None, *, width: int) -> _Block:
    """All points in blocks of one size: a tile of two has BLOCK_ELEMENTS numbers, `width` of them for a pair."""
    n = len(x)
    count = -(-n // max(isqrt(BLOCK_ELEMENTS // max(width, 1)), 8))
    extra = -n % count  # points that are there already, of no cluster
    x = jnp.pad(x, ((0, extra), (0, 0)), mode="edge")
    w = jnp.pad(w, ((0, extra), (0, 0)))
    own = None if own is None else jnp.pad(own, (0, extra), constant_values=w.shape[1])
    return jax.tree.map(lambda a: a.reshape(count, -1, *a.shape[1:]), _Block(x, w, own, jnp.arange(n + extra)))


def _euclidean_sums_by_tiles(blocks: _Block) -> jax.Array:
    """The sums for points that are centred: one product, one root and one addition for each pair."""

    def sums(rows: _Block, columns: _Block) -> jax.Array:
        return _total(_others(_euclidean(columns.x, rows.x), columns, rows), columns).T

    return _by_tiles(sums, blocks, blocks)


def _euclidean_sums_forward(blocks: _Block):
    return _euclidean_sums_by_tiles(blocks), blocks


def _euclidean_sums_backward(blocks: _Block, cotangent: jax.Array):
    """One more pass over the tiles, which computes the distances again.

    D_ij appears in the sums of i and, the metric being symmetric, equally in those of j. Both uses together weigh it by
    M_ij = g_i . w_j + w_i . g_j, so dx_i needs row i of M and D alone: a second product for each pair, and no third.
    """

    def gradients(rows: tuple[_Block, jax.Array], columns: tuple[_Block, jax.Array]) -> tuple[jax.Array, jax.Array]:
        (i, g_i), (j, g_j) = rows, columns
        distances, pull = jax.vjp(lambda x: _others(_euclidean(x, j.x), i, j), i.x)
        uses = _spread(g_i.T, j).T + _spread(g_j.T, i)
        to_w = matmul(distances, g_j) if i.own is None else jnp.zeros_like(i.w)
        return pull(uses)[0], to_w

    to_x, to_w = _by_tiles(gradients, (blocks, cotangent), (blocks, cotangent))
    return (blocks._replace(x=to_x, w=to_w, own=None, ids=None),)


_euclidean_sums = jax.custom_vjp(_euclidean_sums_by_tiles)
_euclidean_sums.defvjp(_euclidean_sums_forward, _euclidean_sums_backward)


def _squared_euclidean(x: jax.Array, y: jax.Array) -> jax.Array:
    """For points centred already: centred again, those all in one place would be measured by their rounding."""
    return gram_squared(gram_factors(x)[0], gram_factors(y)[1])


def _euclidean(x: jax.Array, y: jax.Array) -> jax.Array:
    return safe_sqrt(_squared_euclidean(x, y))


def _others(distances: jax.Array, rows: _Block, columns: _Block) -> jax.Array:
    """Distances, with 0 for a point to itself."""
    return jnp.where(rows.ids[:, None] == columns.ids[None, :], 0, distances)


def _total(distances: jax.Array, block: _Block) -> jax.Array:
    """[block, m] to [k, m]: each cluster's sum over its members."""
    if block.own is None:
        return matmul(block.w.T, distances)
    return jax.lax.platform_dependent(
        distances,
        block.w,
        block.own,
        cpu=lambda distances, w, own: jax.ops.segment_sum(distances, own, w.shape[1]),
        # elsewhere products are cheap, and additions from many threads neither cheap nor always in the same order
        default=lambda distances, w, own: matmul(w.T, distances),
    )


def _spread(values: jax.Array, block: _Block) -> jax.Array:
    """[k, m] to [block, m], the transpose of `_total`: to each member its cluster's value."""
    if block.own is None:
        return matmul(block.w, values)
    return values.at[block.own].get(mode="fill", fill_value=0)


def _by_tiles(function: Callable[[Any, Any], Any], rows: Any, columns: Any) -> Any:
    """Sum over blocks of columns of `function(row block, column block)`, for each block of rows; [blocks, block, ...].

    Each tile is computed again in a backward pass.
    """
    first = jax.tree.map(lambda a: a[0], columns)
    if len(jax.tree.leaves(columns)[0]) == 1:
        return jax.tree.map(lambda a: a[None], function(jax.tree.map(lambda a: a[0], rows), first))
    again = partial(jax.checkpoint, prevent_cse=False)
    tile = again(function)

    def row(block: Any) -> Any:
        def add(total: Any, column: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, tile(block, column)), None

        zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(function, block, first))
        return jax.lax.scan(add, zero, columns)[0]

    return jax.lax.map(again(row), rows)
