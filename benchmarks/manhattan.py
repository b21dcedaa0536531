"""The silhouette with Manhattan distances: from sorted features, and from all pairs.

    python -m benchmarks.manhattan

All pairs are what the same distances take as a function of the user's, and scikit-learn; both at 10 000 points only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import silhouette_score as peer

from benchmarks import measure
from clusterjax import silhouette_score

DIMENSIONS = 64


def as_a_function(x: jax.Array, y: jax.Array) -> jax.Array:
    """The same of two blocks, of which nothing is known."""
    return jnp.abs(x[:, None] - y[None]).sum(-1)


def rivals(n: int, k: int, pairs: bool) -> dict[str, Callable[[], object]]:
    """What is compared, on the same data."""
    rng = np.random.default_rng(0)
    labels = rng.integers(k, size=n)
    x = (rng.normal(size=(k, DIMENSIONS))[labels] + rng.normal(size=(n, DIMENSIONS))).astype(np.float32)
    on_device, labels_on_device = jnp.asarray(x), jnp.asarray(labels)
    score = jax.jit(partial(silhouette_score, num_clusters=k, metric="manhattan"))
    gradient = jax.jit(jax.grad(partial(silhouette_score, num_clusters=k, metric="manhattan")))
    compared: dict[str, Callable[[], object]] = {
        "clusterjax": lambda: score(on_device, labels_on_device),
        "clusterjax gradient": lambda: gradient(on_device, labels_on_device),
    }
    if pairs:
        all_pairs = jax.jit(partial(silhouette_score, num_clusters=k, metric=as_a_function))
        compared["clusterjax, all pairs"] = lambda: all_pairs(on_device, labels_on_device)
        compared["scikit-learn"] = lambda: peer(x, labels, metric="manhattan")
    return compared


def main() -> None:
    """Measure."""
    rows = []
    for n, k in ((10_000, 10), (10_000, 80), (100_000, 10), (100_000, 100)):
        times = measure.in_turn(rivals(n, k, pairs=n <= 10_000), 3)
        rows += [{"n": n, "k": k, "what": name, **time} for name, time in times.items()]
    measure.write("manhattan", rows)


if __name__ == "__main__":
    main()
