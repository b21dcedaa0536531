"""The Dunn family: the extremes of the distances between clusters and within them."""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import ratio
from clusterjax.by_cluster import distance_between, distance_extremes
from clusterjax.indices.comparison import comparable, is_comparable
from clusterjax.partition import Partition, scaled
from clusterjax.public import public
from clusterjax.typing import Common, Scalar


@public(needs=comparable)
def dunn_index(p: Partition, **_: Unpack[Common]) -> Scalar:
    """Dunn index: the smallest distance between two clusters over the largest within one.

    `min over y_i != y_j of d(i, j) / max over y_i = y_j of d(i, j)`

    O(n^2 d) work in O(n * block) memory. Two pairs of points decide, so one point in the wrong place does; the gradient
    is that of the two pairs. Weights decide only who takes part.

    Returns:
        A scalar >= 0, larger is better; above 1 every point is nearer to all of its own cluster than to any other.
        Infinite where all clusters are points or duplicates, 0 where two of them meet. NaN when traced labels turn out
        to have fewer than 2 clusters, none of 2 points, or to be out of range. NaN in, NaN out.

    Raises:
        ValueError: fewer than 2 clusters or only singletons; negative weights.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [4.0], [6.0]])
        >>> round(float(dunn_index(x, jnp.array([0, 0, 1, 1]))), 4)
        1.5

    Source: Dunn, Well-separated clusters and optimal fuzzy partitions (1974).
    """
    p = scaled(p)[0]
    smallest, largest = distance_extremes(p)
    own = p.w > 0
    other = ~own & (p.sizes > 0)[None, :] & own.any(1, keepdims=True)
    between = _pair(p, jnp.where(other, smallest, jnp.inf))
    within = _pair(p, jnp.where(own, -largest, jnp.inf))
    met = jnp.where(between > 0, jnp.inf, between)  # NaN stays so
    return jnp.where(is_comparable(p), jnp.where(within == 0, met, ratio(between, within)), jnp.nan)


def _pair(p: Partition, extremes: jax.Array) -> jax.Array:
    """The distance, with its gradient, of the pair of points that the smallest of the extremes [n, k] comes from."""
    i, k = jnp.unravel_index(extremes.argmin(), extremes.shape)
    there = jax.lax.stop_gradient(jax.vmap(lambda j: distance_between(p, i, j))(jnp.arange(len(p.x))))
    there = jnp.where(extremes[i, k] < 0, -there, there)
    member = (p.w[:, k] > 0) & (jnp.arange(len(p.x)) != i)
    return distance_between(p, i, jnp.where(member, there, jnp.inf).argmin())
