"""The silhouette and its gradient against scikit-learn, scib-metrics where installed, and the bare blocked product.

    python -m benchmarks.silhouette

n = 10 000 points in 64 dimensions, 10 and 200 clusters; memory also at n = 100 000.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import silhouette_score as peer

from benchmarks import measure
from clusterjax import silhouette_score

DIMENSIONS = 64
# Columns of a product at a time.
PART = 10_000


@partial(jax.jit, static_argnames="block")
def bare_product(rows: jax.Array, x: jax.Array, block: int = 250) -> jax.Array:
    """Blocks of rows @ x.T, each reduced to a number a row: what an exact silhouette of all pairs does at the least."""
    parts = x.reshape(-1, min(PART, len(x)), x.shape[1])

    def of_block(block: jax.Array) -> jax.Array:
        return jax.lax.map(lambda part: (block @ part.T).max(1), parts).max(0)

    return jax.lax.map(of_block, rows.reshape(-1, block, x.shape[1]))


def rivals(n: int, k: int) -> dict[str, Callable[[], object]]:
    """What is compared, on the same data."""
    rng = np.random.default_rng(0)
    labels = rng.integers(k, size=n)
    x = (rng.normal(size=(k, DIMENSIONS))[labels] + rng.normal(size=(n, DIMENSIONS))).astype(np.float32)
    on_device, labels_on_device = jnp.asarray(x), jnp.asarray(labels)
    far = jnp.where(labels_on_device[:, None] == 0, on_device + 3000, on_device)
    score = jax.jit(lambda x: silhouette_score(x, labels_on_device, num_clusters=k))
    gradient = jax.jit(jax.grad(score))

    compared = {
        "bare product": lambda: bare_product(on_device, on_device),
        "clusterjax": lambda: score(on_device),
        "clusterjax, outside of jit": lambda: silhouette_score(on_device, labels, num_clusters=k),
        "clusterjax, one cluster far away": lambda: score(far),  # what its digits cost: measured from the centroids
        "clusterjax gradient": lambda: gradient(on_device),
        "scikit-learn": lambda: peer(x, labels),
    }
    if importlib.util.find_spec("scib_metrics"):
        from scib_metrics.utils import silhouette_samples as scib  # pyright: ignore[reportMissingImports]

        compared["scib-metrics"] = lambda: scib(x, labels)
    return compared


def main() -> None:
    """Measure, or with --memory be the process whose memory is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", nargs=3, metavar=("RIVAL", "N", "K"), help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=7)
    chosen = parser.parse_args()
    if chosen.memory:
        name, n, k = chosen.memory
        print(measure.report_peak(rivals(int(n), int(k))[name]))
        return
    rows = []
    for n, k in ((10_000, 10), (10_000, 200)):
        times = measure.in_turn(rivals(n, k), chosen.repeats)
        for name, time in times.items():
            ratio = {"ratio_to_bare_product": time["seconds"] / times["bare product"]["seconds"]}
            rows.append({"n": n, "k": k, "what": name, **time, **ratio})
            rows[-1]["peak_megabytes"] = measure.peak_megabytes("benchmarks.silhouette", name, str(n), str(k))
    for name in ("clusterjax", "clusterjax gradient"):
        peak = measure.peak_megabytes("benchmarks.silhouette", name, "100000", "10")
        rows.append({"n": 100_000, "k": 10, "what": name, "peak_megabytes": peak})
    measure.write("silhouette", rows)


if __name__ == "__main__":
    main()
