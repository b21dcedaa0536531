"""Sums of Manhattan distances by cluster without any pair of points: feature by feature, from sorted values."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import above_noise, matmul
from clusterjax.partition import centroids
from clusterjax.typing import Array, Sums, Weights

# Rows of a block whose running sums are one small product.
BLOCK = 32
# Numbers held of each kind at a time, points times clusters.
HELD = 2**22


def manhattan_sums(x: Array, w: Weights) -> Sums:
    """`S_ik = sum_j w_jk sum_f |x_if - x_jf|` in O(n k d) and a sort of each feature.

    Of one feature with values t and a place c near the cluster, with W the weights of its members below t (those at t
    counted half, which is what makes the gradient 0 there) and U their sum of weight times `x_j - c`,

        sum_j w_j |t - x_j| = (t - c) (2 W - W of all) - (2 U - U of all)

    and every term is as small as the cluster and the way to it.

    Args:
        x: [n, d].
        w: [n, k].

    Returns:
        [n, k]. What is not finite spoils all.
    """
    n, k = w.shape
    count = -(-k // max(HELD // n, 1))
    size = -(-k // count)

    def parts(a: Array) -> jax.Array:
        """The clusters in parts, `[..., k]` -> `[count, ..., size]`."""
        filled = jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, count * size - k)])
        return jnp.moveaxis(filled.reshape(*a.shape[:-1], count, size), -2, 0)

    weights = parts(w)

    @jax.checkpoint
    def add(sums: jax.Array, feature: tuple[jax.Array, jax.Array]) -> jax.Array:
        t, c = feature
        order = jnp.argsort(t)
        values = t[order]
        below, through = _ranks(values, order)

        def of_clusters(given: tuple[jax.Array, jax.Array]) -> jax.Array:
            w, c = given
            w = w[order]
            running = _running_sums(jnp.concatenate([w, w * (values[:, None] - c)], 1))
            twice = running[below] + running[through] - running[-1]
            offset = t[:, None] - c
            # the sum is no less than that of a cluster that lies at its centroid, but for what rounding leaves of
            # duplicates
            return above_noise(offset * twice[:, :size] - twice[:, size:], jnp.abs(offset) * running[-1, :size])

        return sums + jax.lax.map(of_clusters, (weights, c))

    features = x.T, parts(jax.lax.stop_gradient(centroids(x, w)).T).swapaxes(0, 1)
    sums = jax.lax.scan(lambda sums, feature: (add(sums, feature), None), jnp.zeros_like(weights), features)[0]
    return jnp.moveaxis(sums, 0, -2).reshape(n, -1)[:, :k]


def _ranks(values: jax.Array, order: jax.Array) -> tuple[Array, Array]:
    """For each point how many lie below its value, and how many below or at it.

    Args:
        values: [n], sorted.
        order: [n], which points they are of.
    """
    n = len(values)
    place, changes = jnp.arange(n), values[1:] != values[:-1]
    below = jax.lax.cummax(jnp.where(jnp.append(True, changes), place, 0))
    through = jax.lax.cummin(jnp.where(jnp.append(changes, True), place + 1, n), reverse=True)
    nothing = jnp.zeros_like(place)
    return nothing.at[order].set(below, unique_indices=True), nothing.at[order].set(through, unique_indices=True)


def _running_sums(values: jax.Array) -> jax.Array:
    """`[n, c]` -> [n + 1, c], the sums of the first 0, 1, ..., n rows; in blocks, which rounds less than one by one."""
    n, c = values.shape
    number = -(-n // BLOCK)
    blocks = jnp.pad(values, ((0, number * BLOCK - n), (0, 0))).reshape(number, BLOCK, c)
    within = matmul(jnp.tri(BLOCK, dtype=values.dtype), blocks)
    before = _running_sums(within[:, -1])[:-1] if number > 1 else jnp.zeros((1, c), values.dtype)
    running = (within + before[:, None]).reshape(-1, c)[:n]
    return jnp.pad(running, ((1, 0), (0, 0)))
