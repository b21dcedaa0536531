"""Which clusters can be the nearest to a point: bounds on mean distances that cost a product with the centroids.

For a point x and a cluster with centroid c and mean squared radius v, with r = |x - c| and m = r^2 + v, the mean
distance M from x to the members lies in

    r <= M <= sqrt(m)                      a mean of lengths is no shorter than the mean's, and no longer than the root
                                           of the mean of their squares, which is m
    M >= sqrt(m) (1 - s / (2 m^2))         from sqrt(z) >= sqrt(m) (1 + (z - m) / 2m - (z - m)^2 / 2m^2), averaged

with s the variance of the squared distances from x to the members. With u = x - c, S the cluster's covariance, q the
squared length of y - c and t the mean of (y - c) q over the members y,

    s = 4 u'Su - 4 u't + var(q) <= 4 lambda r^2 + 4 r |t| + var(q),    lambda at least the largest eigenvalue of S.

`r |t| <= |t| (r^2 / g + g) / 2` for any g > 0 makes that linear in r^2. A cluster whose lower bound is above the
smallest upper bound of the others cannot be the nearest; of many clusters a few are left. All of it is said of squares:
m is one product, and what may be left is a number for each cluster above a number for each point.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import add_rows, matmul, ratio, safe_sqrt
from clusterjax.some_pairs import members
from clusterjax.typing import Array

# Squarings of a covariance on the way to the bound of its largest eigenvalue: trace(S^8)^(1/8).
SQUARINGS = 2
# Members at a time on the way to a covariance.
MEMBERS = 128


class Clusters(NamedTuple):
    """What the bounds know of clusters whose members lie one after the other.

    Attributes:
        starts: [k], the first member.
        sizes: [k], how many members there are.
        weights: [k], what they weigh; 0 where there is none.
        anchors: [k, d], centroids, as precise as the points are.
        around: [1, d], a place near most of them, however far out one is.
        radii: [k], v, mean squared radii.
        slopes: [k], what s grows by with r^2.
        levels: [k], what of s does not, over v.
    """

    starts: jax.Array
    sizes: jax.Array
    weights: jax.Array
    anchors: jax.Array
    around: jax.Array
    radii: jax.Array
    slopes: jax.Array
    levels: jax.Array


@jax.jit
def moments(rows: jax.Array, mass: jax.Array, own: jax.Array, starts: jax.Array, sizes: jax.Array) -> Clusters:
    """All of it but lambda, for which the slopes hold 0, and but the place in the middle.

    Args:
        rows: [n, d], points sorted by cluster.
        mass: [n], how much each counts.
        own: [n], the cluster of each; k for one of none.
        starts: [k].
        sizes: [k].
    """

    def sums(values: jax.Array) -> jax.Array:
        return add_rows(jnp.zeros((len(sizes), values.shape[1]), values.dtype), values * mass[:, None], own)

    def of_own(values: jax.Array) -> jax.Array:
        return values.at[own].get(mode="clip")

    weights = sums(jnp.ones_like(rows[:, :1]))
    anchors = rows[:1] + ratio(sums(rows - rows[:1]), weights)
    # the mean of what is left has the digits that the first one lacks
    anchors = anchors + ratio(sums(rows - of_own(anchors)), weights)
    rest = rows - of_own(anchors)
    squares = (rest * rest).sum(1, keepdims=True)
    radii = ratio(sums(squares), weights)
    # over v, lest fourth powers of what is small are lost
    squares = ratio(squares, of_own(radii))
    skews = ratio(sums(rest * squares), weights)
    skewed = safe_sqrt((skews * skews).sum(1, keepdims=True)) * safe_sqrt(2 * radii)  # |t| g / v for g^2 = 2 v
    levels = radii * ratio(sums(jnp.square(squares - 1)), weights) + 2 * skewed
    return Clusters(starts, sizes, weights[:, 0], anchors, rows[:1], radii[:, 0], skewed[:, 0], levels[:, 0])


@partial(jax.jit, static_argnames="side")
def largest_eigenvalues(rows: jax.Array, mass: jax.Array, clusters: Clusters, which: Array, *, side: int) -> jax.Array:
    """[m], at least the largest eigenvalues of the covariances of some clusters.

    Args:
        rows: [n, d], points sorted by cluster.
        mass: [n], how much each counts.
        clusters: `moments` of them.
        which: [m], the clusters.
        side: of the matrix that is looked at: d, or where no cluster has so many members, that many: the products of
            the members with each other have the eigenvalues of their covariance.
    """

    def scaled(start: jax.Array, end: jax.Array, k: jax.Array, count: int) -> jax.Array:
        found, index = members(rows, start, count)
        found = (found - clusters.anchors[k]) * safe_sqrt(members(mass, start, count)[0])[:, None]
        return jnp.where(((index >= start) & (index < end))[:, None], found, 0)

    def covariance(k: jax.Array) -> jax.Array:
        start, end = clusters.starts[k], clusters.starts[k] + clusters.sizes[k]
        if side < rows.shape[1]:
            found = scaled(start, end, k, side)
            return matmul(found, found.T)
        count = min(MEMBERS, len(rows))

        def add(number: jax.Array, total: jax.Array) -> jax.Array:
            found = scaled(start + number * count, end, k, count)
            return total + matmul(found.T, found)

        return jax.lax.fori_loop(0, -(-clusters.sizes[k] // count), add, jnp.zeros((side, side), rows.dtype))

    def bound(k: jax.Array) -> jax.Array:
        # |S| <= |S^p|^(1/p) for the root of the sum of squares, which is divided out in between, lest powers vanish
        s = ratio(covariance(k), clusters.weights[k] * clusters.radii[k])
        logarithm, length, power = jnp.zeros((), s.dtype), jnp.zeros((), s.dtype), 1.0
        for squaring in range(SQUARINGS + 1):
            length = safe_sqrt((s * s).sum())
            logarithm += power * jnp.log(jnp.where(length > 0, length, 1))
            if squaring < SQUARINGS:
                s, power = ratio(s, length), power / 2
                s = matmul(s, s)
        return jnp.where(length > 0, clusters.radii[k] * jnp.exp(logarithm), 0)

    return jax.lax.map(bound, which)


@jax.jit
def may_be_nearest(x: jax.Array, own: jax.Array, clusters: Clusters) -> jax.Array:
    """[blocks, k, b], whether each cluster can be the nearest other one of each point, in one block after the other.

    Rounding is allowed for, so that none is lost that can be. m is one product, of terms as large as |x|^2, |c|^2 and
    v, each a sum of d numbers: it is off by less than (d + 3) eps of theirs. A centroid is a mean of n numbers of both
    signs, off by some 4 eps sqrt(n) of the radius at the most, and so is m of itself. s is not smaller than
    the rounding of m^2, or else a hundredth more is more than rounding does to it.

    Args:
        x: [blocks, b, d].
        own: [blocks, b], the cluster of each.
        clusters: what is known of all.
    """
    return jax.lax.map(lambda block: _may_be_nearest(block[0], block[1], clusters), (x, own))


def _may_be_nearest(x: jax.Array, own: jax.Array, clusters: Clusters) -> jax.Array:
    x, centroids = x - clusters.around, clusters.anchors - clusters.around
    radii, one = clusters.radii[:, None], jnp.ones_like(x[:, :1])
    eps = jnp.finfo(x.dtype).eps
    of_centroids, of_points = (centroids * centroids).sum(1, keepdims=True), (x * x).sum(1, keepdims=True)
    noise = (x.shape[1] + 3) * eps
    noise_of_centroids, noise_of_points = noise * (of_centroids + radii), noise * of_points
    off = 4 * eps * jnp.sqrt(clusters.sizes.astype(x.dtype))[:, None]
    level = jnp.where(clusters.sizes[:, None] > 0, of_centroids + radii + noise_of_centroids, jnp.inf)
    left = (1 + off) * jnp.concatenate([-2 * centroids, jnp.ones_like(radii), level], 1)
    right = jnp.concatenate([x, of_points + noise_of_points, one], 1)
    # the own cluster and empty ones are no other: infinitely far, each pass over all scores is a plain one
    most = matmul(left, right.T).at[own, jnp.arange(len(own))].set(jnp.inf, mode="drop")
    threshold = most.min(0)
    # the second bound squared is at least m - s / m, and s / m = a + b / m: m <= T + a + b / m is asked for, from which
    # for b > 0 follows m <= p + b / p with p = T + a, and for b < 0 what p at most allows
    a, b = 1.01 * clusters.slopes[:, None], 1.01 * (clusters.levels - clusters.slopes)[:, None]  # b over v
    above = jnp.minimum(a + b * ratio(radii, a + jnp.where(b > 0, threshold.min(), threshold.max())), radii)
    return (1 - 2 * off) * most - (above + 2 * noise_of_centroids) <= threshold + 2 * noise_of_points.T
