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

from clusterjax.arithmetic import power_of_two, ratio
from clusterjax.bounds import Clusters, largest_eigenvalues, may_be_nearest, moments
from clusterjax.distances import as_points, euclidean, is_traced, whitened, whitened_euclidean
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
WORTH = 2**32
# How many times as long all pairs take with their derivatives, and how much longer those take that are differentiated.
ALL_WITH_GRADIENT, WITH_GRADIENT = 3, 12
# Bounds held at a time, points times clusters, and so many times in a call at the most.
BOUNDS, BLOCKS = 2**19, 16
# Points whose bounds tell what share of all pairs will be left, and centroids whose median is in the middle of all.
FEW_POINTS, FEW_CLUSTERS = 256, 256


def cost_of_all_pairs(shape: tuple[int, ...]) -> float:
    """What the visit of all pairs takes, each formed once, in products of two numbers; measured on a CPU."""
    n, d = shape
    return n * n * (d + 32)


def cost_by_bounds(shape: tuple[int, ...], k: int, pairs: float) -> float:
    """The same of bounds for all points and clusters, and so many pairs."""
    n, d = shape
    return n * k * (d + 64) + pairs * (2 * d + 64)


def nearest_ahead(
    x: Array,
    labels: Labels,
    where: Mask | None,
    weights: Array | None,
    metric: Partial,
    num_clusters: int,
    *,
    all_pairs: float | None = None,
    **_: object,
) -> Nearest | None:
    """What a silhouette compares each point with, in O(n k d) and the distances that bounds leave.

    Args:
        x: [n, d], checked, as all of them. Derivatives go through it.
        labels: [n].
        where: [n] or None.
        weights: [n] or None.
        metric: as `resolve` gives it.
        num_clusters: k.
        all_pairs: what all pairs would cost, in products of two numbers, where that is not the cost of this silhouette
            alone.

    Returns:
        None where a trace, the metric or values that are not finite leave nothing to find, or all pairs are cheaper.
    """
    if metric.func not in (euclidean, whitened_euclidean) or len(x) ** 2 * x.shape[1] < WORTH:
        return None
    values = jax.tree.leaves(jax.lax.stop_gradient((x, metric.args)))
    if is_traced(labels, where, weights, *values) or not getattr(values[0], "is_fully_addressable", True):
        return None
    own = np.asarray(labels)
    takes_part = own >= 0
    takes_part = takes_part if where is None else takes_part & np.asarray(where)
    takes_part = takes_part if weights is None else takes_part & (np.asarray(weights) != 0)
    own = np.where(takes_part, own, num_clusters).astype(np.int32)
    order = by_cluster(own, num_clusters)
    own, sizes = own[order], np.bincount(own, minlength=num_clusters + 1)[:-1]
    budget = cost_of_all_pairs(x.shape) if all_pairs is None else all_pairs
    at_least = 2 * np.square(sizes, dtype=float).sum()  # with the own cluster and one other
    if is_traced(x, *metric.args):
        budget = ALL_WITH_GRADIENT * budget - WITH_GRADIENT * cost_by_bounds(x.shape, 0, at_least)
    if (sizes > 0).sum() < 2 or cost_by_bounds(x.shape, num_clusters, at_least) > budget:
        return None
    # a row of no cluster may hold anything: another one stands for it
    rows = _laid_out(jnp.asarray(looked_up(as_points(x), np.where(own < num_clusters, order, order[0]))), metric)
    mass = jnp.asarray(own < num_clusters, rows.dtype)
    mass = mass if weights is None else jnp.where(mass > 0, jnp.asarray(weights, rows.dtype)[order], 0)
    points = Sorted(rows, mass, own, sizes)
    found = _find(points._replace(rows=jax.lax.stop_gradient(rows)), budget)
    if found is None:
        return None
    own, other, neighbors, clusters = found
    if is_traced(rows):
        own, other = _with_gradient(points, clusters, neighbors)
    found = [(own, 0), (other, np.inf), (neighbors, -1)]  # and what a point has that takes no part
    return Nearest(*(_put_back(values, nothing, order, len(points.present)) for values, nothing in found))


@jax.jit
def _laid_out(rows: jax.Array, metric: Partial) -> jax.Array:
    """Points whose Euclidean distances are the metric's, none of whose squares is out of range."""
    rows = rows / power_of_two(rows)
    if metric.func is whitened_euclidean:
        rows = whitened(rows - jax.lax.stop_gradient(rows[:1]), *metric.args)
    return rows


def _find(x: Sorted, budget: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, Clusters] | None:
    """The two mean distances, the neighbours, and the clusters; None where all pairs are cheaper."""
    clusters = _moments(x)
    if not bool(jnp.isfinite(clusters.levels).all()):
        return None
    if not _pays(x, _with_likely_lambda(x, clusters), budget):
        return None
    clusters = _with_lambda(x, clusters)
    if not _pays(x, clusters, budget):
        return None
    everyone, n = x.present, len(x.present)
    left = _left(x, clusters, everyone, len(x.rows))
    pairs = Pairs(np.concatenate([everyone, left.points]), np.concatenate([x.own[:n], left.clusters]))
    sums = distance_sums(x, clusters.anchors, pairs)
    weights = np.asarray(clusters.weights)
    own = sums[:n] / np.where(weights > 1, weights - 1, 1)[x.own[:n]]
    return own, *_smallest(sums[n:] / weights[left.clusters], left, n), clusters


def _smallest(means: np.ndarray, pairs: Pairs, n: int) -> tuple[np.ndarray, np.ndarray]:
    """[n], for each point the smallest mean of its pairs, and the first cluster that has it."""
    smallest, clusters = np.full(n, np.inf, means.dtype), np.full(n, np.iinfo(np.int32).max, np.int32)
    np.minimum.at(smallest, pairs.points, means)
    has_it = means == smallest[pairs.points]
    np.minimum.at(clusters, pairs.points[has_it], pairs.clusters[has_it])
    return smallest, clusters


def _moments(x: Sorted) -> Clusters:
    own, starts, sizes = (jnp.asarray(numbers, jnp.int32) for numbers in (x.own, x.starts, x.sizes))
    clusters = moments(x.rows, x.mass, own, starts, sizes)
    (present,) = np.nonzero(x.sizes)
    some = np.asarray(clusters.anchors)[present[:: -(-len(present) // FEW_CLUSTERS)]]
    return clusters._replace(around=np.median(some, axis=0, keepdims=True))


def _with_likely_lambda(x: Sorted, clusters: Clusters) -> Clusters:
    """With what lambda is at random: d features of equal variance, and so many members (Marchenko and Pastur)."""
    d = x.rows.shape[1]
    likely = clusters.radii / d * np.square(1 + np.sqrt(d / np.maximum(x.sizes, 1)))
    return clusters._replace(slopes=clusters.slopes + 4 * likely.astype(clusters.radii.dtype))


def _with_lambda(x: Sorted, clusters: Clusters) -> Clusters:
    k = len(x.sizes)
    side = min(2 ** math.ceil(math.log2(x.sizes.max())), *x.rows.shape)
    threads = cores(side * side, known=True)
    parts = np.resize(np.arange(k, dtype=np.int32), (threads, -(-k // threads)))

    def part(which: np.ndarray) -> jax.Array:
        return largest_eigenvalues(x.rows, x.mass, clusters, which, side=side)

    lambdas = np.concatenate([np.asarray(found) for found in in_threads(part, parts, threads)])[:k]
    return clusters._replace(slopes=clusters.slopes + 4 * lambdas)


def _left(x: Sorted, clusters: Clusters, points: np.ndarray, most: int) -> Pairs:
    """Some points, by their places, and the clusters that can be the nearest to each; `most` points have one shape."""
    k, d = len(x.sizes), x.rows.shape[1]
    threads = cores(BOUNDS, known=True)
    block = -(-max(min(BOUNDS // k, -(-most // threads)), 1) // 8) * 8
    blocks = min(BLOCKS, -(-most // (block * threads)))

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


def _pays(x: Sorted, clusters: Clusters, budget: float) -> bool:
    """Whether bounds and the pairs that they leave to some points cost less than the budget, were it all points."""
    sample = np.linspace(0, len(x.present) - 1, FEW_POINTS, dtype=np.int32)
    others = x.sizes[_left(x, clusters, sample, FEW_POINTS).clusters].sum() / FEW_POINTS
    pairs = others * len(x.present) + np.square(x.sizes, dtype=float).sum()
    return cost_by_bounds(x.rows.shape, len(x.sizes), pairs) <= budget


def _with_gradient(x: Sorted, clusters: Clusters, neighbors: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """The two mean distances of points that derivatives go through, once the neighbours are known."""
    everyone, n, length = x.present, len(x.present), len(x.rows)
    pairs = Pairs(np.concatenate([everyone, everyone]), np.concatenate([x.own[:n], neighbors]))
    places = np.concatenate([everyone, length + everyone])
    sums = distance_sums_with_gradient(x, clusters.anchors, pairs, places, 2 * length)
    weights = np.pad(
        clusters.weights, (0, 1), constant_values=1
    )  # the last for points of no cluster: they have no sums
    of_neighbors = np.pad(weights[neighbors], (0, length - n), constant_values=1)
    return ratio(sums[:length], jnp.asarray(weights[x.own] - 1)), sums[length:] / of_neighbors


def _put_back(values: Array, nothing: float, order: np.ndarray, count: int) -> jax.Array:
    """By the places that the points have among all; `nothing` for all but the first `count`, who take part."""
    if is_traced(values):
        values = jnp.where(np.arange(len(order)) < count, values, nothing)
        return jnp.zeros(len(order), values.dtype).at[order].set(values)
    among_all = np.full(len(order), nothing, values.dtype)
    among_all[order[:count]] = values
    return jnp.asarray(among_all)
