"""k-means against scikit-learn's Lloyd and Elkan, and faiss, fastkmeans and ott-jax where installed.

    python -m benchmarks.kmeans

n = 100 000 points in 64 dimensions, 100 and 1 000 clusters; 20 iterations from equal centroids for all but fastkmeans,
which starts from points of its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from benchmarks import measure
from clusterjax.clustering import kmeans

N, DIMENSIONS, ITERATIONS = 100_000, 64, 20
Centroids = np.ndarray | jax.Array


def rivals(k: int) -> tuple[np.ndarray, dict[str, Callable[[], Centroids]]]:
    """The data, and what is compared on them: each gives its centroids."""
    rng = np.random.default_rng(0)
    truth = rng.integers(k, size=N)
    x = (rng.normal(size=(k, DIMENSIONS))[truth] + rng.normal(size=(N, DIMENSIONS))).astype(np.float32)
    start = x[rng.choice(N, k, replace=False)]
    on_device, key = jnp.asarray(x), jax.random.key(0)

    def ours() -> Centroids:
        return kmeans(key, on_device, k, init=start, max_iterations=ITERATIONS, tolerance=0).centroids

    def scikit_learn(algorithm: str) -> Callable[[], Centroids]:
        model = KMeans(k, init=start, n_init=1, max_iter=ITERATIONS, tol=0, algorithm=algorithm)  # pyright: ignore[reportArgumentType]
        return lambda: model.fit(x).cluster_centers_

    compared = {
        "scikit-learn": scikit_learn("lloyd"),
        "clusterjax": ours,
        "scikit-learn, Elkan": scikit_learn("elkan"),
    }
    if importlib.util.find_spec("faiss"):
        import faiss  # pyright: ignore[reportMissingImports]

        def with_faiss() -> Centroids:
            model = faiss.Kmeans(DIMENSIONS, k, niter=ITERATIONS, max_points_per_centroid=N)
            model.train(x, init_centroids=start)
            return model.centroids

        compared["faiss"] = with_faiss
    if importlib.util.find_spec("fastkmeans"):
        from fastkmeans import FastKMeans  # pyright: ignore[reportMissingImports]

        def with_fastkmeans() -> Centroids:
            model = FastKMeans(DIMENSIONS, k, niter=ITERATIONS, tol=0, max_points_per_centroid=None)
            model.train(x)
            return model.centroids

        compared["fastkmeans"] = with_fastkmeans
    if importlib.util.find_spec("ott"):
        from ott.tools import k_means  # pyright: ignore[reportMissingImports]

        def with_ott() -> Centroids:
            found = k_means.k_means(
                on_device, k, init=lambda *_: jnp.asarray(start), min_iterations=ITERATIONS, max_iterations=ITERATIONS
            )
            return found.centroids

        compared["ott-jax"] = with_ott
    return x, compared


def inertia(x: np.ndarray, centroids: Centroids) -> float:
    """Of the points to the nearest centroids, computed alike for all."""
    c = np.asarray(centroids, float)
    half = (c * c).sum(1) / 2
    return float(sum((b * b).sum() + 2 * (half - b @ c.T).min(1).sum() for b in np.split(x.astype(float), 100)))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = []
    for k in (100, 1000):
        x, compared = rivals(k)
        times = measure.in_turn(compared, chosen.repeats)
        for name, time in times.items():
            ratio = time["seconds"] / times["scikit-learn"]["seconds"]
            rows.append({"n": N, "d": DIMENSIONS, "k": k, "iterations": ITERATIONS, "what": name, **time})
            rows[-1] |= {"ratio_to_scikit_learn": ratio, "inertia": inertia(x, compared[name]())}
    measure.write("kmeans", rows)


if __name__ == "__main__":
    main()
