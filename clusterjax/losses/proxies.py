"""Losses on vectors of the classes that are cross-entropies: one class vector, or several, should win over the others.

They need no partners in the batch, but know the classes of the training data only.
"""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import matmul, ratio, safe_sqrt
from clusterjax.distances import squared_euclidean, unit_rows
from clusterjax.partition import Partition, clean
from clusterjax.public import public
from clusterjax.typing import Angle, Clustered, NonNegative, Positive, Proxies, Scalar, SeveralProxies


@public(first="embeddings")
def softmax_loss(p: Partition, *, proxies: Proxies, **_: Unpack[Clustered]) -> Scalar:
    """Cross-entropy of a linear classifier whose rows are the proxies.

    `mean over i of -log( exp(h_i . w_y(i)) / sum_k exp(h_i . w_k) )`

    Returns:
        A scalar >= 0. Without points it is 0 with zero gradient. NaN in, NaN out.

    Examples:
        >>> import jax.numpy as jnp
        >>> round(float(softmax_loss(jnp.zeros((3, 2)), jnp.array([0, 0, 1]), proxies=jnp.eye(2))), 4)  # log 2
        0.6931

    Source: the classifier of every textbook, without a bias.
    """
    return cross_entropy(matmul(clean(p).x, jnp.asarray(proxies, p.x.dtype).T), p)


@public(first="embeddings")
def normalized_softmax_loss(
    p: Partition, *, proxies: Proxies, temperature: Positive = 0.05, **_: Unpack[Clustered]
) -> Scalar:
    """Normalised softmax: cross-entropy over the cosine similarities to the proxies.

    `mean over i of -log( exp(s_iy(i) / T) / sum_k exp(s_ik / T) )`, with `s_ik = h_i . w_k / (|h_i| |w_k|)`

    Args:
        temperature: T > 0.

    Returns:
        A scalar >= 0. Without points it is 0 with zero gradient. A row of zeros is at similarity 0 to all, with zero
        gradient. NaN in, NaN out.

    Raises:
        ValueError: a temperature that is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[3.0, 0.0], [0.0, 0.1]]), jnp.array([0, 1])
        >>> round(float(normalized_softmax_loss(x, labels, proxies=jnp.eye(2), temperature=1.0)), 4)  # log(1 + 1 / e)
        0.3133

    Source: Wang et al., NormFace (2017); Zhai, Wu, Classification is a strong baseline for deep metric learning (2019).
    """
    return cross_entropy(cosines(p, proxies) / jnp.asarray(temperature, p.x.dtype), p)


@public(first="embeddings")
def arcface_loss(
    p: Partition, *, proxies: Proxies, margin: Angle = 0.5, scale: Positive = 64.0, **_: Unpack[Clustered]
) -> Scalar:
    """ArcFace: normalised softmax, with the angle to the own proxy taken as larger than it is.

    `mean over i of -log( exp(g cos(t_iy(i) + m)) / (exp(g cos(t_iy(i) + m)) + sum_{k != y(i)} exp(g cos t_ik)) )`,
    with t_ik the angle between embedding and proxy

    Args:
        margin: m, in radians, in [0, pi]; 0.5 are 28.6 degrees.
        scale: g > 0.

    Returns:
        A scalar >= 0. Where `t + m` is more than pi, `cos t - m sin m` stands for its cosine, which would rise again.
        Without points it is 0 with zero gradient. An embedding that lies on its proxy has a finite gradient. A row of
        zeros is at similarity 0 to all, with zero gradient. NaN in, NaN out.

    Raises:
        ValueError: a margin out of range, a scale that is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[3.0, 0.0], [0.0, 0.1]]), jnp.array([0, 1])
        >>> round(float(arcface_loss(x, labels, proxies=jnp.eye(2), scale=1.0)), 4)  # log(1 + exp(-cos 0.5))
        0.3477

    Source: Deng et al., ArcFace (2019).
    """
    margin, scale = jnp.asarray(margin, p.x.dtype), jnp.asarray(scale, p.x.dtype)
    x, proxies = unit_rows(clean(p).x), unit_rows(jnp.asarray(proxies, p.x.dtype))
    similarity = matmul(x, proxies.T)
    own = proxies.at[p.own].get(mode="clip")
    cosine = (x * own).sum(1, keepdims=True)
    # Not by the angle, whose gradient is infinite on the proxy and opposite to it; and not the root of 1 - cosine^2,
    # which has half of the digits there.
    sine = safe_sqrt(jnp.square(x - cosine * own).sum(1, keepdims=True))
    sine = jnp.where((x == 0).all(1, keepdims=True), 1, sine)  # a row of zeros is at a right angle to all
    shifted = cosine * jnp.cos(margin) - sine * jnp.sin(margin)
    shifted = jnp.where(cosine >= -jnp.cos(margin), shifted, cosine - margin * jnp.sin(margin))
    return cross_entropy(scale * jnp.where(p.w > 0, shifted, similarity), p)


@public(first="embeddings")
def proxy_nca_loss(p: Partition, *, proxies: Proxies, temperature: Positive = 1.0, **_: Unpack[Clustered]) -> Scalar:
    """Proxy-NCA: neighbourhood components analysis with the proxies as neighbours.

    `mean over i of -log( exp(-d_iy(i) / T) / sum_k exp(-d_ik / T) )`, with d the squared Euclidean distance between
    embedding and proxy, both divided by their length

    Args:
        temperature: T > 0.

    Returns:
        A scalar >= 0. The own proxy is in the sum, so that it is a probability; the paper leaves it out. Without points
        it is 0 with zero gradient. A row of zeros stays where it is, with zero gradient. NaN in, NaN out.

    Raises:
        ValueError: a temperature that is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[3.0, 0.0], [0.0, 0.1]]), jnp.array([0, 1])
        >>> round(float(proxy_nca_loss(x, labels, proxies=jnp.eye(2))), 4)  # log(1 + exp(-2))
        0.1269

    Source: Movshovitz-Attias et al., No fuss distance metric learning using proxies (2017), as in
    pytorch-metric-learning's ProxyNCALoss.
    """
    distances = squared_euclidean(unit_rows(clean(p).x), unit_rows(jnp.asarray(proxies, p.x.dtype)))
    return cross_entropy(-distances / jnp.asarray(temperature, p.x.dtype), p)


@public(first="embeddings")
def soft_triple_loss(
    p: Partition,
    *,
    proxies: SeveralProxies,
    scale: Positive = 20.0,
    gamma: Positive = 0.1,
    margin: NonNegative = 0.01,
    **_: Unpack[Clustered],
) -> Scalar:
    """SoftTriple: a class has several proxies, and a point belongs softly to the nearest of them.

    `mean over i of -log( exp(g (S_iy(i) - m)) / (exp(g (S_iy(i) - m)) + sum_{k != y(i)} exp(g S_ik)) )`, with
    `S_ik = sum_c q_ikc s_ikc`, s the cosine similarity to proxy c of class k, q the softmax over c of `s_ikc / gamma`

    The paper's regulariser, which merges proxies of one class, is left out.

    Args:
        scale: g > 0, the paper's lambda.
        gamma: a small one looks at the nearest proxy of a class only.
        margin: m, in units of the similarity.

    Returns:
        A scalar >= 0. Without points it is 0 with zero gradient. A row of zeros is at similarity 0 to all, with zero
        gradient. NaN in, NaN out.

    Raises:
        ValueError: a scale or a gamma that is not positive, a negative margin.

    Examples:
        >>> import jax.numpy as jnp
        >>> proxies = jnp.array([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
        >>> x, labels = jnp.array([[3.0, 0.0], [0.0, 0.1]]), jnp.array([0, 1])
        >>> round(float(soft_triple_loss(x, labels, proxies=proxies, scale=1.0, margin=0.0)), 4)  # log(1 + 1 / e)
        0.3133

    Source: Qian et al., SoftTriple loss: deep metric learning without triplet sampling (2019).
    """
    scale, gamma, margin = (jnp.asarray(option, p.x.dtype) for option in (scale, gamma, margin))
    proxies = jnp.asarray(proxies, p.x.dtype)
    x, proxies = unit_rows(clean(p).x), jax.vmap(unit_rows)(proxies)

    def of_classes(row: jax.Array) -> jax.Array:
        s = matmul(proxies, row)
        return (jax.nn.softmax(s / gamma, axis=1) * s).sum(1)

    # A few points at a time and computed again for the gradient: else there are several arrays [n, k, m].
    few = -(-len(x) // (2 * proxies.shape[1]))
    of_class = jax.lax.map(jax.checkpoint(of_classes), x, batch_size=few)
    return cross_entropy(scale * jnp.where(p.w > 0, of_class - margin, of_class), p)


def cosines(p: Partition, proxies: Proxies) -> jax.Array:
    """Cosine similarities [n, k] of points and proxies."""
    return matmul(unit_rows(clean(p).x), unit_rows(jnp.asarray(proxies, p.x.dtype)).T)


def cross_entropy(logits: jax.Array, p: Partition) -> jax.Array:
    """Mean over the points of the negative log-probability of their class."""
    return ratio(-jnp.where(p.w > 0, jax.nn.log_softmax(logits, axis=1), 0).sum(), p.w.sum())
