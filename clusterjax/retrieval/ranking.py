"""What lies nearest to each point, in order: by blocks of rows of the distances, never all of them at a time.

The k smallest of a long row lie in the k groups of columns whose minima are smallest. A minimum by group is nearly free
beside the product that makes the row, and leaves few columns to choose from. Equal distances go by row of the gallery:
groups are of consecutive rows, and every choice takes the earlier of two that are equal.

Where only the nearest point of the own class matters, nothing is sorted: those that are nearer are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import NamedTuple

import jax
import jax.numpy as jnp

from clusterjax.distances import on_blocks, precomputed
from clusterjax.partition import Partition
from clusterjax.retrieval.rows import ROWS, Rows, measured
from clusterjax.typing import Array

# Distances held at a time, queries times gallery: 32 MB in float32.
BLOCK_ELEMENTS = 2**23


class Ranking(NamedTuple):
    """What a block of queries finds.

    Attributes:
        own: [b], the class of each query.
        relevant: [b], how many points of it can be found.
        first: [b], the rank of the nearest of them, from 1; all 0 where none was asked for.
        classes: [b, nearest], the classes of the nearest points in order; -1 where there are no more.
    """

    own: jax.Array
    relevant: jax.Array
    first: jax.Array
    classes: jax.Array


class Gallery(NamedTuple):
    """The points of each class that queries may belong to.

    Attributes:
        order: [m], rows of the gallery, sorted by class.
        start: [k], where each class begins in that order.
        sizes: [k], how many there are.
    """

    order: jax.Array
    start: jax.Array
    sizes: jax.Array


def over_queries(
    p: Partition,
    gallery: Array | None,
    gallery_labels: Array | None,
    made_of: Callable[[Ranking], tuple[jax.Array, ...]],
    nearest: int,
    class_size: int | None,
    first: bool,
) -> tuple[tuple[jax.Array, ...], jax.Array, jax.Array]:
    """What is made of the ranking that each point gives the others; O(n * block) memory, no gradient.

    Args:
        p: the queries, and the gallery too where it is not given apart: then no point finds itself.
        gallery: [m, d], or None.
        gallery_labels: [m], with it; a negative one takes no part, one that no query has is one class more.
        made_of: arrays [b] of a `Ranking`.
        nearest: of so many are the classes wanted.
        class_size: no class has more members in the gallery; None where that does not matter.
        first: whether the rank of the nearest relevant one is wanted.

    Returns:
        Arrays [n]; which queries take part, [n], for some other point is of their class; and whether a distance is not
        a number or a class larger than `class_size`, [].
    """
    p = jax.lax.stop_gradient(p)
    n, k = p.w.shape
    assert p.own is not None  # soft weights are no labels
    own = jnp.where(p.own < k, p.own, -1)
    there = own if gallery_labels is None else jnp.maximum(jnp.asarray(gallery_labels).astype(jnp.int32), -1)
    row = jnp.arange(n, dtype=jnp.int32) if gallery is None else jnp.full(n, -1, jnp.int32)
    known = _by_class(there, k)
    itself = int(gallery is None)
    relevant = jnp.where(own < 0, 0, known.sizes.at[own].get(mode="clip") - itself)

    nearest = min(nearest + itself, len(there)) if nearest else 0
    group = group_size(len(there), nearest)
    there = jnp.pad(there, (0, -len(there) % group), constant_values=-1)
    rows, distances, spoilt = measured(p, gallery, own >= 0, there >= 0)
    if class_size is not None:
        spoilt |= known.sizes.max() > class_size

    def of_block(rows: Rows, own: jax.Array, relevant: jax.Array, row: jax.Array) -> tuple[jax.Array, ...]:
        d = distances(rows)
        bad = jnp.zeros((), bool)
        if p.metric.func in (precomputed, on_blocks):  # whatever it holds; a point to itself is not looked at
            d = jnp.where(_columns(d) == row[:, None], 0, d)
            bad = (jnp.isnan(d) & (own >= 0)[:, None]).any(1)
        ranks = first_ranks(d, own, row, known, class_size or len(there)) if first else jnp.zeros_like(own)
        columns = smallest(d, nearest, group)
        columns = without(columns, row) if gallery is None else columns
        return bad, *made_of(Ranking(own, relevant, ranks, there.at[columns].get(mode="clip")))

    blocks = -(-n // max(BLOCK_ELEMENTS // max(len(there), 1), ROWS))
    queries = (rows, own, relevant, row)
    if blocks > 1:
        size = -(-n // blocks)
        # the last query again until the blocks are full
        filled = jnp.minimum(jnp.arange(blocks * size), n - 1)
        split = jax.tree.map(lambda a: a[filled].reshape(blocks, size, *a.shape[1:]), queries)
        found = jax.lax.map(lambda block: of_block(*block), split)
        bad, *values = (a.reshape(-1)[:n] for a in found)
    else:
        bad, *values = of_block(*queries)
    return tuple(values), relevant > 0, spoilt | bad.any()


def group_size(columns: int, k: int) -> int:
    """Columns a group, so that there are about as many groups as columns in k of them; 1 where groups do not pay."""
    group = 1 << (max(isqrt(columns // max(k, 1)), 1).bit_length() - 1)
    return group if k and group > 2 else 1


def smallest(d: jax.Array, k: int, group: int) -> jax.Array:
    """Columns of the k smallest entries of each row, in order; of equal ones the first: [b, k]."""
    if not k:
        return jnp.zeros((len(d), 0), jnp.int32)
    if group == 1:
        return jax.lax.top_k(-d, k)[1]
    groups = d.reshape(len(d), -1, group)
    # by column again, so that of equal distances the first is found first
    best = jnp.sort(jax.lax.top_k(-groups.min(2), k)[1], 1)
    candidates = jnp.take_along_axis(groups, best[:, :, None], 1, mode="clip").reshape(len(d), -1)
    chosen = jax.lax.top_k(-candidates, k)[1]
    return jnp.take_along_axis(best, chosen // group, 1, mode="clip") * group + chosen % group


def without(columns: jax.Array, row: jax.Array) -> jax.Array:
    """All columns but the point's own row, in order; where that is not among them, all but the last: [b, k - 1]."""
    met = jnp.cumsum((columns == row[:, None]).astype(jnp.int32), 1)[:, :-1]
    return jnp.where(met > 0, columns[:, 1:], columns[:, :-1])


def first_ranks(d: jax.Array, own: jax.Array, row: jax.Array, known: Gallery, class_size: int) -> jax.Array:
    """The rank, from 1, of the nearest point of each query's class: one more than there are points before it."""
    place = jnp.arange(class_size, dtype=jnp.int32)[None, :]
    columns = known.order.at[known.start.at[own].get(mode="clip")[:, None] + place].get(mode="clip")
    other = (place < known.sizes.at[own].get(mode="clip")[:, None]) & (columns != row[:, None])
    to_class = jnp.where(other, jnp.take_along_axis(d, columns, 1, mode="clip"), jnp.inf)
    least = to_class.min(1, keepdims=True)
    column = jnp.take_along_axis(columns, to_class.argmin(1)[:, None], 1, mode="clip")

    def before(d: jax.Array, at: jax.Array) -> jax.Array:
        return (d < least) | ((d == least) & (at < column))

    itself = jnp.take_along_axis(d, jnp.maximum(row, 0)[:, None], 1, mode="clip")
    counted = before(d, _columns(d)).sum(1, dtype=jnp.int32)
    return 1 + counted - ((row >= 0) & before(itself, row[:, None])[:, 0]).astype(jnp.int32)


def _by_class(there: jax.Array, k: int) -> Gallery:
    classes = jnp.where((there >= 0) & (there < k), there, k)
    sizes = jax.ops.segment_sum(jnp.ones_like(classes), classes, k + 1)[:k]
    return Gallery(
        jnp.argsort(classes, stable=True).astype(jnp.int32), jnp.cumsum(sizes, dtype=jnp.int32) - sizes, sizes
    )


def _columns(d: jax.Array) -> jax.Array:
    return jnp.arange(d.shape[1], dtype=jnp.int32)[None, :]
