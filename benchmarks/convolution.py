"""Spellings of the encoder's 3x3 convolution: forward and both gradients of its second layer, 360 maps of 14 x 14 x 64.

    python -m benchmarks.convolution

Each is run ten times in one compiled loop, as training does: alone, a call spends more time on getting its memory from
the system than on arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmarks import measure
from experiments.encoders import layers

IMAGES, SIZE, FEATURES, TIMES = 360, 14, 64, 10


def nine_products(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A sum over the nine taps of a shifted image times a matrix."""
    h, w = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum((padded[:, i : i + h, j : j + w] @ kernel[i, j] for i in range(3) for j in range(3)), jnp.zeros(()))


def patch_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """One product with the matrix of patches."""
    return layers._patches(x) @ kernel.reshape(-1, kernel.shape[-1])


SPELLINGS = {
    "clusterjax": layers.convolve,
    "lax.conv": layers._convolution,
    "nine products": nine_products,
    "patch product": patch_product,
}


def repeated(spelling: Callable[[jax.Array, jax.Array], jax.Array]) -> Callable[[], jax.Array]:
    """Forward and backward, `TIMES` times, each hanging on the one before so that none is left out."""
    x = jax.random.normal(jax.random.key(0), (IMAGES, SIZE, SIZE, FEATURES))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, FEATURES, FEATURES)) / 24

    def step(carry, _):
        x, kernel = carry
        by_x, by_kernel = jax.grad(lambda x, kernel: jnp.square(spelling(x, kernel)).mean(), argnums=(0, 1))(x, kernel)
        return (x - by_x, kernel - by_kernel), None

    loop = jax.jit(lambda x, kernel: jax.lax.scan(step, (x, kernel), None, length=TIMES)[0][1])
    return lambda: loop(x, kernel)


def main() -> None:
    """Measure."""
    times = measure.in_turn({name: repeated(spelling) for name, spelling in SPELLINGS.items()}, 3)
    ours = times["clusterjax"]["seconds"]
    rows = [
        {"what": name, "seconds_each": time["seconds"] / TIMES, "ratio_to_clusterjax": time["seconds"] / ours}
        for name, time in times.items()
    ]
    measure.write("convolution", rows)


if __name__ == "__main__":
    main()
