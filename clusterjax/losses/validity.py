"""Losses that are cluster validity indices: train an embedding on the measure it will be judged by."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from clusterjax.distances import as_points, resolve
from clusterjax.partition import count_clusters, weights
from clusterjax.silhouette import average_values, defined, values
from clusterjax.typing import Average, Labels, Mask, Metric, Points, Scalar


def silhouette_loss(
    embeddings: Points,
    labels: Labels,
    *,
    num_clusters: int | None = None,
    where: Mask | None = None,
    metric: Metric = "euclidean",
    average: Average = "micro",
    target: float | None = None,
    temperature: float | None = None,
) -> Scalar:
    """(1 - mean silhouette) / 2, or |target - mean silhouette|; 0 with zero gradient where nothing can be compared."""
    k = count_clusters(labels, num_clusters, where)
    return _loss(embeddings, labels, where, resolve(metric), target, temperature, k, average)


@partial(jax.jit, static_argnames=("num_clusters", "average"))
def _loss(x, labels, where, metric, target, temperature, num_clusters, average):
    x = as_points(x)
    w = weights(labels, num_clusters, where, x.dtype)
    mean = average_values(values(x, w, metric, temperature), w, average)
    loss = (1 - mean) / 2 if target is None else jnp.abs(target - mean)
    return jnp.where(defined(w), loss, 0)
