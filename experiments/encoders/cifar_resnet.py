"""`CifarResNet` is the residual network of He et al. (2016, section 4.2) for 32x32 images: ResNet-20 to ResNet-110."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.encoders.layers import Normed, unit_length


class Block(nnx.Module):
    """Two 3x3 convolutions beside a shortcut without weights: the input, or fewer pixels of it with more channels."""

    def __init__(self, channels: int, features: int, stride: int, *, rngs: nnx.Rngs):
        self.first = Normed(3, channels, features, stride=stride, rngs=rngs)
        self.second = Normed(3, features, features, rngs=rngs)
        self.stride, self.more = stride, features - channels

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, channels]` -> `[n, ceil(h / stride), ceil(w / stride), features]`."""
        y = self.second(nnx.relu(self.first(x)))
        shortcut = x[:, :: self.stride, :: self.stride]
        return nnx.relu(y + jnp.pad(shortcut, ((0, 0), (0, 0), (0, 0), (0, self.more))))


class CifarResNet(nnx.Module):
    """A 3x3 convolution, three stages of residual blocks, each of half the side, and the mean over pixels: 64 numbers.

    Shortcuts are those of the paper for such images, its option A: where channels grow, zeros are appended.

    Args:
        shape: of one image, `[h, w, c]`.
        depth: layers with weights, the classifier counted: 6 n + 2 for stages of n blocks.
        width: channels of the first stage; each has twice as many as the one before.
        dim: adds a linear layer to this many numbers; `None` leaves the mean as it is.
        normalize: scale each embedding to length 1.
        rngs: Flax random number generators.

    Raises:
        ValueError: the depth is none of 8, 14, 20, ...
    """

    def __init__(
        self,
        shape: tuple[int, ...] = (32, 32, 3),
        *,
        depth: int = 20,
        width: int = 16,
        dim: int | None = None,
        normalize: bool = False,
        rngs: nnx.Rngs,
    ):
        repeats, rest = divmod(depth - 2, 6)
        if rest or repeats < 1:
            raise ValueError(f"depth must be 6 n + 2 (8, 14, 20, ...), got {depth}")
        self.stem = Normed(3, shape[-1], width, rngs=rngs)
        self.blocks = nnx.List()
        channels = width
        for features, stride in (width, 1), (2 * width, 2), (4 * width, 2):
            self.blocks.append(Block(channels, features, stride, rngs=rngs))
            self.blocks.extend([Block(features, features, 1, rngs=rngs) for _ in range(repeats - 1)])
            channels = features
        self.repeats = repeats
        self.head = None if dim is None else nnx.Linear(channels, dim, rngs=rngs)
        self.normalize = normalize

    def stages(self, x: jax.Array) -> dict[str, jax.Array]:
        """`[n, h, w, c]` in 0..1 -> the map after every stage, "stage1" to "stage3", in order."""
        x, maps = nnx.relu(self.stem(x)), {}
        for i, block in enumerate(self.blocks):
            maps[f"stage{i // self.repeats + 1}"] = x = block(x)
        return maps

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, c]` in 0..1 -> `[n, d]`."""
        x = self.stages(x)["stage3"].mean((1, 2))
        if self.head is not None:
            x = self.head(x)
        return unit_length(x) if self.normalize else x
