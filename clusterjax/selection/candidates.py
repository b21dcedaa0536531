"""Which numbers of clusters are tried, and which of them share a compiled program."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import SupportsIndex, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from clusterjax.arguments import as_count
from clusterjax.distances import is_traced
from clusterjax.typing import Array, Mask

Result = TypeVar("Result")


def as_ks(ks: Iterable[SupportsIndex], least: int = 1) -> tuple[int, ...]:
    """Numbers of clusters to try, each once, the smallest first.

    Raises:
        TypeError: one that is no integer, or traced.
        ValueError: none at all, one that is too small or there twice.
    """
    found = sorted(as_count(k, "each of ks", least) for k in ks)
    if not found:
        raise ValueError("ks must hold at least one number of clusters")
    if len(set(found)) < len(found):
        raise ValueError(f"ks must hold each number of clusters once, not {found}")
    return tuple(found)


def groups(ks: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Numbers of clusters that are padded to the largest of their group: at most 1.5 times its smallest, and 6.

    Padding costs work and a group a compilation, which for few clusters takes longer than the work.
    """
    found: list[tuple[int, ...]] = []
    for k in ks:
        if found and 2 * k <= 3 * found[-1][0] + 12:
            found[-1] += (k,)
        else:
            found.append((k,))
    return found


def for_each_k(function: Callable[..., Result], ks: tuple[int, ...]) -> Result:
    """`function(k, largest of its group)` for every k, one after the other: arrays with one more axis in front."""
    found = [jax.lax.map(partial(function, largest=group[-1]), jnp.asarray(group, jnp.int32)) for group in groups(ks)]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *found)


def check_enough(ks: tuple[int, ...], num_points: int, where: Mask | None, weights: Array | None = None) -> None:
    """Refuse more clusters than points.

    Raises:
        ValueError: there are not as many points that take part, with a weight above 0.
    """
    count = num_points
    if not is_traced(where, weights):
        part = np.ones(num_points, bool) if where is None else np.asarray(where)
        count = int((part if weights is None else part & (np.asarray(weights) > 0)).sum())
    if ks[-1] > count:
        raise ValueError(f"{ks[-1]} clusters are more than the {count} points that take part: lower it")
