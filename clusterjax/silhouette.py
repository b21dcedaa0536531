"""The silhouette: how much closer a point is to its own cluster than to the nearest other one."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from clusterjax.distances import as_points, ratio, resolve
from clusterjax.partition import clean, count_clusters, distance_sums, weights
from clusterjax.typing import Average, Labels, Mask, Metric, Points, Scalar, Scores


def silhouette_terms(x, w, metric: Partial, temperature=None):
    """(a, mean distances to the other clusters (inf where none), own cluster size), each per point."""
    sizes = w.sum(0)
    sums = distance_sums(clean(x, w, metric), w, metric)
    own_size = w @ sizes
    a = ratio((w * sums).sum(1), own_size - 1)
    other = (w == 0) & (sizes > 0)[None, :] & (own_size > 0)[:, None]
    return a, ratio(sums, sizes[None, :]), other, own_size


def values(x, w, metric: Partial, temperature=None) -> jax.Array:
    """s per point, 0 where there is nothing to compare."""
    a, means, other, own_size = silhouette_terms(x, w, metric)
    compared = (own_size > 1) & other.any(1)
    far = jnp.where(other, means, jnp.inf)
    if temperature is None:
        b = far.min(1)
    else:
        # logsumexp of nothing is -inf: give the rows that compare nothing a finite stand-in
        z = jnp.where(other | ~compared[:, None], -means / temperature, -jnp.inf)
        count = jnp.where(compared, other.sum(1), 1).astype(means.dtype)
        b = -temperature * (jax.nn.logsumexp(z, axis=1) - jnp.log(count))
    b = jnp.where(compared, b, a)
    return jnp.where(compared, ratio(b - a, jnp.maximum(a, b)), 0)


def average_values(s, w, average: Average) -> jax.Array:
    """Micro: the mean of points; macro: the mean of the means of non-empty clusters."""
    sizes = w.sum(0)
    if average == "micro":
        return ratio(s @ w.sum(1), sizes.sum())
    if average == "macro":
        return ratio(ratio(s @ w, sizes).sum(), (sizes > 0).sum().astype(s.dtype))
    raise ValueError(f"average must be 'micro' or 'macro', not {average!r}")


def defined(w) -> jax.Array:
    """Whether 2 <= k <= n - 1 clusters have members."""
    k, n = (w.sum(0) > 0).sum(), w.sum()
    return (k >= 2) & (k < n)


@partial(jax.jit, static_argnames="num_clusters")
def _samples(x, labels, where, metric, num_clusters):
    x = as_points(x)
    w = weights(labels, num_clusters, where, x.dtype)
    return jnp.where(defined(w), values(x, w, metric), jnp.nan)


@partial(jax.jit, static_argnames=("num_clusters", "average"))
def _score(x, labels, where, metric, num_clusters, average):
    x = as_points(x)
    w = weights(labels, num_clusters, where, x.dtype)
    return jnp.where(defined(w), average_values(values(x, w, metric), w, average), jnp.nan)


def silhouette_samples(
    x: Points, labels: Labels, *, num_clusters: int | None = None, where: Mask | None = None, metric: Metric = "euclidean"
) -> Scores:
    """Silhouette of each point."""
    return _samples(x, labels, where, resolve(metric), count_clusters(labels, num_clusters, where))


def silhouette_score(
    x: Points,
    labels: Labels,
    *,
    num_clusters: int | None = None,
    where: Mask | None = None,
    metric: Metric = "euclidean",
    average: Average = "micro",
) -> Scalar:
    """Mean silhouette."""
    return _score(x, labels, where, resolve(metric), count_clusters(labels, num_clusters, where), average)
