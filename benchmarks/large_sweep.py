"""A sweep of many large k over embeddings: how long it takes, and how much memory.

    python -m benchmarks.large_sweep

n = 19 000 rows of length 1 in 512 dimensions, k = 150, 160, ... 250: spherical k-means with 10 restarts, and the
silhouette of each with the cosine. Compiling is part of the time, as it is for who calls it once.
"""

from __future__ import annotations

import argparse

import jax
import numpy as np

from benchmarks import measure
from clusterjax import suggest_k, sweep_k
from clusterjax.selection import SweepResult

N, DIMENSIONS, CLUSTERS, KS = 19_000, 512, 200, range(150, 251, 10)


def embeddings() -> np.ndarray:
    """Rows of length 1 around 200 directions, a tenth of them around none."""
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(CLUSTERS, DIMENSIONS))
    x = middles[rng.integers(CLUSTERS, size=N)] + 1.5 * rng.normal(size=(N, DIMENSIONS))
    x[: N // 10] = rng.normal(size=(N // 10, DIMENSIONS))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def sweep(x: np.ndarray) -> SweepResult:
    """What is measured."""
    return sweep_k(jax.random.key(0), x, ks=KS, metric="cosine", progress=True)


def main() -> None:
    """Measure, or with --memory be the process whose memory is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    x = embeddings()
    if parser.parse_args().memory:
        print(measure.report_peak(lambda: sweep(x).indices))
        return
    found = []
    seconds = measure.seconds(lambda: found.append(sweep(x)) or found[0].indices)
    suggestion = suggest_k(found[0])
    print(suggestion.sentence)
    row = {"n": N, "d": DIMENSIONS, "ks": f"{KS[0]} to {KS[-1]} by {KS.step}", "what": "clusterjax"}
    row |= {"first_call_seconds": seconds, "peak_megabytes": measure.peak_megabytes("benchmarks.large_sweep")}
    measure.write("large_sweep", [{**row, "k_planted": CLUSTERS, "k_suggested": suggestion.k}])


if __name__ == "__main__":
    main()
