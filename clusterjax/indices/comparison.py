"""What a silhouette compares each point with: the mean distances to its own cluster and to the nearest other one.

Found ahead of a trace, among all, or by centroids; and what becomes of the two. Also what there must be to compare,
which other indices ask for too.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from clusterjax.arithmetic import derived_from, ratio, row_minimum
from clusterjax.by_cluster import are_passed_over, distance_sums, distance_sums_to, distances_to
from clusterjax.partition import Nearest, Partition, centroids, scaled
from clusterjax.typing import Average, Flags, Scalar, Scores, Sums


class Comparison(NamedTuple):
    """What a silhouette compares, for each point, by every cluster.

    Attributes:
        own: [n], a, the mean distance to the other members of its cluster.
        means: [n, k], mean distances to every cluster.
        other: [n, k], whether that is a cluster with members, and another one.
        compared: [n], whether there is something to compare: the point is no singleton, and not all are of its cluster.
        unit: [], what the distances are in: those of the data are so many times larger.
    """

    own: Scores
    means: Sums
    other: jax.Array
    compared: Flags
    unit: jax.Array


def compare_all(p: Partition) -> Comparison:
    """Mean distances from each point to its own cluster and to all others; the only O(n^2) line is `distance_sums`."""
    p, unit = scaled(p)
    return _by_sums(p, distance_sums(p), unit)


def compare_nearest(p: Partition) -> Nearest:
    """Mean distances from each point to its own cluster and to the nearest other one, found ahead or among all.

    The pairs with these two carry all of the gradient, so that on its way back few others are formed.
    """
    if p.nearest is not None:
        return p.nearest
    if p.own is None or not are_passed_over(p):
        return nearest_of(compare_all(p))
    in_units, unit = scaled(p)
    known = jax.lax.stop_gradient(in_units)
    own, other, neighbors = nearest_of(_by_sums(known, distance_sums(known), unit))
    asked = jnp.stack([p.own, jnp.where(neighbors < 0, p.w.shape[1], neighbors)], 1)
    own, other = derived_from(_means_to, (own, other), (in_units, asked))
    return Nearest(own, other, neighbors)


def _means_to(p: Partition, asked: jax.Array) -> tuple[Scores, Scores]:
    """Mean distances from each point to its own cluster and another, which it asks for."""
    own, other = distance_sums_to(p, asked).T
    return ratio(own, _own_size(p) - 1), ratio(other, p.sizes.at[asked[:, 1]].get(mode="fill", fill_value=0))


def compare_centroids(p: Partition) -> Nearest:
    """The same with distances to centroids, O(n k d): the simplified silhouette."""
    p, unit = scaled(p)
    means = distances_to(centroids(p.x, p.w), p.x, p.metric, p.own)
    return nearest_of(_comparison(p, jnp.where(p.w != 0, means, 0).sum(1), means, unit))


def score_by_sums(p: Partition, sums: Sums) -> Scalar:
    """`silhouette_score` of a partition whose `distance_sums` are known, in whatever unit."""
    return average_values(silhouettes(p, nearest_of(_by_sums(p, sums, jnp.ones((), p.x.dtype)))), p, "micro")


def _by_sums(p: Partition, sums: Sums, unit: jax.Array) -> Comparison:
    own = ratio(jnp.where(p.w != 0, sums, 0).sum(1), _own_size(p) - 1)
    return _comparison(p, own, ratio(sums, p.sizes[None, :]), unit)


def _comparison(p: Partition, own: Scores, means: Sums, unit: jax.Array) -> Comparison:
    other = (p.w == 0) & (p.sizes > 0)[None, :] & (_own_size(p) > 0)[:, None]
    return Comparison(own, means, other, compared(p), unit)


def nearest_of(c: Comparison) -> Nearest:
    """The nearest of all other clusters."""
    elsewhere = jnp.where(c.other, c.means, jnp.inf)
    neighbors = jnp.where(c.other.any(1), elsewhere.argmin(1).astype(jnp.int32), -1)
    return Nearest(c.own, row_minimum(elsewhere), neighbors)


def compared(p: Partition) -> Flags:
    """Whether there is something to compare a point with: it is no singleton, and not all points are of its cluster."""
    return (_own_size(p) > 1) & ((p.sizes > 0).sum() > 1)


def _own_size(p: Partition) -> Scores:
    """The size of each point's cluster; 0 for a point that takes no part."""
    return p.sizes.at[p.own].get(mode="fill", fill_value=0)


def values(own: Scores, other: Scores, compared: Flags) -> Scores:
    """(b - a) / max(a, b) for a = `own` and b = `other`; 0 where nothing is compared."""
    b = jnp.where(compared, other, own)
    return jnp.where(compared, ratio(b - own, jnp.maximum(own, b)), 0)


def silhouettes(p: Partition, found: Nearest) -> Scores:
    """The silhouette of each point; NaN where there are fewer than 2 clusters, or none of 2 points."""
    there = compared(p)
    return jnp.where(there.any(), values(found.own, found.other, there), jnp.nan)


def average_values(s: Scores, p: Partition, average: Average) -> Scalar:
    """Micro: the mean over points; macro: the mean over non-empty clusters of their means. NaN where there is none."""
    if average == "micro":
        mean = ratio((s * p.counts).sum(), p.sizes.sum())
    else:
        mean = ratio(ratio(p.totals(s[:, None])[:, 0], p.sizes).sum(), (p.sizes > 0).sum(dtype=s.dtype))
    return jnp.where((p.sizes > 0).any(), mean, jnp.nan)


def comparable(sizes: np.ndarray) -> None:
    """Refuse clusters of which a silhouette has nothing to say."""
    if not ((sizes > 0).sum() >= 2 and sizes.max() > 1):
        raise ValueError(
            "a silhouette compares at least 2 clusters, one of them of 2 points or more: "
            f"there are {sizes.sum():g} points in {(sizes > 0).sum()} clusters"
        )


def is_comparable(p: Partition) -> jax.Array:
    """What `comparable` asks for, in a trace, of points that count once."""
    return ((p.sizes > 0).sum() > 1) & (p.sizes > 1).any()
