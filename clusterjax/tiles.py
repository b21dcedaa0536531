"""Every unordered pair of points once, a tile at a time: sums of distances by cluster, forward and backward.

Distances are symmetric, so a tile of them between two blocks of points serves the points along both its sides, and half
of all tiles need never be formed. Points lie sorted by cluster, so that what a cluster receives is a run of rows.
Memory is O(n * block) however many points there are, in either mode of differentiation: what a tile held is computed
again when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from clusterjax.distances import (
    FEW,
    above_noise,
    cosine,
    euclidean,
    matmul,
    pairwise_distances,
    precomputed,
    ratio,
    safe_sqrt,
    squared_euclidean,
    unit_rows,
    whitened,
    whitened_euclidean,
    with_gradient,
)
from clusterjax.partition import Partition, anchored, centred, centroids, clean, squared_to_centroids
from clusterjax.typing import Members, Sums, Weights

# Distances held at a time, in a square tile: 1 MB in float32, which stays in a core's cache on the way from the product
# to the root to the sums.
TILE_ELEMENTS = 2**18
# So many mean square radii of the tightest cluster away from the mean of all a point may lie before that costs digits.
FAR = 32


class Points(NamedTuple):
    """Points as the tiles see them: all of them, or with one more axis in front block by block, or one block.

    Attributes:
        x: [n, d].
        w: [n, k], weights by which distances are added up; None where those of `own` are meant.
        own: [n], `members`; None where the weights are soft.
        mass: [n], how much each point counts; None where it is in `w`, or each counts once.
        more: arrays [n, ...] that a tile's function wants of each point.
    """

    x: jax.Array
    w: jax.Array | None = None
    own: jax.Array | None = None
    mass: jax.Array | None = None
    more: tuple[jax.Array, ...] = ()


def distance_sums(p: Partition) -> Sums:
    """Sum of the distances from each point to the members of each cluster, itself apart.

    `S_ik = sum_{j != i} w_jk d(x_i, x_j)`

    Where each point is of one cluster or none, distances are measured from the centroids, so that a cluster far away
    takes no digits from those that are near, and added to a cluster without a product.

    Args:
        p: its metric is symmetric.

    Returns:
        [n, k]. Memory is O(n * block) forward and backward; O(n k d) work for squared_euclidean and cosine.
    """
    return SUMS.get(p.metric.func, _any)(clean(p))


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
        return matmul(jnp.where(jnp.eye(len(p.x), dtype=bool), 0, p.x), w)
    if p.metric.func is whitened_euclidean:
        p = _whitened(p)
    if p.metric.func is not euclidean or p.x.shape[1] <= FEW:
        width = 1 if p.metric.func is euclidean else p.x.shape[1]
        return _over_pairs(lambda i, j: p.metric(i.x, j.x), _points(p)._replace(w=w), w.shape[1], width=width)
    points, table = _anchored(p._replace(x=centred(p.x, p.w)))
    return _over_pairs(lambda *tile: safe_sqrt(_squared(*tile)), points._replace(w=w), w.shape[1], table=table)


def distances_to(c: jax.Array, x: jax.Array, metric: Partial, own: Members | None) -> jax.Array:
    """Distances [n, k] from points to the centroids of their clusters `c` [k, d]; with the care of `distance_sums`."""
    if metric.func is whitened_euclidean:
        c, x, metric = whitened(c - c[:1], *metric.args), whitened(x - c[:1], *metric.args), Partial(euclidean)
    if metric.func not in (euclidean, squared_euclidean):
        return metric(x, c)
    one = jax.lax.stop_gradient(c.mean(0, keepdims=True))
    squared = squared_to_centroids(x - one, c - one, own)
    return squared if metric.func is squared_euclidean else safe_sqrt(squared)


def distances_within(p: Partition) -> jax.Array:
    """Distances [n, n] between the points of a partition, all at once, with the care of `distance_sums`."""
    p = clean(p)
    if p.metric.func is whitened_euclidean:
        p = _whitened(p)
    if p.metric.func not in (euclidean, squared_euclidean) or p.x.shape[1] <= FEW or p.own is None:
        return pairwise_distances(p.x, metric=p.metric)
    points, table = _anchored(p._replace(x=centred(p.x, p.w)))
    squared = _apart(_squared(points, points, *_looked_up(table, points)))
    return squared if p.metric.func is squared_euclidean else safe_sqrt(squared)


def _whitened(p: Partition) -> Partition:
    """The same distances as Euclidean ones."""
    return p._replace(x=whitened(centred(p.x, p.w), *p.metric.args), metric=Partial(euclidean))


def _precomputed(p: Partition) -> Sums:
    x = jnp.where(jnp.eye(len(p.x), dtype=bool), 0, p.x)
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


def _euclidean(p: Partition) -> Sums:
    if p.x.shape[1] <= FEW:  # from the differences themselves: even to centre would round
        return _any(p)
    p = p._replace(x=centred(p.x, p.w))
    if p.own is None:
        return _from_mean(p)
    if _num_blocks(len(p.x)) == 1:
        return _from_centroids(p)
    # under shard_map the operands of a branch must all vary over the same devices: labels as the points do
    either = p.x[0, 0] > 0
    p = jax.tree.map(lambda a: jnp.where(either, a, a), p)
    # a branch would keep for the backward pass what the other one needs, too
    return jax.lax.cond(_is_compact(p), jax.checkpoint(_from_mean), jax.checkpoint(_from_centroids), p)


def _is_compact(p: Partition) -> jax.Array:
    """Whether no point lies so far out that distances from the mean would lose digits of the tightest cluster.

    In units of its mean square radius, rounding leaves some 4 eps FAR of a squared distance.
    """
    if p.own is None:
        return jnp.array(False)
    c = centroids(p.x, p.w)
    squared = jnp.square(p.x - c.at[p.own].get(mode="clip")).sum(1)
    radius = ratio((p.w * squared[:, None]).sum(0), p.sizes)
    return jnp.square(p.x).sum(1).max() <= FAR * jnp.where(p.sizes > 0, radius, jnp.inf).min()


def _from_mean(p: Partition) -> Sums:
    """Of points that are centred, one product a tile."""
    points = _points(p)._replace(more=((p.x * p.x).sum(1),))

    def tile(i: Points, j: Points) -> jax.Array:
        (of_i,), (of_j,) = i.more, j.more
        squared = of_i[:, None] + of_j[None, :] - 2 * matmul(i.x, j.x.T)
        return safe_sqrt(above_noise(squared, of_j[None, :]))

    return _over_pairs(tile, points, p.w.shape[1])


def _from_centroids(p: Partition) -> Sums:
    """Of points that are centred, with the digits of near clusters however far others are."""
    points, table = _anchored(p)
    return _over_pairs(lambda *tile: safe_sqrt(_squared(*tile)), points, p.w.shape[1], table=table)


def _points(p: Partition) -> Points:
    return Points(p.x, p.w if p.own is None else None, p.own, p.mass)


def _anchored(p: Partition) -> tuple[Points, jax.Array]:
    """Points that are centred, and the table, for `_squared`."""
    assert p.own is not None  # of soft weights nobody asks it
    rest, _, offsets = anchored(jax.lax.stop_gradient(p.x), jax.lax.stop_gradient(centroids(p.x, p.w)), p.own)
    return _points(p)._replace(more=(rest, (rest * rest).sum(1))), offsets


def _squared(i: Points, j: Points, across: jax.Array, back: jax.Array) -> jax.Array:
    """Squared distances by what is left of each point without its centroid, and by what lies between the centroids.

    `|x_i - x_j|^2 = |u_i - u_j|^2 + P[own_i, j] + P[own_j, i]`: every term is as small as the two clusters and the way
    between them, so that no digits are lost to a third one far away. The gradient is that of the points themselves.
    """
    (rest_i, of_i), (rest_j, of_j) = i.more, j.more
    squared = of_i[:, None] + of_j[None, :] - 2 * matmul(rest_i, rest_j.T) + across + back
    return with_gradient(above_noise(squared, of_j[None, :] + jnp.abs(across) + jnp.abs(back)), i.x, j.x)


def _any(p: Partition) -> Sums:
    # a function may hold an array [block, block, d] meanwhile
    width = 1 if p.metric.func is euclidean else p.x.shape[1]
    return _over_pairs(lambda i, j: p.metric(i.x, j.x), _points(p), p.w.shape[1], width=width)


SUMS = {
    precomputed: _precomputed,
    squared_euclidean: _squared_euclidean,
    cosine: _cosine,
    euclidean: _euclidean,
    whitened_euclidean: lambda p: _euclidean(_whitened(p)),
}


# ---------------------------------------------------------------------------------------------------------------------
# The visit


def _over_pairs(
    tile: Callable[..., jax.Array], points: Points, k: int, *, width: int = 1, table: jax.Array | None = None
) -> Sums:
    """`distance_sums` for distances that `tile(i, j)` gives between two blocks, each unordered pair of blocks once.

    Args:
        tile: distances [block, block]; with a table `tile(i, j, table[own_i, j], table[own_j, i])`.
        points: all of them.
        k: clusters.
        width: numbers held for each pair meanwhile.
        table: [k, n], for each cluster and point. No gradient goes through it.
    """
    n = len(points.x)
    count = _num_blocks(n, width)
    if count == 1:
        given = () if table is None else _looked_up(table, points)
        return matmul(_apart(tile(points, points, *given)), _weights(points, k))
    size = -(-n // count)
    order = jnp.arange(n) if points.own is None else jnp.argsort(points.own, stable=True)
    # the last point again, of no cluster, until the blocks are full
    filled = jnp.pad(order, (0, count * size - n), mode="edge")
    absent = jnp.arange(count * size) >= n
    blocks = jax.tree.map(lambda a: a[filled], points)
    if blocks.w is not None:
        blocks = blocks._replace(w=jnp.where(absent[:, None], 0, blocks.w))
    if blocks.own is not None:
        blocks = blocks._replace(own=jnp.where(absent, k, blocks.own))
    blocks = jax.tree.map(lambda a: a.reshape(count, size, *a.shape[1:]), blocks)
    tables = None if table is None else table.T[filled].reshape(count, size, len(table)).swapaxes(1, 2)

    def distances(i: Points, j: Points, at_i: jax.Array, at_j: jax.Array) -> jax.Array:
        if tables is None:
            found = tile(i, j)
        else:
            back = tables.at[at_i, j.own].get(mode="clip")
            found = tile(i, j, tables.at[at_j, i.own].get(mode="clip"), back.T)
        return _apart(found, at_i == at_j)

    distances = jax.checkpoint(distances, prevent_cse=False)

    def ahead(sums: jax.Array, offset: jax.Array) -> jax.Array:
        """All tiles between a block and the one that is so many places ahead of it, in a circle."""

        def add(sums: jax.Array, pair: tuple[Points, Points, jax.Array]) -> tuple[jax.Array, None]:
            i, j, at_i = pair
            at_j = (at_i + offset) % count
            found = distances(i, j, at_i, at_j)
            sums = _tally(sums, found, i, at_j)
            return _tally(sums, jnp.where(offset == 0, 0, found).T, j, at_i), None

        rolled = jax.tree.map(lambda a: jnp.roll(a, -offset, axis=0), blocks)
        return jax.lax.scan(add, sums, (blocks, rolled, jnp.arange(count)))[0]

    ahead = jax.checkpoint(ahead, prevent_cse=False)
    zero = jnp.broadcast_to(jnp.zeros_like(points.x[0, 0]), (count, k, size))
    sums = jax.lax.scan(lambda sums, o: (ahead(sums, o), None), zero, jnp.arange(count // 2 + 1))[0]
    return sums.swapaxes(1, 2).reshape(-1, k)[jnp.argsort(order)]


def _num_blocks(n: int, width: int = 1) -> int:
    """An odd number of blocks, so that each is as far ahead of as many others as behind as many."""
    return -(-n // max(isqrt(TILE_ELEMENTS // max(width, 1)), 8)) // 2 * 2 + 1


def _looked_up(table: jax.Array, points: Points) -> tuple[jax.Array, jax.Array]:
    """What a tile of all points with themselves takes from the table."""
    across = table.at[points.own].get(mode="clip")
    return across, across.T


def _apart(distances: jax.Array, same: jax.Array | bool = True) -> jax.Array:
    """Distances between two blocks, with 0 for a point to itself where they are the same block."""
    along = jnp.arange(len(distances))
    return distances.at[along, along].set(jnp.where(same, 0, jnp.diagonal(distances)))


def _weights(points: Points, k: int) -> jax.Array:
    if points.w is not None:
        return points.w
    one_hot = jax.nn.one_hot(points.own, k, dtype=points.x.dtype)
    return one_hot if points.mass is None else one_hot * points.mass[:, None]


def _tally(sums: jax.Array, distances: jax.Array, rows: Points, at: jax.Array) -> jax.Array:
    """Add to the sums of the block `at`, whose points are the columns, what they receive from the rows' clusters."""
    k = sums.shape[1]

    def by_product(sums: jax.Array, distances: jax.Array, rows: Points) -> jax.Array:
        return sums.at[at].add(matmul(_weights(rows, k).T, distances))

    def by_rows(sums: jax.Array, distances: jax.Array, rows: Points) -> jax.Array:
        given = distances if rows.mass is None else rows.mass[:, None] * distances
        return sums.at[at, rows.own].add(given, mode="drop", indices_are_sorted=True)

    if rows.w is not None:
        return by_product(sums, distances, rows)
    # elsewhere products are cheap, and additions from many threads neither cheap nor always in the same order
    return jax.lax.platform_dependent(sums, distances, rows, cpu=by_rows, default=by_product)
