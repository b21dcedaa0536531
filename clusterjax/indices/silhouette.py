"""The silhouette: how much closer a point is to its own cluster than to the nearest other one.

`s(i) = (b - a) / max(a, b)`: a is the mean distance to the other members of i's cluster, b the smallest mean distance
to another cluster. 1 is well placed, 0 is between two clusters, negative is closer to another.
"""

from __future__ import annotations

from typing import NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from numpy.typing import ArrayLike

from clusterjax.arguments import as_array, as_data, as_mask, check_diagonal
from clusterjax.arithmetic import ratio, row_minimum
from clusterjax.by_cluster import distance_sums
from clusterjax.distances import as_points, is_traced, precomputed, resolve
from clusterjax.indices.comparison import average_values, comparable, compare_centroids, compare_nearest, silhouettes
from clusterjax.nearest import nearest_ahead
from clusterjax.partition import Partition, scaled
from clusterjax.public import public
from clusterjax.typing import Array, Average, Common, Mask, Measured, Metric, Scalar, Scores, Weights


class SilhouetteSummary(NamedTuple):
    """The silhouette of a partition, by point, by cluster and over all.

    Attributes:
        score: [], the mean over points.
        samples: [n], the silhouette of each point, as `silhouette_samples`.
        neighbors: [n], the nearest other cluster of each point; -1 where there is none, or the point takes no part.
        sizes: [k], points in each cluster, or what they weigh.
        means: [k], mean silhouette of each cluster; NaN where it is empty, and so the three shares.
        positive: [k], share of points with s > 0.
        zero: [k], share of points with s = 0.
        negative: [k], share of points with s < 0: closer to another cluster than to their own.
    """

    score: jax.Array
    samples: jax.Array
    neighbors: jax.Array
    sizes: jax.Array
    means: jax.Array
    positive: jax.Array
    zero: jax.Array
    negative: jax.Array


@public(needs=comparable, ahead=nearest_ahead)
def silhouette_samples(p: Partition, **_: Unpack[Measured]) -> Scores:
    """Silhouette of each point.

    `s(i) = (b(i) - a(i)) / max(a(i), b(i))`, with `a(i)` the mean distance to the other members of i's cluster and
    `b(i)` the smallest mean distance to another cluster.

    "squared_euclidean" and "cosine" take O(n k d) work, "manhattan" as well where points are many for their clusters,
    other metrics O(n^2 d) in O(n * block) memory.

    Returns:
        [n], in [-1, 1]. 0 for a singleton, where a = b = 0 (all duplicates), and for points that take no part. All NaN
        when traced labels turn out to have fewer than 2 clusters, none of 2 points, or to be out of range. NaN in, NaN
        out. Gradients are finite at duplicates, singletons and ties.

    Raises:
        ValueError: fewer than 2 clusters or only singletons.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0]])
        >>> [round(float(s), 4) for s in silhouette_samples(x, jnp.array([0, 0, 1, 1]))]
        [0.8, 0.75, 0.4286, 0.6364]

    Source: Rousseeuw, Silhouettes: a graphical aid to the interpretation and validation of cluster analysis (1987).
    """
    return silhouettes(p, compare_nearest(p))


@public(needs=comparable, ahead=nearest_ahead)
def silhouette_score(p: Partition, *, average: Average = "micro", **_: Unpack[Common]) -> Scalar:
    """Mean silhouette of a partition.

    `mean over i of s(i)`, or with `average="macro"` the mean over clusters of their means; s as in
    `silhouette_samples`.

    Args:
        average: "micro", every point alike; "macro", every cluster alike, which small clusters then weigh in.

    Returns:
        A scalar in [-1, 1]; singletons count with 0. NaN when traced labels turn out to have fewer than 2 clusters,
        none of 2 points, or to be out of range. NaN in, NaN out.

    Raises:
        ValueError: fewer than 2 clusters or only singletons; another average; negative weights.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0]])
        >>> round(float(silhouette_score(x, jnp.array([0, 0, 1, 1]))), 4)
        0.6537

    Source: Rousseeuw (1987); the macro average: Pavlopoulos et al., Revisiting silhouette aggregation
    (arXiv 2401.05831).
    """
    return average_values(silhouettes(p, compare_nearest(p)), p, average)


@public(needs=comparable, points_for="the simplified silhouette needs points, whose means are centroids")
def simplified_silhouette_score(p: Partition, *, average: Average = "micro", **_: Unpack[Common]) -> Scalar:
    """Mean silhouette with distances to centroids in place of mean distances: O(n k d), and another number.

    `mean over i of (b - a) / max(a, b)`, with `a = d(x_i, c_own)` and `b = min over other clusters of d(x_i, c_l)`.
    Centroids are means, whatever the metric.

    Args:
        average: "micro", every point alike; "macro", every cluster alike.

    Returns:
        A scalar in [-1, 1]. Singletons and a = b = 0 count with 0. NaN when traced labels turn out to have fewer than 2
        clusters, none of 2 points, or to be out of range. NaN in, NaN out.

    Raises:
        ValueError: fewer than 2 clusters or only singletons; another average; negative weights.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0]])
        >>> round(float(simplified_silhouette_score(x, jnp.array([0, 0, 1, 1]))), 4)
        0.8269

    Source: Hruschka, de Castro, Campello, Evolutionary algorithms for clustering gene-expression data (2004).
    """
    return average_values(silhouettes(p, compare_centroids(p)), p, average)


@public(needs=comparable, ahead=nearest_ahead)
def silhouette_summary(p: Partition, **_: Unpack[Common]) -> SilhouetteSummary:
    """Silhouette of each point, with its neighbour, of each cluster, and over all.

    `mean over i in cluster k of s(i)`, and the share of its points with s above, at and below 0; s as in
    `silhouette_samples`. The neighbour is the cluster that gives b.

    Returns:
        SilhouetteSummary. A singleton has s = 0 and a neighbour. An empty cluster has size 0 and NaN for its mean and
        shares. Where traced labels turn out to have fewer than 2 clusters, none of 2 points, or to be out of range,
        every silhouette is NaN. NaN in, NaN out.

    Raises:
        ValueError: fewer than 2 clusters or only singletons; negative weights.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0], [9.0]])
        >>> summary = silhouette_summary(x, jnp.array([0, 0, 1, 1, 2]))
        >>> summary.neighbors.tolist(), summary.sizes.tolist(), summary.negative.tolist()
        ([1, 1, 0, 2, 1], [2.0, 2.0, 1.0], [0.0, 0.0, 0.0])

    Source: Rousseeuw (1987); R's `cluster::silhouette`.
    """
    found = compare_nearest(p)
    s, sizes = silhouettes(p, found), p.sizes
    shares = [jnp.where(jnp.isnan(s), jnp.nan, side.astype(s.dtype)) for side in (s > 0, s == 0, s < 0)]
    of_points = jnp.stack([s, *shares], 1)
    # a product would carry a NaN into every cluster: added up without it, and put where it belongs
    unknown = jnp.isnan(of_points)
    sums = jnp.where(p.totals(unknown.astype(s.dtype)) > 0, jnp.nan, p.totals(jnp.where(unknown, 0, of_points)))
    means, positive, zero, negative = jnp.where(sizes[:, None] > 0, ratio(sums, sizes[:, None]), jnp.nan).T
    return SilhouetteSummary(
        score=average_values(s, p, "micro"),
        samples=s,
        neighbors=found.neighbors,
        sizes=sizes,
        means=means,
        positive=positive,
        zero=zero,
        negative=negative,
    )


def soft_silhouette_score(
    x: ArrayLike, weights: ArrayLike, *, where: ArrayLike | None = None, metric: Metric = "euclidean"
) -> Scalar:
    """Mean silhouette of a soft partition, differentiable in the assignments as well as in the points.

    `mean_i sum_k p_k(i) s_k(i)`, with `s_k = (b_k - a_k) / max(a_k, b_k)`,
    `a_k(i) = sum_{j != i} p_k(j) d(i, j) / sum_{j != i} p_k(j)` and `b_k(i) = min_{l != k} a_l(i)`.

    Args:
        x: [n, d], or the distances [n, n] with `metric="precomputed"`.
        weights: [n, k], at least 0: p_k(i), a row of which usually sums to 1. A row of another sum counts as much as
            that sum; a zero row takes no part.
        where: [n], False takes no part, whatever the row holds.
        metric: as in `pairwise_distances`; symmetric.

    Returns:
        A scalar in [-1, 1]. One-hot weights give `silhouette_score`. A cluster of no weight is skipped; a cluster that
        has weight at one point only gives it 0. NaN when traced weights turn out to be on fewer than 2 clusters, or on
        one point a cluster. NaN in, NaN out.

    Raises:
        ValueError: concrete weights that are negative, on fewer than 2 clusters, or on one point a cluster; shapes that
            do not fit; an unknown metric.
        TypeError: a mask that is not boolean.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[0.0], [1.0], [4.0], [6.0]]), jnp.array([0, 0, 1, 1])
        >>> round(float(soft_silhouette_score(x, jnp.eye(2)[labels])), 4)
        0.6537
        >>> round(float(soft_silhouette_score(x, 0.8 * jnp.eye(2)[labels] + 0.1)), 4)
        0.4154

    Source: Vardakas, Papakostas, Likas, Deep clustering using the soft silhouette score (arXiv 2402.00608); their code
    leaves out the denominators of a_k.
    """
    resolved, weights = resolve(metric), as_array(weights, "weights")
    if weights.ndim != 2:
        raise ValueError(f"weights must be two-dimensional, [n, k], not of shape {weights.shape}")
    where = as_mask(where, weights.shape[:1])
    x = as_data(x, weights.shape[0], resolved)
    if resolved.func is precomputed:
        check_diagonal(x, where)
    if not is_traced(weights, where):
        kept = np.asarray(weights)[slice(None) if where is None else np.asarray(where)]
        if (kept < 0).any():
            raise ValueError("weights must not be negative")
        points = (kept != 0).sum(0)
        if (points > 0).sum() < 2 or points.max() < 2:
            raise ValueError("a silhouette compares at least 2 clusters, one of them with weight on 2 points or more")
    return _soft(x, weights, where, resolved)


@jax.jit
def _soft(x: Array, weights: Weights, where: Mask | None, metric: Partial) -> Scalar:
    x = as_points(x)
    w = jnp.asarray(weights, x.dtype)
    w = w if where is None else jnp.where(where[:, None], w, 0)
    p, _ = scaled(Partition(x, w, own=None, mass=None, metric=metric))
    mass = w.sum(0, keepdims=True) - w  # of the others
    present = mass != 0
    a = ratio(distance_sums(p), mass)
    elsewhere = jnp.where(present, a, jnp.inf)
    nearest = jax.nn.one_hot(elsewhere.argmin(1), w.shape[1], dtype=bool)
    first, second = row_minimum(elsewhere)[:, None], row_minimum(jnp.where(nearest, jnp.inf, elsewhere))[:, None]
    b = jnp.where(nearest, second, first)  # the nearest cluster's nearest other is the second
    compared = present & (present.sum(1, keepdims=True) > 1)
    b = jnp.where(compared, b, a)
    s = jnp.where(compared, ratio(b - a, jnp.maximum(a, b)), 0)
    return jnp.where((compared & (w != 0)).any(), ratio((w * s).sum(), w.sum()), jnp.nan)
