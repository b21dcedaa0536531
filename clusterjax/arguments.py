"""What a user passes, as arrays and static numbers, or refused in a sentence: here alone are values looked at.

Lists, Series, data frames, NumPy and JAX arrays are taken, and integers of any width. Under a trace only shapes and
kinds are known, and only they are checked.
"""

from __future__ import annotations

import operator
from typing import Any, Literal, SupportsIndex, get_args, get_origin

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from numpy.typing import ArrayLike

from clusterjax.distances import is_traced, precomputed, whitened_euclidean
from clusterjax.typing import Array, Labels, Mask, Within

# An [n, k] array of so many numbers, most of them of clusters without members, is a mistake and not a wish.
TOO_MANY = 2**28


def as_array(value: ArrayLike, name: str) -> Array:
    """Numbers of any kind but complex, as they are.

    Raises:
        TypeError: they are no real numbers.
    """
    array = value if isinstance(value, jax.Array) else np.asarray(value)
    kinds = (jnp.bool, jnp.integer, jnp.floating)
    if not any(jnp.issubdtype(array.dtype, kind) for kind in kinds):
        raise TypeError(f"{name} must hold real numbers, not {array.dtype}")
    return array


def as_integers(value: ArrayLike, name: str) -> Array:
    """Integers of any width.

    Raises:
        TypeError: they are none.
    """
    array = value if isinstance(value, jax.Array) else np.asarray(value)
    if isinstance(value, list | tuple) and not value:
        array = array.astype(np.int32)  # of an empty list nothing else is known
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(
            f"{name} must be integers, not {array.dtype}: np.unique({name}, return_inverse=True)[1] gives them"
        )
    return array


def as_data(x: ArrayLike, num_points: int, metric: Partial) -> Array:
    """Points [n, d], or distances [n, n] where those are announced.

    Raises:
        TypeError: they are no real numbers.
        ValueError: shapes that do not fit, a diagonal of distances that is not zero.
    """
    x = as_rows(x)
    if len(x) != num_points:
        raise ValueError(f"there must be one label for each point: {num_points} labels for {len(x)} points")
    if metric.func is whitened_euclidean and metric.args[0].shape[0] != x.shape[1]:
        size = metric.args[0].shape[0]
        raise ValueError(f"the matrix of mahalanobis is for {size} features: the data have {x.shape[1]}")
    if metric.func is precomputed and len(x) != x.shape[1]:
        raise ValueError(f"precomputed distances must be a square matrix, not of shape {x.shape}")
    return x


def as_rows(x: ArrayLike) -> Array:
    """Points [n, d], however many.

    Raises:
        TypeError: they are no real numbers.
        ValueError: they are not a row a point.
    """
    x = as_array(x, "the data")
    if isinstance(x, np.ndarray) and not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(np.float32)  # before they are cut to 32 bits
    if x.ndim != 2:
        raise ValueError(f"the data must be two-dimensional, a row a point, not of shape {x.shape}")
    return x


def check_diagonal(x: Array, where: Mask | None) -> None:
    """Refuse distances of a point to itself that are more than rounding: they may be similarities.

    Raises:
        ValueError: there is one above 100 machine epsilons, as for scikit-learn.
    """
    if is_traced(x, where):
        return
    own = np.abs(np.diagonal(np.asarray(x)).astype(float))
    own = own if where is None else own[np.asarray(where)]
    kind = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else np.float32
    if (own > 100 * float(jnp.finfo(kind).eps)).any():
        raise ValueError(
            "precomputed distances must have a zero diagonal: np.fill_diagonal(x, 0), unless these are similarities"
        )


def as_labels(
    labels: ArrayLike, where: ArrayLike | None, num_clusters: SupportsIndex | None
) -> tuple[Labels, Mask | None, int]:
    """Labels and mask as arrays, and the static number of clusters: as given or, of known labels, the largest and one.

    Known labels come back in 32 bits, whatever they had: -1 for the negative, the number of clusters for those that are
    out of range but masked.

    Raises:
        TypeError: labels that are not integers, a mask that is not boolean, a number of clusters that is no integer.
        ValueError: labels or a mask of the wrong shape, a label not below `num_clusters`, traced labels without it.
    """
    labels = as_integers(labels, "labels")
    if labels.ndim != 1:
        raise ValueError(f"labels must be one-dimensional, one a point, not of shape {labels.shape}")
    where = as_mask(where, labels.shape)
    if num_clusters is not None:
        num_clusters = as_count(num_clusters, "num_clusters")
    if is_traced(labels):
        if num_clusters is None:
            raise ValueError("labels are traced here, so their number of clusters is unknown: pass num_clusters=")
        return labels, where, num_clusters
    values = np.asarray(labels)
    values = values.astype(np.uint64 if values.dtype.kind == "u" else np.int64)
    known = values >= 0 if where is None or is_traced(where) else (values >= 0) & np.asarray(where)
    largest = int(values[known].max(initial=0)) if known.any() else -1
    if num_clusters is None:
        num_clusters = max(largest + 1, 1)
        if num_clusters > len(values) and num_clusters * len(values) > TOO_MANY:
            raise ValueError(
                f"labels go up to {largest} for {len(values)} points: number the clusters by "
                "np.unique(labels, return_inverse=True)[1], or pass num_clusters= if so many are meant"
            )
    elif largest >= num_clusters and not is_traced(where):
        raise ValueError(f"label {largest} is out of range: labels must be below num_clusters={num_clusters}")
    inside = np.minimum(values, values.dtype.type(num_clusters)).astype(np.int32)
    return np.where(values >= 0, inside, np.int32(-1)), where, num_clusters


def as_mask(where: ArrayLike | None, shape: tuple[int, ...]) -> Mask | None:
    """Whether each point takes part.

    Raises:
        TypeError: it is not boolean.
        ValueError: it is not one for each point.
    """
    if where is None:
        return None
    where = as_array(where, "where")
    if where.dtype != bool:
        raise TypeError(f"where must be boolean, not {where.dtype}: pass where != 0")
    if where.shape != shape:
        raise ValueError(f"where must be one for each point, of shape {shape}, not {where.shape}")
    return where


def as_sample_weights(weights: ArrayLike, num_points: int) -> Array:
    """Weights of the points, one each.

    Raises:
        TypeError: they are no real numbers.
        ValueError: not one for each point, or one that is negative.
    """
    weights = as_array(weights, "weights")
    if weights.shape != (num_points,):
        raise ValueError(f"weights must be one for each of {num_points} points, not of shape {weights.shape}")
    if not is_traced(weights) and (np.asarray(weights) < 0).any():
        raise ValueError("weights must be at least 0")
    return weights


def cluster_sizes(labels: Labels, where: Mask | None, weights: Array | None = None) -> np.ndarray | None:
    """How many points each cluster has, or how much they weigh; None where the values are not known yet."""
    if is_traced(labels, where, weights):
        return None
    values = np.asarray(labels)
    kept = values >= 0 if where is None else (values >= 0) & np.asarray(where)
    return np.bincount(values[kept], None if weights is None else np.asarray(weights, float)[kept])


def as_count(value: Any, name: str, least: int = 1) -> int:
    """A static integer.

    Raises:
        TypeError: it is none, or traced.
        ValueError: it is too small.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        value = operator.index(value)
    except TypeError:  # JAX's for a traced value is one too
        kind = "an integer that is known before a trace" if is_traced(value) else "an integer"
        raise TypeError(f"{name} must be {kind}, not {value!r}") from None
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
    return value


def check_option(name: str, value: Any, annotation: Any) -> None:
    """Refuse a value that its annotation rules out: not of a Literal, or not `Within` bounds.

    Raises:
        ValueError: it is ruled out; nothing is known of a traced one.
    """
    if get_origin(annotation) is Literal:
        if value not in get_args(annotation):
            raise ValueError(f"{name} must be one of {', '.join(map(repr, get_args(annotation)))}, not {value!r}")
        return
    for bounds in _bounds(annotation):
        if value is None or is_traced(value):
            return
        if bounds.whole:
            as_count(value, name, int(bounds.low))
        elif np.ndim(value) != 0 or not bounds.contain(float(value)):
            raise ValueError(f"{name} must be {bounds}, not {value}")


def is_count(annotation: Any) -> bool:
    """Whether an option is a whole number, and so static."""
    return any(bounds.whole for bounds in _bounds(annotation))


def _bounds(annotation: Any) -> list[Within]:
    """The bounds in an annotation, however deep."""
    if isinstance(annotation, Within):
        return [annotation]
    return [found for part in get_args(annotation) for found in _bounds(part)]
