"""Clusters to be judged: found here, or by anyone else and brought as labels."""

from __future__ import annotations

from clusterjax.clustering.blocks import kmeans_blocks
from clusterjax.clustering.kmeans import KMeansResult, kmeans
from clusterjax.clustering.kmedoids import KMedoidsResult, clara, kmedoids
from clusterjax.clustering.labelings import agglomerative, canonical_labels, density, match_labels
from clusterjax.clustering.noise import coverage, noise_as_cluster, noise_as_singletons, noise_to_nearest

__all__ = [
    "KMeansResult",
    "KMedoidsResult",
    "agglomerative",
    "canonical_labels",
    "clara",
    "coverage",
    "density",
    "kmeans",
    "kmeans_blocks",
    "kmedoids",
    "match_labels",
    "noise_as_cluster",
    "noise_as_singletons",
    "noise_to_nearest",
]
