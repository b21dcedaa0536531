"""Integers too long for 32 bits, exactly: as 12-bit digits in 32-bit arrays, the lowest first, the last one signed.

Squared counts of a million points do not fit 32 bits, and what agreement by chance leaves of them is a small difference
of large numbers: floats would lose it, and 64 bits are not there unless a user asks for them.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TypeAlias

import jax
import jax.numpy as jnp

BITS = 12
# Digits that are summed before they are carried: 2^12 of 12 bits, and 2^19 such sums.
PART = 2**BITS

Long: TypeAlias = list[jax.Array]


def long(x: jax.Array) -> Long:
    """Of integers from 0 to 2^31 - 1."""
    return _carried([x, jnp.zeros_like(x), jnp.zeros_like(x)])


def product(x: Long, y: Long) -> Long:
    """Of at most 32 digits each."""
    digits: Long = [jnp.zeros_like(x[0] * y[0])] * (len(x) + len(y))
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            digits[i + j] = digits[i + j] + a * b
    return _carried(digits)


def difference(x: Long, y: Long) -> Long:
    """What is left of x without y; may be negative."""
    return _carried([a - b for a, b in zip_longest(x, y, fillvalue=jnp.zeros((), jnp.int32))])


def total(x: Long) -> Long:
    """The sum of all elements."""
    digits = jnp.stack(x).reshape(len(x), -1)
    digits = jnp.pad(digits, ((0, 0), (0, -digits.shape[1] % PART)))
    parts = digits.reshape(len(x), -1, PART).sum(2, dtype=jnp.int32)
    carried = _carried([*parts, jnp.zeros_like(parts[0])])
    return _carried(list(jnp.stack(carried).sum(1, dtype=jnp.int32)))


def as_float(x: Long, dtype: jnp.dtype) -> jax.Array:
    """The nearest float, within a few roundings: relative, also where it is the small difference of large ones."""
    negative = x[-1] < 0
    value = jnp.zeros(x[0].shape, dtype)
    for digit in reversed(_carried([jnp.where(negative, -digit, digit) for digit in x])):
        value = value * 2**BITS + digit.astype(dtype)
    return jnp.where(negative, -value, value)


def _carried(digits: Long) -> Long:
    """The same number, with every digit but the last in [0, 2^12)."""
    carried, over = [], jnp.zeros((), jnp.int32)
    for digit in digits[:-1]:
        digit = digit + over
        carried.append(digit & (PART - 1))
        over = digit >> BITS
    return [*carried, digits[-1] + over]
