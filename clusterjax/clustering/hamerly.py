"""Assignment by bounds: only points whose nearest centroid can have changed are compared with all centroids again.

For each point two numbers are kept: `upper`, at least its distance to its own centroid, and `lower`, at most that to
any other. When centroids move, `upper` grows by the way of its own, `lower` shrinks by the longest way of the others;
while `upper < lower` no other can have come nearer. One that is far on its way would spoil `lower` for all; so the few
that moved farthest are compared with every point at each step, and `lower` shrinks by the way of the rest.

While centroids are still on their long first ways, bounds would cost and not save. One block keeps them from the
beginning; the others begin when more than half of its points need not be compared, and end when it is fewer.

Source: Hamerly, Making k-means even faster (2010); the groups of centroids are those of Ding et al., Yinyang k-means
(2015), but two, and formed anew at each step.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import NOISE, matmul
from clusterjax.clustering.assignment import TEAM, nearest, scoring, two_of_many
from clusterjax.clustering.cloud import Blocks, added
from clusterjax.distances import FEW

# Blocks from which on one of them is few of the points.
MANY_BLOCKS = 8
# One centroid of so many is among those that moved farthest.
FARTHEST = 16
# Points that are compared again are compared so many at a time, as a share of a block.
AT_A_TIME = 8


class Known(NamedTuple):
    """What is known of points, each [count, block], or [block] of one block.

    Attributes:
        labels: the nearest centroid.
        upper: of the distance to it; infinite where nothing is known.
        lower: of the distance to any other.
    """

    labels: jax.Array
    upper: jax.Array
    lower: jax.Array


class Bounds(NamedTuple):
    """What the assignment before has left.

    Attributes:
        known: of each point.
        centroids: [max_k, d], of which it is known.
        everywhere: whether it is kept of all blocks, not only of the first.
    """

    known: Known
    centroids: jax.Array
    everywhere: jax.Array


def pays(blocks: Blocks, max_k: int) -> bool:
    """Whether bounds can save more than they cost: where there are many points, centroids and features, on a CPU.

    An accelerator forms a block's scores faster than it finds out which are needed.
    """
    count, _, width = blocks.x.shape
    return count >= MANY_BLOCKS and max_k > TEAM and width - 1 > FEW and jax.default_backend() == "cpu"


def nothing_known(blocks: Blocks, centroids: jax.Array) -> Bounds:
    """Before the first assignment, to these centroids."""
    zeros = jnp.zeros(blocks.mass.shape, centroids.dtype)
    return Bounds(Known(zeros.astype(jnp.int32), zeros + jnp.inf, zeros), centroids, jnp.zeros((), bool))


def assign_by_bounds(blocks: Blocks, bounds: Bounds, centroids: jax.Array, live: jax.Array) -> tuple[Bounds, jax.Array]:
    """Bounds and labels for these centroids, and the sums of `assign_and_add`."""
    count, size = blocks.mass.shape
    # each rounding of a bound is on the safe side
    up, down = 1 + 4 * jnp.finfo(centroids.dtype).eps, 1 - 4 * jnp.finfo(centroids.dtype).eps
    ways = jnp.sqrt(jnp.square(centroids - bounds.centroids).sum(1)) * up
    few = len(centroids) // FARTHEST
    longest, farthest = jax.lax.top_k(jnp.where(live, ways, 0), few + 1)
    rows = scoring(centroids, live)
    largest = jnp.where(live, jnp.square(centroids).sum(1), 0).max()

    def distance(scores: jax.Array, squared: jax.Array, side: int) -> jax.Array:
        noise = NOISE * jnp.finfo(scores.dtype).eps * (squared + largest)
        return jnp.sqrt(jnp.maximum(2 * scores + squared + side * noise, 0))

    def compare(x: jax.Array, squared: jax.Array) -> Known:
        labels, first, second = two_of_many(rows, x.T)
        return Known(labels, distance(first, squared, 1), distance(second, squared, -1))

    def go_on(block: Blocks, known: Known) -> tuple[Known, jax.Array, jax.Array]:
        upper = (known.upper + ways.at[known.labels].get(mode="clip")) * up
        near = matmul(rows[farthest[:few]], block.x.T)
        near = jnp.where(farthest[:few, None] == known.labels[None, :], jnp.inf, near).min(0)
        lower = jnp.minimum((known.lower - longest[few]) * down, distance(near, block.squared, -1))
        asked = block.present & (upper >= lower)

        def some() -> Known:
            places = jnp.nonzero(asked, size=size, fill_value=size)[0]
            chunk = -(-size // AT_A_TIME)

            def ask(number: jax.Array, known: Known) -> Known:
                at = jax.lax.dynamic_slice(places, (number * chunk,), (chunk,))
                found = compare(block.x.at[at].get(mode="clip"), block.squared.at[at].get(mode="clip"))
                return jax.tree.map(lambda old, new: old.at[at].set(new, mode="drop"), known, found)

            return jax.lax.fori_loop(0, -(-asked.sum() // chunk), ask, Known(known.labels, upper, lower))

        known_before = block.present & jnp.isfinite(known.upper)
        found = jax.lax.cond(2 * asked.sum() > size, lambda: compare(block.x, block.squared), some)
        return found, known_before.sum(), (known_before & asked).sum()

    def begin_anew(block: Blocks, known: Known) -> tuple[Known, jax.Array, jax.Array]:
        none = jnp.zeros((), block.present.sum().dtype)
        return known._replace(labels=nearest(block.x, centroids, live), upper=known.upper + jnp.inf), none, none

    def one(sums: jax.Array, of: tuple[Blocks, Known, jax.Array]):
        block, known, number = of
        outcome = jax.lax.cond(bounds.everywhere | (number == 0), go_on, begin_anew, block, known)
        return sums + added(block, outcome[0].labels, len(centroids)), outcome

    zero = jnp.zeros((len(centroids), blocks.x.shape[-1]), blocks.x.dtype)
    numbers = jnp.arange(count, dtype=jnp.int32)
    sums, (found, before, asked) = jax.lax.scan(one, zero, (blocks, bounds.known, numbers))
    return Bounds(found, centroids, 2 * asked.sum() < before.sum()), sums
