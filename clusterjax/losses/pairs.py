"""Losses on the pairs of a batch: every point compares every other one."""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp

from clusterjax.by_cluster import distances_within
from clusterjax.distances import ratio
from clusterjax.partition import Partition
from clusterjax.public import public
from clusterjax.typing import Measured, Positive, Scalar


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
    present = p.w.sum(1) > 0
    others = present[:, None] & present[None, :] & ~jnp.eye(len(p.x), dtype=bool)
    labels = p.w.argmax(1)
    partners = others & (labels[:, None] == labels[None, :])
    # the lowest float and not -inf: a point without others then has a finite value, and no gradient
    far = jnp.finfo(p.x.dtype).min
    to_others = jax.nn.logsumexp(jnp.where(others, similarity, far), axis=1)
    to_partners = jax.nn.logsumexp(jnp.where(partners, similarity, far), axis=1)
    paired = partners.any(1)
    return ratio(jnp.where(paired, to_others - to_partners, 0).sum(), paired.sum(dtype=p.x.dtype))
