"""What becomes of the points that are in no cluster, so that a labeling with noise can be scored.

A negative label takes no part, and what is hard to place is what a density method calls noise: a score of the rest
flatters. Say `coverage` beside it, or give the noise a place first.
"""

from __future__ import annotations

from functools import partial
from math import isqrt

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from numpy.typing import ArrayLike

from clusterjax.arguments import as_data, as_labels, check_diagonal
from clusterjax.distances import (
    as_points,
    cosine,
    euclidean,
    is_traced,
    precomputed,
    resolve,
    squared_euclidean,
    whitened_euclidean,
)
from clusterjax.partition import Partition, clean
from clusterjax.tiles import TILE_ELEMENTS
from clusterjax.typing import Labels, Mask, Metric, Scalar


def coverage(labels: ArrayLike, *, where: ArrayLike | None = None) -> Scalar:
    """The share of the points that are in a cluster.

    `#{i : labels_i >= 0} / n`

    Args:
        labels: [n], integers; a negative label belongs to no cluster.
        where: [n], False is not counted at all.

    Returns:
        [], in [0, 1]. NaN where a traced mask leaves no points.

    Raises:
        TypeError: labels that are not integers, a mask that is not boolean.
        ValueError: shapes that do not fit, no points.

    Examples:
        >>> print(coverage([0, 0, 1, -1]))
        0.75

    Source: by definition.
    """
    labels, where = _of_any_number(labels, where)
    if len(labels) == 0 or not (where is None or is_traced(where) or np.asarray(where).any()):
        raise ValueError("there are no points, so no share of them is in a cluster")
    return _coverage(labels, where)


def noise_as_cluster(
    labels: ArrayLike, *, num_clusters: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """All noise as one more cluster, as scikit-learn's scores take it.

    Args:
        labels: [n], integers in [0, num_clusters); a negative label is noise.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part: -1 in the result.

    Returns:
        [n], with `num_clusters` for noise: there are `num_clusters + 1` then.

    Raises:
        TypeError: labels that are not integers, a mask that is not boolean.
        ValueError: a label not below `num_clusters`, traced labels without it, shapes that do not fit.

    Examples:
        >>> noise_as_cluster([0, -1, 1, -1]).tolist()
        [0, 2, 1, 2]

    Source: scikit-learn, which scores the label -1 like any other.
    """
    return _as_cluster(*_with_first_free(labels, where, num_clusters))


def noise_as_singletons(
    labels: ArrayLike, *, num_clusters: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """Each point of noise as a cluster of its own: what it says is that the point is like no other.

    Its silhouette is then 0, so that a method gains nothing by calling more points noise.

    Args:
        labels: [n], integers in [0, num_clusters); a negative label is noise.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part: -1 in the result.

    Returns:
        [n], with `num_clusters`, `num_clusters + 1`, ... for noise: at most `num_clusters + n` clusters then.

    Raises:
        TypeError: labels that are not integers, a mask that is not boolean.
        ValueError: a label not below `num_clusters`, traced labels without it, shapes that do not fit.

    Examples:
        >>> noise_as_singletons([0, -1, 1, -1]).tolist()
        [0, 2, 1, 3]

    Source: one of the policies of the package s-dbw.
    """
    return _as_singletons(*_with_first_free(labels, where, num_clusters))


def noise_to_nearest(
    x: ArrayLike, labels: ArrayLike, *, where: ArrayLike | None = None, metric: Metric = "euclidean"
) -> jax.Array:
    """Each point of noise in the cluster of the nearest point that has one.

    The nearest point and not the nearest centroid: a dense region may be a ring or a crescent, with its centroid in
    the middle of nowhere or of another cluster. What has been placed draws no others.

    Args:
        x: [n, d]; or the distances [n, n] with `metric="precomputed"`.
        labels: [n], integers; a negative label is noise.
        where: [n], False takes no part, whatever the row holds: -1 in the result.
        metric: as in `pairwise_distances`.

    Returns:
        [n], labels. Of points equally near the first counts. A point of NaN is near to none: noise stays -1 there, and
        everywhere if there is no cluster. Memory is O(n * block).

    Raises:
        TypeError: labels that are not integers, data that are no numbers, a mask that is not boolean.
        ValueError: an unknown metric, shapes that do not fit, precomputed distances without a zero diagonal.

    Examples:
        >>> import jax.numpy as jnp
        >>> noise_to_nearest(jnp.array([[0.0], [1.0], [1.9], [4.0]]), jnp.array([0, 0, -1, 1])).tolist()
        [0, 0, 0, 1]

    Source: Cover and Hart, Nearest neighbor pattern classification (1967).
    """
    resolved = resolve(metric)
    labels, where = _of_any_number(labels, where)
    x = as_data(x, len(labels), resolved)
    if resolved.func is precomputed:
        check_diagonal(x, where)
    return _to_nearest(x, labels, where, resolved)


def _of_any_number(labels: ArrayLike, where: ArrayLike | None) -> tuple[Labels, Mask | None]:
    """Labels and mask, checked; how many clusters there are does not matter."""
    return as_labels(labels, where, 1 if is_traced(labels) else None)[:2]


def _with_first_free(
    labels: ArrayLike, where: ArrayLike | None, num_clusters: int | None
) -> tuple[Labels, Mask | None, int]:
    """Labels and mask, checked, and the id that comes next."""
    labels, where, k = as_labels(labels, where, num_clusters)
    return labels, where, 0 if num_clusters is None and (np.asarray(labels) < 0).all() else k


@jax.jit
def _coverage(labels: Labels, where: Mask | None) -> Scalar:
    kept = jnp.ones(len(labels), bool) if where is None else where
    return ((labels >= 0) & kept).sum(dtype=jnp.float32) / kept.sum(dtype=jnp.float32)


@partial(jax.jit, static_argnames="num_clusters")
def _as_cluster(labels: Labels, where: Mask | None, num_clusters: int) -> jax.Array:
    return _masked(jnp.where(labels < 0, num_clusters, labels), where)


@partial(jax.jit, static_argnames="num_clusters")
def _as_singletons(labels: Labels, where: Mask | None, num_clusters: int) -> jax.Array:
    noise = labels < 0 if where is None else (labels < 0) & where
    own = num_clusters - 1 + jnp.cumsum(noise, dtype=jnp.int32)
    return _masked(jnp.where(noise, own, labels), where)


def _masked(labels: jax.Array, where: Mask | None) -> jax.Array:
    labels = labels.astype(jnp.int32)
    return labels if where is None else jnp.where(where, labels, -1)


@jax.jit
def _to_nearest(x: jax.Array, labels: Labels, where: Mask | None, metric: Partial) -> jax.Array:
    """Noise first, then clusters, then the rest: blocks of the first against blocks of the second, and no more."""
    x, labels = as_points(x), _masked(jnp.asarray(labels), where)
    n = len(labels)
    if n == 0:
        return labels
    present = jnp.ones(n, bool) if where is None else jnp.asarray(where)
    if metric.func is not precomputed:
        present &= jnp.isfinite(x).all(1)
    x = clean(Partition(x, present[:, None].astype(x.dtype), None, None, metric)).x
    labelled = present & (labels >= 0)
    noise = present & (labels < 0)
    # a function may hold an array [block, block, d] meanwhile
    products = (euclidean, squared_euclidean, cosine, whitened_euclidean, precomputed)
    width = 1 if metric.func in products else x.shape[1]
    size = min(n, max(isqrt(TILE_ELEMENTS // max(width, 1)), 8))
    order = jnp.argsort(jnp.where(noise, 0, jnp.where(labelled, 1, 2)), stable=True)
    num_noise, num_labelled = noise.sum(), labelled.sum()

    def block(first: jax.Array) -> tuple[jax.Array, jax.Array]:
        places = first + jnp.arange(size)
        return places, order.at[places].get(mode="clip")

    def of_rows(r: jax.Array, labels: jax.Array) -> jax.Array:
        places, rows = block(r * size)

        def nearer(c: jax.Array, best: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            at, columns = block(num_noise + c * size)
            distances = x[rows[:, None], columns] if metric.func is precomputed else metric(x[rows], x[columns])
            absent = (at >= num_noise + num_labelled)[None, :] | jnp.isnan(distances)
            distances = jnp.where(absent, jnp.inf, distances)
            found = distances.argmin(1)
            least = distances.min(1)
            nearest, label = best
            closer = least < nearest
            return jnp.where(closer, least, nearest), jnp.where(closer, labels[columns[found]], label)

        start = jnp.full(size, jnp.inf, x.dtype), jnp.full(size, -1, labels.dtype)
        _, label = jax.lax.fori_loop(0, -(-num_labelled // size), nearer, start)
        return labels.at[jnp.where(places < num_noise, rows, n)].set(label, mode="drop")

    return jax.lax.fori_loop(0, -(-num_noise // size), of_rows, labels)
