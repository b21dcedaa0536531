"""Losses on vectors of the classes in two parts: what draws points to their proxy, and what keeps others away."""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import matmul, ratio, row_minimum, softplus
from clusterjax.losses.pairs import masked_logsumexp
from clusterjax.losses.proxies import cosines, cross_entropy
from clusterjax.partition import Partition, clean
from clusterjax.public import public
from clusterjax.typing import Clustered, Positive, Proxies, Scalar, Share


@public(first="embeddings")
def proxy_anchor_loss(
    p: Partition,
    *,
    proxies: Proxies,
    margin: float | jax.Array = 0.1,
    alpha: Positive = 32.0,
    **_: Unpack[Clustered],
) -> Scalar:
    """Proxy-Anchor: each proxy looks at all points of the batch, the hard ones most.

    `mean over k with members of log(1 + sum_{i in C_k} exp(-a (s_ik - m)))` `+ mean over all k of
    log(1 + sum_{i not in C_k} exp(a (s_ik + m)))`, with s the cosine similarity of embedding and proxy

    Args:
        margin: m, in units of the similarity.
        alpha: a > 0, how sharply the hard ones are weighed.

    Returns:
        A scalar >= 0. Without points it is 0 with zero gradient. A row of zeros is at similarity 0 to all, with zero
        gradient. NaN in, NaN out.

    Raises:
        ValueError: an alpha that is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[3.0, 0.0], [0.0, 0.1]]), jnp.array([0, 1])
        >>> loss = proxy_anchor_loss(x, labels, proxies=jnp.eye(2), margin=0.0, alpha=1.0)
        >>> round(float(loss), 4)  # log(1 + 1 / e) + log(1 + 1)
        1.0064

    Source: Kim et al., Proxy anchor loss for deep metric learning (2020).
    """
    margin, alpha = jnp.asarray(margin, p.x.dtype), jnp.asarray(alpha, p.x.dtype)
    s, own = cosines(p, proxies), p.w > 0
    present = own.any(1, keepdims=True)
    near = softplus(masked_logsumexp(-alpha * (s - margin), own, axis=0))
    far = softplus(masked_logsumexp(alpha * (s + margin), present & ~own, axis=0))
    return ratio(near.sum(), own.any(0).sum(dtype=s.dtype)) + far.mean()


@public(first="embeddings")
def cosine_corel_loss(p: Partition, *, proxies: Proxies, attraction: Share = 0.5, **_: Unpack[Clustered]) -> Scalar:
    """Cosine COREL: near to one's own proxy, and at right angles to the most similar other one.

    `mean over i of -a s_iy(i) + (1 - a) (max_{k != y(i)} s_ik)^2`, with s the cosine similarity of embedding and proxy

    Args:
        attraction: a in [0, 1], the paper's lambda: the share of the first part.

    Returns:
        A scalar in [-a, 1]. Of one class alone the second part is 0. Without points it is 0 with zero gradient. A row
        of zeros is at similarity 0 to all, with zero gradient. NaN in, NaN out.

    Raises:
        ValueError: an attraction out of range.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[3.0, 0.0], [0.0, 0.1]]), jnp.array([0, 1])
        >>> float(cosine_corel_loss(x, labels, proxies=jnp.eye(2)))
        -0.5

    Source: Kenyon-Dean, Cianflone, Page-Caccia, Rabusseau, Cheung, Precup, Clustering-oriented representation learning
    with attractive-repulsive loss (arXiv 1812.07627).
    """
    attraction = jnp.asarray(attraction, p.x.dtype)
    s, own = cosines(p, proxies), p.w > 0
    nearest = -row_minimum(jnp.where(own, 2, -s))  # below -1 for the own, so that it is never the nearest other
    repulsion = jnp.square(nearest) if s.shape[1] > 1 else jnp.zeros_like(nearest)
    return mean_of_points(-attraction * own_of(s, p) + (1 - attraction) * repulsion, p)


@public(first="embeddings")
def gaussian_corel_loss(
    p: Partition, *, proxies: Proxies, gamma: Positive = 0.5, attraction: Share = 0.5, **_: Unpack[Clustered]
) -> Scalar:
    """Gaussian COREL: near to one's own proxy, and far from all.

    `mean over i of -a s_iy(i) + (1 - a) log sum_k exp(s_ik)`, with `s_ik = -g |h_i - w_k|^2`

    With a = 1/2 it is half of a cross-entropy. With less it has no lower bound: points may run away from all proxies.

    Args:
        gamma: g > 0, in units of one over the squared distance. It is traced: the paper learns it, from 0.5.
        attraction: a in [0, 1], the paper's lambda: the share of the first part.

    Returns:
        A scalar, at least 0 for a = 1/2. Without points it is 0 with zero gradient. NaN in, NaN out.

    Raises:
        ValueError: a gamma that is not positive, an attraction out of range.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[1.0, 0.0], [0.0, 1.0]]), jnp.array([0, 1])
        >>> round(float(gaussian_corel_loss(x, labels, proxies=jnp.eye(2))), 4)  # log(1 + 1 / e) / 2
        0.1566

    Source: Kenyon-Dean, Cianflone, Page-Caccia, Rabusseau, Cheung, Precup, Clustering-oriented representation learning
    with attractive-repulsive loss (arXiv 1812.07627).
    """
    gamma, attraction = jnp.asarray(gamma, p.x.dtype), jnp.asarray(attraction, p.x.dtype)
    x, proxies = clean(p).x, jnp.asarray(proxies, p.x.dtype)
    centre = jax.lax.stop_gradient(proxies.mean(0, keepdims=True))
    x, proxies = x - centre, proxies - centre
    # Of the softmax |h|^2 is no part: without it a far point keeps the differences between the proxies.
    logits = gamma * (2 * matmul(x, proxies.T) - (proxies * proxies).sum(1)[None, :])
    own = -gamma * jnp.square(x - proxies.at[p.own].get(mode="clip")).sum(1)
    own = jnp.maximum(own, jnp.finfo(own.dtype).min)  # of a = 1/2 nothing is left of it, infinite or not
    return (1 - attraction) * cross_entropy(logits, p) + mean_of_points((1 - 2 * attraction) * own, p)


def own_of(values: jax.Array, p: Partition) -> jax.Array:
    """Of each row [n, k] the value of the point's own class; 0 for who takes no part."""
    return jnp.where(p.w > 0, values, 0).sum(1)


def mean_of_points(values: jax.Array, p: Partition) -> jax.Array:
    """Mean over the points that take part."""
    present = (p.w > 0).any(1)
    return ratio(jnp.where(present, values, 0).sum(), present.sum(dtype=values.dtype))
