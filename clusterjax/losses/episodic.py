"""Losses that treat a batch as an episode: some points make prototypes, the others are recognised by them."""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp

from clusterjax.by_cluster import distances_to
from clusterjax.distances import matmul, ratio
from clusterjax.partition import Partition, centroids, clean
from clusterjax.public import public
from clusterjax.typing import Count, Measured, Scalar


@public(first="embeddings", metric="squared_euclidean", points_for="prototypes are means of points")
def prototypical_loss(p: Partition, *, num_support: Count | None = 1, **_: Unpack[Measured]) -> Scalar:
    """Prototypical networks: cross-entropy of the queries over the distances to the prototypes.

    `mean over queries q of -log( exp(-d(q, c_y(q))) / sum_k exp(-d(q, c_k)) )`

    c_k is the mean of the first `num_support` points of class k, in the order of the rows; the others are queries.
    With `num_support=None` every point is a query, and its own class's prototype is the mean of the *other* members:
    the same batch gives more queries and better prototypes.

    Args:
        num_support: points of each class that make its prototype, or None for leave-one-out.

    Returns:
        A scalar >= 0. A class with no more than `num_support` points gives no queries but is a prototype still; an
        empty id is none. Without queries it is 0 with zero gradient. NaN in, NaN out.

    Raises:
        ValueError: `num_support` below 1.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [0.0], [9.0], [9.0]])
        >>> round(float(prototypical_loss(x, jnp.array([0, 0, 1, 1]))), 4)
        0.0
        >>> round(float(prototypical_loss(0 * x, jnp.array([0, 0, 1, 1]))), 4)  # one class in two: log 2
        0.6931

    Source: Snell, Swersky, Zemel, Prototypical networks for few-shot learning (2017).
    """
    x, w = clean(p).x, p.w
    # each member's place in its class, from 1; 0 for the points that take no part
    place = (jnp.cumsum(w, axis=0) * w).sum(1)
    support = w if num_support is None else jnp.where((place <= num_support)[:, None], w, 0)
    sizes = support.sum(0)
    centres = centroids(x, support)
    distances = distances_to(centres, x, p.metric, p.own)
    if num_support is None:
        own_size = w @ sizes
        own = matmul(w, centres)
        others = own + ratio(own - x, own_size[:, None] - 1)  # without x itself
        to_others = jax.vmap(lambda a, b: p.metric(a[None], b[None])[0, 0])(x, others)
        distances = jnp.where(w > 0, to_others[:, None], distances)
        is_query = own_size > 1
    else:
        is_query = place > num_support
    # the lowest float and not -inf: without any prototype the softmax is still finite, and has no gradient
    log_p = jax.nn.log_softmax(jnp.where(sizes > 0, -distances, jnp.finfo(x.dtype).min), axis=1)
    return ratio(-jnp.where(w > 0, log_p, 0).sum(1) @ is_query.astype(x.dtype), is_query.sum(dtype=x.dtype))
