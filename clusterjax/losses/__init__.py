"""Losses on a batch of embeddings and labels."""

from __future__ import annotations

from clusterjax.losses.episodic import prototypical_loss
from clusterjax.losses.pairs import contrastive_loss, nca_loss
from clusterjax.losses.similarities import (
    circle_loss,
    multi_similarity_loss,
    ntxent_loss,
    supervised_contrastive_loss,
)
from clusterjax.losses.triplets import triplet_loss
from clusterjax.losses.validity import silhouette_loss, silhouette_ratio_loss

__all__ = [
    "circle_loss",
    "contrastive_loss",
    "multi_similarity_loss",
    "nca_loss",
    "ntxent_loss",
    "prototypical_loss",
    "silhouette_loss",
    "silhouette_ratio_loss",
    "supervised_contrastive_loss",
    "triplet_loss",
]
