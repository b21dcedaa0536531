"""Losses on the distances of all pairs of a batch."""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import ratio
from clusterjax.by_cluster import distances_within
from clusterjax.partition import Partition, partners_and_rivals
from clusterjax.public import public
from clusterjax.typing import Measured, NonNegative, Positive, Scalar


@public(first="embeddings", metric="squared_euclidean")
def nca_loss(p: Partition, *, temperature: Positive = 1.0, **_: Unpack[Measured]) -> Scalar:
    """Neighbourhood components analysis: a point's nearest others should be of its class.

    `mean over i of -log( sum_{j != i, y_j = y_i} exp(-d(i, j) / T) / sum_{j != i} exp(-d(i, j) / T) )`

    All pairs of the batch are compared, so it needs no episodes: batches of a few classes with several points each.

    Args:
        temperature: T > 0; a small one looks at the nearest points only.

    Returns:
        A scalar >= 0. Points without a partner of their class are not averaged over, but others see them. Without
        any partners it is 0 with zero gradient. Gradients are finite at duplicates. NaN in, NaN out.

    Raises:
        ValueError: a temperature that is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [0.0], [9.0], [9.0]])
        >>> round(float(nca_loss(x, jnp.array([0, 0, 1, 1]))), 4)
        0.0
        >>> round(float(nca_loss(0 * x, jnp.array([0, 0, 1, 1]))), 4)  # one partner in three others: log 3
        1.0986

    Source: Goldberger et al., Neighbourhood components analysis (2004), with the log of Laenen & Bertinetto, On
    episodes, prototypical networks, and few-shot learning (2021).
    """
    similarity = -distances_within(p) / jnp.asarray(temperature, p.x.dtype)
    partners, rivals = partners_and_rivals(p)
    losses = masked_logsumexp(similarity, partners | rivals) - masked_logsumexp(similarity, partners)
    paired = partners.any(1)
    return mean_where(losses, paired)


@public(first="embeddings")
def contrastive_loss(
    p: Partition, *, pos_margin: NonNegative = 0.0, neg_margin: NonNegative = 1.0, **_: Unpack[Measured]
) -> Scalar:
    """Contrastive loss: partners no farther apart than one margin, rivals no nearer than another.

    `mean over partners of max(0, d(i, j) - pos_margin) + mean over rivals of max(0, neg_margin - d(i, j))`

    Partners are pairs of one class, rivals of two. Each mean is over the pairs that are not 0, so that it does not fade
    as most pairs come to satisfy their margin.

    Args:
        pos_margin: in units of the distance, how far apart partners may be.
        neg_margin: in units of the distance, how far apart rivals should be: embeddings of unit length go with 1, the
            scale of others has to be learned.

    Returns:
        A scalar >= 0. Without partners, or without rivals, that mean is 0; without pairs all is, with zero gradient.
        Duplicates are at distance 0 with zero gradient, rivals too: what coincides is not pushed apart. NaN in, NaN
        out.

    Raises:
        ValueError: a negative margin.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [0.5], [0.75]])
        >>> float(contrastive_loss(x, jnp.array([0, 0, 1])))  # 0.5 + (0.25 + 0.75) / 2
        1.0

    Source: Hadsell, Chopra, LeCun, Dimensionality reduction by learning an invariant mapping (2006), without its
    squares; margins and means as pytorch-metric-learning's ContrastiveLoss has them, for unnormalised embeddings.
    """
    distances = distances_within(p)
    pos_margin, neg_margin = (jnp.asarray(margin, distances.dtype) for margin in (pos_margin, neg_margin))
    partners, rivals = partners_and_rivals(p)

    def mean_not_zero(terms: jax.Array) -> jax.Array:
        return terms.sum() / jnp.maximum((terms > 0).sum(dtype=terms.dtype), 1)  # a ratio would hide a NaN

    too_far = mean_not_zero(jnp.where(partners, jax.nn.relu(distances - pos_margin), 0))
    return too_far + mean_not_zero(jnp.where(rivals, jax.nn.relu(neg_margin - distances), 0))


def masked_logsumexp(values: jax.Array, mask: jax.Array, axis: int = 1) -> jax.Array:
    """Log of the sum of the exponentials where the mask is set; the lowest float, without a gradient, where none is."""
    # not -inf, whose gradient is NaN
    return jax.nn.logsumexp(jnp.where(mask, values, jnp.finfo(values.dtype).min), axis=axis)


def mean_where(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean of the values where the mask is set; 0 with zero gradient where it is nowhere."""
    return ratio(jnp.where(mask, values, 0).sum(), mask.sum(dtype=values.dtype))
