"""Indices of scatter: how far points lie from the centroid of their cluster, and centroids from each other."""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import above_noise, ratio, row_minimum, safe_sqrt
from clusterjax.indices.comparison import comparable, is_comparable
from clusterjax.partition import Partition, centroids, present_mean, scaled, squared_between
from clusterjax.public import public
from clusterjax.typing import Centroids, Scalar, Scores, Weighted


@public(needs=comparable, points_for="scatter is around means of points")
def calinski_harabasz_score(p: Partition, **_: Unpack[Weighted]) -> Scalar:
    """Calinski-Harabasz index, the variance ratio: scatter between clusters over scatter within them.

    `(B / (k - 1)) / (W / (n - k))`, with `B = sum_k n_k |c_k - c|^2`, c the mean of all, and
    `W = sum_i |x_i - c_own(i)|^2`; k counts the clusters that have members, n
    the points, or their weights.

    Returns:
        A scalar >= 0, larger is better; 1 where every point is at its centroid. NaN when traced labels turn out to have
        fewer than 2 clusters, none of 2 points, or to be out of range. NaN in, NaN out.

    Raises:
        ValueError: fewer than 2 clusters or only singletons; negative weights.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0]])
        >>> round(float(calinski_harabasz_score(x, jnp.array([0, 0, 1, 1]))), 4)
        16.2

    Source: Calinski and Harabasz, A dendrite method for cluster analysis (1974).
    """
    p = scaled(p)[0]
    c, squared = _around_centroids(p)
    within = (p.w.sum(1) * squared).sum()
    n, k = p.sizes.sum(), (p.sizes > 0).sum(dtype=p.x.dtype)
    mean = present_mean(p.x, p.w)
    mean += ratio((p.sizes[:, None] * (c - mean)).sum(0, keepdims=True), n)  # by weight
    between = (p.sizes * jnp.square(c - mean).sum(1)).sum()
    score = ratio(between * (n - k), within * (k - 1))
    return jnp.where(is_comparable(p), jnp.where(within == 0, 1, score), jnp.nan)


@public(needs=comparable, points_for="scatter is around means of points")
def davies_bouldin_score(p: Partition, **_: Unpack[Weighted]) -> Scalar:
    """Davies-Bouldin index: how much each cluster overlaps the one that it is most like.

    `mean over k of max over l != k of (s_k + s_l) / |c_k - c_l|`, with s_k the mean distance from the members of k to
    its centroid c_k.

    Returns:
        A scalar >= 0, smaller is better. A singleton has s = 0. Two clusters with one centroid are not compared; where
        nothing is left to compare, or every point is at its centroid, it is 0. NaN when traced labels turn out to have
        fewer than 2 clusters, none of 2 points, or to be out of range. NaN in, NaN out. Its gradient goes through the
        one cluster that each is most like.

    Raises:
        ValueError: fewer than 2 clusters or only singletons; negative weights.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0]])
        >>> round(float(davies_bouldin_score(x, jnp.array([0, 0, 1, 1]))), 4)
        0.3333

    Source: Davies and Bouldin, A cluster separation measure (1979).
    """
    p = scaled(p)[0]
    c, squared = _around_centroids(p)
    spread = ratio(safe_sqrt(squared) @ p.w, p.sizes)
    apart, compared = _between_centroids(p, c)
    likeness = ratio(spread[:, None] + spread[None, :], safe_sqrt(apart))
    most = -row_minimum(jnp.where(compared, -likeness, 0))
    return jnp.where(is_comparable(p), ratio(most.sum(), (p.sizes > 0).sum(dtype=most.dtype)), jnp.nan)


@public(needs=comparable, points_for="scatter is around means of points")
def xie_beni_index(p: Partition, **_: Unpack[Weighted]) -> Scalar:
    """Xie-Beni index: mean squared distance to the own centroid, over the smallest one between two centroids.

    `(1/n) sum_i |x_i - c_own(i)|^2 / min over k != l of |c_k - c_l|^2`, n the points, or their weights.

    Returns:
        A scalar >= 0, smaller is better. 0 where every point is at its centroid; infinite where two clusters have one
        centroid. NaN when traced labels turn out to have fewer than 2 clusters, none of 2 points, or to be out of
        range. NaN in, NaN out. Its gradient goes through the two nearest centroids only.

    Raises:
        ValueError: fewer than 2 clusters or only singletons; negative weights.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0]])
        >>> round(float(xie_beni_index(x, jnp.array([0, 0, 1, 1]))), 4)
        0.0309

    Source: Xie and Beni, A validity measure for fuzzy clustering (1991), of memberships of 0 and 1. clusterCrit divides
    by the smallest squared distance between *points* of two clusters.
    """
    p = scaled(p)[0]
    c, squared = _around_centroids(p)
    apart, compared = _between_centroids(p, c)
    within = ratio((p.w.sum(1) * squared).sum(), p.sizes.sum())
    nearest = row_minimum(jnp.where(compared, apart, jnp.inf).reshape(-1))
    value = jnp.where(nearest == 0, jnp.where(within == 0, 0, jnp.inf), ratio(within, nearest))
    return jnp.where(is_comparable(p), value, jnp.nan)


def _between_centroids(p: Partition, c: Centroids) -> tuple[jax.Array, jax.Array]:
    """Squared distances [k, k] between the centroids, and which of them are of two clusters that have members."""
    present = p.sizes > 0
    return squared_between(c), present[:, None] & present[None, :] & ~jnp.eye(len(c), dtype=bool)


def _around_centroids(p: Partition) -> tuple[Centroids, Scores]:
    """Centroids, and the squared distance from each point to its own; 0 where that is the rounding of a mean."""
    c = centroids(p.x, p.w)
    mean = jax.lax.stop_gradient(present_mean(p.x, p.w))
    assert p.own is not None  # labels are hard
    squared = jnp.square(p.x - c.at[p.own].get(mode="clip")).sum(1)
    scale = jnp.square(p.x - mean).sum(1)
    return c, above_noise(squared, jnp.finfo(scale.dtype).eps * scale)
