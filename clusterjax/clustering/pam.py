"""PAM: medoids built one after the other, then swapped while that lowers the objective, on a matrix of dissimilarities.

Each step looks at every point as a medoid at the cost of one visit of all pairs: what a swap saves is a sum over points
that every medoid shares, and one over its own (FastPAM). The best swap of all is made, which gives the medoids of R's
`pam`. To take the first that helps (FasterPAM) would make a visit into n small steps, one after the other; after the
greedy start few swaps are left, and neither order ends lower than the other as a rule.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from clusterjax.partition import sums_by_cluster
from clusterjax.tiles import TILE_ELEMENTS
from clusterjax.typing import Array


def search(
    distances: jax.Array, mass: jax.Array, first: Array | None, max_iterations: int, k: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Medoids [k] in ascending order, how many swaps were made, and whether none is left that helps."""
    first = _build(distances, mass, k) if first is None else jnp.asarray(first)

    def objective(medoids: jax.Array) -> jax.Array:
        return (mass * of_present(distances[medoids].min(0), mass)).sum()

    def step(state: tuple) -> tuple:
        medoids, value, swaps, _ = state
        out, into = _best_swap(distances, mass, medoids)
        swapped = jnp.sort(medoids.at[out].set(into))
        # not what the swap should save, which is rounded: a value that falls cannot return
        lower = objective(swapped)
        helps = lower < value
        return (
            jnp.where(helps, swapped, medoids),
            jnp.where(helps, lower, value),
            swaps + helps.astype(swaps.dtype),
            ~helps,
        )

    first = jnp.sort(first)
    start = first, objective(first), jnp.zeros((), jnp.int32), jnp.array(False)
    medoids, value, swaps, done = jax.lax.while_loop(lambda s: ~s[3] & (s[2] < max_iterations), step, start)
    return medoids, swaps, done & ~jnp.isnan(value)


def _build(distances: jax.Array, mass: jax.Array, k: int) -> jax.Array:
    """One medoid after the other, each the point that brings all others nearest."""

    def add(state: tuple[jax.Array, jax.Array], i: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        closest, chosen = state

        def saved(columns: jax.Array) -> jax.Array:
            # of the first there is nothing to be nearer than
            gain = jnp.where(i == 0, -columns, jnp.maximum(closest[:, None] - columns, 0))
            return (mass[:, None] * gain).sum(0)

        gain = _by_candidates(saved, distances)
        medoid = jnp.where(chosen | (mass == 0), -jnp.inf, gain).argmax().astype(jnp.int32)
        return (jnp.minimum(closest, distances[medoid]), chosen.at[medoid].set(True)), medoid

    start = jnp.full_like(mass, jnp.inf), jnp.zeros(len(mass), bool)
    return jax.lax.scan(add, start, jnp.arange(k))[1]


def _best_swap(distances: jax.Array, mass: jax.Array, medoids: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which medoid [] should give way to which point [].

    With d1, d2 the distances to the nearest medoid and to the second, a point o adds to the cost of making c a medoid
    `min(d(o, c) - d1, 0)` whichever medoid goes, and `clip(d(o, c), d1, d2) - d1` if its own does.
    """
    k = len(medoids)
    to_medoids = distances[medoids]
    own, d1 = nearest(to_medoids.T)
    d2 = jnp.where(jax.nn.one_hot(own, k, axis=0, dtype=bool), jnp.inf, to_medoids).min(0)

    def cost(columns: jax.Array) -> jax.Array:
        """[k, block], of each medoid that may go."""
        shared = (mass[:, None] * jnp.minimum(columns - d1[:, None], 0)).sum(0, keepdims=True)
        of_own = mass[:, None] * (jnp.clip(columns, d1[:, None], d2[:, None]) - d1[:, None])
        return shared + sums_by_cluster(of_own, own, k)

    costs = _by_candidates(cost, distances)
    costs = jnp.where((mass == 0)[None, :], jnp.inf, costs).at[:, medoids].set(jnp.inf)
    best = costs.T.argmin()  # of equally good ones the first point, and for it the first medoid, as R does
    return best % k, (best // k).astype(medoids.dtype)


def _by_candidates(f: Any, distances: jax.Array) -> jax.Array:
    """`f` of some columns of the distances at a time, [..., block] -> [..., n]: a point as a medoid is a column."""
    n = len(distances)
    size = min(n, max(TILE_ELEMENTS // n, 8))
    count = -(-n // size)
    if count == 1:
        return f(distances)
    starts = jnp.minimum(jnp.arange(count) * size, n - size)  # the last block may repeat some of the one before
    found = jax.lax.map(lambda start: f(jax.lax.dynamic_slice_in_dim(distances, start, size, 1)), starts)
    found = jnp.moveaxis(found, 0, -2)
    places = jnp.minimum(jnp.arange(n) // size, count - 1)
    return found[..., places, jnp.arange(n) - starts[places]]


def nearest(to_medoids: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The nearest medoid [n] and how far it is, of distances [n, k]; of equally near ones the first."""
    return to_medoids.argmin(1).astype(jnp.int32), to_medoids.min(1)


def of_present(values: jax.Array, mass: jax.Array) -> jax.Array:
    """0 for who takes no part."""
    return jnp.where(mass > 0, values, 0)
