"""What is asked of an embedding of classes that nobody trained on, by measures that nobody trained on."""

from __future__ import annotations

import warnings

import jax
import numpy as np

from clusterjax import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    clustering_accuracy,
    fewshot,
    kmeans,
    normalized_mutual_info_score,
    silhouette_score,
    suggest_k,
    sweep_k,
)
from clusterjax.retrieval import map_at_r, retrieval_summary
from experiments.encoders.layers import unit_length

EPISODES, QUERIES = 2000, 15
SWEPT = 50  # examples of each class among which a number of clusters is looked for
WIDE = 64  # features up to which every reference is asked for a number of clusters
METRICS = ("euclidean", "cosine")


def seen_by(metric: str, x: jax.Array) -> jax.Array:
    """Embeddings as they are, or of length 1, where Euclid's distances are in the order of the cosine's."""
    return x if metric == "euclidean" else unit_length(x)


def better_metric(x: jax.Array, labels: np.ndarray) -> tuple[str, float]:
    """Which of the two finds more neighbours of a point's own class, and its MAP@R."""
    k = int(labels.max()) + 1
    found = {metric: float(map_at_r(seen_by(metric, x), labels, num_clusters=k)) for metric in METRICS}
    best = max(found, key=lambda metric: found[metric])
    return best, found[best]


def judge(x: jax.Array, labels: np.ndarray) -> list[dict]:
    """Rows of measures, in percent, and of episodes with their kind."""
    k, key = int(labels.max()) + 1, jax.random.key(0)
    found = retrieval_summary(x, labels, num_clusters=k)
    clusters = kmeans(key, x, k, num_restarts=3).labels
    measured = {
        "map_at_r": found.map_at_r,
        "recall_at_1": found.precision_at_1,
        "knn_accuracy": found.knn_accuracy,
        "nmi": normalized_mutual_info_score(labels, clusters),
        "ami": adjusted_mutual_info_score(labels, clusters),
        "ari": adjusted_rand_score(labels, clusters),
        "matched_accuracy": clustering_accuracy(labels, clusters),
        "silhouette": silhouette_score(x, labels),
    }
    table = [{"measure": measure, "value": percent(value), "ci95": None} for measure, value in measured.items()]
    for shot in (1, 5):
        result = fewshot.evaluate(key, x, labels, way=min(5, k), shot=shot, queries=QUERIES, num_episodes=EPISODES)
        kind = {"way": min(5, k), "shot": shot, "queries": QUERIES, "episodes": EPISODES}
        table.append({"measure": "accuracy", **kind, "value": percent(result.mean), "ci95": percent(result.ci95)})
    return table


def chosen_k(x: jax.Array, labels: np.ndarray) -> list[dict]:
    """Rows with the number of clusters that the silhouette and the gap find, where the classes are not told."""
    k = int(labels.max()) + 1
    some = np.concatenate([np.flatnonzero(labels == c)[:SWEPT] for c in range(k)])
    ks = sorted({max(2, round(k * part / 5)) for part in range(1, 11)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # features on different scales are what is judged here
        swept = sweep_k(jax.random.key(0), x[some], ks=ks, num_restarts=2, gap_references=5, progress=False)
    votes = suggest_k(swept).votes
    return [{"measure": f"k_by_{name}", "value": k, "ci95": None} for name, k in votes.items()]


def percent(value) -> float:
    """To three digits after the point, as results are written."""
    return round(100 * float(value), 3)
