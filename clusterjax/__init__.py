"""Cluster validity as pure JAX functions."""

from __future__ import annotations

from clusterjax import losses
from clusterjax.distances import pairwise_distances
from clusterjax.silhouette import silhouette_samples, silhouette_score

__all__ = ["losses", "pairwise_distances", "silhouette_samples", "silhouette_score"]
