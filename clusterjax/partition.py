"""The only label algebra: labels and a mask become weights [n, k], one-hot rows, and zero rows for who takes no part.

What centroid indices need is here too: means, and points by their centroid and what is left without it.
"""

from __future__ import annotations

import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from clusterjax.distances import (
    FEW,
    cosine,
    gram_factors,
    gram_squared,
    is_traced,
    matmul,
    on_blocks,
    power_of_two,
    precomputed,
    ratio,
    squared_differences,
    squared_euclidean,
)
from clusterjax.typing import Array, Centroids, Labels, Mask, Members, Sums, Weights


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


def scaled(x: Array, w: Weights, metric: Partial) -> tuple[jax.Array, jax.Array]:
    """`clean` points over a power of two, so that no square is out of range; and the unit of their distances then."""
    x = clean(x, w, metric)
    if metric.func in (cosine, on_blocks):  # the first does not change with scale; of the second nothing is known
        return x, jnp.ones((), x.dtype)
    scale = power_of_two(x)
    unit = scale[0, 0]
    return x / scale, unit * unit if metric.func is squared_euclidean else unit


def centroids(x: Array, w: Weights) -> Centroids:
    """Weighted mean of each cluster; of an empty one, the mean of all."""
    mean = present_mean(x, w)  # averaging deviations keeps the digits of data far from the origin
    return mean + ratio(matmul(w.T, x - mean), w.sum(0)[:, None])


def centred(x: jax.Array, w: Weights) -> jax.Array:
    """Points around the mean of those that take part."""
    # Around one of them first, which is exact: points all in one place become zeros, not the rounding of their mean.
    one = jnp.take(x, (w != 0).any(1).argmax(), axis=0)[None]
    x = x - jax.lax.stop_gradient(one)
    return x - jax.lax.stop_gradient(present_mean(x, w))


class Anchored(NamedTuple):
    """Points by their cluster's centroid and what is left without it, so that no cluster takes digits from another.

    `x_i - x_j = (u_i - u_j) + (c_own(i) - c_own(j))`

    Attributes:
        rest: [n, d], u, what is left.
        squared: [n, k], squared distances to the centroids.
        offsets: [k, n], P with `|x_i - x_j|^2 = |u_i - u_j|^2 + P[own_i, j] + P[own_j, i]`.
    """

    rest: jax.Array
    squared: jax.Array
    offsets: jax.Array


def squared_to_centroids(x: jax.Array, c: jax.Array, own: Members | None) -> jax.Array:
    """Squared distances [n, k] from points that are centred to the centroids; `own` where each point has a cluster."""
    if x.shape[1] <= FEW:
        return squared_differences(x, c)
    return gram_squared(gram_factors(x)[0], gram_factors(c)[1]) if own is None else anchored(x, c, own).squared


def anchored(x: jax.Array, c: jax.Array, own: Members) -> Anchored:
    """`x` [n, d] around the centroids `c` [k, d]; of a point without a cluster nothing is to be read."""
    rest = x - c.at[own].get(mode="clip")
    # towards[l, i] = u_i . (c_own(i) - c_l), exactly 0 for its own
    towards = (rest * c.at[own].get(mode="clip")).sum(1)[None, :] - matmul(c, rest.T)
    towards = jnp.where(jax.nn.one_hot(own, len(c), dtype=bool).T, 0, towards)
    between = jax.lax.map(lambda one: jnp.square(c - one[None, :]).sum(1), c).at[own].get(mode="clip")
    squared = (rest * rest).sum(1, keepdims=True) + 2 * towards.T + between
    return Anchored(rest, squared, 2 * towards + between.T / 2)
