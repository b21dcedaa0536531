"""Losses on the cosine similarities of all pairs of a batch: the length of an embedding does not matter.

Partners are pairs of one class, rivals of two. What they share is here: `similarities`.
"""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import matmul, softplus
from clusterjax.distances import unit_rows
from clusterjax.losses.pairs import masked_logsumexp, mean_where
from clusterjax.partition import Partition, clean, partners_and_rivals
from clusterjax.public import public
from clusterjax.typing import Clustered, Positive, Scalar


@public(first="embeddings")
def ntxent_loss(p: Partition, *, temperature: Positive = 0.07, **_: Unpack[Clustered]) -> Scalar:
    """Normalised temperature-scaled cross-entropy: each pair of a class against the rivals of its anchor.

    `mean over partners (i, j) of -log( exp(s_ij / T) / (exp(s_ij / T) + sum_{l: y_l != y_i} exp(s_il / T)) )`,
    with s the cosine similarity

    The other partners of i are in no denominator: nothing pushes them away, as `supervised_contrastive_loss` does. With
    two views of each image as a class of its own it is the loss of SimCLR.

    Args:
        temperature: T > 0; a small one looks at the nearest rivals only.

    Returns:
        A scalar >= 0. Without partners, or without rivals, it is 0 with zero gradient. An embedding of zeros is at
        similarity 0 to all, with zero gradient. NaN in, NaN out.

    Raises:
        ValueError: a temperature that is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((4, 2))
        >>> round(float(ntxent_loss(x, jnp.array([0, 0, 1, 1]))), 4)  # one partner and two rivals, all alike: log 3
        1.0986

    Source: Sohn (2016); Chen et al., SimCLR (2020); with labels as in pytorch-metric-learning's NTXentLoss.
    """
    partners, rivals = partners_and_rivals(p)
    similarity = similarities(p) / jnp.asarray(temperature, p.x.dtype)
    losses = softplus(masked_logsumexp(similarity, rivals)[:, None] - similarity)
    return mean_where(losses, partners)


@public(first="embeddings")
def supervised_contrastive_loss(p: Partition, *, temperature: Positive = 0.1, **_: Unpack[Clustered]) -> Scalar:
    """Supervised contrastive loss: all partners of a point should stand out among all others.

    `mean over i of -(1 / |P_i|) sum_{j in P_i} log( exp(s_ij / T) / sum_{l != i} exp(s_il / T) )`, with s the cosine
    similarity and P_i the partners of i

    It is the paper's L_out: the mean over partners is outside of the logarithm. Inside it would be `nca_loss`, of
    distances.

    Args:
        temperature: T > 0.

    Returns:
        A scalar >= 0. Points without a partner are not averaged over, but others see them. Without any partners it is 0
        with zero gradient. A batch of one class is pulled together, as the formula says
        (pytorch-metric-learning gives 0 for it). An embedding of zeros is at similarity 0 to all, with zero gradient.
        NaN in, NaN out.

    Raises:
        ValueError: a temperature that is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((4, 2))
        >>> round(float(supervised_contrastive_loss(x, jnp.array([0, 0, 1, 1]))), 4)  # one partner in three others
        1.0986

    Source: Khosla et al., Supervised contrastive learning (2020), equation 2.
    """
    partners, rivals = partners_and_rivals(p)
    similarity = similarities(p) / jnp.asarray(temperature, p.x.dtype)
    num_partners = partners.sum(1, dtype=p.x.dtype)
    of_partners = jnp.where(partners, similarity, 0).sum(1) / jnp.maximum(num_partners, 1)
    return mean_where(masked_logsumexp(similarity, partners | rivals) - of_partners, num_partners > 0)


@public(first="embeddings")
def multi_similarity_loss(
    p: Partition,
    *,
    alpha: Positive = 2.0,
    beta: Positive = 50.0,
    base: float | jax.Array = 0.5,
    **_: Unpack[Clustered],
) -> Scalar:
    """Multi-similarity loss: a soft maximum over the partners that are far, another over the rivals that are near.

    `mean over i of (1/a) log(1 + sum_{j in P_i} exp(-a (s_ij - b))) + (1/c) log(1 + sum_{l in N_i} exp(c (s_il - b)))`,
    with s the cosine similarity, P_i the partners of i and N_i its rivals

    All pairs of the batch are in it; the paper's mining is left out.

    Args:
        alpha: a > 0, how sharply partners are weighed.
        beta: c > 0, how sharply rivals are weighed.
        base: b, the similarity that partners should have more of, and rivals less.

    Returns:
        A scalar >= 0, the mean over all points: one without partners has rivals still. Without pairs it is 0 with zero
        gradient. An embedding of zeros is at similarity 0 to all, with zero gradient. NaN in, NaN out.

    Raises:
        ValueError: an alpha or a beta that is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0, 1, 1])
        >>> round(float(multi_similarity_loss(x, labels)), 4)  # log(1 + exp(-1)) / 2, and next to nothing
        0.1566

    Source: Wang et al., Multi-similarity loss with general pair weighting (2019).
    """
    partners, rivals = partners_and_rivals(p)
    alpha, beta, base = (jnp.asarray(option, p.x.dtype) for option in (alpha, beta, base))
    above = similarities(p) - base
    of_partners = softplus(masked_logsumexp(-alpha * above, partners)) / alpha
    of_rivals = softplus(masked_logsumexp(beta * above, rivals)) / beta
    return mean_where(of_partners + of_rivals, (p.w > 0).any(1))


@public(first="embeddings")
def circle_loss(
    p: Partition, *, margin: float | jax.Array = 0.4, gamma: Positive = 80.0, **_: Unpack[Clustered]
) -> Scalar:
    """Circle loss: each similarity is weighed by how far it is from its optimum.

    `mean over i of log( 1 + sum_{l in N_i} exp(g a_il (s_il - m)) sum_{j in P_i} exp(-g b_ij (s_ij - 1 + m)) )`,
    with s the cosine similarity, P_i the partners of i, N_i its rivals, `a_il = max(0, s_il + m)`,
    `b_ij = max(0, 1 + m - s_ij)`

    As in the paper the weights a and b are held fixed in the gradient, which is therefore not that of the value.

    Args:
        margin: m, the relaxation: rivals should be below m and partners above 1 - m.
        gamma: g > 0, the scale.

    Returns:
        A scalar >= 0, the mean over the points that have both a partner and a rival; without any it is 0 with zero
        gradient. An embedding of zeros is at similarity 0 to all, with zero gradient. NaN in, NaN out.

    Raises:
        ValueError: a gamma that is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0, 1, 1])
        >>> round(float(circle_loss(x, labels, gamma=1.0)), 4)  # log(1 + 2 exp(-0.16) exp(-0.16))
        0.897

    Source: Sun et al., Circle loss (2020), with labels of classes; margin and gamma for image retrieval.
    """
    partners, rivals = partners_and_rivals(p)
    margin, gamma = jnp.asarray(margin, p.x.dtype), jnp.asarray(gamma, p.x.dtype)
    s = similarities(p)
    fixed = jax.lax.stop_gradient(s)
    of_rivals = masked_logsumexp(gamma * jax.nn.relu(fixed + margin) * (s - margin), rivals)
    of_partners = masked_logsumexp(-gamma * jax.nn.relu(1 + margin - fixed) * (s - 1 + margin), partners)
    both = partners.any(1) & rivals.any(1)
    return mean_where(softplus(jnp.where(both, of_rivals + of_partners, 0)), both)


def similarities(p: Partition) -> jax.Array:
    """Cosine similarities [n, n]; a row of zeros is at 0 from all."""
    unit = unit_rows(clean(p).x)
    return matmul(unit, unit.T)
