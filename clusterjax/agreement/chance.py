"""Mutual information, and what labels at random would have of it, as sums of terms that are not negative.

With u = n n_ij / (a_i b_j) - 1, how much more class i and cluster j share than if they were independent,

    sum_ij (n_ij / n) log(1 + u) = sum_ij (a_i b_j / n^2) h(u),   h(u) = (1 + u) log(1 + u) - u >= 0,

since the mean of u is 0. The first form is a small difference of large terms, the second is none, and so is its mean
over all labelings with the same sizes.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy

from clusterjax.agreement.contingency import Table
from clusterjax.agreement.integers import as_float, difference, long, product
from clusterjax.arithmetic import ratio

# Pairs of a class and a cluster at a time: what one holds fits a cache, and those of like size are done together.
PAIRS = 4096
# Below this h is a series.
SMALL = 0.3


def mutual_information(t: Table) -> jax.Array:
    """Of class and cluster; exactly 0 where they are independent."""
    classes, clusters, n = t.sizes
    u = ratio(_excess(t.n, t.cells, t.classes, t.clusters, t.dtype), classes * clusters)
    return _sum((classes / n) * (clusters / n) * divergence(u))


def divergence(u: jax.Array) -> jax.Array:
    """`(1 + u) log(1 + u) - u`, of u >= -1, to float rounding also near 0."""
    near = jnp.clip(u, -SMALL, SMALL)
    s = near / (2 + near)  # log(1 + u) = 2 (s + s^3 / 3 + s^5 / 5 + ...)
    square, tail = s * s, jnp.zeros_like(s)
    for power in range(17, 1, -2):
        tail = tail * square + 1 / power
    series = 2 * square / (1 - s) * (1 + (1 + s) * s * tail)
    return jnp.where(jnp.abs(u) < SMALL, series, xlogy(1 + u, 1 + u) - u)


def expected_mutual_information(t: Table) -> jax.Array:
    """The mean over all labelings with these sizes of classes and clusters."""
    classes, clusters, n = t.sizes
    shape = t.cells.shape
    a, b = (jnp.broadcast_to(sizes, shape).reshape(-1) for sizes in (t.classes, t.clusters))
    weights = ((classes / n) * (clusters / n)).reshape(-1)
    order = jnp.argsort(-weights)  # the largest pairs have the most numbers of common points to visit
    size = min(PAIRS, len(order))
    pad = (0, -len(order) % size)
    a, b, weights = (jnp.pad(x[order], pad).reshape(-1, size) for x in (a, b, weights))
    return jax.lax.map(lambda part: _sum(part[2] * _expected(part[0], part[1], t.n, t.dtype)), (a, b, weights)).sum()


def _expected(a: jax.Array, b: jax.Array, n: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """The mean of h over the hypergeometric distribution of the number m of points that a and b of n have in common.

    Its weights by `p(m + 1) / p(m) = (a - m) (b - m) / ((m + 1) (n - a - b + m + 1))`, upwards and downwards from the
    mode, until all that is left are too small to count: logarithms of factorials would lose every digit in float32.
    """
    rest = n - b - a  # may be negative, but not below -m

    def real(x: jax.Array) -> jax.Array:
        return x.astype(dtype)

    share = ratio(real(b) + 1, real(n) + 2)
    mode = jnp.clip(((real(a) + 1) * share).astype(jnp.int32), jnp.maximum(0, -rest), jnp.minimum(a, b))
    whole = jnp.maximum(real(a) * real(b), 1)
    start, step = _excess(n, mode, a, b, dtype) / whole, real(n) / whole
    least = jnp.finfo(dtype).eps ** 2

    def goes_on(state) -> jax.Array:
        _, up, down, *_ = state
        return ((up > least) | (down > least)).any()

    def further(state):
        t, up, down, weights, sums = state
        m = mode + t
        up = up * (real(a - m) * real(b - m)) / (real(m + 1) * real(rest + m + 1))
        m = mode - t
        down = down * (real(m) * real(rest + m)) / (real(a - m + 1) * real(b - m + 1))
        t = t + 1
        above, below = start + real(t) * step, start - real(t) * step
        sums = sums + up * divergence(above) + down * divergence(jnp.maximum(below, -1))
        return t, up, down, weights + up + down, sums

    one = jnp.ones_like(start)
    state = jnp.zeros((), jnp.int32), one, one, one, divergence(start)
    *_, weights, sums = jax.lax.while_loop(goes_on, further, state)
    return sums / weights


def _sum(x: jax.Array) -> jax.Array:
    """In two steps, which the barrier keeps apart: of a long row of numbers each addition is another rounding."""
    part = max(1, math.isqrt(x.size))
    parts = jnp.pad(x.reshape(-1), (0, -x.size % part)).reshape(-1, part).sum(1)
    return jax.lax.optimization_barrier(parts).sum()


def _excess(n: jax.Array, common: jax.Array, a: jax.Array, b: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """`n common - a b`, exact before it is rounded."""
    return as_float(difference(product(long(n), long(common)), product(long(a), long(b))), dtype)
