"""Losses on a batch of embeddings and labels."""

from __future__ import annotations

from clusterjax.losses.validity import silhouette_loss

__all__ = ["silhouette_loss"]
