"""A user's own index: a plain function of points and labels, which need not know of masks."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp

from clusterjax.distances import as_points
from clusterjax.partition import present_mean
from clusterjax.typing import Array, Labels, Mask


def takes(function: Callable, option: str) -> bool:
    """Whether a function can be given this option."""
    parameters = inspect.signature(function).parameters
    return option in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def ask(function: Callable[..., jax.Array], x: Array, labels: Labels, num_clusters: int, where: Mask | None = None):
    """The value of `f(x, labels)`, `f(x, labels, *, num_clusters)` or `f(x, labels, *, num_clusters, where)`.

    Where it takes no mask, points that take no part have label -1, and rows that are the mean of the others.
    """
    given = {"num_clusters": num_clusters} if takes(function, "num_clusters") else {}
    if takes(function, "where"):
        return function(x, labels, **given, where=where)
    x, labels = as_points(x), jnp.asarray(labels)
    present = (labels >= 0) if where is None else (labels >= 0) & jnp.asarray(where)
    labels, present = jnp.where(present, labels, -1), present[:, None]
    return function(jnp.where(present, x, present_mean(x, present.astype(x.dtype))), labels, **given)
