"""k-medoids: the points of the data that stand for all others best, by any dissimilarity; and of samples of them."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from numpy.typing import ArrayLike

from clusterjax.arguments import (
    as_count,
    as_data,
    as_integers,
    as_mask,
    as_sample_weights,
    check_diagonal,
)
from clusterjax.clustering.pam import nearest, of_present, search
from clusterjax.distances import as_points, is_traced, pairwise_distances, precomputed, resolve
from clusterjax.partition import Partition, clean
from clusterjax.tiles import TILE_ELEMENTS
from clusterjax.typing import Array, Mask, Metric


class KMedoidsResult(NamedTuple):
    """Medoids and the clusters around them, the largest cluster first; of equal sizes that with the first medoid.

    Attributes:
        labels: [n], the cluster of each point: that of the nearest medoid. -1 for the points that take no part.
        medoids: [k], rows of the data.
        objective: [], the mean dissimilarity of the points to their medoid.
        num_iterations: [], swaps made.
        converged: [], whether no swap was left that lowers the objective.
    """

    labels: jax.Array
    medoids: jax.Array
    objective: jax.Array
    num_iterations: jax.Array
    converged: jax.Array


def kmedoids(
    x: ArrayLike,
    num_clusters: int,
    *,
    metric: Metric = "euclidean",
    init: str | ArrayLike = "build",
    max_iterations: int = 1000,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> KMedoidsResult:
    """Partitioning around medoids (PAM): the k points with the smallest mean dissimilarity to all.

    `minimise sum_i w_i min_{m in M} d(x_i, x_m) / sum_i w_i  over sets M of k points`

    The best swap of a medoid with another point is made until none helps. Nothing is random. All dissimilarities are
    held at once: for many points there is `clara`.

    Args:
        x: [n, d], or the dissimilarities [n, n] with `metric="precomputed"`: symmetric, finite; no triangle inequality
            is needed.
        num_clusters: k, static.
        metric: as in `pairwise_distances`.
        init: "build" (one medoid after the other, each the one that helps most), or [k], different rows to begin with.
        max_iterations: the most swaps.
        where: [n], False takes no part, whatever the row holds: it is no medoid either.
        weights: [n], at least 0: each point counts as if it stood there so many times; one of weight 0 takes no part.

    Returns:
        KMedoidsResult. The objective is NaN if a point that takes part holds NaN, or if a traced mask leaves fewer
        than k points.

    Raises:
        TypeError: data that are no numbers, a mask that is not boolean, an `init` of other than integers.
        ValueError: more clusters than points, an unknown metric or `init`, rows in it that are not k different ones
            that take part, shapes that do not fit, precomputed distances without a zero diagonal, a negative weight.

    Examples:
        >>> import jax.numpy as jnp
        >>> result = kmedoids(jnp.array([[0.0], [1.0], [2.0], [8.0], [9.0]]), 2)
        >>> result.labels.tolist(), result.medoids.tolist(), float(result.objective)
        ([0, 0, 0, 1, 1], [1, 3], 0.6000000238418579)

    Source: Kaufman and Rousseeuw, Finding groups in data (1990), as R's `pam`; Schubert and Rousseeuw, Fast and eager
    k-medoids clustering (2021).
    """
    resolved = resolve(metric)
    data, mask, k = _checked(x, num_clusters, where, resolved)
    if resolved.func is precomputed:
        check_diagonal(data, mask)
    mass = None if weights is None else as_sample_weights(weights, len(data))
    if not is_traced(mask, mass):
        _check_number(k, int(np.sum(_present(len(data), mask, mass))))
    first = _as_rows(init, k, len(data), mask, mass)
    return _kmedoids(data, mask, mass, first, resolved, as_count(max_iterations, "max_iterations"), k)


def clara(
    key: jax.Array,
    x: ArrayLike,
    num_clusters: int,
    *,
    num_samples: int = 5,
    sample_size: int | None = None,
    metric: Metric = "euclidean",
    max_iterations: int = 1000,
    where: ArrayLike | None = None,
) -> KMedoidsResult:
    """k-medoids of many points: those of the best of a few samples, by what they are to all points.

    `minimise sum_i min_{m in M} d(x_i, x_m) / n  over the medoids M that kmedoids finds in each sample`

    Every sample after the first holds the best medoids so far, as in R's `clara`.

    Args:
        key: a PRNG key; the same key gives the same result.
        x: [n, d].
        num_clusters: k, static.
        num_samples: how many samples; under one key more never end higher.
        sample_size: points in each, static; left out, 40 + 2 k. As many as there are points: `kmedoids`.
        metric: as in `pairwise_distances`, but not "precomputed".
        max_iterations: the most swaps in a sample.
        where: [n], False takes no part, whatever the row holds.

    Returns:
        KMedoidsResult: labels and objective of all points; swaps and convergence are those in the sample. The
        objective is NaN if a point that takes part holds NaN, or if a traced mask leaves fewer than k points. Memory
        is O(n + block * k + sample_size^2).

    Raises:
        TypeError: data that are no numbers, a mask that is not boolean.
        ValueError: more clusters than points or than a sample holds, an unknown or precomputed metric, shapes that do
            not fit.

    Examples:
        >>> import jax
        >>> import numpy as np
        >>> x = np.arange(1000.0)[:, None] % 10  # 0 to 9, a hundred times each
        >>> result = clara(jax.random.key(0), x, 2)
        >>> sorted(x[result.medoids, 0].tolist()), round(float(result.objective), 4)
        ([2.0, 7.0], 1.2)

    Source: Kaufman and Rousseeuw, Finding groups in data (1990), chapter 3.
    """
    resolved = resolve(metric)
    if resolved.func is precomputed:
        raise ValueError("clara measures distances of points it draws: pass precomputed ones to kmedoids")
    data, mask, k = _checked(x, num_clusters, where, resolved)
    if not is_traced(mask):
        _check_number(k, int(np.sum(_present(len(data), mask, None))))
    size = 40 + 2 * k if sample_size is None else as_count(sample_size, "sample_size")
    if size < k:
        raise ValueError(f"sample_size must be at least num_clusters={k}, not {size}")
    num_samples, most = as_count(num_samples, "num_samples"), as_count(max_iterations, "max_iterations")
    return _clara(key, data, mask, resolved, most, num_samples, k, min(size, len(data)))


def _checked(
    x: ArrayLike, num_clusters: int, where: ArrayLike | None, metric: Partial
) -> tuple[Array, Mask | None, int]:
    x = as_data(x, np.shape(x)[0] if np.ndim(x) else 0, metric)
    k = as_count(num_clusters, "num_clusters")
    _check_number(k, len(x))
    return x, as_mask(where, x.shape[:1]), k


def _check_number(k: int, num_points: int) -> None:
    if k > num_points:
        raise ValueError(f"there are {num_points} points: num_clusters must be at most that, not {k}")


def _present(n: int, where: Mask | None, weights: Array | None) -> Any:
    """Which points take part, where it is known in NumPy."""
    present = np.full(n, True) if where is None else where
    return present if weights is None else present & (weights > 0)


def _as_rows(init: Any, k: int, n: int, where: Mask | None, weights: Array | None) -> Array | None:
    """The rows to begin with, or None for those that are to be built."""
    if isinstance(init, str):
        if init != "build":
            raise ValueError(f"init must be 'build' or {k} rows of the data, not {init!r}")
        return None
    rows = as_integers(init, "init")
    if rows.shape != (k,):
        raise ValueError(f"init must be 'build' or num_clusters={k} rows of the data, not of shape {rows.shape}")
    if not is_traced(rows, where, weights):
        known = np.asarray(rows)
        inside = (known >= 0) & (known < n)
        if np.unique(known).size < k or not (inside.all() and np.asarray(_present(n, where, weights))[known].all()):
            raise ValueError(f"init must be {k} different rows of the data that take part, not {known.tolist()}")
    return rows.astype(np.int32)


@partial(jax.jit, static_argnames="num_clusters")
def _kmedoids(x, where, weights, first, metric, max_iterations, num_clusters) -> KMedoidsResult:
    x = as_points(x)
    mass = jnp.asarray(_present(len(x), where, weights)).astype(x.dtype)
    mass = mass if weights is None else jnp.where(mass > 0, jnp.asarray(weights, x.dtype), 0)
    x = _cleaned(x, where, weights, mass, metric)
    distances = pairwise_distances(x, metric=metric)
    medoids, swaps, converged = search(distances, mass, first, max_iterations, num_clusters)
    labels, to_medoid = nearest(distances[medoids].T)
    return _result(labels, to_medoid, mass, medoids, swaps, converged)


def _cleaned(x: jax.Array, where: Mask | None, weights: Array | None, mass: jax.Array, metric: Partial) -> jax.Array:
    """With rows that take no part replaced; where all do, what there is to know is a constant that XLA would fold."""
    all_do = where is None and weights is None
    return x if all_do else clean(Partition(x, mass[:, None], None, None, metric)).x


@partial(jax.jit, static_argnames=("num_clusters", "size"))
def _clara(key, x, where, metric, max_iterations, num_samples, num_clusters, size) -> KMedoidsResult:
    x = as_points(x)
    present = jnp.asarray(_present(len(x), where, None))
    mass = present.astype(x.dtype)
    x = _cleaned(x, where, None, mass, metric)

    def better(i: jax.Array, best: KMedoidsResult) -> KMedoidsResult:
        # in 32 bits, whatever those of the data: another width would draw other samples
        draw = jax.random.uniform(jax.random.fold_in(key, i), mass.shape, jnp.float32)
        draw = jnp.where(present, draw, 2)
        draw = draw.at[best.medoids].set(-1, mode="drop")  # at the start they are out of range
        sample = jnp.sort(jax.lax.top_k(-draw, size)[1])
        distances = pairwise_distances(x[sample], metric=metric)
        found, swaps, converged = search(distances, mass[sample], None, max_iterations, num_clusters)
        medoids = sample[found].astype(jnp.int32)
        labels, to_medoid = _nearest_in_blocks(x, x[medoids], metric)
        result = _result(labels, to_medoid, mass, medoids, swaps, converged)
        closer = ~(result.objective >= best.objective)  # the first whatever it is: there is NaN to beat
        return jax.tree.map(lambda a, b: jnp.where(closer, a, b), result, best)

    none = jnp.full(num_clusters, len(x), jnp.int32)
    labels = jnp.full(len(x), -1, jnp.int32)
    start = KMedoidsResult(labels, none, jnp.full((), jnp.nan, x.dtype), jnp.zeros((), jnp.int32), jnp.array(False))
    return jax.lax.fori_loop(0, num_samples, better, start)


def _nearest_in_blocks(x: jax.Array, medoids: jax.Array, metric: Partial) -> tuple[jax.Array, jax.Array]:
    n, width = len(x), len(medoids) * max(x.shape[1], 1)
    size = min(n, max(TILE_ELEMENTS // width, 8))
    count = -(-n // size)
    blocks = jnp.pad(x, ((0, count * size - n), (0, 0)), mode="edge").reshape(count, size, -1)
    found = jax.lax.map(lambda block: nearest(metric(block, medoids)), blocks)
    return jax.tree.map(lambda a: a.reshape(-1)[:n], found)


def _result(labels, to_medoid, mass, medoids, swaps, converged) -> KMedoidsResult:
    """In canonical order, with each medoid in its own cluster though another may lie at the same place."""
    k, present = len(medoids), mass > 0
    labels = labels.at[medoids].set(jnp.arange(k, dtype=labels.dtype))
    sizes = jax.ops.segment_sum(mass, labels, k)
    order = jnp.lexsort((medoids, -sizes))
    labels = jnp.where(present, jnp.argsort(order).astype(jnp.int32)[labels], -1)
    total = (mass * of_present(to_medoid, mass)).sum()
    enough = present.sum() >= k
    objective = jnp.where(enough, total / mass.sum(), jnp.nan)
    return KMedoidsResult(labels, medoids[order], objective, swaps, converged & enough)
