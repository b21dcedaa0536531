"""What the distances from each point to each cluster come to, metric by metric: sums, forward and backward; extremes.

What is special to a metric is here; any other is visited as it is, every pair of points once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from clusterjax.arithmetic import above_noise, matmul, power_of_two, ratio, safe_sqrt
from clusterjax.by_feature import manhattan_sums
from clusterjax.distances import (
    FEW,
    cosine,
    euclidean,
    manhattan,
    pairwise_distances,
    precomputed,
    squared_euclidean,
    unit_rows,
    whitened,
    whitened_euclidean,
    with_gradient,
)
from clusterjax.partition import Partition, anchored, centred, centroids, clean, scaled, squared_to_centroids
from clusterjax.tiles import LARGEST, SMALLEST, SUM, Points, apart, looked_up, num_blocks, over_asked, over_pairs
from clusterjax.typing import Members, Sums, Weights

# `over_pairs` or `over_asked` with what is wanted of them: of a tile, points and the number of clusters.
Visit = Callable[..., Any]
# From so many points on, for each cluster and so many clusters more, to sort every feature is faster than all pairs.
MANY_POINTS, MORE_CLUSTERS = 96, 16
# From so many blocks of points and clusters on, to pass over tiles costs less than it saves.
MANY_BLOCKS = 8
# So many mean square radii of the tightest cluster away from the mean of all a point may lie before that costs digits.
FAR = 32


def distance_sums(p: Partition) -> Sums:
    """Sum of the distances from each point to the members of each cluster, itself apart.

    `S_ik = sum_{j != i} w_jk d(x_i, x_j)`

    Where each point is of one cluster or none, distances are measured from the centroids, so that a cluster far away
    takes no digits from those that are near, and added to a cluster without a product.

    Args:
        p: its metric is symmetric.

    Returns:
        [n, k]. Memory is O(n * block) forward and backward; O(n k d) work for squared_euclidean and cosine, and for
        manhattan where points are many for their clusters.
    """
    return SUMS.get(p.metric.func, _any_sums)(clean(p))


def are_passed_over(p: Partition) -> bool:
    """Whether, of points of one cluster each, `distance_sums_to` is differentiated faster than `distance_sums`."""
    func = p.metric.func
    if func in (precomputed, squared_euclidean, cosine) or (func is manhattan and _are_many(p.w)):
        return False
    return min(p.w.shape[1], num_blocks(len(p.x), _width(p))) >= MANY_BLOCKS


def distance_sums_to(p: Partition, asked: jax.Array) -> jax.Array:
    """`distance_sums` of those clusters alone that a point asks for, from the pairs with their members.

    Args:
        p: as `are_passed_over` wants it.
        asked: [n, m], clusters; k for none.

    Returns:
        [n, m]; 0 of none.
    """
    return _visited(clean(p), partial(over_asked, asked=asked))


def distance_extremes(p: Partition) -> tuple[jax.Array, jax.Array]:
    """Smallest and largest distance from each point to the members of each cluster, itself apart.

    `min_{j != i, y_j = k} d(x_i, x_j)` and `max_{j != i, y_j = k} d(x_i, x_j)`

    No gradient goes through them: it is that of one pair of points, which `distance_between` has.

    Args:
        p: its metric is symmetric, its weights are hard.

    Returns:
        Two arrays [n, k]; of no members infinity and its negative. Memory is O(n * block).
    """
    p = jax.lax.stop_gradient(clean(p))
    if p.metric.func is precomputed:
        return _precomputed_extremes(p)
    smallest, largest = _visited(p, partial(over_pairs, reductions=(SMALLEST, LARGEST)))
    return smallest, largest


def distance_between(p: Partition, i: jax.Array, j: jax.Array) -> jax.Array:
    """The distance between two points, given by their rows: a scalar with a gradient."""
    if p.metric.func is precomputed:
        return p.x[i, j]
    return p.metric(p.x[i][None], p.x[j][None])[0, 0]


def distance_sums_side_by_side(p: Partition, w: Weights) -> Sums:
    """`distance_sums` by other weights than the partition's, such as those of several labelings: each distance once.

    Args:
        p: measures the distances: the finest labeling, or the one that is closest to all. Its metric is symmetric.
        w: [n, m], weights that are zero where those of the partition are.

    Returns:
        [n, m]. Not for squared_euclidean and cosine, which need no distances: `distance_sums` of each is cheaper.
    """
    p = clean(p)
    if p.metric.func is precomputed:
        return matmul(apart(p.x), w)
    if p.metric.func is manhattan and _are_many(w):
        return manhattan_sums(p.x, w)
    if p.metric.func is whitened_euclidean:
        p = _whitened(p)
    if p.metric.func is not euclidean or p.x.shape[1] <= FEW:
        points = _points(p)._replace(w=w)
        return over_pairs(lambda i, j: p.metric(i.x, j.x), points, w.shape[1], (SUM,), width=_width(p))[0]
    points, table = _anchored(p._replace(x=centred(p.x, p.w)))
    points = points._replace(w=w)
    return over_pairs(lambda *tile: safe_sqrt(_squared(*tile)), points, w.shape[1], (SUM,), table=table)[0]


def distances_to(c: jax.Array, x: jax.Array, metric: Partial, own: Members | None) -> jax.Array:
    """Distances [n, k] from points to the centroids of their clusters `c` [k, d]; with the care of `distance_sums`."""
    if metric.func is whitened_euclidean:
        c, x, metric = whitened(c - c[:1], *metric.args), whitened(x - c[:1], *metric.args), Partial(euclidean)
    if metric.func not in (euclidean, squared_euclidean):
        return metric(x, c)
    one = jax.lax.stop_gradient(c.mean(0, keepdims=True))
    x, c = x - one, c - one
    if metric.func is squared_euclidean:
        return squared_to_centroids(x, c, own)
    unit = power_of_two(x, c)
    return unit * safe_sqrt(squared_to_centroids(x / unit, c / unit, own))


def distances_within(p: Partition) -> jax.Array:
    """Distances [n, n] between the points of a partition, all at once, with the care of `distance_sums`."""
    p, unit = scaled(p)
    if p.metric.func is whitened_euclidean:
        p = _whitened(p)
    if p.metric.func not in (euclidean, squared_euclidean) or p.x.shape[1] <= FEW or p.own is None:
        return unit * pairwise_distances(p.x, metric=p.metric)
    squared = apart(_squared_within(p._replace(x=centred(p.x, p.w))))
    return unit * (squared if p.metric.func is squared_euclidean else safe_sqrt(squared))


def _whitened(p: Partition) -> Partition:
    """The same distances as Euclidean ones."""
    return p._replace(x=whitened(centred(p.x, p.w), *p.metric.args), metric=Partial(euclidean))


def _precomputed(p: Partition) -> Sums:
    x = apart(p.x)
    if p.own is None:
        return matmul(x, p.w)
    # not a product where it can be helped: 0 * inf would spoil every cluster
    return jax.ops.segment_sum(_times(x, p.mass).T, p.own, p.w.shape[1]).T


def _times(x: jax.Array, mass: jax.Array | None) -> jax.Array:
    """Columns, each as often as it counts; one that does not count is 0, whatever it holds."""
    return x if mass is None else jnp.where(mass[None, :] == 0, 0, x * mass[None, :])


def _squared_euclidean(p: Partition) -> Sums:
    # sum_j w_jk |x_i - x_j|^2 = w_k |x_i - c_k|^2 + sum_j w_jk |x_j - c_k|^2
    x = centred(p.x, p.w)
    to_centroids = squared_to_centroids(x, centroids(x, p.w), p.own)
    return p.sizes[None, :] * to_centroids + (p.w * to_centroids).sum(0, keepdims=True)


def _cosine(p: Partition) -> Sums:
    # 1 - u.v = |u - v|^2 / 2 for unit vectors, which keeps the digits of near directions; zeros are at 1 from all
    unit = unit_rows(p.x)
    zero = (unit == 0).all(1, keepdims=True)
    of_units = _squared_euclidean(p._replace(x=unit, w=jnp.where(zero, 0, p.w))) / 2
    zeros = jnp.where(zero, p.w, 0)
    return jnp.where(zero, p.sizes[None, :] - zeros, of_units + zeros.sum(0, keepdims=True))


def _manhattan_sums(p: Partition) -> Sums:
    return manhattan_sums(p.x, p.w) if _are_many(p.w) else _any_sums(p)


def _are_many(w: Weights) -> bool:
    """Whether no pair need be formed to add up Manhattan distances."""
    n, k = w.shape
    return n >= MANY_POINTS * (k + MORE_CLUSTERS)


def _visited(p: Partition, visit: Visit) -> Any:
    """What a visit of the tiles makes of the distances."""
    if p.metric.func is whitened_euclidean:
        p = _whitened(p)
    if p.metric.func is not euclidean or p.x.shape[1] <= FEW:
        # from the differences themselves, of few features: even to centre would round
        return visit(lambda i, j: p.metric(i.x, j.x), _points(p), p.w.shape[1], width=_width(p))
    p = p._replace(x=centred(p.x, p.w))
    if p.own is None:
        return _from_mean(p, visit)
    if num_blocks(len(p.x)) == 1:
        squared = _squared_within(p)
        return visit(lambda *_: safe_sqrt(squared), _points(p), p.w.shape[1])
    # a branch would keep for the backward pass what the other one needs, too
    branches = [jax.checkpoint(partial(branch, visit=visit)) for branch in (_from_mean, _from_centroids)]
    return jax.lax.cond(_is_compact(p), *branches, _alike(p))


def _width(p: Partition) -> int:
    """Numbers held for each pair: a function may hold an array [block, block, d] meanwhile."""
    return 1 if p.metric.func in (euclidean, whitened_euclidean) else p.x.shape[1]


def _squared_within(p: Partition) -> jax.Array:
    """Squared distances [n, n] of points that are centred and of one cluster each, all at once."""

    def from_mean(p: Partition) -> jax.Array:
        points = _with_squares(p)
        return _squared_from_mean(points, points)

    def from_centroids(p: Partition) -> jax.Array:
        points, table = _anchored(p)
        return _squared(points, points, *looked_up(table, points))

    fixed = _alike(jax.lax.stop_gradient(p))
    return with_gradient(jax.lax.cond(_is_compact(fixed), from_mean, from_centroids, fixed), p.x, p.x)


def _alike(p: Partition) -> Partition:
    """For a branch, whose operands must all vary over the same devices under shard_map: labels as the points do."""
    either = p.x[0, 0] > 0
    return jax.tree.map(lambda a: jnp.where(either, a, a), p)


def _is_compact(p: Partition) -> jax.Array:
    """Whether no point lies so far out that distances from the mean would lose digits of the tightest cluster.

    In units of its mean square radius, rounding leaves some 4 eps FAR of a squared distance.
    """
    squared = (p.x * p.x).sum(1)
    c = ratio(matmul(p.w.T, p.x), p.sizes[:, None])
    radius = ratio(squared @ p.w, p.sizes) - (c * c).sum(1)
    return squared.max() <= FAR * jnp.where(p.sizes > 0, radius, jnp.inf).min()


def _from_mean(p: Partition, visit: Visit) -> Any:
    """Of points that are centred, one product a tile."""
    return visit(lambda *tile: safe_sqrt(_squared_from_mean(*tile)), _with_squares(p), p.w.shape[1])


def _with_squares(p: Partition) -> Points:
    return _points(p)._replace(more=((p.x * p.x).sum(1),))


def _squared_from_mean(i: Points, j: Points) -> jax.Array:
    (of_i,), (of_j,) = i.more, j.more
    return above_noise(of_i[:, None] + of_j[None, :] - 2 * matmul(i.x, j.x.T), of_j[None, :])


def _from_centroids(p: Partition, visit: Visit) -> Any:
    """Of points that are centred, with the digits of near clusters however far others are."""
    points, table = _anchored(p)
    return visit(lambda *tile: safe_sqrt(_squared(*tile)), points, p.w.shape[1], table=table)


def _points(p: Partition) -> Points:
    return Points(p.x, p.w if p.own is None else None, p.own, p.mass)


def _anchored(p: Partition) -> tuple[Points, jax.Array]:
    """Points that are centred, and the table, for `_squared`."""
    assert p.own is not None  # of soft weights nobody asks it
    rest, _, offsets = anchored(jax.lax.stop_gradient(p.x), jax.lax.stop_gradient(centroids(p.x, p.w)), p.own)
    return _points(p)._replace(more=(rest, (rest * rest).sum(1))), offsets


def _squared(i: Points, j: Points, across: jax.Array, back: jax.Array) -> jax.Array:
    """Squared distances by what is left of each point without its centroid, and by what lies between the centroids.

    `|x_i - x_j|^2 = |u_i - u_j|^2 + P[j, own_i] + P[i, own_j]`: every term is as small as the two clusters and the way
    between them, so that no digits are lost to a third one far away. The gradient is that of the points themselves.
    """
    (rest_i, of_i), (rest_j, of_j) = i.more, j.more
    squared = of_i[:, None] + of_j[None, :] - 2 * matmul(rest_i, rest_j.T) + across + back
    return with_gradient(above_noise(squared, of_j[None, :] + jnp.abs(across) + jnp.abs(back)), i.x, j.x)


def _precomputed_extremes(p: Partition) -> tuple[jax.Array, jax.Array]:
    own, k = p.own, p.w.shape[1]
    assert own is not None  # of soft weights nobody asks it
    smallest = jax.ops.segment_min(apart(p.x, SMALLEST.neutral).T, own, k)
    return smallest.T, jax.ops.segment_max(apart(p.x, LARGEST.neutral).T, own, k).T


def _any_sums(p: Partition) -> Sums:
    return _visited(p, partial(over_pairs, reductions=(SUM,)))[0]


SUMS = {
    precomputed: _precomputed,
    squared_euclidean: _squared_euclidean,
    cosine: _cosine,
    manhattan: _manhattan_sums,
}
