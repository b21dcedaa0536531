"""Every unordered pair of points once, a tile at a time, and what the distances in it come to by cluster.

Or, in `over_asked`, the pairs with a few clusters that a point asks for, and most of the others not at all.

Distances are symmetric, so a tile of them between two blocks of points serves the points along both its sides, and half
of all tiles need never be formed. Points lie sorted by cluster, so that what a cluster receives is a run of rows.
Memory is O(n * block) however many points there are, in either mode of differentiation: what a tile held is computed
again when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isqrt, prod
from typing import NamedTuple

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import add_rows, matmul

# Distances held at a time, in a square tile: 1 MB in float32, which stays in a core's cache on the way from the product
# to the root to the sums.
TILE_ELEMENTS = 2**18
# An accelerator is filled by tiles so many times as large; `benchmarks/tiles.py` measures it.
LARGER = 64
# Those who ask are looked up in so many parts, of which one is held.
GROUPS = 4


class Reduction(NamedTuple):
    """How the distances to the members of a cluster become one number.

    Attributes:
        neutral: that of no members, which a point's distance to itself counts as.
        tally: of results [blocks, k, block], the distances [rows, block], the rows' `Points` and a block, the results
            with what the points of that block, the columns, receive from the rows' clusters.
    """

    neutral: float
    tally: Callable[[jax.Array, jax.Array, Points, jax.Array | int], jax.Array]


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


class Block(NamedTuple):
    """Points that lie sorted by a cluster, theirs or one that they ask for; or several blocks of them.

    Attributes:
        rows: [n], which points they are.
        clusters: [n], by which they are sorted; the number of clusters for those that only fill the block.
        points: themselves.
        table: [k, n], their entries in a table.
    """

    rows: jax.Array
    clusters: jax.Array
    points: Points
    table: jax.Array | None


def over_pairs(
    tile: Callable[..., jax.Array],
    points: Points,
    k: int,
    reductions: tuple[Reduction, ...],
    *,
    width: int = 1,
    table: jax.Array | None = None,
) -> tuple[jax.Array, ...]:
    """What the distances from each point to the members of each cluster come to, [n, k] for each reduction.

    Args:
        tile: distances [block, block]; with a table `tile(i, j, table[j, own_i], table[i, own_j])`.
        points: all of them.
        k: clusters.
        reductions: what becomes of the distances, each of which is formed once for all of them.
        width: numbers held for each pair meanwhile.
        table: [n, k], for each point and cluster. No gradient goes through it.
    """
    n = len(points.x)
    count = num_blocks(n, width)
    if count == 1:
        given = () if table is None else looked_up(table, points)
        found = tile(points, points, *given)
        nothing = [jnp.full_like(found, r.neutral, shape=(1, k, n)) for r in reductions]
        return tuple(
            r.tally(none, apart(found, r.neutral), points, 0)[0].T for r, none in zip(reductions, nothing, strict=True)
        )
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
    tables = None if table is None else table[filled].reshape(count, size, -1).swapaxes(1, 2)

    along = jnp.arange(size)

    def distances(i: Points, j: Points, at_i: jax.Array, at_j: jax.Array) -> list[jax.Array]:
        if tables is None:
            found = tile(i, j)
        else:
            back = tables.at[at_i, j.own].get(mode="clip")
            found = tile(i, j, tables.at[at_j, i.own].get(mode="clip"), back.T)
        # points to themselves, where both blocks are the same one; a mask of the tile costs more than the diagonal
        itself = jnp.diagonal(found)
        return [found.at[along, along].set(jnp.where(at_i == at_j, r.neutral, itself)) for r in reductions]

    distances = jax.checkpoint(distances, prevent_cse=False)

    def ahead(results: tuple[jax.Array, ...], offset: jax.Array) -> tuple[jax.Array, ...]:
        """All tiles between a block and the one that is so many places ahead of it, in a circle."""

        def add(results: tuple[jax.Array, ...], pair: tuple[Points, Points, jax.Array]):
            i, j, at_i = pair
            at_j = (at_i + offset) % count
            tallied = []
            for r, result, found in zip(reductions, results, distances(i, j, at_i, at_j), strict=True):
                result = r.tally(result, found, i, at_j)
                tallied.append(r.tally(result, jnp.where(offset == 0, r.neutral, found).T, j, at_i))
            return tuple(tallied), None

        there = (jnp.arange(count) + offset) % count
        # `jnp.roll` would put two copies side by side
        rolled = jax.tree.map(lambda a: a.at[there].get(mode="clip", unique_indices=True), blocks)
        return jax.lax.scan(add, results, (blocks, rolled, jnp.arange(count)))[0]

    ahead = jax.checkpoint(ahead, prevent_cse=False)
    one = points.x[0, 0]
    start = tuple(jnp.broadcast_to(jnp.full_like(one, r.neutral), (count, k, size)) for r in reductions)
    results = jax.lax.scan(lambda results, o: (ahead(results, o), None), start, jnp.arange(count // 2 + 1))[0]
    return tuple(result.swapaxes(1, 2).reshape(-1, k)[jnp.argsort(order)] for result in results)


def over_asked(
    tile: Callable[..., jax.Array],
    points: Points,
    k: int,
    asked: jax.Array,
    *,
    width: int = 1,
    table: jax.Array | None = None,
) -> jax.Array:
    """What the distances from each point to the members of the clusters that it asks for add up to, [n, m].

    Who asks lies sorted by what is asked for, so that most tiles hold nothing of it and are passed over.

    Args:
        tile: as in `over_pairs`.
        points: all of them, of one cluster each.
        k: clusters.
        asked: [n, m], clusters; k for none.
        width: numbers held for each pair meanwhile.
        table: [n, k], for each point and cluster. No gradient goes through it.
    """
    n, m = asked.shape
    count = num_blocks(n, width)

    def block(rows: jax.Array, clusters: jax.Array) -> Block:
        entries = None if table is None else table[rows].swapaxes(-1, -2)
        return Block(rows, clusters, jax.tree.map(lambda a: a[rows], points), entries)

    def in_blocks(shape: tuple[int, ...], rows: jax.Array, clusters: jax.Array) -> tuple[jax.Array, jax.Array]:
        shape = *shape, -(-len(rows) // prod(shape))
        missing = prod(shape) - len(rows)
        rows, clusters = jnp.pad(rows, (0, missing), mode="edge"), jnp.pad(clusters, (0, missing), constant_values=k)
        return rows.reshape(shape), clusters.reshape(shape)

    own, wanted = points.own, asked.ravel()
    assert own is not None
    order, asking = jnp.argsort(own, stable=True), jnp.argsort(wanted, stable=True)
    members = block(*in_blocks((count,), order, own[order]))
    # as many blocks: those of who asks are m times as long, for each that is passed over costs its length
    askers = in_blocks((GROUPS, -(-count // GROUPS)), asking // m, wanted[asking])

    def of_tile(i: Block, j: Block) -> jax.Array:
        given = ()
        if i.table is not None and j.table is not None:
            given = j.table.at[i.points.own].get(mode="clip"), i.table.at[j.points.own].get(mode="clip").T
        clusters = jnp.where(j.clusters < k, j.clusters, -1)  # none is no cluster to ask for
        counts = (i.clusters[:, None] == clusters[None, :]) & (i.rows[:, None] != j.rows[None, :])
        found = jnp.where(counts, tile(i.points, j.points, *given), 0)
        mass = j.points.mass
        return found.sum(1) if mass is None else matmul(found, mass[:, None])[:, 0]

    of_tile = jax.checkpoint(of_tile, prevent_cse=False)

    def of_block(i: Block) -> jax.Array:
        nothing = jnp.zeros_like(i.points.x[:, 0])

        def add(sums: jax.Array, j: Block) -> tuple[jax.Array, None]:
            first = jnp.maximum(i.clusters[0], j.clusters[0])
            meet = (first <= jnp.minimum(i.clusters[-1], j.clusters[-1])) & (first < k)
            return sums + jax.lax.cond(meet, of_tile, lambda *_: nothing, i, j), None

        return jax.lax.scan(jax.checkpoint(add, prevent_cse=False), nothing, members)[0]

    of_block = jax.checkpoint(of_block, prevent_cse=False)
    of_group = jax.checkpoint(lambda given: jax.lax.map(of_block, block(*given)), prevent_cse=False)
    found = jax.lax.map(of_group, askers)
    return found.ravel()[jnp.argsort(asking)].reshape(n, m)


def num_blocks(n: int, width: int = 1) -> int:
    """An odd number of blocks, so that each is as far ahead of as many others as behind as many."""
    elements = TILE_ELEMENTS * (1 if jax.default_backend() == "cpu" else LARGER)
    return -(-n // max(isqrt(elements // max(width, 1)), 8)) // 2 * 2 + 1


def looked_up(table: jax.Array, points: Points) -> tuple[jax.Array, jax.Array]:
    """What a tile of all points with themselves takes from the table."""
    across = table.T.at[points.own].get(mode="clip")
    return across, across.T


def apart(distances: jax.Array, neutral: float = 0) -> jax.Array:
    """Distances between all points, with what counts for nothing for a point to itself."""
    return jnp.where(jnp.eye(len(distances), dtype=bool), neutral, distances)


def _weights(points: Points, k: int) -> jax.Array:
    if points.w is not None:
        return points.w
    one_hot = jax.nn.one_hot(points.own, k, dtype=points.x.dtype)
    return one_hot if points.mass is None else one_hot * points.mass[:, None]


def _added(sums: jax.Array, distances: jax.Array, rows: Points, at: jax.Array | int) -> jax.Array:
    k = sums.shape[1]

    def by_product(sums: jax.Array, distances: jax.Array, rows: Points) -> jax.Array:
        return sums.at[at].add(matmul(_weights(rows, k).T, distances))

    def by_rows(sums: jax.Array, distances: jax.Array, rows: Points) -> jax.Array:
        given = distances if rows.mass is None else rows.mass[:, None] * distances
        assert rows.own is not None  # else there are weights
        return add_rows(sums, given, at, rows.own)

    if rows.w is not None:
        return by_product(sums, distances, rows)
    # elsewhere products are cheap, and additions from many threads neither cheap nor always in the same order
    return jax.lax.platform_dependent(sums, distances, rows, cpu=by_rows, default=by_product)


def _smallest(smallest: jax.Array, distances: jax.Array, rows: Points, at: jax.Array | int) -> jax.Array:
    return smallest.at[at, rows.own].min(distances, mode="drop")


def _largest(largest: jax.Array, distances: jax.Array, rows: Points, at: jax.Array | int) -> jax.Array:
    return largest.at[at, rows.own].max(distances, mode="drop")


SUM, SMALLEST, LARGEST = Reduction(0, _added), Reduction(inf, _smallest), Reduction(-inf, _largest)
