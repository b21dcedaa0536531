"""Where k-means starts: points drawn by their squared distance to those drawn before, or any different points.

A draw goes along the points that have mass, and so does not change when a point that takes no part is removed. Random
numbers are of 32 bits throughout: their own default would make other draws with jax_enable_x64.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from clusterjax.arithmetic import ratio
from clusterjax.distances import FEW, gram_factors, gram_squared, squared_differences


def plus_plus(key: jax.Array, x: jax.Array, mass: jax.Array, k: jax.Array, max_k: int) -> jax.Array:
    """Greedy k-means++: each next point is the best of `2 + floor(log k)`, drawn by mass times squared distance.

    Args:
        key: one for these points.
        x: [n, d], around their mean.
        mass: [n], some of it positive.
        k: how many, traced or not.
        max_k: at most.

    Returns:
        [max_k, d]; rows from k on are zeros. The first k of a larger number are not those of k: fewer are tried.
    """
    trials = 2 + np.floor(np.log(np.arange(1, max_k + 1))).astype(np.int32)
    most = int(trials[-1])
    allowed = jnp.arange(most, dtype=jnp.int32) < jnp.asarray(trials)[k - 1]
    left, right = gram_factors(x)

    def to(points: jax.Array) -> jax.Array:
        """Squared distances [trials, n]."""
        if x.shape[1] <= FEW:
            return squared_differences(x[points], x)
        return gram_squared(left[points], right)

    def grow(number: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        chosen, closest = state
        uniform = jax.random.uniform(jax.random.fold_in(key, number), (most,), jnp.float32)
        candidates = draw(uniform, closest * mass, mass)
        closer = jnp.minimum(closest[None, :], to(candidates))
        potential = jnp.where(allowed, (closer * mass[None, :]).sum(1), jnp.inf)
        best = potential.argmin()
        return chosen.at[number].set(candidates[best]), closer[best]

    first = draw(jax.random.uniform(jax.random.fold_in(key, 0), (1,), jnp.float32), mass, mass)
    chosen = jnp.zeros(max_k, jnp.int32).at[0].set(first[0])
    chosen, _ = jax.lax.fori_loop(1, k, grow, (chosen, to(first)[0]))
    return jnp.where((jnp.arange(max_k, dtype=jnp.int32) < k)[:, None], x[chosen], 0)


def draw(uniform: jax.Array, mass: jax.Array, otherwise: jax.Array) -> jax.Array:
    """Points in proportion to their mass, one for each number in [0, 1); to another mass where that is 0 everywhere.

    A row of points is found by the rows' sums and the point in it by its own: sums along all points would take longer
    than their distances.
    """
    length = math.isqrt(len(mass)) + 1

    def in_rows(mass: jax.Array) -> tuple[jax.Array, jax.Array]:
        rows = jnp.pad(mass, (0, -len(mass) % length)).reshape(-1, length)
        return rows, rows.sum(1)

    rows, sums = in_rows(mass)
    some = (sums > 0).any()
    rows, sums = jax.tree.map(lambda ours, other: jnp.where(some, ours, other), (rows, sums), in_rows(otherwise))
    row, share = _go_along(sums[None, :], uniform.astype(mass.dtype))
    return row * length + _go_along(rows[row], share)[0]


def _go_along(mass: jax.Array, share: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The place in each row of masses [.., n] at this share of their sum, and the share of its own mass left over."""
    upto = jnp.cumsum(mass, 1)
    # rounding may leave a share of 1, or sums not quite in order: still a place is found, and one with mass
    sought = jnp.minimum(share, 1 - jnp.finfo(mass.dtype).eps) * upto.max(1)
    number = jnp.arange(mass.shape[1], dtype=jnp.int32)[None, :]
    after = (upto > sought[:, None]) & (mass > 0)
    place = jnp.where(after, number, mass.shape[1] - 1).min(1)
    before = jnp.where(number < place[:, None], mass, 0).sum(1)
    return place, ratio(sought - before, jnp.where(number == place[:, None], mass, 0).sum(1))


def distinct(key: jax.Array, x: jax.Array, mass: jax.Array, k: jax.Array, max_k: int) -> jax.Array:
    """Different points, drawn in proportion to their mass without replacement, [max_k, d].

    The first k of a larger number are those of k. Each point waits for a time that is exponential with its mass as the
    rate, and the first come are taken (Efraimidis and Spirakis, 2006).
    """
    place = jnp.maximum(jnp.cumsum(mass > 0) - 1, 0)
    uniform = jax.random.uniform(key, mass.shape, jnp.float32, minval=jnp.finfo(jnp.float32).tiny)
    wait = -jnp.log(uniform[place]).astype(mass.dtype) / jnp.where(mass > 0, mass, 1)
    wait = jnp.where(mass > 0, wait, jnp.inf)
    taken = min(max_k, len(x))
    chosen = jax.lax.top_k(-wait, taken)[1]
    rows = jnp.zeros((max_k, x.shape[1]), x.dtype).at[:taken].set(x[chosen])
    return jnp.where((jnp.arange(max_k, dtype=jnp.int32) < k)[:, None], rows, 0)
