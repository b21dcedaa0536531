"""Losses without labels: an embedding is trained on the clusters that it has already."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from clusterjax.arguments import as_array, as_mask, as_rows
from clusterjax.arithmetic import ratio
from clusterjax.distances import as_points, squared_euclidean
from clusterjax.typing import Mask, Scalar


def dec_loss(embeddings: ArrayLike, centroids: ArrayLike, *, where: ArrayLike | None = None) -> Scalar:
    """Deep embedded clustering: soft assignments should be as sure of themselves as their own squares.

    `KL(P || Q) = (1/n) sum_i sum_k p_ik log(p_ik / q_ik)`, with `q_ik ~ 1 / (1 + |x_i - c_k|^2)`, and the target
    `p_ik ~ q_ik^2 / sum_j q_jk`, which has no gradient; the rows of both sum to 1.

    The centroids are learned beside the encoder; k-means of the first embeddings is their start.

    Args:
        embeddings: [n, d].
        centroids: [k, d]; gradients reach them.
        where: [n], False takes no part, whatever the row holds.

    Returns:
        A scalar >= 0; the sum of the paper over n, so that batches of any size have one rate. Without points it is 0
        with zero gradient, as it is with one centroid. NaN in, NaN out.

    Raises:
        TypeError: a mask that is not boolean, arrays that hold no real numbers.
        ValueError: shapes that do not fit.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0]])
        >>> round(float(dec_loss(x, jnp.array([[0.5], [5.0]]))), 4)
        0.0535

    Source: Xie, Girshick, Farhadi, Unsupervised deep embedding for clustering analysis (2016).
    """
    x, centroids = as_rows(embeddings), as_rows(as_array(centroids, "centroids"))
    if x.shape[1] != centroids.shape[1] or not len(centroids):
        raise ValueError(
            f"centroids must be [k, d] with the features of the embeddings, not {centroids.shape} for {x.shape}"
        )
    return _dec(x, centroids, as_mask(where, x.shape[:1]))


@jax.jit
def _dec(x: jax.Array, centroids: jax.Array, where: Mask | None) -> Scalar:
    x = as_points(x)
    present = jnp.ones(len(x), bool) if where is None else where
    if not len(x):
        return x.sum()
    x = jnp.where(present[:, None], x, 0)
    # q in logarithms: far from every centroid it is a ratio of two numbers that are nearly 0
    logits = -jnp.log1p(squared_euclidean(x, centroids.astype(x.dtype)))
    log_q = jax.nn.log_softmax(logits, axis=1)
    q = jnp.where(present[:, None], jnp.exp(log_q), 0)
    p = jax.lax.stop_gradient(_target(q))
    terms = jnp.where(p > 0, p * (jnp.log(jnp.where(p > 0, p, 1)) - log_q), jnp.where(jnp.isnan(p), p, 0))
    return ratio(terms.sum(), present.sum(dtype=x.dtype))


def _target(q: jax.Array) -> jax.Array:
    sharpened = ratio(q * q, q.sum(0, keepdims=True))
    return ratio(sharpened, sharpened.sum(1, keepdims=True))
