"""Lloyd's iterations on centred points, in blocks."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from clusterjax.clustering.cloud import Blocks, Cloud, added, assign_and_add, squared_to_own
from clusterjax.clustering.hamerly import Bounds, assign_by_bounds, nothing_known, pays
from clusterjax.distances import unit_rows


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
        bounds: Bounds | None
        iteration: jax.Array
        done: jax.Array
        reseeded: jax.Array

    def assign(centroids: jax.Array, bounds: Bounds | None) -> tuple[jax.Array, jax.Array, Bounds | None]:
        if bounds is None:
            return *assign_and_add(blocks, centroids, live), None
        bounds, sums = assign_by_bounds(blocks, bounds, centroids, live)
        return bounds.known.labels, sums, bounds

    def step(state: State) -> State:
        labels, sums, bounds = assign(state.centroids, state.bounds)
        empty = live & (sums[:, -1] <= 0)
        sums, reseeded = jax.lax.cond(
            empty.any(),
            lambda: reseed(blocks, state.centroids, labels, empty),
            lambda: (sums, jnp.zeros_like(state.reseeded)),
        )
        new = average(sums, state.centroids, live, cloud.origin if spherical else None)
        # 0 where no label changes, as the sums then are the same bit by bit; a NaN ends it too
        shift = jnp.square(new - state.centroids).sum()
        return State(new, bounds, state.iteration + 1, ~(shift > threshold), state.reseeded + reseeded)

    zero = jnp.zeros((), jnp.int32)
    state = jax.lax.while_loop(
        lambda state: ~state.done & (state.iteration < max_iterations),
        step,
        State(start, nothing_known(blocks, start) if pays(blocks, max_k) else None, zero, jnp.zeros((), bool), zero),
    )
    labels, sums, _ = assign(state.centroids, state.bounds)
    squared = squared_to_own(blocks, state.centroids, labels)
    return Fitted(
        state.centroids,
        labels.reshape(-1)[: len(cloud.x)],
        (squared * blocks.mass).sum(),
        sums[:, -1],
        state.iteration,
        state.done,
        state.reseeded,
    )


def reseed(blocks: Blocks, centroids: jax.Array, labels: jax.Array, empty: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The sums when each empty cluster has been given one of the points farthest from their centroids; how many were.

    A point on its centroid is not given away: there are fewer different points than clusters then. A cluster that is
    empty in the end takes the sums of the largest.
    """
    squared = jnp.where(blocks.mass > 0, squared_to_own(blocks, centroids, labels), 0).reshape(-1)
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
