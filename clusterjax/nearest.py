"""The mean distances to a point's own cluster and to the nearest other one, without all pairs, outside of a trace.

Bounds say which clusters can be the nearest; the distances to the members of those, and of a point's own cluster, are
all that is formed. Which they are is known on the host only, so a trace visits all pairs; the derivatives outside of
one do not, for they need the pairs with the own and the nearest cluster alone.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from clusterjax.bounds import Clusters, largest_eigenvalues, may_be_nearest, moments
from clusterjax.distances import as_points, euclidean, is_traced, power_of_two, ratio, whitened, whitened_euclidean
from clusterjax.partition import Nearest
from clusterjax.some_pairs import (
    Pairs,
    Sorted,
    by_cluster,
    distance_sums,
    distance_sums_with_gradient,
    looked_up,
)
from clusterjax.threads import cores, in_threads
from clusterjax.typing import Array, Labels, Mask

# Products of two numbers that all pairs take where nothing else is worth its overhead: some tens of milliseconds.
WORTH = 2**31
# Bounds held at a time, points times clusters, and so many times in a call at the most.
BOUNDS, BLOCKS = 2**19, 16
# Points whose bounds tell what share of all pairs will be left.
SAMPLE = 512


def nearest_ahead(
    x: Array, labels: Labels, where: Mask | None, weights: Array | None, metric: Partial, num_clusters: int, **_: object
) -> Nearest | None:
    """What a silhouette compares each point with, in O(n k d) and the distances that bounds leave.

    Args:
        x: [n, d], checked, as all of them. Derivatives go through it.
        labels: [n].
        where: [n] or None.
        weights: [n] or None.
        metric: as `resolve` gives it.
        num_clusters: k.

    Returns:
        None where a trace, the metric or values that are not finite leave nothing to find, or all pairs are cheaper.
    """
    if metric.func not in (euclidean, whitened_euclidean) or len(x) ** 2 * x.shape[1] < WORTH:
        return None
    if is_traced(labels, where, weights, *jax.tree.leaves(jax.lax.stop_gradient((x, metric.args)))):
        return None
    own = np.asarray(labels)
    takes_part = own >= 0
    takes_part = takes_part if where is None else takes_part & np.asarray(where)
    takes_part = takes_part if weights is None else takes_part & (np.asarray(weights) != 0)
    (present,) = np.nonzero(takes_part)
    order = present[by_cluster(own[present], num_clusters)]
    rows = _laid_out(jnp.asarray(looked_up(as_points(x), order)), metric)
    mass = jnp.ones(len(order), rows.dtype) if weights is None else jnp.asarray(weights, rows.dtype)[order]
    points = Sorted(rows, mass, own[order].astype(np.int32), np.bincount(own[order], minlength=num_clusters))
    found = _find(points._replace(rows=jax.lax.stop_gradient(rows)))
    if found is None:
        return None
    own, other, neighbors, anchors = found
    if is_traced(rows):
        own, other = _with_gradient(points, anchors, neighbors)
    by_place = [(own, 0), (other, np.inf), (neighbors, -1)]  # and what a point has that takes no part
    return Nearest(*(_put_back(values, nothing, order, len(x)) for values, nothing in by_place))


@jax.jit
def _laid_out(rows: jax.Array, metric: Partial) -> jax.Array:
    """Points whose Euclidean distances are the metric's, none of whose squares is out of range."""
    rows = rows / power_of_two(rows)
    if metric.func is whitened_euclidean:
        rows = whitened(rows - jax.lax.stop_gradient(rows[:1]), *metric.args)
    return rows


def _find(x: Sorted) -> tuple[np.ndarray, np.ndarray, np.ndarray, jax.Array] | None:
    """The two mean distances, the neighbours, and the centroids; None where all pairs are cheaper."""
    n = len(x.rows)
    if (x.sizes > 0).sum() < 2:
        return None
    clusters = _clusters(x)
    if not bool(jnp.isfinite(clusters.levels).all()):
        return None
    everyone = np.arange(n, dtype=np.int32)
    sample = everyone[:: -(-n // SAMPLE)]
    left = _left(x, clusters, sample)
    pairs = n * (x.sizes[left.clusters].sum() / len(sample)) + np.square(x.sizes, dtype=float).sum()
    if not _pays(x, pairs):
        return None
    left = _left(x, clusters, everyone)
    pairs = Pairs(np.concatenate([everyone, left.points]), np.concatenate([x.own, left.clusters]))
    sums = distance_sums(x, clusters.anchors, pairs)
    weights = np.asarray(clusters.weights)
    own = sums[:n] / np.where(weights > 1, weights - 1, 1)[x.own]
    return own, *_smallest(sums[n:] / weights[left.clusters], left, n), clusters.anchors


def _smallest(means: np.ndarray, pairs: Pairs, n: int) -> tuple[np.ndarray, np.ndarray]:
    """[n], for each point the smallest mean of its pairs, and the first cluster that has it."""
    smallest, clusters = np.full(n, np.inf, means.dtype), np.full(n, np.iinfo(np.int32).max, np.int32)
    np.minimum.at(smallest, pairs.points, means)
    has_it = means == smallest[pairs.points]
    np.minimum.at(clusters, pairs.points[has_it], pairs.clusters[has_it])
    return smallest, clusters


def _clusters(x: Sorted) -> Clusters:
    """What the bounds need to know, lambda too."""
    own, starts, sizes = (jnp.asarray(numbers, jnp.int32) for numbers in (x.own, x.starts, x.sizes))
    clusters = moments(x.rows, x.mass, own, starts, sizes)
    side = min(2 ** math.ceil(math.log2(x.sizes.max())), *x.rows.shape)
    threads = cores(side * side, known=True)
    limits = np.linspace(0, len(sizes), threads + 1, dtype=np.int32)

    def part(number: int) -> jax.Array:
        return largest_eigenvalues(x.rows, x.mass, clusters, limits[number], limits[number + 1], side=side)

    lambdas = sum(in_threads(part, range(threads), threads))
    return clusters._replace(slopes=clusters.slopes + 4 * lambdas)


def _left(x: Sorted, clusters: Clusters, points: np.ndarray) -> Pairs:
    """Some points, by their places, and the clusters that can be the nearest to each."""
    k, d = len(x.sizes), x.rows.shape[1]
    threads = cores(BOUNDS, known=True)
    block = -(-max(min(BOUNDS // k, -(-len(points) // threads)), 1) // 8) * 8
    blocks = min(BLOCKS, -(-len(points) // (block * threads)))

    def left(first: int) -> Pairs:
        some = points[first : first + blocks * block]
        filled = np.pad(some, (0, blocks * block - len(some)), mode="edge")
        rows, own = looked_up(x.rows, filled).reshape(blocks, block, d), x.own[filled].reshape(blocks, block)
        (flat,) = np.nonzero(np.asarray(may_be_nearest(rows, own, clusters)).ravel())
        found, place = np.divmod(flat, block)
        number, found = np.divmod(found, k)
        place += number * block
        real = slice(None) if len(some) == len(filled) else place < len(some)
        return Pairs(some[place[real]], found[real].astype(np.int32))

    found = in_threads(left, range(0, len(points), blocks * block), threads)
    return Pairs(*(np.concatenate(part) for part in zip(*found, strict=True)))


def _pays(x: Sorted, pairs: float) -> bool:
    """Whether bounds and so many pairs cost less than all pairs, half of which need not be formed."""
    n, d, k = *x.rows.shape, len(x.sizes)
    return n * k * (d + 64) + pairs * (2 * d + 64) < n * n * (d + 32)


def _with_gradient(x: Sorted, anchors: jax.Array, neighbors: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """The two mean distances of points that derivatives go through, once the neighbours are known."""
    n, sizes = len(x.own), jax.ops.segment_sum(x.mass, x.own, len(x.sizes))
    pairs = Pairs(np.tile(np.arange(n, dtype=np.int32), 2), np.concatenate([x.own, neighbors]))
    sums = distance_sums_with_gradient(x, anchors, pairs)
    return ratio(sums[:n], sizes[x.own] - 1), sums[n:] / sizes[neighbors]


def _put_back(values: Array, nothing: float, order: np.ndarray, n: int) -> jax.Array:
    """By the places that the points have among all; `nothing` for those that take no part."""
    if is_traced(values):
        return jnp.full(n, nothing, values.dtype).at[order].set(values)
    among_all = np.full(n, nothing, values.dtype)
    among_all[order] = values
    return jnp.asarray(among_all)
