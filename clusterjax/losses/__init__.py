"""Losses on a batch of embeddings and labels."""

from __future__ import annotations

from clusterjax.losses.episodic import prototypical_loss
from clusterjax.losses.pairs import nca_loss
from clusterjax.losses.validity import silhouette_loss, silhouette_ratio_loss

__all__ = ["nca_loss", "prototypical_loss", "silhouette_loss", "silhouette_ratio_loss"]
