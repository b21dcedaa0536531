"""Assignment by bounds: only points whose nearest centroid can have changed are compared with all centroids again.

For each point two numbers are kept: `upper`, at least its distance to its own centroid, and `lower`, at most that to
any other. When centroids move, `upper` grows by the way of its own, `lower` shrinks by the longest way of the others;
while `upper < lower` no other can have come nearer. One that is far on its way would spoil `lower` for all; so the few
that moved farthest are compared with every point at each step, and `lower` shrinks by the way of the rest.

While centroids are still on their long first ways, bounds would cost and not save. A few points keep them from the
beginning; the others begin when more than half of these need not be compared, and end when it is fewer.

Source: Hamerly, Making k-means even faster (2010); the groups of centroids are those of Ding et al., Yinyang k-means
(2015), but two, and formed anew at each step.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import NOISE, matmul
from clusterjax.clustering.assignment import TEAM, scoring, two_of_many
from clusterjax.clustering.cloud import Blocks, added, assign_and_add
from clusterjax.distances import FEW

# Blocks that are so many points that what bounds save outweighs what looking them up costs.
MANY_BLOCKS = 8
# One centroid of so many is among those that moved farthest.
FARTHEST = 16
# Points of which bounds are kept from the beginning.
SCOUT = 1024


class Known(NamedTuple):
    """What is known of points, each [count, block], or [count * block] while some of them are compared again.

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
        everywhere: whether it is kept of all points, not only of the first few.
    """

    known: Known
    centroids: jax.Array
    everywhere: jax.Array


def pays(blocks: Blocks, max_k: int) -> bool:
    """Whether bounds can save more than they cost: where there are many points, centroids and features, on a CPU.

    What they cost an accelerator has not been measured.
    """
    count, _, width = blocks.x.shape
    return count >= MANY_BLOCKS and max_k > TEAM and width - 1 > FEW and jax.default_backend() == "cpu"


def nothing_known(blocks: Blocks, centroids: jax.Array) -> Bounds:
    """Before the first assignment, to these centroids."""
    zeros = jnp.zeros(blocks.mass.shape, centroids.dtype)
    return Bounds(Known(zeros.astype(jnp.int32), zeros + jnp.inf, zeros), centroids, jnp.zeros((), bool))


def assign_by_bounds(blocks: Blocks, bounds: Bounds, centroids: jax.Array, live: jax.Array) -> tuple[Bounds, jax.Array]:
    """Bounds and labels for these centroids, and the sums of `assign_and_add`."""
    count, size, width = blocks.x.shape
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

    def to_the_few(of: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        x, squared, labels = of
        scores = matmul(rows[farthest[:few]], x.T)
        scores = jnp.where(farthest[:few, None] == labels[None, :], jnp.inf, scores).min(0)
        return distance(scores, squared, -1)

    def go_on(blocks: Blocks, known: Known) -> tuple[Known, jax.Array]:
        upper = (known.upper + ways.at[known.labels].get(mode="clip")) * up
        lower = jax.lax.cond(
            longest[0] > 2 * longest[few],
            lambda: jnp.minimum(
                (known.lower - longest[few]) * down,
                jax.lax.map(to_the_few, (blocks.x, blocks.squared, known.labels)),
            ),
            lambda: (known.lower - longest[0]) * down,
        )
        asked = (blocks.present & (upper >= lower)).reshape(-1)
        x, squared = blocks.x.reshape(-1, width), blocks.squared.reshape(-1)
        places = jnp.nonzero(asked, size=asked.size, fill_value=asked.size)[0]
        chunk = min(size // 2, asked.size)

        def ask(number: jax.Array, known: Known) -> Known:
            at = jax.lax.dynamic_slice(places, (number * chunk,), (chunk,))
            squares = squared.at[at].get(mode="clip")
            labels, first, second = two_of_many(rows, x.at[at].get(mode="clip").T)
            found = Known(labels, distance(first, squares, 1), distance(second, squares, -1))
            return jax.tree.map(lambda old, new: old.at[at].set(new, mode="drop"), known, found)

        flat = Known(known.labels.reshape(-1), upper.reshape(-1), lower.reshape(-1))
        found = jax.lax.fori_loop(0, -(-asked.sum() // chunk), ask, flat)
        before = jnp.isfinite(known.upper).reshape(-1) & blocks.present.reshape(-1)
        worth = 2 * (before & asked).sum() < before.sum()
        return jax.tree.map(lambda a: a.reshape(known.labels.shape), found), worth

    def everywhere() -> tuple[Known, jax.Array, jax.Array]:
        found, worth = go_on(blocks, bounds.known)
        whole = jax.tree.map(lambda a: a.reshape(count * size, *a.shape[2:]), blocks)
        return found, worth, added(whole, found.labels.reshape(-1), len(centroids))

    def of_the_scout() -> tuple[Known, jax.Array, jax.Array]:
        labels, sums = assign_and_add(blocks, centroids, live)
        first, worth = go_on(*jax.tree.map(lambda a: a[:1, :SCOUT], (blocks, bounds.known)))
        unknown = Known(labels, jnp.full_like(bounds.known.upper, jnp.inf), bounds.known.lower)
        return jax.tree.map(lambda a, b: a.at[:1, :SCOUT].set(b), unknown, first), worth, sums

    found, worth, sums = jax.lax.cond(bounds.everywhere, everywhere, of_the_scout)
    return Bounds(found, centroids, worth), sums
