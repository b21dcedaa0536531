"""Find clusters: functions of points that give labels, and so what every index of `clusterjax.indices` takes."""

from __future__ import annotations

from clusterjax.clustering.kmeans import KMeansResult, kmeans

__all__ = ["KMeansResult", "kmeans"]
