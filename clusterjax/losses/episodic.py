"""Losses that treat a batch as an episode: some points make prototypes, the others are recognised by them."""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import matmul, ratio
from clusterjax.by_cluster import distances_to
from clusterjax.partition import Partition, centroids, without_offset
from clusterjax.public import public
from clusterjax.typing import Count, Flags, Measured, Scalar, Scores, Sums


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
    distances, is_query, sizes = _to_prototypes(p, num_support)
    # the lowest float and not -inf: without any prototype the softmax is still finite, and has no gradient
    logits = jnp.where(sizes > 0, -distances, jnp.finfo(distances.dtype).min)
    logits = logits - jax.lax.stop_gradient(logits.max(1, keepdims=True))
    return _mean_over(is_query, jnp.log(jnp.exp(logits).sum(1)) - jnp.where(p.w > 0, logits, 0).sum(1))


@public(first="embeddings", metric="cosine", points_for="prototypes are means of points")
def relation_loss(p: Partition, *, num_support: Count | None = 1, **_: Unpack[Measured]) -> Scalar:
    """Relation network: the distance to the prototype of the own class should be 0, to all others 1.

    `mean over queries q of sum_k (d(q, c_k) - [k != y(q)])^2`

    Queries and prototypes as in `prototypical_loss`. With a learned metric in [0, 1] such as `modules.Relation` it is
    the loss of the relation network, whose relation is 1 - d; with the cosine distance that of its fixed rival.

    Args:
        num_support: points of each class that make its prototype, or None for leave-one-out.

    Returns:
        A scalar >= 0. A class with no more than `num_support` points gives no queries but is a prototype still; an
        empty id is none. Without queries it is 0 with zero gradient. NaN in, NaN out.

    Raises:
        ValueError: `num_support` below 1.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
        >>> float(relation_loss(x, jnp.array([0, 0, 1, 1])))
        0.0
        >>> float(relation_loss(x, jnp.array([0, 1, 0, 1])))
        1.0

    Source: Sung et al., Learning to compare: relation network for few-shot learning (2018).
    """
    distances, is_query, sizes = _to_prototypes(p, num_support)
    wanted = jnp.where(p.w > 0, 0, jnp.ones_like(distances))
    return _mean_over(is_query, jnp.where(sizes > 0, jnp.square(distances - wanted), 0).sum(1))


def _to_prototypes(p: Partition, num_support: int | None) -> tuple[Sums, Flags, jax.Array]:
    """Distances [n, k] to the prototypes, which points are queries, and of how many points a prototype is [1, k]."""
    x, w = without_offset(p).x, p.w
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
    return distances, is_query, sizes[None, :]


def _mean_over(is_query: Flags, values: Scores) -> Scalar:
    return ratio(values @ is_query.astype(values.dtype), is_query.sum(dtype=values.dtype))
