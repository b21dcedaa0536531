"""The only label algebra: labels and a mask become weights [n, k], whose rows are one-hot or zero."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from clusterjax.distances import pairwise_distances, precomputed
from clusterjax.typing import Array, Labels, Mask, Weights


def weights(labels: Labels, num_clusters: int, where: Mask | None, dtype: jnp.dtype) -> jax.Array:
    """One-hot labels; a masked or negative label is a zero row."""
    w = jax.nn.one_hot(labels, num_clusters, dtype=dtype)
    return w if where is None else jnp.where(where[:, None], w, 0)


def count_clusters(labels: Labels, num_clusters: int | None, where: Mask | None) -> int:
    """The static number of clusters: as given, or max + 1 of concrete labels."""
    if isinstance(labels, jax.core.Tracer) or isinstance(where, jax.core.Tracer):
        if num_clusters is None:
            raise ValueError("num_clusters must be given where labels are traced: pass num_clusters=<int>")
        return num_clusters
    kept = np.asarray(labels) if where is None else np.asarray(labels)[np.asarray(where)]
    largest = int(kept.max(initial=-1))
    if num_clusters is None:
        return max(largest + 1, 1)
    if largest >= num_clusters:
        raise ValueError(f"label {largest} is out of range: labels must be below num_clusters={num_clusters}")
    return num_clusters


def clean(x: Array, w: Weights, metric: Partial) -> jax.Array:
    """`x` with the rows that belong to no cluster set to zero, whatever they held."""
    present = (w > 0).any(1)
    if metric.func is precomputed:
        return jnp.where(present[:, None] & present[None, :], x, 0)
    return jnp.where(present[:, None], x, 0)


def distance_sums(x: Array, w: Weights, metric: Partial) -> jax.Array:
    """Sum of distances from every point to the members of every cluster, itself apart: [n, k]."""
    return jnp.matmul(pairwise_distances(x, metric=metric), w, precision=jax.lax.Precision.HIGHEST)
