"""What a training run depends on, in every experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Training:
    """What a training run depends on whatever the data are: the loss with its options, the embedding, the batches."""

    loss: Annotated[str, tyro.conf.arg(metavar="NAME|none|MODULE:FUNCTION")] = "silhouette"
    """The loss to train with: one of clusterjax.losses without its _loss, such as silhouette, prototypical, triplet or
    arcface, or an index such as davies_bouldin; none leaves the encoder untrained; module:function is a function of
    your own, f(embeddings, labels, *, num_clusters) or f(embeddings, labels, *, proxies) -> scalar."""
    metric: str | None = None
    """Distance in the loss, where another than its own default is wanted."""
    power: float | None = None
    """Of silhouette_ratio: the higher, the more the drawings that are nearest to another class decide."""
    temperature: float | None = None
    """Of nca; of the soft minimum over the other clusters in the silhouette."""
    target: float | None = None
    """The silhouette loss becomes |target - mean silhouette|."""
    average: Literal["micro", "macro"] | None = None
    """Silhouette: mean over drawings, or over classes."""
    margin: float | None = None
    """Of triplet, circle, arcface, proxy_anchor and soft_triple."""
    neg_margin: float | None = None
    """Of contrastive: how far apart drawings of two classes should be."""
    scale: float | None = None
    """Of arcface and soft_triple: what similarities are multiplied by."""
    alpha: float | None = None
    """Of proxy_anchor and multi_similarity: how much the hardest count."""
    gamma: float | None = None
    """Of gaussian_corel, circle and soft_triple: the steepness."""
    attraction: float | None = None
    """Of cosine_corel and gaussian_corel: the share of the pull to one's own class."""
    mining: Literal["all", "hard", "semihard"] | None = None
    """Of triplet: which triplets count."""
    per_class: int = 10
    """Of soft_triple: vectors of each class."""

    encoder: str = "conv4"
    """Which network."""
    dim: int | None = None
    """Length of the embedding. Default: as in the papers, without a layer for it, 64 of conv4 and 640 of resnet12."""
    normalize: bool = False
    """Scale each embedding to length 1."""
    steps: int = 700
    """Training steps."""
    classes: int = 120
    """Classes in a batch. Every loss wants many classes with few drawings."""
    drawings: int = 3
    """Drawings of each class in a batch."""
    learning_rate: float = 2e-3
    """Adam's rate at the start; it falls to zero along a cosine."""
    seed: int = 0
    """Of the weights and of the batches; two losses with one seed see the same batches."""
    validate_every: int = 100
    """Steps between two looks at the validation classes, and between two checkpoints."""
