"""Distances between two blocks of points: the only square root, the only epsilon and the only guarded ratio."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from clusterjax.typing import Array, Metric, OtherPoints, Points


def ratio(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """numerator / denominator, and 0 (with zero gradient) where the denominator is not positive; NaN stays NaN."""
    empty = denominator <= 0
    return jnp.where(empty, 0, numerator / jnp.where(empty, 1, denominator))


def safe_sqrt(x: jax.Array) -> jax.Array:
    """Square root with value and derivatives 0 at zero and below; NaN stays NaN."""
    flat = x <= 0
    return jnp.where(flat, 0, jnp.sqrt(jnp.where(flat, 1, x)))


def as_points(x: Array) -> jax.Array:
    """Float array of at least 32 bits."""
    x = jnp.asarray(x)
    return x if x.dtype in (jnp.float32, jnp.float64) else x.astype(jnp.float32)


def squared_euclidean(x: Points, y: OtherPoints) -> jax.Array:
    """Squared Euclidean distances by the Gram expansion."""
    centre = y.mean(0, keepdims=True)
    x, y = x - centre, y - centre
    gram = jnp.matmul(x, y.T, precision=jax.lax.Precision.HIGHEST)
    return jnp.maximum((x * x).sum(1)[:, None] + (y * y).sum(1)[None, :] - 2 * gram, 0)


def euclidean(x: Points, y: OtherPoints) -> jax.Array:
    """Euclidean distances."""
    return safe_sqrt(squared_euclidean(x, y))


def cosine(x: Points, y: OtherPoints) -> jax.Array:
    """One minus the cosine; a zero vector is at distance 1 from everything."""
    x, y = (ratio(v, safe_sqrt((v * v).sum(1, keepdims=True))) for v in (x, y))
    return 1 - jnp.matmul(x, y.T, precision=jax.lax.Precision.HIGHEST)


def manhattan(x: Points, y: OtherPoints) -> jax.Array:
    """Sum of absolute differences."""
    return jnp.abs(x[:, None, :] - y[None, :, :]).sum(-1)


def chebyshev(x: Points, y: OtherPoints) -> jax.Array:
    """Largest absolute difference."""
    return jnp.abs(x[:, None, :] - y[None, :, :]).max(-1)


METRICS: dict[str, Callable[..., jax.Array]] = {
    "euclidean": euclidean,
    "squared_euclidean": squared_euclidean,
    "cosine": cosine,
    "manhattan": manhattan,
    "chebyshev": chebyshev,
}


def resolve(metric: Metric) -> Partial:
    """The metric as a `Partial`: its function static, its parameters traced."""
    if isinstance(metric, str):
        if metric == "precomputed":
            return Partial(precomputed)
        if metric not in METRICS:
            raise ValueError(f"unknown metric {metric!r}: pass one of {sorted([*METRICS, 'precomputed'])} or a function")
        metric = METRICS[metric]
    return metric if isinstance(metric, Partial) else Partial(metric)


def precomputed(x: Array, y: Array) -> jax.Array:
    """Marker: the data are the distances."""
    raise TypeError("precomputed distances are not computed")


def pairwise_distances(x: Points, y: OtherPoints | None = None, *, metric: Metric = "euclidean") -> jax.Array:
    """All distances between the rows of `x` and of `y`."""
    metric, x = resolve(metric), as_points(x)
    if metric.func is precomputed:
        return x
    distances = metric(x, x if y is None else as_points(y))
    return jnp.where(jnp.eye(x.shape[0], dtype=bool), 0, distances) if y is None else distances
