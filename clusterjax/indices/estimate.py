"""Less than an exact silhouette, for very many points: a sample of them with a standard error; and what exact takes."""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from numpy.typing import ArrayLike

from clusterjax.arguments import as_count, as_data, as_labels, check_diagonal, cluster_sizes
from clusterjax.arithmetic import matmul, safe_sqrt
from clusterjax.distances import precomputed, resolve
from clusterjax.indices.comparison import comparable, compared, values
from clusterjax.nearest import cost_by_bounds, cost_of_all_pairs
from clusterjax.partition import Partition, partition, scaled, sums_by_cluster
from clusterjax.typing import Array, Labels, Mask, Metric

# Distances held at a time.
BLOCK = 2**20
# Side of the product by which a machine's speed is told, and how many clusters bounds usually leave to a point.
SIDE, LEFT = 2048, 6


class SilhouetteEstimate(NamedTuple):
    """The mean silhouette of a sample.

    Attributes:
        score: [], the mean over the sample: an estimate of `silhouette_score`.
        standard_error: [], of the score; 0 where all points are in the sample.
        points: [m], the rows that were drawn, cluster by cluster.
        samples: [m], their silhouettes, which are exact.
    """

    score: jax.Array
    standard_error: jax.Array
    points: jax.Array
    samples: jax.Array


class SilhouetteCost(NamedTuple):
    """About what an exact silhouette takes on this machine, compiled.

    Attributes:
        all_pairs_seconds: where all pairs are visited: inside of a trace, or where labels say little about the points.
        by_bounds_seconds: outside of a trace, with Euclidean distances, where labels say something about the points.
    """

    all_pairs_seconds: float
    by_bounds_seconds: float


def silhouette_estimate(
    key: jax.Array,
    x: ArrayLike,
    labels: ArrayLike,
    *,
    num_points: SupportsIndex = 1000,
    num_clusters: SupportsIndex | None = None,
    where: ArrayLike | None = None,
    metric: Metric = "euclidean",
) -> SilhouetteEstimate:
    """Mean silhouette of a sample of the points, with its standard error: O(num_points n d), whatever the labels.

    `mean over i in the sample of s(i)`, each s exact, as in `silhouette_samples`: against all points. The sample is
    every (n / num_points)-th point from a random one on, in the order of the clusters and in random order in each, so
    that clusters have their shares of it. `standard_error^2 = (1 - m / n) sum_j (s_j+1 - s_j)^2 / (2 m (m - 1))`, from
    neighbours in that order, which differences between clusters do not enter.

    Args:
        key: a PRNG key, for the sample.
        x: [n, d], or the distances [n, n] with `metric="precomputed"`.
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        num_points: m, how many points are drawn, 2 or more; all, where there are no more.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part, whatever the row holds.
        metric: as in `pairwise_distances`; symmetric.

    Returns:
        SilhouetteEstimate. The score is within 2 standard errors of `silhouette_score` some 95 times in 100. NaN where
        traced labels turn out to have fewer than 2 clusters, none of 2 points, or to be out of range. NaN in, NaN out.

    Raises:
        ValueError: fewer than 2 clusters or only singletons; shapes that do not fit; fewer than 2 points to draw.
        TypeError: labels that are not integers, a mask that is not boolean.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> x, labels = jnp.array([[0.0], [1.0], [4.0], [6.0]]), jnp.array([0, 0, 1, 1])
        >>> estimate = silhouette_estimate(jax.random.key(0), x, labels, num_points=4)
        >>> round(float(estimate.score), 4), float(estimate.standard_error)
        (0.6537, 0.0)

    Source: systematic sampling with the variance of successive differences: Wolter, Introduction to variance
    estimation (2007), 8.2; the silhouette: Rousseeuw (1987).
    """
    resolved = resolve(metric)
    labels, where, k = as_labels(labels, where, num_clusters)
    x = as_data(x, len(labels), resolved)
    if resolved.func is precomputed:
        check_diagonal(x, where)
    count = min(as_count(num_points, "num_points", 2), len(x))
    sizes = cluster_sizes(labels, where)
    if sizes is not None:
        comparable(sizes)
        count = min(count, int(sizes.sum()))
    return _estimate(key, x, labels, where, resolved, k, count)


@partial(jax.jit, static_argnames=("num_clusters", "count"))
def _estimate(
    key: jax.Array, x: Array, labels: Labels, where: Mask | None, metric: Partial, num_clusters: int, count: int
) -> SilhouetteEstimate:
    p, _ = scaled(partition(x, labels, where, None, metric, num_clusters))
    assert p.own is not None  # labels are hard
    key_order, key_start = jax.random.split(key)
    order = jnp.lexsort((jax.random.uniform(key_order, p.own.shape), p.own))
    n = p.sizes.sum()
    step = jnp.maximum(n / count, 1)
    places = (jax.random.uniform(key_start, dtype=n.dtype) + jnp.arange(count, dtype=n.dtype)) * step
    points = order[jnp.minimum(places.astype(jnp.int32), jnp.maximum(n.astype(jnp.int32) - 1, 0))]
    own, size = p.own[points], p.sizes.at[p.own[points]].get(mode="fill", fill_value=0)
    sums = _sums_of_some(p, p.own, points, order)
    is_own = jnp.arange(num_clusters)[:, None] == own[None, :]
    a = jnp.where(is_own, sums, 0).sum(0) / jnp.maximum(size - 1, 1)
    means = sums / jnp.where(p.sizes > 0, p.sizes, 1)[:, None]
    b = jnp.where(is_own | (p.sizes == 0)[:, None], jnp.inf, means).min(0)
    there = compared(p)
    s = jnp.where(there.any(), values(a, b, there[points]), jnp.nan)
    # a trace may have fewer points than places for them
    drawn, used = jnp.minimum(n, count), jnp.arange(count, dtype=n.dtype) < n
    mean = jnp.where(used, s, 0).sum() / drawn
    between = jnp.where(used[1:], jnp.square(s[1:] - s[:-1]), 0).sum()
    variance = between / (2 * drawn * jnp.maximum(drawn - 1, 1)) * (1 - drawn / n)
    return SilhouetteEstimate(mean, safe_sqrt(variance), jnp.where(used, points, -1), jnp.where(used, s, jnp.nan))


def _sums_of_some(p: Partition, own: jax.Array, points: jax.Array, order: jax.Array) -> jax.Array:
    """[k, m], sums of the distances from some points to the members of each cluster, themselves apart.

    In blocks of members that lie in the order of the clusters: distances are measured from the middle of a block.
    """
    size = max(min(BLOCK // len(points), len(order)), 1)
    filled = jnp.pad(order, (0, -len(order) % size), mode="edge").reshape(-1, size)
    real = (jnp.arange(filled.size) < len(order)).reshape(filled.shape)
    k, here = p.w.shape[1], p.x[points]

    def add(sums: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        index, real = block
        found = (here[:, index] if p.metric.func is precomputed else p.metric(here, p.x[index])).T
        found = jnp.where(index[:, None] == points[None, :], 0, found)
        return sums + sums_by_cluster(found, jnp.where(real, own[index], k), k), None

    return jax.lax.scan(add, jnp.zeros_like(p.x, shape=(k, len(points))), (filled, real))[0]


def silhouette_cost(n: SupportsIndex, d: SupportsIndex, k: SupportsIndex) -> SilhouetteCost:
    """About what an exact silhouette of n points, d features and k clusters will take on this machine.

    `n^2 (d + 32)` products of two numbers for all pairs, each formed once; `n k (d + 64)` for bounds and, where they
    leave 6 clusters of equal size to a point, `7 n^2 / k (2 d + 64)` for distances. The speed is that of a product of
    two matrices, which is timed.

    Args:
        n: points.
        d: features.
        k: clusters.

    Returns:
        SilhouetteCost, right within a factor of some three: bounds leave more clusters where those overlap, fewer where
        they are large, and all pairs are visited where bounds would take longer. Never NaN.

    Raises:
        ValueError: a number below 1.
        TypeError: one that is no integer.

    Examples:
        >>> cost = silhouette_cost(100_000, 64, 1_000)
        >>> cost.by_bounds_seconds < cost.all_pairs_seconds
        True

    Source: this package; the terms were measured on a CPU.
    """
    n, d, k = as_count(n, "n"), as_count(d, "d"), as_count(k, "k")
    square = jnp.ones((SIDE, SIDE))
    product = jax.jit(matmul)
    jax.block_until_ready(product(square, square))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(product(square, square))
        times.append(time.perf_counter() - start)
    speed = SIDE**3 / statistics.median(times)
    pairs = (LEFT + 1) * n * n / k
    return SilhouetteCost(cost_of_all_pairs((n, d)) / speed, cost_by_bounds((n, d), k, pairs) / speed)
