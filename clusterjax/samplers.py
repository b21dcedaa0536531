"""Batches for training, drawn on the device by key: rows of the data, so that the same few lines serve any data set."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from clusterjax.arguments import as_count, as_labels, cluster_sizes
from clusterjax.drawing import bucket, draw
from clusterjax.partition import members, out_of_range


def sample_classes(
    key: jax.Array,
    labels: ArrayLike,
    *,
    classes: int,
    points: int,
    num_clusters: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """A batch of P classes with K points each: what every loss that compares points with their partners wants.

    Classes are drawn evenly among those with K points or more, then K different points of each.

    Args:
        key: a PRNG key; the same key gives the same batch.
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        classes: P, static.
        points: K, static.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part.

    Returns:
        [classes * points], rows of the data, class by class; `labels[rows]` are their labels. All are -1 where traced
        labels turn out to have too few classes of that size, or to be out of range.

    Raises:
        TypeError: labels or a count that are not integers, a mask that is not boolean.
        ValueError: fewer classes of that size than asked for, a count below 1, traced labels without `num_clusters`.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> labels = jnp.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
        >>> rows = sample_classes(jax.random.key(0), labels, classes=2, points=3)
        >>> labels[rows].tolist() in ([0, 0, 0, 2, 2, 2], [2, 2, 2, 0, 0, 0])  # the other class is too small
        True

    Source: Hermans, Beyer, Leibe, In defense of the triplet loss (2017).
    """
    labels, where, k = as_labels(labels, where, num_clusters)
    classes, points = as_count(classes, "classes"), as_count(points, "points")
    sizes = cluster_sizes(labels, where)
    large = k if sizes is None else int((sizes >= points).sum())
    if classes > large:
        raise ValueError(f"classes={classes} is more than the {large} classes with {points} points or more: lower one")
    return _classes(key, labels, where, classes, points, k)


def sample_balanced(
    key: jax.Array, labels: ArrayLike, *, size: int, num_clusters: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """A batch in which every class is as likely as every other, however many points it has.

    For each place of the batch a class that has points is drawn evenly, then one of its points; points may repeat.

    Args:
        key: a PRNG key; the same key gives the same batch.
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        size: points in the batch, static.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part.

    Returns:
        [size], rows of the data. All are -1 where traced labels turn out to have no points, or to be out of range.

    Raises:
        TypeError: labels or a count that are not integers, a mask that is not boolean.
        ValueError: no points, a size below 1, traced labels without `num_clusters`.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> labels = jnp.where(jnp.arange(1000) < 990, 0, 1)
        >>> rows = sample_balanced(jax.random.key(0), labels, size=1000)
        >>> bool(abs(labels[rows].mean() - 0.5) < 0.1)
        True

    Source: class-balanced sampling, as in Kang et al., Decoupling representation and classifier (2020).
    """
    labels, where, k = as_labels(labels, where, num_clusters)
    size = as_count(size, "size")
    sizes = cluster_sizes(labels, where)
    if not len(labels) or (sizes is not None and not np.any(sizes)):
        raise ValueError("there are no points to draw from")
    return _balanced(key, labels, where, size, k)


# Random numbers are drawn in 32 bits: their own default would make other batches with jax_enable_x64.


@partial(jax.jit, static_argnames=("classes", "points", "k"))
def _classes(key, labels, where, classes: int, points: int, k: int) -> jax.Array:
    rows = bucket(members(labels, where, k), k)
    large = bucket(jnp.where(rows.sizes >= points, 0, 1), 1)
    bits = jax.random.bits(key, (classes, 1 + points), jnp.uint32)
    drawn = jax.vmap(draw, (0, None, 0))(bits[:, 1:], rows, draw(bits[:, 0], large, jnp.array(0)))
    possible = (large.sizes[0] >= classes) & ~out_of_range(labels, where, k).any()
    return jnp.where(possible, drawn.reshape(-1), -1)


@partial(jax.jit, static_argnames=("size", "k"))
def _balanced(key, labels, where, size: int, k: int) -> jax.Array:
    rows = bucket(members(labels, where, k), k)
    present = bucket(jnp.where(rows.sizes > 0, 0, 1), 1)
    bits = jax.random.bits(key, (size, 2), jnp.uint32)
    drawn = jax.vmap(draw, (0, None, None))(bits[:, :1], present, jnp.array(0))[:, 0]
    points = jax.vmap(draw, (0, None, 0))(bits[:, 1:], rows, drawn)[:, 0]
    possible = (present.sizes[0] > 0) & ~out_of_range(labels, where, k).any()
    return jnp.where(possible, points, -1)
