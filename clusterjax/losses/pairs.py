"""Losses on the pairs of a batch: every point compares every other one."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from clusterjax.distances import as_points, ratio, resolve
from clusterjax.partition import check_points, count_clusters, members, weights
from clusterjax.tiles import distances_within
from clusterjax.typing import Labels, Mask, Metric, Points, Scalar


def nca_loss(
    embeddings: Points,
    labels: Labels,
    *,
    num_clusters: int | None = None,
    where: Mask | None = None,
    metric: Metric = "squared_euclidean",
    temperature: float = 1.0,
) -> Scalar:
    """Neighbourhood components analysis: a point's nearest others should be of its class.

    `mean over i of -log( sum_{j != i, y_j = y_i} exp(-d(i, j) / T) / sum_{j != i} exp(-d(i, j) / T) )`

    All pairs of the batch are compared, so it needs no episodes: batches of a few classes with several points each.

    Args:
        embeddings: [n, d], or the distances [n, n] with `metric="precomputed"`.
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part, whatever the row holds.
        metric: a name or a function of two blocks of points.
        temperature: T > 0; a small one looks at the nearest points only.

    Returns:
        A scalar >= 0. Points without a partner of their class are not averaged over, but others see them. Without
        any partners it is 0 with zero gradient. Gradients are finite at duplicates. NaN in, NaN out.

    Raises:
        ValueError: a label is not below `num_clusters`, or the labels are traced and `num_clusters` is missing; an
            unknown metric; a temperature that is not positive.

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
    if isinstance(temperature, int | float) and not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    k, metric = count_clusters(labels, num_clusters, where), resolve(metric)
    check_points(embeddings, len(labels), metric, where)
    return _nca(embeddings, labels, where, metric, temperature, k)


@partial(jax.jit, static_argnames="num_clusters")
def _nca(x, labels, where, metric, temperature, num_clusters):
    x = as_points(x)
    w = weights(labels, num_clusters, where, x.dtype)
    similarity = -distances_within(x, w, metric, members(labels, where, num_clusters)) / temperature
    present = w.sum(1) > 0
    others = present[:, None] & present[None, :] & ~jnp.eye(x.shape[0], dtype=bool)
    partners = others & (labels[:, None] == labels[None, :])
    # the lowest float and not -inf: a point without others then has a finite value, and no gradient
    far = jnp.finfo(x.dtype).min
    to_others = jax.nn.logsumexp(jnp.where(others, similarity, far), axis=1)
    to_partners = jax.nn.logsumexp(jnp.where(partners, similarity, far), axis=1)
    paired = partners.any(1)
    return ratio(jnp.where(paired, to_others - to_partners, 0).sum(), paired.sum(dtype=x.dtype))
