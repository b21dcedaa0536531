"""Repetitions side by side on the cores of a CPU: XLA runs a loop of small operations on one of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

import jax
import jax.numpy as jnp

from clusterjax.progress import bar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Larger operations are spread over the cores by XLA itself, and as many at a time would need as much memory.
SMALL = 2**22
# What may be set for the thread that enters it alone, and must hold in the others.
SETTINGS = {
    "jax_enable_x64": jax.enable_x64,
    "jax_debug_nans": jax.debug_nans,
    "jax_default_device": jax.default_device,
    "jax_default_matmul_precision": jax.default_matmul_precision,
    "jax_numpy_dtype_promotion": jax.numpy_dtype_promotion,
    "jax_numpy_rank_promotion": jax.numpy_rank_promotion,
}


def cores(elements: int, *, known: bool) -> int:
    """In how many threads to repeat something small whose largest array has so many elements: 1 where XLA does it.

    That is on an accelerator, where operations are large, and under a trace, where values are not `known`.
    """
    if not known or elements > SMALL or jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """What a jitted function gives for each item, in order. It should be compiled before many ask for it."""
    settings = {name: getattr(jax.config, name) for name in SETTINGS}

    def one(item: Item) -> Result:
        with ExitStack() as stack:
            for name, value in settings.items():
                stack.enter_context(SETTINGS[name](value))
            return jax.block_until_ready(function(item))

    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(one, items)


def in_parts(
    function: Callable[..., Result], count: int, threads: int, parts: int | None = None, what: str = ""
) -> list[Result]:
    """`function(first, last, size=...)` for the parts of `range(count)`, in order.

    Args:
        function: jitted, for the numbers from first to last, `size` of them at most, which is static. What it gives for
            a number does not depend on the part, and none may be asked for.
        count: how many repetitions.
        threads: how many parts are run at once.
        parts: how many there are, of one size; as many as threads where left out, and else with a bar.
        what: they are, for the bar.
    """
    size = -(-count // (parts or threads))
    firsts = range(0, count, size)

    def part(first: int, last: int) -> Result:
        return function(jnp.int32(first), jnp.int32(last), size=size)

    if threads > 1:
        jax.block_until_ready(part(0, 0))  # compiled once, before all ask for it
    found = []
    with bar(what, len(firsts), parts is not None) as step:
        for one in in_threads(lambda first: part(first, min(first + size, count)), firsts, threads):
            found.append(one)
            step(f": {min(len(found) * size, count)} of {count}")
    return found


def collect(function: Callable[[jax.Array], Result], first: jax.Array, last: jax.Array, size: int) -> Result:
    """What a function gives for the numbers from first to last, [size, ...]; zeros after them."""
    shapes = jax.eval_shape(function, first)
    nothing = jax.tree.map(lambda a: jnp.zeros((size, *a.shape), a.dtype), shapes)

    def put(number: jax.Array, found: Result) -> Result:
        return jax.tree.map(lambda a, one: a.at[number - first].set(one), found, function(number))

    return jax.lax.fori_loop(first, last, put, nothing)
