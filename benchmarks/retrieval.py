"""Retrieval measures against faiss and pytorch-metric-learning, where installed, and the bare blocked product.

    python -m benchmarks.retrieval

Up to 100 000 points in 64 dimensions. Compared on 5 000 of them as queries in the gallery of all; the summary of all
points among each other also alone, with its memory. faiss finds as many neighbours as the largest class has points, and
measures nothing; what pytorch-metric-learning adds grows with points times classes, so it joins on few.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from benchmarks import measure
from benchmarks.past_all_pairs import blobs
from benchmarks.silhouette import bare_product
from clusterjax.retrieval import map_at_r, precision_at_1, retrieval_summary

SHAPES, QUERIES = ((10_000, 100), (100_000, 1_000), (100_000, 5_000)), 5_000
# Points times classes from which pytorch-metric-learning takes minutes to compare their labels.
FEW = 2**24


def rivals(n: int, k: int) -> dict[str, Callable[[], object]]:
    """What is compared, on the same data."""
    x, labels = blobs(n, k)
    on_device = jnp.asarray(x)
    queries, asked = on_device[:QUERIES], labels[:QUERIES]
    apart = {"gallery": on_device, "gallery_labels": labels, "num_clusters": k}
    compared = {
        "bare product": lambda: bare_product(queries, on_device),
        "precision_at_1": lambda: precision_at_1(queries, asked, **apart),
        "map_at_r": lambda: map_at_r(queries, asked, **apart),
        "retrieval_summary": lambda: retrieval_summary(queries, asked, **apart),
    }
    if importlib.util.find_spec("faiss"):
        import faiss  # pyright: ignore[reportMissingImports]

        index = faiss.IndexFlatL2(x.shape[1])
        index.add(x)
        most = int(np.bincount(labels).max())
        compared["faiss, neighbours alone"] = lambda: index.search(x[:QUERIES], most)
    if n * k < FEW and importlib.util.find_spec("pytorch_metric_learning"):
        import torch  # pyright: ignore[reportMissingImports]
        from pytorch_metric_learning.utils import accuracy_calculator  # pyright: ignore[reportMissingImports]

        include = ("precision_at_1", "r_precision", "mean_average_precision_at_r", "mean_reciprocal_rank")
        calculator = accuracy_calculator.AccuracyCalculator(include=include, device=torch.device("cpu"))
        points, classes = torch.tensor(x), torch.tensor(labels)
        given = (points[:QUERIES], classes[:QUERIES], points, classes)
        compared["pytorch-metric-learning"] = lambda: calculator.get_accuracy(*given)
    return compared


def whole(n: int, k: int) -> Callable[[], object]:
    """The summary of all points among each other."""
    x, labels = blobs(n, k)
    on_device = jnp.asarray(x)
    return lambda: retrieval_summary(on_device, labels, num_clusters=k)


def main() -> None:
    """Measure, or with --memory be the process whose memory is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", nargs=2, metavar=("N", "K"), help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    if chosen.memory:
        print(measure.report_peak(whole(*map(int, chosen.memory))))
        return
    rows = []
    for n, k in SHAPES:
        times = measure.in_turn(rivals(n, k), chosen.repeats)
        for name, time in times.items():
            ratio = {"ratio_to_bare_product": time["seconds"] / times["bare product"]["seconds"]}
            rows.append({"n": n, "k": k, "queries": QUERIES, "what": name, **time, **ratio})
    n, k = SHAPES[-1]
    (time,) = measure.in_turn({"retrieval_summary": whole(n, k)}, 1).values()
    row = {"n": n, "k": k, "queries": n, "what": "retrieval_summary", **time}
    rows.append({**row, "peak_megabytes": measure.peak_megabytes("benchmarks.retrieval", str(n), str(k))})
    measure.write("retrieval", rows)


if __name__ == "__main__":
    main()
