"""Does the same clustering come again from bootstrap samples? For every k at once, and cluster by cluster.

A sample is a number for each point, how often it was drawn: no rows are copied, and k-means by weights gives every
point its nearest centroid, drawn or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Literal, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from clusterjax.arguments import as_count, as_mask, as_rows, check_option
from clusterjax.arithmetic import ratio
from clusterjax.clustering.kmeans import fit
from clusterjax.distances import as_points, is_traced
from clusterjax.selection.candidates import as_ks, check_enough, for_each_k
from clusterjax.selection.repetitions import repeated
from clusterjax.threads import collect

# Of Hennig: so similar at most, and a cluster is not the same any more; more than so, and it is found again.
DISSOLVED, RECOVERED = 0.5, 0.75


class BootstrapInstability(NamedTuple):
    """How much two clusterings of bootstrap samples disagree, for m numbers of clusters.

    Attributes:
        ks: [m], numbers of clusters.
        instability: [m], the mean over pairs of samples.
        bootstraps: [m, num_bootstraps], of each pair of samples.
        k: [], the k with the smallest instability, the smallest of equal ones.
    """

    ks: jax.Array
    instability: jax.Array
    bootstraps: jax.Array
    k: jax.Array


class ClusterStability(NamedTuple):
    """How well each of k clusters is found again in bootstrap samples.

    Attributes:
        labels: [n], the clusters of the data, the largest first; -1 for a point that takes no part.
        jaccard: [k], mean similarity of each cluster to its best match in a sample.
        bootstraps: [num_bootstraps, k], that of each sample.
        dissolved: [k], share of the samples where it is at most 0.5.
        recovered: [k], share of the samples where it is above 0.75.
    """

    labels: jax.Array
    jaccard: jax.Array
    bootstraps: jax.Array
    dissolved: jax.Array
    recovered: jax.Array


def bootstrap_instability(
    key: jax.Array,
    x: ArrayLike,
    *,
    ks: Iterable[SupportsIndex] = range(2, 11),
    num_bootstraps: int = 50,
    num_restarts: int = 10,
    where: ArrayLike | None = None,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    progress: bool | None = None,
) -> BootstrapInstability:
    """Bootstrap instability of k-means, and the number of clusters that has the least.

    Two samples of n points are drawn with replacement, both clustered, and all points given to the nearest centroids of
    each: `sum_ij [i and j together in one clustering only] / n^2` over the ordered pairs, the mean over pairs of
    samples. It is counted from the table of both clusterings, `[k, k]`.

    All samples and all k are one compiled program; every k has the same samples. On a CPU, small data are clustered in
    as many threads as there are cores.

    Args:
        key: a PRNG key, for samples and starts.
        x: [n, d].
        ks: numbers of clusters, from 2: one cluster is never unstable.
        num_bootstraps: how many pairs of samples.
        num_restarts: starts of each k-means.
        where: [n], False takes no part, whatever the row holds.
        metric: "euclidean" or "cosine", as in k-means.
        progress: whether to show on stderr how many samples are done. Left out: where it takes long.

    Returns:
        BootstrapInstability, in [0, 1]. It falls with k by itself, as fewer pairs are together: a few clusters are not
        to be compared with very many. A pair of samples where one has fewer different points than clusters is NaN and
        left out of the mean. NaN in, NaN out, and k is then 1.

    Raises:
        ValueError: no k, one twice or below 2, more clusters than points, a count below 1, another metric.
        TypeError: a count that is no integer, a mask that is not boolean.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> corners = jnp.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
        >>> x = jnp.repeat(corners, 20, 0) + jax.random.normal(jax.random.key(0), (60, 2))
        >>> found = bootstrap_instability(jax.random.key(1), x, ks=(2, 3, 4), num_bootstraps=10, num_restarts=2)
        >>> int(found.k), float(found.instability[1])
        (3, 0.0)

    Source: Fang and Wang, Selection of the number of clusters via the bootstrap method (2012). R's `fpc::nselectboot`
    with `classification="centroid"` counts only the pairs that the first clustering has together and the second not,
    half of these on average; and draws anew for each k.
    """
    x = as_rows(x)
    where = as_mask(where, x.shape[:1])
    candidates = as_ks(ks, 2)
    check_enough(candidates, len(x), where)
    count, starts = as_count(num_bootstraps, "num_bootstraps"), as_count(num_restarts, "num_restarts")
    check_option("metric", metric, Literal["euclidean", "cosine"])
    of_pairs = partial(_instabilities, key, x, where, jnp.int32(starts), ks=candidates, metric=metric)
    parts = repeated(
        of_pairs, count, x, candidates, 2 * starts,
        known=not is_traced(key, x, where), what="bootstrap", progress=progress,
    )  # fmt: skip
    bootstraps = jnp.concatenate(parts, 1)[:, :count]
    instability = jnp.nanmean(bootstraps, 1)
    ks = jnp.asarray(candidates, jnp.int32)
    undefined = jnp.isnan(instability)
    k = jnp.where(undefined.all(), 1, ks[jnp.where(undefined, jnp.inf, instability).argmin()])
    return BootstrapInstability(ks, instability, bootstraps, k)


def cluster_stability(
    key: jax.Array,
    x: ArrayLike,
    num_clusters: SupportsIndex,
    *,
    num_bootstraps: int = 100,
    num_restarts: int = 10,
    where: ArrayLike | None = None,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    progress: bool | None = None,
) -> ClusterStability:
    """How well each cluster of k-means is found again in bootstrap samples.

    `J_r = max_s |C_r & D_s| / |C_r | D_s|` over the clusters `D_s` of a sample, both cut to the points that are in it;
    the mean over samples. A mean below 0.6 is not to be trusted, from 0.75 a cluster is stable, from 0.85 highly so.

    Args:
        key: a PRNG key, for samples and starts.
        x: [n, d].
        num_clusters: k.
        num_bootstraps: how many samples of n points, drawn with replacement; what was drawn again counts once.
        num_restarts: starts of each k-means.
        where: [n], False takes no part, whatever the row holds.
        metric: "euclidean" or "cosine", as in k-means.
        progress: whether to show on stderr how many samples are done. Left out: where it takes long.

    Returns:
        ClusterStability. A cluster none of whose points is in a sample has similarity 0 there, as in fpc. A sample of
        fewer different points than clusters is NaN and left out of means and shares. NaN in, NaN out. One cluster is
        always stable. A stable cluster need not be a cluster: k-means cuts an oblong cloud at the same place each time.

    Raises:
        ValueError: more clusters than points, a count below 1, another metric.
        TypeError: a count that is no integer, a mask that is not boolean.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> places = jnp.repeat(jnp.array([[0.0], [9.0], [30.0]]), jnp.array([25, 20, 15]), 0, total_repeat_length=60)
        >>> x = places + jax.random.normal(jax.random.key(0), (60, 1))
        >>> found = cluster_stability(jax.random.key(1), x, 3, num_bootstraps=10)
        >>> found.jaccard.tolist(), found.recovered.tolist()
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0])

    Source: Hennig, Cluster-wise assessment of cluster stability (2007); R's `fpc::clusterboot` with `kmeansCBI`, its
    defaults `bootmethod="boot"`, `multipleboot=FALSE` and both limits. It counts samples where this gives their share.
    """
    x = as_rows(x)
    where = as_mask(where, x.shape[:1])
    k = as_count(num_clusters, "num_clusters")
    check_enough((k,), len(x), where)
    count, starts = as_count(num_bootstraps, "num_bootstraps"), as_count(num_restarts, "num_restarts")
    check_option("metric", metric, Literal["euclidean", "cosine"])
    labels = _clusters(jax.random.fold_in(key, 0), x, where, jnp.int32(starts), k=k, metric=metric)
    similarities = partial(_similarities, key, x, where, labels, jnp.int32(starts), k=k, metric=metric)
    parts = repeated(
        similarities, count, x, (k,), starts,
        known=not is_traced(key, x, where), what="bootstrap", progress=progress,
    )  # fmt: skip
    bootstraps = jnp.concatenate(parts)[:count]

    def share(samples: jax.Array) -> jax.Array:
        return jnp.nanmean(jnp.where(jnp.isnan(bootstraps), jnp.nan, samples.astype(bootstraps.dtype)), 0)

    return ClusterStability(
        labels,
        jnp.nanmean(bootstraps, 0),
        bootstraps,
        share(bootstraps <= DISSOLVED),
        share(bootstraps > RECOVERED),
    )


@partial(jax.jit, static_argnames=("ks", "metric", "size"))
def _instabilities(key, x, where, num_restarts, first, last, *, ks, metric, size) -> jax.Array:
    """Those of the pairs of samples from first to last, [m, size]."""
    x = as_points(x)
    present = jnp.ones(len(x), bool) if where is None else where

    def of_pair(number: jax.Array, k: jax.Array, largest: int) -> jax.Array:
        pair = jax.random.split(jax.random.fold_in(key, number))

        def of_sample(own: jax.Array) -> tuple[jax.Array, jax.Array]:
            drawn = _drawn(jax.random.fold_in(own, 0), present)
            found = fit(
                jax.random.fold_in(own, k), x, k, largest, where=present, weights=drawn, num_restarts=num_restarts,
                metric=metric,
            )  # fmt: skip
            return found.labels, found.inertia

        labels, inertia = jax.lax.map(of_sample, pair)
        table = _table(labels[0], labels[1], largest, x.dtype)
        return jnp.where(jnp.isnan(inertia).any(), jnp.nan, _disagreement(table))

    def of_k(k: jax.Array, largest: int) -> jax.Array:
        return collect(lambda number: of_pair(number, k, largest), first, last, size)

    return for_each_k(of_k, ks)


@partial(jax.jit, static_argnames=("k", "metric"))
def _clusters(key, x, where, num_restarts, *, k, metric) -> jax.Array:
    """Those of the data, [n]: once, whatever the number of parts that compare with them."""
    return fit(key, x, k, k, where=where, num_restarts=num_restarts, metric=metric).labels


@partial(jax.jit, static_argnames=("k", "metric", "size"))
def _similarities(key, x, where, labels, num_restarts, first, last, *, k, metric, size) -> jax.Array:
    """The similarities of the samples from first to last, [size, k]."""
    x = as_points(x)
    present = jnp.ones(len(x), bool) if where is None else where

    def of_sample(number: jax.Array) -> jax.Array:
        draw_key, fit_key = jax.random.split(jax.random.fold_in(key, number))
        drawn = _drawn(draw_key, present) > 0
        found = fit(fit_key, x, k, k, where=drawn, num_restarts=num_restarts, metric=metric)
        return jnp.where(jnp.isnan(found.inertia), jnp.nan, _best_jaccard(_table(labels, found.labels, k, x.dtype)))

    # 0 is the number of the data
    return collect(lambda number: of_sample(1 + number), first, last, size)


def _drawn(key: jax.Array, present: jax.Array) -> jax.Array:
    """How often each point is drawn, [n], in as many draws as points take part."""
    n, count = len(present), present.sum(dtype=jnp.int32)
    # drawn by their place among the points that take part, so that the draws are those of data without the others
    places = jax.random.randint(key, (n,), 0, jnp.maximum(count, 1), jnp.int32)
    places = jnp.where(jnp.arange(n, dtype=jnp.int32) < count, places, n)
    times = jnp.zeros(n, jnp.int32).at[places].add(1, mode="drop")
    return jnp.where(present, times[jnp.cumsum(present) - 1], 0)


def _table(a: jax.Array, b: jax.Array, k: int, dtype: jnp.dtype) -> jax.Array:
    """How many points are in each cluster of one labeling and each of the other, [k, k]; -1 is in none."""
    rows, columns = (jnp.where(labels < 0, k, labels) for labels in (a, b))
    return jnp.zeros((k, k), dtype).at[rows, columns].add(1, mode="drop")


def _disagreement(table: jax.Array) -> jax.Array:
    """The share of ordered pairs of points that are together in one labeling only."""
    shares = ratio(table, table.sum())
    # what is together in one and not in both, cell by cell: no difference of large numbers, and 0 where all agree
    apart = (shares.sum(1, keepdims=True) - shares) + (shares.sum(0, keepdims=True) - shares)
    return (shares * apart).sum()


def _best_jaccard(table: jax.Array) -> jax.Array:
    """The similarity of each cluster of one labeling to the most similar one of the other, [k]."""
    union = table.sum(1, keepdims=True) + table.sum(0, keepdims=True) - table
    return ratio(table, union).max(1)
