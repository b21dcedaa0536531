"""Losses on a batch of embeddings and labels."""

from __future__ import annotations

from clusterjax.losses.any_index import combined_loss, dunn_loss, validity_loss
from clusterjax.losses.episodic import prototypical_loss
from clusterjax.losses.pairs import nca_loss
from clusterjax.losses.validity import silhouette_loss, silhouette_ratio_loss

__all__ = [
    "combined_loss",
    "dunn_loss",
    "nca_loss",
    "prototypical_loss",
    "silhouette_loss",
    "silhouette_ratio_loss",
    "validity_loss",
]
