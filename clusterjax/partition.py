"""The only label algebra: labels and a mask become weights [n, k], one-hot rows, and zero rows for who takes no part.

What centroid indices need is here too: means, and points by their centroid and what is left without it.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from clusterjax.arithmetic import add_rows, matmul, power_of_two, ratio
from clusterjax.distances import (
    FEW,
    as_points,
    cosine,
    gram_factors,
    gram_squared,
    on_blocks,
    precomputed,
    squared_differences,
    squared_euclidean,
)
from clusterjax.typing import Array, Centroids, Flags, Labels, Mask, Members, Weights


class Nearest(NamedTuple):
    """What a point is compared with.

    Attributes:
        own: [n], the mean distance to the other members of its cluster.
        other: [n], the smallest mean distance to another cluster; infinite where there is none.
        neighbors: [n], which cluster that is; -1 where there is none, or the point takes no part.
    """

    own: jax.Array
    other: jax.Array
    neighbors: jax.Array


class Partition(NamedTuple):
    """Points and their clusters, checked: what the kernel of every index and loss is a function of.

    Attributes:
        x: [n, d], floats; or the distances [n, n] with the precomputed metric.
        w: [n, k], how much of each point is in each cluster; the row of a point that takes no part is zero.
        own: [n], `members`; None where the weights are soft.
        mass: [n], how much each point counts; None where each counts once, or the weights are soft.
        metric: as `resolve` gives it.
        nearest: what was found ahead of the trace; None where nothing was.
    """

    x: jax.Array
    w: jax.Array
    own: jax.Array | None
    mass: jax.Array | None
    metric: Partial
    nearest: Nearest | None = None

    @property
    def counts(self) -> jax.Array:
        """[n], how much each point counts: 0 if it takes no part."""
        if self.own is None:
            return self.w.sum(1)
        return (self.own < self.w.shape[1]).astype(self.x.dtype) if self.mass is None else self.mass

    @property
    def sizes(self) -> jax.Array:
        """[k], how many points each cluster has, or how much they weigh."""
        return self.w.sum(0) if self.own is None else self.totals(jnp.ones_like(self.x, shape=(len(self.x), 1)))[:, 0]

    def totals(self, values: jax.Array) -> jax.Array:
        """[k, m], sums of rows [n, m] over the members of each cluster, as often as they count."""
        if self.own is None:
            return matmul(self.w.T, values)
        return sums_by_cluster(self.counts[:, None] * values, self.own, self.w.shape[1])


def partition(
    x: Array, labels: Labels, where: Mask | None, mass: Array | None, metric: Partial, num_clusters: int
) -> Partition:
    """Points and labels as a partition.

    What only a trace can meet turns all points into NaN, and so every result: a label that takes part and is not below
    `num_clusters`, a negative mass.
    """
    x = as_points(x)
    own = members(labels, where, num_clusters)
    bad = out_of_range(labels, where, num_clusters)
    if mass is not None:
        mass = jnp.asarray(mass, x.dtype)
        own = jnp.where(mass == 0, num_clusters, own)
        bad |= (own < num_clusters) & (mass < 0)
        mass = jnp.where(own < num_clusters, mass, 0)
    own = jnp.where(bad, 0, own)  # someone must be there to be NaN
    w = jax.nn.one_hot(own, num_clusters, dtype=x.dtype)
    w = w if mass is None else jnp.where(w > 0, mass[:, None], 0)
    return Partition(jnp.where(bad.any(), jnp.nan, x), w, own, mass, metric)


def members(labels: Labels, where: Mask | None, num_clusters: int) -> Members:
    """Labels in 32 bits, with `num_clusters` for the points that take no part: masked, negative or out of range."""
    labels = jnp.asarray(labels)
    if labels.dtype.itemsize < 4:
        labels = labels.astype(jnp.int32)
    # compared in their own width: a larger one would wrap into range
    inside = _takes_part(labels, where) & (labels < jnp.asarray(num_clusters, labels.dtype))
    return jnp.where(inside, labels, 0).astype(jnp.int32) + jnp.where(inside, 0, num_clusters).astype(jnp.int32)


def out_of_range(labels: Labels, where: Mask | None, num_clusters: int) -> Flags:
    """Which labels take part and are not below `num_clusters`: only a trace can meet one, known ones are refused."""
    return _takes_part(labels, where) & (members(labels, where, num_clusters) == num_clusters)


def _takes_part(labels: Labels, where: Mask | None) -> jax.Array:
    labels = jnp.asarray(labels)
    inside = labels >= jnp.zeros((), labels.dtype)
    return inside if where is None else inside & where


def partners_and_rivals(p: Partition) -> tuple[jax.Array, jax.Array]:
    """Which ordered pairs [n, n] are of one cluster, and which of two, among the points that take part.

    A point is neither to itself.
    """
    own = p.own
    assert own is not None  # of soft weights nobody asks it
    present = own < p.w.shape[1]
    both, same = present[:, None] & present[None, :], own[:, None] == own[None, :]
    return both & same & ~jnp.eye(len(own), dtype=bool), both & ~same


def present_mean(x: Array, w: Weights) -> jax.Array:
    """Mean of the rows that take part, which the others cannot spoil: [1, d]. Of equal rows it is that row exactly."""
    present = (w != 0).any(1, keepdims=True)
    one = _one_present(x, w)
    return one + ratio(jnp.where(present, x - one, 0).sum(0, keepdims=True), present.sum(dtype=x.dtype))


def _one_present(x: Array, w: Weights) -> jax.Array:
    """A row that takes part, [1, d], without a gradient; of no rows zeros."""
    present = (w != 0).any(1)
    if not len(x):
        return jnp.zeros_like(x, shape=(1, x.shape[1]))
    return jax.lax.stop_gradient(jnp.where(present[:, None], x, 0)[present.argmax()][None])


def clean(p: Partition) -> Partition:
    """With the rows of no cluster replaced, whatever they held, NaN included, by the mean of the others."""
    present = (p.w != 0).any(1)
    if p.metric.func is precomputed:
        return p._replace(x=jnp.where(present[:, None] & present[None, :], p.x, 0))
    return p._replace(x=jnp.where(present[:, None], p.x, jax.lax.stop_gradient(present_mean(p.x, p.w))))


def without_offset(p: Partition) -> Partition:
    """`clean` points less what is common to all values of a feature, where that costs no bit.

    The difference of two numbers of which neither is more than twice the other is exact. Where some are, an offset is
    no larger than the spread, and a mean no less precise than the distances to it.
    """
    p = clean(p)
    if p.metric.func in (cosine, on_blocks, precomputed) or not len(p.x):
        return p
    x = jax.lax.stop_gradient(p.x)
    smallest, largest = x.min(0, keepdims=True), x.max(0, keepdims=True)
    offset = jnp.where((smallest > 0) & (largest <= 2 * smallest), smallest, 0)
    offset = jnp.where((largest < 0) & (smallest >= 2 * largest), largest, offset)
    return p._replace(x=p.x - offset)


def scaled(p: Partition) -> tuple[Partition, jax.Array]:
    """Points `without_offset` over a power of two, so that no square is out of range; the unit of distances then."""
    p = without_offset(p)
    if p.metric.func in (cosine, on_blocks):  # the first does not change with scale; of the second nothing is known
        return p, jnp.ones((), p.x.dtype)
    scale = power_of_two(p.x)
    unit = scale[0, 0]
    return p._replace(x=p.x / scale), unit * unit if p.metric.func is squared_euclidean else unit


def sums_by_cluster(values: jax.Array, own: Members, num_clusters: int) -> jax.Array:
    """Sums [k, m] of the rows of `values` [n, m]; a row of no cluster is left out."""

    def by_rows(values: jax.Array, own: jax.Array) -> jax.Array:
        return add_rows(jnp.zeros_like(values, shape=(num_clusters, values.shape[1])), values, own)

    def by_product(values: jax.Array, own: jax.Array) -> jax.Array:
        return matmul(jax.nn.one_hot(own, num_clusters, axis=0, dtype=values.dtype), values)

    # elsewhere products are cheap, and additions from many threads neither cheap nor always in the same order
    return jax.lax.platform_dependent(values, own, cpu=by_rows, default=by_product)


def centroids(x: Array, w: Weights) -> Centroids:
    """Weighted mean of each cluster; of an empty one, the mean of all."""
    mean = present_mean(x, w)  # averaging deviations keeps the digits of data far from the origin
    return mean + ratio(matmul(w.T, x - mean), w.sum(0)[:, None])


def centred(x: jax.Array, w: Weights) -> jax.Array:
    """Points around the mean of those that take part."""
    # Around one of them first, which is exact: points all in one place become zeros, not the rounding of their mean.
    x = x - _one_present(x, w)
    return x - jax.lax.stop_gradient(present_mean(x, w))


class Anchored(NamedTuple):
    """Points by their cluster's centroid and what is left without it, so that no cluster takes digits from another.

    `x_i - x_j = (u_i - u_j) + (c_own(i) - c_own(j))`

    Attributes:
        rest: [n, d], u, what is left.
        squared: [n, k], squared distances to the centroids.
        offsets: [n, k], P with `|x_i - x_j|^2 = |u_i - u_j|^2 + P[i, own_j] + P[j, own_i]`.
    """

    rest: jax.Array
    squared: jax.Array
    offsets: jax.Array


def squared_to_centroids(x: jax.Array, c: jax.Array, own: Members | None) -> jax.Array:
    """Squared distances [n, k] from points that are centred to the centroids; `own` where each point has a cluster."""
    if x.shape[1] <= FEW:
        return squared_differences(x, c)
    return gram_squared(gram_factors(x)[0], gram_factors(c)[1]) if own is None else anchored(x, c, own).squared


def squared_between(c: jax.Array) -> jax.Array:
    """Squared distances [k, k] between centroids, from the differences: a third one far away takes no digits."""
    # a row at a time, and the gradient too: all differences would be an array [k, k, d]
    return jax.lax.map(jax.checkpoint(lambda one: jnp.square(c - one[None, :]).sum(1)), c)


def anchored(x: jax.Array, c: jax.Array, own: Members) -> Anchored:
    """`x` [n, d] around the centroids `c` [k, d]; of a point without a cluster nothing is to be read."""
    rest = x - c.at[own].get(mode="clip")
    # 2 u_i . (c_own(i) - c_l), exactly 0 for its own; the twos on the few, of the points one array serves both terms
    twice = c + c
    towards = (rest * twice.at[own].get(mode="clip")).sum(1, keepdims=True) - matmul(rest, twice.T)
    towards = jnp.where(jax.nn.one_hot(own, len(c), dtype=bool), 0, towards)
    between = squared_between(c).at[own].get(mode="clip")
    squared = (rest * rest).sum(1, keepdims=True) + towards + between
    return Anchored(rest, squared, towards + between / 2)
