"""Distances between points and the members of those clusters that are asked for, and no others.

Points lie sorted by cluster, so that the members of one are a run of rows; the points that ask for a cluster are looked
up. Both are cut into tiles of one size, which one compiled program forms, some at a time.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from clusterjax.arithmetic import matmul, safe_sqrt
from clusterjax.distances import FEW, gram_factors, gram_squared, is_traced, squared_differences
from clusterjax.threads import cores, in_threads
from clusterjax.typing import Array

# Points that ask in a tile, and the most members: more of the first are no faster, they leave the cache.
WIDTH, MEMBERS = 128, 512
# Distances in a call, at least and at most: enough to be worth it, few enough to be shared by the cores.
DISTANCES = 2**19, 2**22


class Sorted(NamedTuple):
    """Points sorted by cluster; those that take no part are last, so that their number is in no shape.

    Attributes:
        rows: [n, d]; finite.
        mass: [n], how much each counts; 0 for those that take no part.
        own: [n], the cluster of each, k where there is none; known, as the next one is.
        sizes: [k], how many points each cluster has.
    """

    rows: jax.Array
    mass: jax.Array
    own: np.ndarray
    sizes: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """[k], the first member of each cluster."""
        return (np.cumsum(self.sizes) - self.sizes).astype(np.int32)

    @property
    def present(self) -> np.ndarray:
        """The places of those that take part."""
        return np.arange(self.sizes.sum(), dtype=np.int32)


class Pairs(NamedTuple):
    """Points and the clusters that they ask for.

    Attributes:
        points: [m], by their place among the sorted points.
        clusters: [m].
    """

    points: np.ndarray
    clusters: np.ndarray


class Tiles(NamedTuple):
    """Runs of pairs with one cluster, and of the members of that.

    Attributes:
        clusters: [t].
        starts: [t], the first member.
        ends: [t], the one after the last.
        firsts: [t], the first pair.
        lasts: [t], the one after the last.
    """

    clusters: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    firsts: np.ndarray
    lasts: np.ndarray


def by_cluster(clusters: np.ndarray, k: int) -> np.ndarray:
    """A stable order by cluster; numbers of 16 bits are sorted in a pass over their digits."""
    return np.argsort(clusters.astype(np.uint16) if k <= 2**16 else clusters, kind="stable")


def looked_up(rows: jax.Array, index: np.ndarray) -> Array:
    """Rows by their places: NumPy copies each as a whole, XLA on a CPU number by number."""
    on_host = not is_traced(rows) and jax.default_backend() == "cpu"
    return np.take(np.asarray(rows), index, axis=0) if on_host else rows[index]


def members(rows: jax.Array, start: Array, count: int) -> tuple[jax.Array, jax.Array]:
    """So many rows from the first member of a cluster on, or the last ones there are; and their places."""
    first = jnp.minimum(start, len(rows) - count)
    return jax.lax.dynamic_slice_in_dim(rows, first, count), first + jnp.arange(count)


def distance_sums(x: Sorted, anchors: jax.Array, pairs: Pairs) -> np.ndarray:
    """What the Euclidean distances from each point to the members of a cluster add up to, itself apart.

    Args:
        x: all points.
        anchors: [k, d], for each cluster a place near it, from which distances to it are measured.
        pairs: [m], sums to form.

    Returns:
        [m].
    """
    order, pairs, tiles, count, size = _planned(x, pairs)

    def batch(first: int) -> tuple[np.ndarray, np.ndarray]:
        some, place, asked = _batch(tiles, first, size)
        points = pairs.points[place]
        here = looked_up(x.rows, points)
        found = np.asarray(_tile_sums(x.rows, x.mass, anchors, here, points, some, count=count))
        return place[asked], found[asked]

    sums = np.zeros(len(order), x.rows.dtype)
    threads = cores(WIDTH * count, known=True)
    for place, found in in_threads(batch, range(0, len(tiles.clusters), size), threads):
        first = place.min()
        added = np.bincount(place - first, found)
        sums[first : first + len(added)] += added
    as_asked = np.empty_like(sums)
    as_asked[order] = sums
    return as_asked


def distance_sums_with_gradient(
    x: Sorted, anchors: jax.Array, pairs: Pairs, places: np.ndarray, length: int
) -> jax.Array:
    """`distance_sums` of rows that derivatives go through, each at its place of so many, so that one shape serves."""
    order, pairs, tiles, count, size = _planned(x, pairs)
    size *= 8  # on its way back each call adds to all points
    sums = jnp.zeros(length, x.rows.dtype)
    for first in range(0, len(tiles.clusters), size):
        some, place, asked = _batch(tiles, first, size)
        into = np.where(asked, places[order[place]], length).astype(np.int32)
        sums = _add_tile_sums(sums, x.rows, x.mass, anchors, pairs.points[place], some, into, count=count)
    return sums


def _planned(x: Sorted, pairs: Pairs) -> tuple[np.ndarray, Pairs, Tiles, int, int]:
    """An order of the pairs by cluster, the pairs in it, tiles of them, and how many members and tiles go together."""
    order = by_cluster(pairs.clusters, len(x.sizes))
    pairs = Pairs(*(part[order] for part in pairs))
    # by the number of points and clusters, so that other labels compile nothing, unless all clusters are smaller
    typical = len(x.rows) / len(x.sizes)
    enough = min(typical + 2 * np.sqrt(typical), x.sizes.max())
    count = min(-(-int(enough / np.ceil(enough / MEMBERS)) // 8) * 8, len(x.rows))
    least, most = DISTANCES
    size = int(min(max(len(x.rows) * typical / 8, least), most) / (WIDTH * count))
    return order, pairs, _tiles(pairs, x, count), count, max(size, 1)


def _tiles(pairs: Pairs, x: Sorted, count: int) -> Tiles:
    """The pairs of each cluster in runs, against its members in runs of `count`."""
    asked = np.bincount(pairs.clusters, minlength=len(x.sizes))
    runs, parts = -(-asked // WIDTH), -(-x.sizes // count)
    clusters = np.repeat(np.arange(len(asked)), runs * parts)
    within = np.arange(len(clusters)) - np.repeat(np.cumsum(runs * parts) - runs * parts, runs * parts)
    run, part = np.divmod(within, parts[clusters])
    starts, firsts = x.starts[clusters], (np.cumsum(asked) - asked)[clusters]
    starts, ends = starts + part * count, starts + np.minimum((part + 1) * count, x.sizes[clusters])
    firsts, lasts = firsts + run * WIDTH, firsts + np.minimum((run + 1) * WIDTH, asked[clusters])
    return Tiles(*(numbers.astype(np.int32) for numbers in (clusters, starts, ends, firsts, lasts)))


def _batch(tiles: Tiles, first: int, size: int) -> tuple[Tiles, np.ndarray, np.ndarray]:
    """So many tiles; the pairs [size, WIDTH] in each, and whether they are asked for there."""
    index = np.arange(first, first + size)
    some = Tiles(*(numbers[np.minimum(index, len(numbers) - 1)] for numbers in tiles))
    place = some.firsts[:, None] + np.arange(WIDTH, dtype=np.int32)
    asked = (place < some.lasts[:, None]) & (index < len(tiles.clusters))[:, None]
    return some, np.minimum(place, some.lasts[:, None] - 1), asked


@partial(jax.jit, static_argnames="count")
def _tile_sums(
    rows: jax.Array,
    mass: jax.Array,
    anchors: jax.Array,
    here: Array,
    points: Array,
    tiles: Tiles,
    *,
    count: int,
) -> jax.Array:
    """[t, WIDTH], the sums of the distances from the points `here` of each tile to its members, themselves apart."""

    def tile(given: tuple[jax.Array, jax.Array, Tiles]) -> jax.Array:
        here, points, one = given
        there = _members(rows, mass, one, count)
        return _sums_of_tile(here, points, *there, anchors[one.clusters])

    return jax.lax.map(tile, (here, points, tiles))


@partial(jax.jit, static_argnames="count")
def _add_tile_sums(
    sums: jax.Array,
    rows: jax.Array,
    mass: jax.Array,
    anchors: jax.Array,
    points: Array,
    tiles: Tiles,
    into: Array,
    *,
    count: int,
) -> jax.Array:
    """`sums` with those of some tiles added; derivatives go through the rows.

    All rows are looked up before the first tile, so that the way back adds to the points once, and not once a tile.
    """
    there = jax.vmap(lambda one: _members(rows, mass, one, count))(tiles)
    given = (rows[points], points, *there, anchors[tiles.clusters])
    found = jax.lax.map(jax.checkpoint(lambda one: _sums_of_tile(*one), prevent_cse=False), given)
    return sums.at[into].add(found, mode="drop")


def _members(rows: jax.Array, mass: jax.Array, tile: Tiles, count: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The members of a tile [count, d], how often each counts, and their places."""
    there, index = members(rows, tile.starts, count)
    inside = (index >= tile.starts) & (index < tile.ends)
    return there, jnp.where(inside, members(mass, tile.starts, count)[0], 0), index


def _sums_of_tile(
    here: jax.Array, points: jax.Array, there: jax.Array, counted: jax.Array, index: jax.Array, anchor: jax.Array
) -> jax.Array:
    if here.shape[1] <= FEW:
        squared = squared_differences(there, here)
    else:
        squared = gram_squared(gram_factors(there - anchor)[0], gram_factors(here - anchor)[1])
    return matmul(counted, jnp.where(index[:, None] == points[None, :], 0, safe_sqrt(squared)))
