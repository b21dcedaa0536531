"""Distances from blocks of queries to a gallery, metric by metric, as far as their order goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import above_noise, matmul, power_of_two
from clusterjax.distances import (
    FEW,
    cosine,
    euclidean,
    gram_factors,
    on_blocks,
    precomputed,
    squared_differences,
    squared_euclidean,
    unit_rows,
    whitened,
    whitened_euclidean,
)
from clusterjax.partition import Partition, centred, scaled
from clusterjax.typing import Array

# Metrics whose order is that of squared distances after a map of the points.
BY_PRODUCT = (euclidean, squared_euclidean, cosine, whitened_euclidean)
# Rows at a time of other metrics, which may hold an array [rows, m, d] meanwhile; a single one takes ten times as long.
ROWS = 8


class Rows(NamedTuple):
    """Of queries, or of a block of them, what their distances are made of.

    Attributes:
        x: [n, ...], points, their Gram factors, or distances.
        zero: [n], whether they have no direction; None where that does not matter.
    """

    x: jax.Array
    zero: jax.Array | None = None


def measured(
    p: Partition, gallery: Array | None, asks: jax.Array, found: jax.Array
) -> tuple[Rows, Callable[[Rows], jax.Array], jax.Array]:
    """Rows of queries, what gives their distances to the gallery, and whether there is a number that is none.

    Distances may be squared: their order is all that counts. They are infinite to what cannot be found, and only to it.
    """
    n, func = len(p.x), p.metric.func
    fill = len(found) - (n if gallery is None else len(gallery))
    present = asks if gallery is None else jnp.concatenate([asks, found[: len(gallery)]])
    x = p.x if gallery is None else jnp.concatenate([p.x, jnp.asarray(gallery).astype(p.x.dtype)])
    w = present[:, None].astype(x.dtype)
    x = scaled(Partition(x, w, None, None, p.metric))[0].x

    def finite(d: jax.Array) -> jax.Array:
        return jnp.where(found[None, :], jnp.minimum(d, jnp.finfo(d.dtype).max), jnp.inf)

    if func is precomputed:
        return Rows(jnp.pad(x, ((0, 0), (0, fill)))), lambda rows: finite(rows.x), jnp.zeros((), bool)
    zero = None
    if func is whitened_euclidean:
        x = whitened(centred(x, w), *p.metric.args)
        x = x / power_of_two(x)
    elif func is cosine:
        x = unit_rows(x)
        zero = (x == 0).all(1)
    spoilt = jnp.zeros((), bool) if func is on_blocks else ~jnp.isfinite(x).all()
    by_product = func in BY_PRODUCT and x.shape[1] > FEW
    x = centred(x, w) if by_product else x

    def in_gallery(a: jax.Array) -> jax.Array:
        return jnp.pad(a if gallery is None else a[n:], ((0, fill), *[(0, 0)] * (a.ndim - 1)))

    others = in_gallery(x)
    if not by_product:
        metric = squared_differences if func in BY_PRODUCT else p.metric
        rows, distances = x[:n], lambda x: finite(_in_a_loop(lambda some: metric(some, others), x))
    else:
        right = gram_factors(others)[1]
        noise = right[:, -1]
        right = right.at[:, -1].set(jnp.where(found, noise, jnp.inf))
        rows, distances = gram_factors(x[:n])[0], lambda x: above_noise(matmul(x, right.T), noise[None, :])
    if zero is None:
        return Rows(rows), lambda rows: distances(rows.x), spoilt
    # at 1 from all, and so at a squared distance of 2
    zeros = in_gallery(zero)
    apart = jnp.where(found, 2.0, jnp.inf).astype(x.dtype)[None, :]
    return (
        Rows(rows, zero[:n]),
        lambda rows: jnp.where(rows.zero[:, None] | zeros[None, :], apart, distances(rows.x)),  # pyright: ignore[reportOptionalSubscript]
        spoilt,
    )


def _in_a_loop(metric: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """Distances [b, m] of a few rows after the other: each is computed once.

    Left to itself, XLA computes a distance again for each that looks at it, rounded in another way, and a point is
    nearer than itself.
    """
    trips = max(-(-len(x) // ROWS), 2)  # of one there would be no loop
    size = -(-len(x) // trips)
    filled = jnp.minimum(jnp.arange(trips * size), len(x) - 1)
    found = jax.lax.map(metric, x[filled].reshape(trips, size, -1))
    return found.reshape(trips * size, -1)[: len(x)]
