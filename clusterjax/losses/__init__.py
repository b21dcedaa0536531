"""Losses on a batch of embeddings and labels."""

from __future__ import annotations

from clusterjax.losses.any_index import combined_loss, dunn_loss, validity_loss
from clusterjax.losses.attraction import cosine_corel_loss, gaussian_corel_loss, proxy_anchor_loss
from clusterjax.losses.counting import pairs_with_gradient
from clusterjax.losses.episodic import prototypical_loss, relation_loss
from clusterjax.losses.pairs import contrastive_loss, nca_loss
from clusterjax.losses.proxies import (
    arcface_loss,
    normalized_softmax_loss,
    proxy_nca_loss,
    soft_triple_loss,
    softmax_loss,
)
from clusterjax.losses.similarities import (
    circle_loss,
    multi_similarity_loss,
    ntxent_loss,
    supervised_contrastive_loss,
)
from clusterjax.losses.triplets import triplet_loss
from clusterjax.losses.unsupervised import dec_loss
from clusterjax.losses.validity import silhouette_loss, silhouette_ratio_loss

__all__ = [
    "arcface_loss",
    "circle_loss",
    "combined_loss",
    "contrastive_loss",
    "cosine_corel_loss",
    "dec_loss",
    "dunn_loss",
    "gaussian_corel_loss",
    "multi_similarity_loss",
    "nca_loss",
    "normalized_softmax_loss",
    "ntxent_loss",
    "pairs_with_gradient",
    "prototypical_loss",
    "proxy_anchor_loss",
    "proxy_nca_loss",
    "relation_loss",
    "silhouette_loss",
    "silhouette_ratio_loss",
    "soft_triple_loss",
    "softmax_loss",
    "supervised_contrastive_loss",
    "triplet_loss",
    "validity_loss",
]
