"""The few operations of which everything else is made, because each is a place where numbers or gradients are lost.

Here are the package's only square root, only epsilon and only guarded division: `safe_sqrt`, `above_noise`, `ratio`. A
minimum over an axis that is differentiated is `row_minimum`, a product `matmul`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp

from clusterjax.typing import Array

# Rounding leaves up to 6 eps |x|^2 of the squared distance of a point to its duplicate, measured up to 2 000 features.
NOISE = 8


def ratio(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """Quotient, and 0 (with zero gradient) where the denominator is not positive; NaN stays NaN."""
    empty = denominator <= 0
    return jnp.where(empty, 0, numerator / jnp.where(empty, 1, denominator))


@jax.custom_jvp
def safe_sqrt(x: jax.Array) -> jax.Array:
    """Square root; at zero and below, its value and every derivative are 0. NaN stays NaN."""
    return jnp.sqrt(jnp.maximum(x, 0))


@safe_sqrt.defjvp
def _(primals, tangents):
    root = safe_sqrt(*primals)
    # in terms of the root, so that a backward pass keeps one array, and a second derivative meets the same guard
    return root, tangents[0] * ratio(jnp.full_like(root, 0.5), root)


@jax.custom_jvp
def row_minimum(x: jax.Array) -> jax.Array:
    """Minimum over the last axis; its gradient goes to the first entry that has it. NaN where there is one.

    JAX's own gradient goes to the entries that equal the minimum. A fused program may compute them a second time,
    rounded differently: then none does, and the gradient is lost. An index is always one of them.
    """
    return x.min(-1)


@row_minimum.defjvp
def _(primals, tangents):
    (x,), (tangent,) = primals, tangents
    first = jax.nn.one_hot(x.argmin(-1), x.shape[-1], dtype=bool)
    return row_minimum(x), jnp.where(first, tangent, 0).sum(-1)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def derived_from(function: Callable[..., Any], value: Any, given: tuple) -> Any:
    """`value`, known to be that of `function(*given)`, with the derivatives that it has as such."""
    return value


@derived_from.defjvp
def _(function, primals, tangents):
    return derived_from(function, *primals), jax.jvp(function, primals[1], tangents[1])[1]


@jax.custom_jvp
def softplus(x: jax.Array) -> jax.Array:
    """`log(1 + exp(x))`; its gradient is found from x again, so that a backward pass keeps nothing else."""
    return jax.nn.softplus(x)


@softplus.defjvp
def _(primals, tangents):
    return softplus(*primals), tangents[0] * jax.nn.sigmoid(*primals)


def magnitude(x: jax.Array) -> jax.Array:
    """Absolute value, with zero gradient at 0, where JAX's own has 1."""
    return x * jnp.sign(x)


def above_noise(value: jax.Array, scale: jax.Array | float) -> jax.Array:
    """`value`, and 0 (with zero gradient) below what rounding leaves of a difference of terms as large as `scale`.

    Without it the distance between duplicates is noise, and a silhouette is a ratio of two such.
    """
    return jnp.where(value < NOISE * jnp.finfo(value.dtype).eps * scale, 0, value)


def matmul(x: Array, y: Array) -> jax.Array:
    """Product in full precision: an accelerator's default keeps too few digits for differences of squares."""
    return jnp.matmul(x, y, precision=jax.lax.Precision.HIGHEST)


def add_rows(sums: jax.Array, rows: jax.Array, *at: Array | int) -> jax.Array:
    """`sums.at[*at].add(rows, mode="drop")`, as the scatter of which XLA on a CPU does not copy all the rows first.

    Args:
        sums: [..., m].
        rows: [n, m].
        at: for each axis of `sums` but the last one the place of each row, [n], or of all; not below 0.
    """
    axes = tuple(range(len(at)))
    places = jnp.stack([jnp.broadcast_to(jnp.asarray(one, jnp.int32), rows.shape[:1]) for one in at], 1)
    # each update has all the axes of the sums
    numbers = jax.lax.ScatterDimensionNumbers(tuple(range(1, 2 + len(at))), (), axes)
    return jax.lax.scatter_add(sums, places, jnp.expand_dims(rows, [1 + axis for axis in axes]), numbers, mode="drop")


def power_of_two(*arrays: jax.Array, axis: int | None = None) -> jax.Array:
    """The power of two that is nearest to the largest magnitude, or 1 where there is none: to divide costs no digit."""
    largest = reduce(jnp.maximum, [jnp.abs(x).max(axis, keepdims=True, initial=0) for x in arrays])
    largest = jax.lax.stop_gradient(largest)
    numbers = jnp.finfo(largest.dtype)
    nearest = jax.lax.reduce_precision(largest, exponent_bits=numbers.nexp, mantissa_bits=0)
    usable = (largest > 0) & jnp.isfinite(largest)
    return jnp.where(usable, jnp.minimum(nearest, 2.0 ** (numbers.maxexp - 1)), 1)
