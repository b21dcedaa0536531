"""A sweep over k with silhouettes, and the gap statistic, against scikit-learn loops that compute the same.

    python -m benchmarks.sweep

Sweep: k = 2..20, 10 restarts, n = 5 000 in 16 dimensions. Gap: 100 references, k = 1..10, n = 2 000 in 16 dimensions.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score as peer_silhouette

from benchmarks import measure
from clusterjax.selection import gap_statistic, sweep_k

DIMENSIONS = 16
RESTARTS = 10


def blobs(n: int) -> np.ndarray:
    """Overlapping clusters, eight of them."""
    rng = np.random.default_rng(0)
    return (2 * rng.normal(size=(8, DIMENSIONS))[rng.integers(8, size=n)] + rng.normal(size=(n, DIMENSIONS))).astype(
        np.float32
    )


def peer_kmeans(x: np.ndarray, k: int) -> Any:
    """scikit-learn's, fitted."""
    return KMeans(k, n_init=RESTARTS, algorithm="lloyd", random_state=0).fit(x)  # pyright: ignore[reportArgumentType]


def peer_sweep(x: np.ndarray, ks: range) -> list[float]:
    """Silhouettes of scikit-learn's k-means."""
    return [float(peer_silhouette(x, peer_kmeans(x, k).labels_)) for k in ks]


def peer_gap(x: np.ndarray, max_clusters: int, num_references: int) -> np.ndarray:
    """The gap along the principal axes, with scikit-learn's k-means."""
    rng = np.random.default_rng(0)
    mean = x.mean(0)
    axes = np.linalg.svd(x - mean, full_matrices=False)[2]
    along = (x - mean) @ axes.T

    def log_w(x: np.ndarray) -> list[float]:
        ks = range(1, max_clusters + 1)
        return [float(np.log(peer_kmeans(x, k).inertia_)) for k in ks]

    def reference() -> np.ndarray:
        return (rng.uniform(along.min(0), along.max(0), x.shape) @ axes + mean).astype(np.float32)

    return np.mean([log_w(reference()) for _ in range(num_references)], 0) - log_w(x)


def rivals(task: str) -> dict[str, Callable[[], object]]:
    """What is compared, on the same data."""
    key, ks = jax.random.key(0), range(2, 21)
    if task == "sweep":
        x = blobs(5_000)
        ours = lambda: sweep_k(key, x, ks=ks, num_restarts=RESTARTS).indices  # noqa: E731
        return {"clusterjax": ours, "scikit-learn": lambda: peer_sweep(x, ks)}
    x = blobs(2_000)
    ours = lambda: gap_statistic(key, x, max_clusters=10, num_references=100, num_restarts=RESTARTS)  # noqa: E731
    return {"clusterjax": ours, "scikit-learn": lambda: peer_gap(x, 10, 100)}


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    rows = []
    for task in ("sweep", "gap"):
        times = measure.in_turn(rivals(task), repeats)
        for name, time in times.items():
            ratio = {"ratio_to_scikit_learn": time["seconds"] / times["scikit-learn"]["seconds"]}
            rows.append({"task": task, "what": name, **time, **ratio})
    measure.write("sweep", rows)


if __name__ == "__main__":
    main()
