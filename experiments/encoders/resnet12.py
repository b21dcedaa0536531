"""`ResNet12` is the larger encoder of the few-shot literature (Oreshkin et al. 2018; Lee et al. 2019), no DropBlock."""

from __future__ import annotations

import jax
from flax import nnx

from experiments.encoders.layers import Normed, max_pool, unit_length

SLOPE = 0.1  # of the leaky ReLUs below zero


class Block(nnx.Module):
    """Three 3x3 convolutions beside one of 1x1, summed, and a 2x2 max pool."""

    def __init__(self, channels: int, features: int, *, rngs: nnx.Rngs):
        self.layers = nnx.List([Normed(3, c, features, rngs=rngs) for c in (channels, features, features)])
        self.shortcut = Normed(1, channels, features, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, c]` -> `[n, h // 2, w // 2, features]`; the maximum first: it commutes with a leaky ReLU."""
        first, second, third = self.layers
        y = nnx.leaky_relu(first(x), SLOPE)
        y = nnx.leaky_relu(second(y), SLOPE)
        return nnx.leaky_relu(max_pool(third(y) + self.shortcut(x)), SLOPE)


class ResNet12(nnx.Module):
    """Four residual blocks and the mean over pixels: 640 numbers, from images of 16 pixels a side or more.

    Args:
        shape: of one image, `[h, w, c]`.
        widths: channels of the blocks.
        dim: adds a linear layer to this many numbers; `None` leaves the mean as it is.
        normalize: scale each embedding to length 1.
        rngs: Flax random number generators.
    """

    def __init__(
        self,
        shape: tuple[int, ...] = (28, 28, 1),
        *,
        widths: tuple[int, ...] = (64, 160, 320, 640),
        dim: int | None = None,
        normalize: bool = False,
        rngs: nnx.Rngs,
    ):
        ins = shape[-1], *widths[:-1]
        self.blocks = nnx.List([Block(c, f, rngs=rngs) for c, f in zip(ins, widths, strict=True)])
        self.head = None if dim is None else nnx.Linear(widths[-1], dim, rngs=rngs)
        self.normalize = normalize

    def stages(self, x: jax.Array) -> dict[str, jax.Array]:
        """`[n, h, w, c]` in 0..1 -> the map after every block, "stage1" to "stage4", in order."""
        maps = {}
        for i, block in enumerate(self.blocks, 1):
            maps[f"stage{i}"] = x = block(x)
        return maps

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, c]` in 0..1 -> `[n, d]`."""
        x = list(self.stages(x).values())[-1].mean((1, 2))
        if self.head is not None:
            x = self.head(x)
        return unit_length(x) if self.normalize else x
