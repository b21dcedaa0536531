"""Retrieval measures against pytorch-metric-learning with faiss, where installed, and the bare blocked product.

    python -m benchmarks.retrieval

100 000 points in 64 dimensions, of 1 000 and of 5 000 classes. Compared on 10 000 of them as queries in the gallery of
all; the summary of all points among each other also alone, with its memory.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable

import jax.numpy as jnp

from benchmarks import measure
from benchmarks.past_all_pairs import blobs
from benchmarks.silhouette import bare_product
from clusterjax.retrieval import map_at_r, precision_at_1, retrieval_summary

N, QUERIES, CLASSES = 100_000, 10_000, (1_000, 5_000)


def rivals(k: int) -> dict[str, Callable[[], object]]:
    """What is compared, on the same data."""
    x, labels = blobs(N, k)
    on_device = jnp.asarray(x)
    queries, asked = on_device[:QUERIES], labels[:QUERIES]
    apart = {"gallery": on_device, "gallery_labels": labels, "num_clusters": k}
    compared = {
        "bare product": lambda: bare_product(queries, on_device),
        "precision_at_1": lambda: precision_at_1(queries, asked, **apart),
        "map_at_r": lambda: map_at_r(queries, asked, **apart),
        "retrieval_summary": lambda: retrieval_summary(queries, asked, **apart),
    }
    if importlib.util.find_spec("pytorch_metric_learning") and importlib.util.find_spec("faiss"):
        import torch  # pyright: ignore[reportMissingImports]
        from pytorch_metric_learning.utils.accuracy_calculator import (  # pyright: ignore[reportMissingImports]
            AccuracyCalculator,
        )

        include = ("precision_at_1", "r_precision", "mean_average_precision_at_r", "mean_reciprocal_rank")
        calculator = AccuracyCalculator(include=include, device=torch.device("cpu"))
        points, classes = torch.tensor(x), torch.tensor(labels)
        compared["pytorch-metric-learning"] = lambda: calculator.get_accuracy(
            points[:QUERIES], classes[:QUERIES], points, classes
        )
    return compared


def whole(k: int) -> Callable[[], object]:
    """The summary of all points among each other."""
    x, labels = blobs(N, k)
    on_device = jnp.asarray(x)
    return lambda: retrieval_summary(on_device, labels, num_clusters=k)


def main() -> None:
    """Measure, or with --memory be the process whose memory is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", nargs=1, metavar="K", help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    if chosen.memory:
        print(measure.report_peak(whole(int(chosen.memory[0]))))
        return
    rows = []
    for k in CLASSES:
        times = measure.in_turn(rivals(k), chosen.repeats)
        for name, time in times.items():
            ratio = {"ratio_to_bare_product": time["seconds"] / times["bare product"]["seconds"]}
            rows.append({"n": N, "k": k, "queries": QUERIES, "what": name, **time, **ratio})
        row = {"n": N, "k": k, "queries": N, "what": "retrieval_summary", "seconds": measure.seconds(whole(k))}
        rows.append({**row, "peak_megabytes": measure.peak_megabytes("benchmarks.retrieval", str(k))})
    measure.write("retrieval", rows)


if __name__ == "__main__":
    main()
