"""Drawing rows by their class: items in buckets, and different items of one bucket in random order."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Buckets(NamedTuple):
    """Items sorted by bucket: item r of bucket b is `order[starts[b] + r]`, for r < sizes[b]."""

    order: jax.Array
    starts: jax.Array
    sizes: jax.Array


def bucket(ids: jax.Array, num_buckets: int) -> Buckets:
    """Items with the id `num_buckets` are in no bucket: the sort puts them last, the scatter drops them."""
    sizes = jnp.zeros(num_buckets, int).at[ids].add(1, mode="drop")
    return Buckets(jnp.argsort(ids, stable=True), jnp.cumsum(sizes) - sizes, sizes)


def pick(buckets: Buckets, which: jax.Array, ranks: jax.Array) -> jax.Array:
    """The items of these `ranks [r]` in one bucket; -1 where there is none, as in bucket -1."""
    size = jnp.where(which < 0, 0, buckets.sizes[which])
    return jnp.where(ranks < size, buckets.order[buckets.starts[which] + ranks], -1)


def draw(bits: jax.Array, buckets: Buckets, which: jax.Array) -> jax.Array:
    """Different items of one bucket in random order, as many as there are random `bits [count]`.

    Draw i picks among the items that draws 0 .. i-1 left over. Going backwards, every later draw that is not below
    draw i moves up by one: it then names an item and not a left-over. The cost does not depend on the bucket's size,
    and an item's probability is off by less than size / 2^32.
    """
    steps = jnp.arange(bits.size)
    left = jnp.maximum(jnp.where(which < 0, 0, buckets.sizes[which]) - steps, 1)
    draws = (bits % left.astype(bits.dtype)).astype(left.dtype)

    def make_room(step, draws):
        i = bits.size - 2 - step
        return jnp.where((steps > i) & (draws >= draws[i]), draws + 1, draws)

    return pick(buckets, which, jax.lax.fori_loop(0, bits.size - 1, make_room, draws))
