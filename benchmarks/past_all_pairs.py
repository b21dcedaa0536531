"""The silhouette of many points and clusters, of which few pairs are formed, against the product of all pairs.

    python -m benchmarks.past_all_pairs [--embeddings runs/.../embeddings.npz]

Blobs in 64 dimensions up to a million points, labels that have nothing to do with the points, and with --embeddings
what a run of `experiments/omniglot.py` embedded, by its classes. What would take hours is measured on a part and
scaled, and the column `measured on` says so: the product of 10 000 rows with all, scikit-learn on 10 000 points.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import silhouette_score as peer

from benchmarks import measure
from benchmarks.silhouette import DIMENSIONS, PART, bare_product
from clusterjax import silhouette_score

BLOBS = ((10_000, 10), (10_000, 200), (100_000, 1_000), (1_000_000, 1_000), (1_000_000, 5_000))


def blobs(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres N(0, I) and unit noise: clusters that overlap, with silhouettes of 0.15."""
    rng = np.random.default_rng(0)
    labels = rng.integers(k, size=n).astype(np.int32)
    x = rng.standard_normal((n, DIMENSIONS), np.float32)
    x += rng.standard_normal((k, DIMENSIONS), np.float32)[labels]
    return x, labels


def rivals(x: np.ndarray, labels: np.ndarray) -> dict[str, tuple[Callable[[], object], float]]:
    """What is compared, and how many times as long the whole would take."""
    n, k = len(x), int(labels.max()) + 1
    on_device, part = jnp.asarray(x), min(n, PART)
    whole = n // part * part
    shuffled = np.random.default_rng(1).permutation(labels)
    all_pairs = jax.jit(partial(silhouette_score, num_clusters=k))
    block = next(size for size in range(250, 0, -1) if part % size == 0)
    compared = {
        "bare product": (lambda: bare_product(on_device[:part], on_device[:whole], block), (n / part) * (n / whole)),
        "clusterjax": (lambda: silhouette_score(on_device, labels, num_clusters=k), 1),
        "scikit-learn": (lambda: peer(x[:part], labels[:part]), (n / part) ** 2),
    }
    gradient = jax.grad(lambda x: silhouette_score(x, labels, num_clusters=k))
    if n < 1_000_000:
        compared["clusterjax gradient"] = (lambda: gradient(on_device), 1)
    if n <= PART:
        compared |= {
            "clusterjax, all pairs (jitted)": (lambda: all_pairs(on_device, labels), 1),
            "clusterjax, shuffled labels": (lambda: silhouette_score(on_device, shuffled, num_clusters=k), 1),
            "clusterjax, shuffled labels, all pairs (jitted)": (lambda: all_pairs(on_device, shuffled), 1),
        }
    return compared


def compare(name: str, x: np.ndarray, labels: np.ndarray, repeats: int) -> list[dict]:
    """The rows of one data set."""
    compared = rivals(x, labels)
    times = measure.in_turn({what: function for what, (function, _) in compared.items()}, repeats)
    bare = times["bare product"]["seconds"] * compared["bare product"][1]
    rows = []
    for what, (_, scale) in compared.items():
        seconds, first = times[what]["seconds"] * scale, times[what]["first_call_seconds"]
        part = f"{PART} {'rows' if what == 'bare product' else 'points'}, scaled"
        row = {"data": name, "n": len(x), "what": what, "seconds": seconds, "ratio_to_bare_product": seconds / bare}
        first, part = (first, "all") if scale == 1 else (None, part)
        rows.append({**row, "first_call_seconds": first, "measured_on": part})
    return rows


def main() -> None:
    """Measure, or with --memory be the process whose memory is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", nargs=2, type=int, metavar=("N", "K"), help=argparse.SUPPRESS)
    parser.add_argument("--embeddings", type=Path, help="embeddings.npz of a run of experiments/omniglot.py")
    parser.add_argument("--repeats", type=int, default=7)
    chosen = parser.parse_args()
    if chosen.memory:
        x, labels = blobs(*chosen.memory)
        print(measure.report_peak(lambda: silhouette_score(x, labels)))
        return
    rows = []
    for n, k in BLOBS:
        rows += compare(f"blobs, {k} clusters", *blobs(n, k), chosen.repeats if n < 1_000_000 else 1)
        ours = next(row for row in rows[::-1] if row["what"] == "clusterjax")
        ours["peak_megabytes"] = measure.peak_megabytes("benchmarks.past_all_pairs", str(n), str(k))
    if chosen.embeddings:
        with np.load(chosen.embeddings) as file:
            x, labels = file["embeddings"], file["labels"].astype(np.int32)
        rows += compare("Omniglot, classes never seen", x, labels, chosen.repeats)
    measure.write("past_all_pairs", rows)


if __name__ == "__main__":
    main()
