"""k-means, Euclidean and spherical: seeding, restarts, Lloyd's iterations, and clusters numbered in one order."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from clusterjax.arguments import as_array, as_count, as_mask, as_rows, as_sample_weights, check_option
from clusterjax.arithmetic import power_of_two
from clusterjax.clustering.cloud import Cloud, in_blocks
from clusterjax.clustering.lloyd import Fitted, lloyd
from clusterjax.clustering.seeding import distinct, plus_plus
from clusterjax.distances import as_points, is_traced, unit_rows
from clusterjax.typing import Array, Count, Mask, Within

Init = Literal["k-means++", "random"]
OfKMeans = Literal["euclidean", "cosine"]
NotNegative = Annotated[float | jax.Array, Within(0)]


class KMeansResult(NamedTuple):
    """Clusters, the largest first.

    Attributes:
        labels: [n], the nearest centroid of each point; -1 where it takes no part.
        centroids: [k, d], in the order of their clusters' sizes (the sums of weights), the largest first; of equal
            sizes the one with the smaller first coordinate, then the second, and so on. With `max_clusters`
            [max_clusters, d], NaN from row k on.
        inertia: sum over the points of weight times squared distance to the centroid; with the cosine, of weight times
            `1 - cos`.
        num_iterations: how many the restart that was kept took.
        converged: whether it stopped by itself, before `max_iterations`.
        num_reseeded: how often in it a cluster had lost all its points and was given the farthest one.
    """

    labels: jax.Array
    centroids: jax.Array
    inertia: jax.Array
    num_iterations: jax.Array
    converged: jax.Array
    num_reseeded: jax.Array


def kmeans(
    key: jax.Array,
    x: ArrayLike,
    num_clusters: SupportsIndex | jax.Array,
    *,
    init: Init | ArrayLike = "k-means++",
    num_restarts: int = 1,
    max_iterations: int | jax.Array = 300,
    tolerance: float | jax.Array = 1e-4,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    metric: OfKMeans = "euclidean",
    max_clusters: int | None = None,
) -> KMeansResult:
    """k-means by Lloyd's iterations, from several starts in one compiled program.

    `sum_i weight_i |x_i - c_label(i)|^2`, over labels and centroids; with the cosine `sum_i weight_i (1 - cos(x_i, c))`

    It stops as scikit-learn's Lloyd does: when no label changes, or when the centroids together move by no more than
    `tolerance` times the mean variance of the features, in squares; and labels are those of the last centroids. From
    equal centroids it gives scikit-learn's labels (numbered anew), inertia and number of iterations. A cluster that
    loses all its points is given the point farthest from its centroid, and counted. The same key gives the same bits.

    Of many points and clusters in more than 8 features, on a CPU, only those points are compared with all centroids
    again whose nearest can have changed, by Hamerly's bounds; so late iterations cost little, and give the same.

    Args:
        key: a PRNG key; not used where `init` is centroids.
        x: [n, d]. Integers and half precision are computed in float32. Centred first, so that an offset costs no more
            digits than it has cost the data.
        num_clusters: k. With `max_clusters` it may be traced, and another k compiles nothing.
        init: "k-means++" (greedy, the best of 2 + floor(log k) draws for each), "random" (different points, drawn by
            weight), or centroids [k, d] ([max_clusters, d] where those of a traced k are its first rows). The result is
            numbered by size in this case too: its first cluster need not be the one that started from the first row.
        num_restarts: starts, of which the one with the lowest inertia is kept, the first of equal ones; each stops by
            itself. From given centroids all are the same, and one is made.
        max_iterations: of each start.
        tolerance: as above, relative; 0 waits until no label changes.
        where: [n], False takes no part, whatever the row holds.
        weights: [n], at least 0: each point counts as if it stood there so many times. One of weight 0 moves no
            centroid and still has a label, as in scikit-learn.
        metric: "euclidean"; or "cosine", spherical k-means: rows and centroids of length 1.
        max_clusters: static, how many rows `centroids` has; k itself where left out.

    Returns:
        KMeansResult. More clusters than different points: duplicates share one, others are empty, and their centroids
        those of the largest. NaN inertia and centroids and labels -1 where a point that takes part has a NaN or an
        infinity, and where a trace hides what would be a ValueError. A zero row with a traced cosine is at distance 1
        from everything, and in the largest cluster.

    Raises:
        TypeError: a count that is no integer, a mask that is not boolean, a k traced without `max_clusters`.
        ValueError: more clusters than points that take part with a weight above 0; a k, option, or shape out of range;
            with the cosine, a row of zeros.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0], [9.0, 4.0]])
        >>> result = kmeans(jax.random.key(0), x, 2)
        >>> result.labels.tolist(), result.centroids.tolist(), float(result.inertia)
        ([1, 1, 0, 0, 0], [[9.0, 2.0], [0.0, 1.0]], 10.0)

    Source: Lloyd, Least squares quantization in PCM (1982); Arthur and Vassilvitskii, k-means++ (2007); Dhillon and
    Modha, Concept decompositions for large sparse text data (2001); Hamerly, Making k-means even faster (2010).
    """
    x = as_rows(x)
    where = as_mask(where, x.shape[:1])
    weights = None if weights is None else as_sample_weights(weights, len(x))
    num_restarts = as_count(num_restarts, "num_restarts")
    check_option("max_iterations", max_iterations, Count)
    check_option("tolerance", tolerance, NotNegative)
    check_option("metric", metric, OfKMeans)
    num_clusters, max_k = _as_counts(num_clusters, max_clusters)
    if isinstance(init, str):
        check_option("init", init, Init)
        start = None
    else:
        start, init = _as_start(init, num_clusters, max_k, x.shape[1]), "centroids"
    _check_points(x, where, weights, num_clusters, metric)
    return _compiled(
        key,
        x,
        jnp.asarray(num_clusters, jnp.int32),
        max_k,
        where=where,
        weights=weights,
        start=start,
        init=init,
        num_restarts=jnp.asarray(num_restarts, jnp.int32),
        max_iterations=jnp.asarray(max_iterations, jnp.int32),
        tolerance=jnp.asarray(tolerance, jnp.float32),
        metric=metric,
    )


def _as_counts(num_clusters: Any, max_clusters: int | None) -> tuple[int | jax.Array, int]:
    """k, and how many at most."""
    if max_clusters is None:
        if is_traced(num_clusters):
            raise TypeError("num_clusters is traced here: pass max_clusters=, the most there can be")
        k = as_count(num_clusters, "num_clusters")
        return k, k
    max_clusters = as_count(max_clusters, "max_clusters")
    if is_traced(num_clusters):
        return num_clusters, max_clusters
    k = as_count(num_clusters, "num_clusters")
    if k > max_clusters:
        raise ValueError(f"num_clusters={k} is more than max_clusters={max_clusters}: raise max_clusters")
    return k, max_clusters


def _as_start(init: ArrayLike, k: int | jax.Array, max_k: int, d: int) -> Array:
    """Given centroids in [max_k, d]."""
    start = as_points(as_array(init, "init"))
    rows = (max_k,) if is_traced(k) else (int(k), max_k)
    if start.ndim != 2 or len(start) not in rows or start.shape[1] != d:
        raise ValueError(f"init must be {rows[0]} centroids of {d} features, not of shape {start.shape}")
    return jnp.pad(start, [(0, max_k - len(start)), (0, 0)])


def _check_points(x: Array, where: Mask | None, weights: Array | None, k: Any, metric: str) -> None:
    """Refuse what cannot be clustered; nothing about values is known under a trace."""
    if is_traced(where, weights):
        return
    part = np.ones(len(x), bool) if where is None else np.asarray(where)
    heavy = part if weights is None else part & (np.asarray(weights) > 0)
    if not is_traced(k) and heavy.sum() < k:
        raise ValueError(f"num_clusters={k} is more than the {heavy.sum()} points that take part: lower it")
    if metric == "cosine" and not is_traced(x):
        zero = part & (np.asarray(x) == 0).all(1)
        if zero.any():
            raise ValueError(
                f"row {zero.argmax()} is zero and has no direction: leave such rows out by where=(x != 0).any(1)"
            )


def fit(
    key: jax.Array,
    x: jax.Array,
    k: jax.Array | int,
    max_k: int,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    start: jax.Array | None = None,
    init: str = "k-means++",
    num_restarts: jax.Array | int = 1,
    max_iterations: jax.Array | int = 300,
    tolerance: jax.Array | float = 1e-4,
    metric: str = "euclidean",
) -> KMeansResult:
    """`kmeans` without its checks, to be called under a trace: one compiled program then serves every key, x and k.

        jax.lax.map(lambda k: fit(key, x, k, max_k), jnp.arange(1, max_k + 1))          # every k
        jax.vmap(lambda key, x: fit(key, x, k, max_k))(keys, references)                # references of a gap statistic

    `map` stops each of them when it is done, and forms no larger arrays; `vmap` goes on until the last is, and pays
    where each is too small to fill the machine. Work grows with max_k, not k: group the k of a long sweep by size.

    Args:
        key: for the seeding.
        x: [n, d].
        k: between 1 and max_k, traced or not.
        max_k: static; rows of the centroids.
        where: as in `kmeans`.
        weights: as in `kmeans`.
        start: [max_k, d], for `init="centroids"`.
        init: static.
        num_restarts: traced or not.
        max_iterations: traced or not.
        tolerance: traced or not.
        metric: static.

    Returns:
        As `kmeans`.
    """
    spherical = metric == "cosine"
    cloud, unit, zero, valid = _prepare(x, where, weights, spherical)
    zero_mass = jnp.where(zero, cloud.mass, 0).sum()
    cloud = cloud._replace(mass=jnp.where(zero, 0, cloud.mass))
    k = jnp.asarray(k, jnp.int32)
    valid &= (k >= 1) & (k <= max_k) & ((cloud.mass > 0).sum(dtype=jnp.int32) >= k)
    k = jnp.clip(k, 1, max_k)
    live = jnp.arange(max_k, dtype=jnp.int32) < k
    if start is not None:
        start = jnp.where(live[:, None], jnp.asarray(start, cloud.x.dtype), 0)
        start = jnp.where(live[:, None], (unit_rows(start) if spherical else start / unit) - cloud.origin, 0)
        valid &= jnp.isfinite(start).all()
    blocks = in_blocks(cloud, max_k, alike=weights is None and not spherical)
    entries = jnp.maximum(cloud.present.sum(dtype=cloud.x.dtype), 1) * max(cloud.x.shape[1], 1)
    threshold = jnp.asarray(tolerance, cloud.x.dtype) * blocks.squared.sum() / entries  # the features' mean variance

    def one(number: jax.Array) -> Fitted:
        own = jax.random.fold_in(key, number)
        if init == "k-means++":
            first = plus_plus(own, cloud.x, cloud.mass, k, max_k)
        elif init == "random":
            first = distinct(own, cloud.x, cloud.mass, k, max_k)
        else:
            assert start is not None
            first = start
        return lloyd(cloud, blocks, first, k, jnp.asarray(max_iterations, jnp.int32), threshold, spherical=spherical)

    def better(number: jax.Array, best: Fitted) -> Fitted:
        found = one(number)
        return jax.tree.map(lambda a, b: jnp.where((number == 0) | (found.inertia < best.inertia), a, b), found, best)

    nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(one, 0))
    best = jax.lax.fori_loop(0, 1 if init == "centroids" else num_restarts, better, nothing)
    order = largest_first(jnp.where(live, best.sizes, -1), best.centroids)
    number = jnp.zeros_like(order).at[order].set(jnp.arange(max_k, dtype=order.dtype))
    labels = number[best.labels]
    labels = jnp.where(zero, 0, labels)
    centroids = (best.centroids[order] + cloud.origin) * unit
    # of unit vectors |x - c|^2 is 2 (1 - cos); a zero row is at 1 from all
    inertia = best.inertia / 2 + zero_mass if spherical else best.inertia * unit * unit
    return KMeansResult(
        jnp.where(valid & cloud.present, labels, -1),
        jnp.where(valid & live[:, None], centroids, jnp.nan),
        jnp.where(valid, inertia, jnp.nan),
        best.num_iterations,
        valid & best.converged,
        best.num_reseeded,
    )


_compiled = jax.jit(fit, static_argnames=("max_k", "init", "metric"))


def _prepare(x, where, weights, spherical) -> tuple[Cloud, jax.Array, jax.Array, jax.Array]:
    """Points around their mean, the unit they are in, which have no direction, and whether all can be."""
    x = as_points(x)
    mass = jnp.ones(len(x), x.dtype) if weights is None else jnp.asarray(weights).astype(x.dtype)
    present = jnp.ones(len(x), bool) if where is None else jnp.asarray(where)
    # as constants they would be folded while compiling, sums over all points and all, for minutes
    present, mass = jax.lax.optimization_barrier((present, mass))
    mass = jnp.where(present, mass, 0)
    x = x if where is None else jnp.where(present[:, None], x, 0)
    valid = jnp.isfinite(x).all() & ((mass >= 0) & jnp.isfinite(mass)).all()
    zero = jnp.zeros(len(x), bool)
    if spherical:
        zero = present & (x == 0).all(1)
        x, unit = unit_rows(x), jnp.ones((), x.dtype)
    else:
        unit = power_of_two(x)[0, 0]
    # a mean of the data as given: scaled, they would be written down once more. Where its sum overflows the origin is 0
    mean = x.sum(0, keepdims=True) / jnp.maximum(present.sum(dtype=x.dtype), 1)
    origin = jnp.where(jnp.isfinite(mean), mean, 0) / unit
    cloud = Cloud(jnp.where(present[:, None], x / unit - origin, 0), mass, present, origin)
    return cloud, unit, zero, valid


def largest_first(sizes: jax.Array, centroids: jax.Array) -> jax.Array:
    """Order of the clusters: by size, the largest first; ties by the first coordinate in which they differ."""
    k, d = centroids.shape

    def refine(state):
        feature, rank = state
        values = centroids[:, feature]
        order = jnp.lexsort((values, rank))
        new = jnp.concatenate(
            [jnp.zeros(1, bool), (rank[order][1:] != rank[order][:-1]) | (values[order][1:] != values[order][:-1])]
        )
        return feature + 1, jnp.zeros_like(rank).at[order].set(jnp.cumsum(new, dtype=rank.dtype))

    rank = jnp.unique(-sizes, size=k, return_inverse=True)[1].astype(jnp.int32)
    _, rank = jax.lax.while_loop(lambda s: (s[0] < d) & (s[1].max() < k - 1), refine, (jnp.asarray(0), rank))
    return jnp.argsort(rank, stable=True).astype(jnp.int32)
