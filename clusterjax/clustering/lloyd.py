"""Lloyd's iterations on centred points, in blocks: never an array of all points by all centroids."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import NOISE, matmul
from clusterjax.distances import FEW, squared_differences, unit_rows
from clusterjax.partition import sums_by_cluster

# Scores held at a time, centroids by points.
TILE_ELEMENTS = 2**19
LEAST_BLOCK = 1024
# Scores that are compared one after the other, and so in one loop over the points.
TEAM = 20


class Cloud(NamedTuple):
    """Points as the iterations see them.

    Attributes:
        x: [n, d], around their mean; 0 in the row of a point that takes no part.
        mass: [n], how much each counts in a centroid, 0 where it takes no part.
        present: [n], which take part: with no mass a point still has a label.
        origin: [1, d], the mean.
    """

    x: jax.Array
    mass: jax.Array
    present: jax.Array
    origin: jax.Array


class Blocks(NamedTuple):
    """The same block by block, [count, block, ...], the last filled up with points that take no part.

    Attributes:
        x: [count, block, d + 1], with a column of ones, of zeros where a point takes no part: it takes the centroids'
            lengths into the scores, and the masses into the sums.
        counts_as: mass by which a row is multiplied in the sums; None where each counts as it stands in `x`.
        columns: [1, d + 1, block], `x` again as a product wants it, which saves a small one a third of its time; None
            where there are several blocks, of which it would save nothing.
    """

    x: jax.Array
    mass: jax.Array
    present: jax.Array
    counts_as: jax.Array | None
    columns: jax.Array | None = None


class Fitted(NamedTuple):
    """Where the iterations stopped.

    Attributes:
        centroids: [max_k, d], around the origin; what stands in rows from k on means nothing.
        labels: [n], the nearest centroid.
        inertia: sum of mass times squared distance.
        sizes: [max_k], mass of each cluster.
        num_iterations: how many.
        converged: whether they stopped by themselves.
        num_reseeded: how often a centroid without points was put elsewhere.
    """

    centroids: jax.Array
    labels: jax.Array
    inertia: jax.Array
    sizes: jax.Array
    num_iterations: jax.Array
    converged: jax.Array
    num_reseeded: jax.Array


def lloyd(
    cloud: Cloud, blocks: Blocks, start: jax.Array, k: jax.Array, max_iterations: jax.Array, threshold: jax.Array,
    *, spherical: bool,
) -> Fitted:  # fmt: skip
    """Assign, average, until labels stay or centroids all but stay; then assign once more.

    Args:
        cloud: the points.
        blocks: the same, by `in_blocks`.
        start: [max_k, d], around the origin.
        k: how many rows of them count, traced or not.
        max_iterations: at least 1.
        threshold: of the summed squared shift of the centroids.
        spherical: whether centroids are brought to length 1.
    """
    max_k = len(start)
    live = jnp.arange(max_k, dtype=jnp.int32) < k

    class State(NamedTuple):
        centroids: jax.Array
        iteration: jax.Array
        done: jax.Array
        reseeded: jax.Array

    def step(state: State) -> State:
        labels, sums = assign_and_add(blocks, state.centroids, live)
        empty = live & (sums[:, -1] <= 0)
        sums, reseeded = jax.lax.cond(
            empty.any(),
            lambda: reseed(blocks, state.centroids, labels, empty),
            lambda: (sums, jnp.zeros_like(state.reseeded)),
        )
        new = average(sums, state.centroids, live, cloud.origin if spherical else None)
        # 0 where no label changes, as the sums then are the same bit by bit; a NaN ends it too
        shift = jnp.square(new - state.centroids).sum()
        return State(new, state.iteration + 1, ~(shift > threshold), state.reseeded + reseeded)

    zero = jnp.zeros((), jnp.int32)
    state = jax.lax.while_loop(
        lambda state: ~state.done & (state.iteration < max_iterations),
        step,
        State(start, zero, jnp.zeros((), bool), zero),
    )

    def settle(block: Blocks) -> tuple[jax.Array, jax.Array]:
        labels = nearest(block.x, state.centroids, live, block.columns)
        return labels, (squared_to_own(block.x, state.centroids, labels) * block.mass).sum()

    labels, inertia = jax.lax.map(settle, blocks)
    labels = labels.reshape(-1)
    return Fitted(
        state.centroids,
        labels[: len(cloud.x)],
        inertia.sum(),
        jax.ops.segment_sum(blocks.mass.reshape(-1), labels, max_k),
        state.iteration,
        state.done,
        state.reseeded,
    )


def in_blocks(cloud: Cloud, max_k: int, *, alike: bool) -> Blocks:
    """The points in blocks for so many centroids; `alike` where all that take part have mass 1."""
    n = len(cloud.x)
    size = min(max(TILE_ELEMENTS // max_k, LEAST_BLOCK), max(n, 1))
    count = -(-n // size)
    x = jnp.concatenate([cloud.x, cloud.present[:, None].astype(cloud.x.dtype)], 1)
    parts = Blocks(x, cloud.mass, cloud.present, None if alike else cloud.mass)

    def cut(a: jax.Array) -> jax.Array:
        padded = jnp.pad(a, [(0, count * size - n)] + [(0, 0)] * (a.ndim - 1))
        return padded.reshape(count, size, *a.shape[1:])

    blocks = jax.tree.map(cut, parts)
    return blocks if count > 1 else blocks._replace(columns=jax.lax.optimization_barrier(blocks.x.swapaxes(1, 2)))


def nearest(x: jax.Array, centroids: jax.Array, live: jax.Array, columns: jax.Array | None = None) -> jax.Array:
    """The first of the nearest live centroids of each point, [block]; by `columns` where `Blocks` have them."""
    k, d = centroids.shape
    columns = x.T if columns is None else columns
    barred = jnp.where(live, 0, jnp.inf).astype(x.dtype)[:, None]
    if d <= FEW:
        scores = squared_differences(centroids, x[:, :-1]) + barred
        return first_of_few(scores) if k <= TEAM else scores.argmin(0).astype(jnp.int32)
    # |x - c|^2 / 2 without |x|^2 / 2, as one product; centroids in rows, so that a minimum is one of whole vectors
    rows = jnp.concatenate([-centroids, jnp.square(centroids).sum(1, keepdims=True) / 2 + barred], 1)
    return first_of_few(matmul(rows, columns)) if k <= TEAM else first_of_many(rows, columns)


def first_of_few(scores: jax.Array) -> jax.Array:
    """The number of the first of the smallest scores in each column, [k, m] -> [m]: one loop over the columns."""
    best, number = scores[0], jnp.zeros(scores.shape[1], jnp.int32)
    for row in range(1, len(scores)):
        closer = scores[row] < best
        best, number = jnp.where(closer, scores[row], best), jnp.where(closer, row, number)
    return number


def first_of_many(rows: jax.Array, columns: jax.Array) -> jax.Array:
    """The same for the scores `rows @ columns`, where the last number of a row is its bar.

    A tournament: the winners of teams are compared, and then the members of the team that won. So all scores are gone
    through once; an `argmin` goes one by one, and a search for what equals the minimum takes them a second time.
    """
    teams = -(-len(rows) // TEAM)
    size = -(-len(rows) // teams)
    rows = jnp.pad(rows, [(0, teams * size - len(rows)), (0, 0)]).at[len(rows) :, -1].set(jnp.inf)
    scores = matmul(rows, columns).reshape(teams, size, -1)
    winners = reduce(jnp.minimum, [scores[:, place] for place in range(size)])
    smallest = winners.min(0, keepdims=True)
    team = _first_equal(winners, smallest)
    members = jnp.take_along_axis(scores, team[None, None, :], 0)[0]
    return team * size + _first_equal(members, smallest)


def _first_equal(values: jax.Array, sought: jax.Array) -> jax.Array:
    """The first row of each column that holds what is sought there; the last where none does."""
    # numbers as floats, whose minimum is the faster
    number = jnp.arange(len(values), dtype=values.dtype)[:, None]
    return jnp.where(values == sought, number, len(values) - 1).min(0).astype(jnp.int32)


def assign_and_add(blocks: Blocks, centroids: jax.Array, live: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Labels [count, block]; and for each cluster the sum of its points with their mass after it, [max_k, d + 1]."""

    def one(sums: jax.Array, block: Blocks) -> tuple[jax.Array, jax.Array]:
        labels = nearest(block.x, centroids, live, block.columns)
        return sums + added(block, labels, len(centroids)), labels

    zero = jnp.zeros((len(centroids), blocks.x.shape[-1]), blocks.x.dtype)
    sums, labels = jax.lax.scan(one, zero, blocks)
    return labels, sums


def added(block: Blocks, labels: jax.Array, max_k: int) -> jax.Array:
    """Sums of one block, [max_k, d + 1]."""
    rows = block.x if block.counts_as is None else block.x * block.counts_as[:, None]
    return sums_by_cluster(rows, labels, max_k)


def squared_to_own(x: jax.Array, centroids: jax.Array, labels: jax.Array) -> jax.Array:
    """Squared distance of each point of a block to its centroid, by differences; 0 where it is rounding."""
    x = x[:, :-1]
    squared = jnp.square(x - centroids.at[labels].get(mode="clip")).sum(1)
    noise = (NOISE * jnp.finfo(x.dtype).eps) ** 2 * jnp.square(x).sum(1)
    return jnp.where(squared <= noise, 0, squared)


def reseed(blocks: Blocks, centroids: jax.Array, labels: jax.Array, empty: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The sums when each empty cluster has been given one of the points farthest from their centroids; how many were.

    A point on its centroid is not given away: there are fewer different points than clusters then. A cluster that is
    empty in the end takes the sums of the largest.
    """
    squared = jax.lax.map(lambda of: squared_to_own(of[0], centroids, of[1]), (blocks.x, labels))
    squared = jnp.where(blocks.mass > 0, squared, 0).reshape(-1)
    farthest, points = jax.lax.top_k(squared, min(len(centroids), squared.size))
    place = jnp.minimum(jnp.cumsum(empty) - 1, len(points) - 1)  # among the empty clusters
    given = empty & (farthest[place] > 0)
    to = jnp.where(given, points[place], squared.size)
    moved = labels.reshape(-1).at[to].set(jnp.arange(len(centroids), dtype=jnp.int32), mode="drop")
    zero = jnp.zeros((len(centroids), blocks.x.shape[-1]), blocks.x.dtype)
    sums = jax.lax.scan(
        lambda sums, of: (sums + added(*of, len(centroids)), None), zero, (blocks, moved.reshape(labels.shape))
    )[0]
    return fill_empty(sums), given.sum(dtype=jnp.int32)


def fill_empty(sums: jax.Array) -> jax.Array:
    """Sums in which a cluster without points has those of the largest."""
    mass = sums[:, -1:]
    return jnp.where(mass > 0, sums, sums[mass[:, 0].argmax()][None, :])


def average(sums: jax.Array, old: jax.Array, live: jax.Array, origin: jax.Array | None) -> jax.Array:
    """New centroids from the sums; with an origin, of length 1 from there.

    A mean of length 0 has no direction: the old one stays.
    """
    mass = sums[:, -1:]
    means = sums[:, :-1] / jnp.where(mass > 0, mass, 1)
    if origin is not None:
        unit = unit_rows(means + origin)
        means = jnp.where((unit != 0).any(1, keepdims=True), unit - origin, old)
    return jnp.where(live[:, None], means, old)
