"""Does the same clustering come again on other data of the same kind? Prediction strength, batched over splits."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Literal, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from clusterjax.arguments import as_count, as_mask, as_rows, check_option
from clusterjax.arithmetic import power_of_two, ratio
from clusterjax.clustering.kmeans import fit
from clusterjax.distances import as_points, is_traced, squared_euclidean, unit_rows
from clusterjax.selection.candidates import as_ks, check_enough, for_each_k
from clusterjax.selection.repetitions import repeated
from clusterjax.threads import collect


class PredictionStrength(NamedTuple):
    """How well clusters of one half of the data predict those of the other, for m numbers of clusters.

    Attributes:
        ks: [m], numbers of clusters.
        strength: [m], the mean over splits.
        splits: [m, num_splits], of each split.
        k: [], the largest k whose strength is above the threshold; 1 where none is.
    """

    ks: jax.Array
    strength: jax.Array
    splits: jax.Array
    k: jax.Array


def prediction_strength(
    key: jax.Array,
    x: ArrayLike,
    *,
    ks: Iterable[SupportsIndex] = range(2, 11),
    num_splits: int = 50,
    num_restarts: int = 10,
    threshold: float = 0.8,
    where: ArrayLike | None = None,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    progress: bool | None = None,
) -> PredictionStrength:
    """Prediction strength of k-means.

    The data are split into halves, both clustered. `min_r share of the ordered pairs of cluster r of one half whose
    members have the same nearest centroid of the other half`, the mean of both ways round, the mean over splits.

    Args:
        key: a PRNG key, for splits and starts.
        x: [n, d].
        ks: numbers of clusters.
        num_splits: how many splits.
        num_restarts: starts of each k-means.
        threshold: which strength is enough, between 0.8 and 0.9 in the paper.
        where: [n], False takes no part.
        metric: "euclidean" or "cosine", as in k-means.
        progress: whether to show on stderr how many splits are done. Left out: where it takes long.

    Returns:
        PredictionStrength. A cluster of one point has strength 1, as in fpc. NaN in, NaN out, and k is then 1.

    Raises:
        ValueError: more clusters than half of the points, a count below 1, another metric.
        TypeError: a count that is no integer, a mask that is not boolean.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.repeat(jnp.array([[0.0], [9.0]]), 20, 0) + jax.random.normal(jax.random.key(0), (40, 1))
        >>> found = prediction_strength(jax.random.key(1), x, ks=(2, 3), num_splits=5, num_restarts=2)
        >>> int(found.k), float(found.strength[0])
        (2, 1.0)

    Source: Tibshirani and Walther, Cluster validation by prediction strength (2005); R's `fpc::prediction.strength`.
    """
    x = as_rows(x)
    where = as_mask(where, x.shape[:1])
    candidates = as_ks(ks)
    check_enough(tuple(2 * k for k in candidates), len(x), where)  # each half needs as many points as clusters
    num_splits, num_restarts = as_count(num_splits, "num_splits"), as_count(num_restarts, "num_restarts")
    check_option("metric", metric, Literal["euclidean", "cosine"])
    strengths = partial(_splits, key, x, where, ks=candidates, num_restarts=num_restarts, metric=metric)
    parts = repeated(
        strengths, num_splits, x, candidates, 2 * num_restarts,
        known=not is_traced(key, x, where), what="prediction strength", progress=progress,
    )  # fmt: skip
    splits = jnp.concatenate(parts, 1)[:, :num_splits]
    strength = splits.mean(1)
    enough = jnp.where(strength > threshold, jnp.asarray(candidates), 1).max()
    return PredictionStrength(jnp.asarray(candidates, jnp.int32), strength, splits, enough.astype(jnp.int32))


@partial(jax.jit, static_argnames=("ks", "num_restarts", "metric", "size"))
def _splits(key, x, where, first, last, *, ks, num_restarts, metric, size) -> jax.Array:
    """Strengths [m, size] of the splits from first to last."""
    x = as_points(x)
    x = unit_rows(x) if metric == "cosine" else x
    present = jnp.ones(len(x), bool) if where is None else where
    x = jnp.where(present[:, None], x, 0)
    x = x / power_of_two(x)  # no square of a difference is out of range

    def strength(number: jax.Array, k: jax.Array, largest: int) -> jax.Array:
        draw = jax.random.split(jax.random.fold_in(key, number))
        # points that take part come first, in random order, and go to the halves in turn
        order = jnp.lexsort((jax.random.uniform(draw[0], (len(x),), jnp.float32), ~present))
        turn = jnp.zeros(len(x), jnp.int32).at[order].set(jnp.arange(len(x), dtype=jnp.int32) % 2)

        def half(which: jax.Array):
            own = jax.random.fold_in(draw[1], 2 * k + which)
            return fit(own, x, k, largest, where=present & (turn == which), num_restarts=num_restarts, metric=metric)

        found = jax.lax.map(half, jnp.arange(2, dtype=jnp.int32))
        ways = [_agreement(x, found.labels[a], found.centroids[1 - a], k) for a in (0, 1)]
        ways = jnp.stack(ways).mean()
        return jnp.where(jnp.isnan(found.inertia).any(), jnp.nan, ways)

    def of_k(k: jax.Array, largest: int) -> jax.Array:
        return collect(lambda number: strength(number, k, largest), first, last, size)

    return for_each_k(of_k, ks)


def _agreement(x: jax.Array, labels: jax.Array, centroids: jax.Array, k: jax.Array) -> jax.Array:
    """The smallest share, over clusters, of ordered pairs that the other half's centroids leave together."""
    largest = len(centroids)
    live = jnp.arange(largest, dtype=jnp.int32) < k
    distances = squared_euclidean(x, jnp.where(live[:, None], centroids, 0))
    predicted = jnp.where(live[None, :], distances, jnp.inf).argmin(1)
    rows = jnp.where(labels < 0, largest, labels)
    table = jnp.zeros((largest, largest), x.dtype).at[rows, predicted].add(1, mode="drop")
    sizes = table.sum(1)
    share = ratio((table * (table - 1)).sum(1), sizes * (sizes - 1))
    return jnp.where(live & (sizes > 1), share, 1).min()
