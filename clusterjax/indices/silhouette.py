"""The silhouette: how much closer a point is to its own cluster than to the nearest other one.

`s(i) = (b - a) / max(a, b)`: a is the mean distance to the other members of i's cluster, b the smallest mean distance
to another cluster. 1 is well placed, 0 is between two clusters, negative is closer to another.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from clusterjax.distances import as_points, is_traced, matmul, precomputed, ratio, resolve, row_minimum
from clusterjax.partition import (
    centroids,
    check_points,
    cluster_sizes,
    count_clusters,
    members,
    scaled,
    weights,
)
from clusterjax.tiles import distance_sums, distances_to
from clusterjax.typing import (
    Array,
    Average,
    Flags,
    Labels,
    Mask,
    Metric,
    PerCluster,
    Points,
    Scalar,
    Scores,
    Sums,
    Weights,
)


class SilhouetteSummary(NamedTuple):
    """The silhouette of a partition, by point, by cluster and over all.

    Attributes:
        score: [], the mean over points.
        samples: [n], the silhouette of each point, as `silhouette_samples`.
        neighbors: [n], the nearest other cluster of each point; -1 where there is none, or the point takes no part.
        sizes: [k], points in each cluster.
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


class Comparison(NamedTuple):
    """What a silhouette compares, for each point.

    Attributes:
        own: [n], a, the mean distance to the other members of its cluster.
        means: [n, k], mean distances to every cluster.
        other: [n, k], whether that is a cluster with members, and another one.
        compared: [n], whether there is something to compare: the point is no singleton, and not all are of its cluster.
        w: [n, k], the partition.
        unit: [], what the distances are in: those of the data are so many times larger.
    """

    own: Scores
    means: Sums
    other: jax.Array
    compared: Flags
    w: Sums
    unit: jax.Array


def compare(x: Array, labels: Labels, where: Mask | None, metric: Partial, num_clusters: int) -> Comparison:
    """Mean distances from each point to its own cluster and to the others; the only O(n^2) line is `distance_sums`."""
    x = as_points(x)
    w = weights(labels, num_clusters, where, x.dtype)
    sizes = w.sum(0, keepdims=True)
    x, unit = scaled(x, w, metric)
    sums = distance_sums(x, w, metric, members(labels, where, num_clusters))
    own_size = (w * sizes).sum(1)  # 0 for a point that takes no part
    own = ratio((w * sums).sum(1), own_size - 1)
    other = (w == 0) & (sizes > 0) & (own_size > 0)[:, None]
    return Comparison(own, ratio(sums, sizes), other, (own_size > 1) & other.any(1), w, unit)


def compare_centroids(x: Array, labels: Labels, where: Mask | None, metric: Partial, num_clusters: int) -> Comparison:
    """The same with distances to centroids, O(n k d): the simplified silhouette."""
    x = as_points(x)
    w = weights(labels, num_clusters, where, x.dtype)
    (x, unit), sizes = scaled(x, w, metric), w.sum(0, keepdims=True)
    means = distances_to(centroids(x, w), x, metric, members(labels, where, num_clusters))
    own_size = (w * sizes).sum(1)
    other = (w == 0) & (sizes > 0) & (own_size > 0)[:, None]
    return Comparison((w * means).sum(1), means, other, (own_size > 1) & other.any(1), w, unit)


def values(c: Comparison, nearest: jax.Array) -> Scores:
    """(b - a) / max(a, b) for b = `nearest`; 0 where nothing is compared."""
    b = jnp.where(c.compared, nearest, c.own)
    return jnp.where(c.compared, ratio(b - c.own, jnp.maximum(c.own, b)), 0)


def nearest_other(c: Comparison) -> Scores:
    """b, the smallest mean distance to another cluster; infinite where there is none."""
    return row_minimum(jnp.where(c.other, c.means, jnp.inf))


def average_values(s: Scores, w: Weights, average: Average) -> Scalar:
    """Micro: the mean over points; macro: the mean over non-empty clusters of their means."""
    sizes = w.sum(0)
    if average == "micro":
        return ratio((s * w.sum(1)).sum(), sizes.sum())
    return ratio(ratio(matmul(s, w), sizes).sum(), (sizes > 0).sum(dtype=s.dtype))


def check_average(average: Average) -> None:
    """Refuse an average that is neither of the two."""
    if average not in ("micro", "macro"):
        raise ValueError(f"average must be 'micro' (over points) or 'macro' (over clusters), not {average!r}")


def check(
    x: Points, labels: Labels, num_clusters: int | None, where: Mask | None, metric: Metric
) -> tuple[Partial, int]:
    """The metric and number of clusters of a silhouette; refuses, where values are known, one that is not defined."""
    resolved, num_clusters = resolve(metric), count_clusters(labels, num_clusters, where)
    check_points(x, labels.shape[0], resolved, where)
    sizes = cluster_sizes(labels, where)
    if sizes is not None and not 2 <= (sizes > 0).sum() < sizes.sum():
        raise ValueError(
            "a silhouette compares at least 2 clusters, one of them of 2 points or more: "
            f"there are {sizes.sum()} points in {(sizes > 0).sum()} clusters"
        )
    return resolved, num_clusters


def silhouette_samples(
    x: Points,
    labels: Labels,
    *,
    num_clusters: int | None = None,
    where: Mask | None = None,
    metric: Metric = "euclidean",
) -> Scores:
    """Silhouette of each point.

    `s(i) = (b(i) - a(i)) / max(a(i), b(i))`, with `a(i)` the mean distance to the other members of i's cluster and
    `b(i)` the smallest mean distance to another cluster.

    Args:
        x: [n, d], or the distances [n, n] with `metric="precomputed"`.
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        num_clusters: static; may be left out when the labels are concrete. Ids without members are skipped.
        where: [n], False takes no part, whatever the row holds.
        metric: as in `pairwise_distances`; symmetric. "squared_euclidean" and "cosine" take O(n k d) work, others
            O(n^2 d) in O(n * block) memory.

    Returns:
        [n], in [-1, 1]. 0 for a singleton, where a = b = 0 (all duplicates), and for points that take no part. All NaN
        when traced labels turn out to have fewer than 2 clusters, or none of 2 points. NaN in, NaN out. Gradients are
        finite at duplicates, singletons and ties.

    Raises:
        ValueError: concrete labels with fewer than 2 clusters or only singletons, a label not below `num_clusters`,
            traced labels without it, shapes that do not fit, precomputed distances without a zero diagonal, an unknown
            metric.
        TypeError: labels that are not integers, a mask that is not boolean.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0]])
        >>> [round(float(s), 4) for s in silhouette_samples(x, jnp.array([0, 0, 1, 1]))]
        [0.8, 0.75, 0.4286, 0.6364]

    Source: Rousseeuw, Silhouettes: a graphical aid to the interpretation and validation of cluster analysis (1987).
    """
    resolved, k = check(x, labels, num_clusters, where, metric)
    return _samples(x, labels, where, resolved, k)


def silhouette_score(
    x: Points,
    labels: Labels,
    *,
    num_clusters: int | None = None,
    where: Mask | None = None,
    metric: Metric = "euclidean",
    average: Average = "micro",
) -> Scalar:
    """Mean silhouette of a partition.

    `mean over i of s(i)`, or with `average="macro"` the mean over clusters of their means; s as in
    `silhouette_samples`.

    Args:
        x: [n, d], or the distances [n, n] with `metric="precomputed"`.
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        num_clusters: static; may be left out when the labels are concrete. Ids without members are skipped.
        where: [n], False takes no part, whatever the row holds.
        metric: as in `pairwise_distances`; symmetric.
        average: "micro", every point alike; "macro", every cluster alike, which small clusters then weigh in.

    Returns:
        A scalar in [-1, 1]; singletons count with 0. NaN when traced labels turn out to have fewer than 2 clusters, or
        none of 2 points. NaN in, NaN out.

    Raises:
        ValueError: as `silhouette_samples`; or another average.
        TypeError: labels that are not integers, a mask that is not boolean.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0]])
        >>> round(float(silhouette_score(x, jnp.array([0, 0, 1, 1]))), 4)
        0.6537

    Source: Rousseeuw (1987); the macro average: Pavlopoulos et al., Revisiting silhouette aggregation
    (arXiv 2401.05831).
    """
    check_average(average)
    resolved, k = check(x, labels, num_clusters, where, metric)
    return _score(x, labels, where, resolved, k, average)


def simplified_silhouette_score(
    x: Points,
    labels: Labels,
    *,
    num_clusters: int | None = None,
    where: Mask | None = None,
    metric: Metric = "euclidean",
    average: Average = "micro",
) -> Scalar:
    """Mean silhouette with distances to centroids in place of mean distances: O(n k d), and another number.

    `mean over i of (b - a) / max(a, b)`, with `a = d(x_i, c_own)` and `b = min over other clusters of d(x_i, c_l)`.

    Args:
        x: [n, d].
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        num_clusters: static; may be left out when the labels are concrete. Ids without members are skipped.
        where: [n], False takes no part, whatever the row holds.
        metric: as in `pairwise_distances`, but not "precomputed", which has no centroids. Centroids are means,
            whatever the metric.
        average: "micro", every point alike; "macro", every cluster alike.

    Returns:
        A scalar in [-1, 1]. Singletons and a = b = 0 count with 0. NaN when traced labels turn out to have fewer than 2
        clusters, or none of 2 points. NaN in, NaN out.

    Raises:
        ValueError: as `silhouette_score`; or precomputed distances.
        TypeError: labels that are not integers, a mask that is not boolean.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0]])
        >>> round(float(simplified_silhouette_score(x, jnp.array([0, 0, 1, 1]))), 4)
        0.8269

    Source: Hruschka, de Castro, Campello, Evolutionary algorithms for clustering gene-expression data (2004).
    """
    check_average(average)
    resolved, k = check(x, labels, num_clusters, where, metric)
    if resolved.func is precomputed:
        raise ValueError(
            "the simplified silhouette needs points, whose means are centroids: metric cannot be 'precomputed'"
        )
    return _simplified(x, labels, where, resolved, k, average)


def silhouette_summary(
    x: Points,
    labels: Labels,
    *,
    num_clusters: int | None = None,
    where: Mask | None = None,
    metric: Metric = "euclidean",
) -> SilhouetteSummary:
    """Silhouette of each point, with its neighbour, of each cluster, and over all.

    `mean over i in cluster k of s(i)`, and the share of its points with s above, at and below 0; s as in
    `silhouette_samples`. The neighbour is the cluster that gives b.

    Args:
        x: [n, d], or the distances [n, n] with `metric="precomputed"`.
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part, whatever the row holds.
        metric: as in `pairwise_distances`; symmetric.

    Returns:
        SilhouetteSummary. A singleton has s = 0 and a neighbour. An empty cluster has size 0 and NaN for its mean and
        shares. Where traced labels turn out to have fewer than 2 clusters, or none of 2 points, every silhouette is
        NaN. NaN in, NaN out.

    Raises:
        ValueError: as `silhouette_samples`.
        TypeError: labels that are not integers, a mask that is not boolean.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0], [9.0]])
        >>> summary = silhouette_summary(x, jnp.array([0, 0, 1, 1, 2]))
        >>> summary.neighbors.tolist(), summary.sizes.tolist(), summary.negative.tolist()
        ([1, 1, 0, 2, 1], [2.0, 2.0, 1.0], [0.0, 0.0, 0.0])

    Source: Rousseeuw (1987); R's `cluster::silhouette`.
    """
    resolved, k = check(x, labels, num_clusters, where, metric)
    return _summary(x, labels, where, resolved, k)


def soft_silhouette_score(
    x: Points, weights: Weights, *, where: Mask | None = None, metric: Metric = "euclidean"
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
    resolved = resolve(metric)
    if jnp.ndim(weights) != 2:
        raise ValueError(f"weights must be two-dimensional, [n, k], not of shape {jnp.shape(weights)}")
    if where is not None and (where.dtype != bool or where.shape != weights.shape[:1]):
        raise ValueError(f"where must be boolean and one a row of weights, not {where.dtype} of shape {where.shape}")
    check_points(x, weights.shape[0], resolved, where)
    if not is_traced(weights, where):
        kept = np.asarray(weights)[slice(None) if where is None else np.asarray(where)]
        if (kept < 0).any():
            raise ValueError("weights must not be negative")
        points = (kept != 0).sum(0)
        if (points > 0).sum() < 2 or points.max() < 2:
            raise ValueError("a silhouette compares at least 2 clusters, one of them with weight on 2 points or more")
    return _soft(x, weights, where, resolved)


@partial(jax.jit, static_argnames="num_clusters")
def _samples(x: Points, labels: Labels, where: Mask | None, metric: Partial, num_clusters: int) -> Scores:
    c = compare(x, labels, where, metric, num_clusters)
    return jnp.where(c.compared.any(), values(c, nearest_other(c)), jnp.nan)


@partial(jax.jit, static_argnames=("num_clusters", "average"))
def _score(
    x: Points, labels: Labels, where: Mask | None, metric: Partial, num_clusters: int, average: Average
) -> Scalar:
    c = compare(x, labels, where, metric, num_clusters)
    return jnp.where(c.compared.any(), average_values(values(c, nearest_other(c)), c.w, average), jnp.nan)


@partial(jax.jit, static_argnames=("num_clusters", "average"))
def _simplified(
    x: Points, labels: Labels, where: Mask | None, metric: Partial, num_clusters: int, average: Average
) -> Scalar:
    c = compare_centroids(x, labels, where, metric, num_clusters)
    return jnp.where(c.compared.any(), average_values(values(c, nearest_other(c)), c.w, average), jnp.nan)


@partial(jax.jit, static_argnames="num_clusters")
def _summary(x: Points, labels: Labels, where: Mask | None, metric: Partial, num_clusters: int) -> SilhouetteSummary:
    c = compare(x, labels, where, metric, num_clusters)
    elsewhere = jnp.where(c.other, c.means, jnp.inf)
    s = jnp.where(c.compared.any(), values(c, row_minimum(elsewhere)), jnp.nan)
    sizes = c.w.sum(0)

    def mean(of: jax.Array) -> PerCluster:
        # summed where the point is, not by a product: 0 * NaN would carry a NaN into every cluster
        total = jnp.where(c.w > 0, of[:, None], 0).sum(0)
        return jnp.where(sizes > 0, ratio(total, sizes), jnp.nan)

    shares = [jnp.where(jnp.isnan(s), jnp.nan, side.astype(s.dtype)) for side in (s > 0, s == 0, s < 0)]
    return SilhouetteSummary(
        score=average_values(s, c.w, "micro"),
        samples=s,
        neighbors=jnp.where(c.other.any(1), elsewhere.argmin(1).astype(jnp.int32), -1),
        sizes=sizes,
        means=mean(s),
        positive=mean(shares[0]),
        zero=mean(shares[1]),
        negative=mean(shares[2]),
    )


@jax.jit
def _soft(x: Points, weights: Weights, where: Mask | None, metric: Partial) -> Scalar:
    x = as_points(x)
    w = jnp.asarray(weights, x.dtype)
    w = w if where is None else jnp.where(where[:, None], w, 0)
    x, _ = scaled(x, w, metric)
    mass = w.sum(0, keepdims=True) - w  # of the others
    present = mass != 0
    a = ratio(distance_sums(x, w, metric), mass)
    elsewhere = jnp.where(present, a, jnp.inf)
    nearest = jax.nn.one_hot(elsewhere.argmin(1), w.shape[1], dtype=bool)
    first, second = row_minimum(elsewhere)[:, None], row_minimum(jnp.where(nearest, jnp.inf, elsewhere))[:, None]
    b = jnp.where(nearest, second, first)  # the nearest cluster's nearest other is the second
    compared = present & (present.sum(1, keepdims=True) > 1)
    b = jnp.where(compared, b, a)
    s = jnp.where(compared, ratio(b - a, jnp.maximum(a, b)), 0)
    return jnp.where((compared & (w != 0)).any(), ratio((w * s).sum(), w.sum()), jnp.nan)
