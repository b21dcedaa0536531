"""Retrieval: are the nearest neighbours of a point of its class? Embeddings of unseen classes are judged by that.

Every point asks, and all others are the gallery; or a gallery stands apart.
"""

from clusterjax.retrieval.measures import (
    knn_accuracy,
    map_at_r,
    mean_reciprocal_rank,
    precision_at_1,
    r_precision,
    recall_at_k,
)
from clusterjax.retrieval.summary import RetrievalSummary, retrieval_summary

__all__ = [
    "RetrievalSummary",
    "knn_accuracy",
    "map_at_r",
    "mean_reciprocal_rank",
    "precision_at_1",
    "r_precision",
    "recall_at_k",
    "retrieval_summary",
]
