"""`DenseNet` is DenseNet-BC for 32x32 images (Huang et al. 2017): every layer sees the maps of all before it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.encoders.layers import convolve, mean_pool, unit_length


def kernel(size: int, channels: int, features: int, rngs: nnx.Rngs) -> nnx.Param:
    """Of a convolution, without bias: the norm after it takes the mean away."""
    return nnx.Param(nnx.initializers.he_normal()(rngs.params(), (size, size, channels, features)))


class Active(nnx.Module):
    """Batch norm and ReLU, before a convolution here: each of the many that see a map scales it its own way."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.norm = nnx.BatchNorm(channels, momentum=0.9, epsilon=1e-5, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, c]` -> the same shape."""
        return nnx.relu(self.norm(x))


class Layer(nnx.Module):
    """A 1x1 convolution to 4 `growth` channels (the bottleneck, B), a 3x3 one to `growth`, appended to the input."""

    def __init__(self, channels: int, growth: int, *, rngs: nnx.Rngs):
        self.first, self.second = Active(channels, rngs=rngs), Active(4 * growth, rngs=rngs)
        self.narrow, self.grow = kernel(1, channels, 4 * growth, rngs), kernel(3, 4 * growth, growth, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, c]` -> `[n, h, w, c + growth]`."""
        y = self.second(self.first(x) @ self.narrow[0, 0])
        return jnp.concatenate([x, convolve(y, self.grow[...])], -1)


class Transition(nnx.Module):
    """A 1x1 convolution to half of the channels (compression, C), and a 2x2 mean."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.active = Active(channels, rngs=rngs)
        self.kernel = kernel(1, channels, channels // 2, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, c]` -> `[n, h // 2, w // 2, c // 2]`; the mean first: it commutes with the product."""
        return mean_pool(self.active(x)) @ self.kernel[0, 0]


class DenseNet(nnx.Module):
    """A 3x3 convolution, three dense blocks, each of half the side, and the mean over pixels: 132 numbers.

    Args:
        shape: of one image, `[h, w, c]`.
        depth: layers with weights, the classifier counted: 6 n + 4 for blocks of n layers of two convolutions.
        growth: channels that each layer adds.
        dim: adds a linear layer to this many numbers; `None` leaves the mean as it is.
        normalize: scale each embedding to length 1.
        rngs: Flax random number generators.

    Raises:
        ValueError: the depth is none of 10, 16, 22, 28, 34, 40, ...
    """

    def __init__(
        self,
        shape: tuple[int, ...] = (32, 32, 3),
        *,
        depth: int = 40,
        growth: int = 12,
        dim: int | None = None,
        normalize: bool = False,
        rngs: nnx.Rngs,
    ):
        repeats, rest = divmod(depth - 4, 6)
        if rest or repeats < 1:
            raise ValueError(f"depth must be 6 n + 4 (10, 16, 22, ...), got {depth}")
        channels = 2 * growth
        self.stem = kernel(3, shape[-1], channels, rngs)
        self.blocks, self.transitions = nnx.List(), nnx.List()
        for i in range(3):
            if i:
                self.transitions.append(Transition(channels, rngs=rngs))
                channels //= 2
            self.blocks.append(nnx.List([Layer(channels + j * growth, growth, rngs=rngs) for j in range(repeats)]))
            channels += repeats * growth
        self.last = Active(channels, rngs=rngs)
        self.head = None if dim is None else nnx.Linear(channels, dim, rngs=rngs)
        self.normalize = normalize

    def stages(self, x: jax.Array) -> dict[str, jax.Array]:
        """`[n, h, w, c]` in 0..1 -> the map after every block, "stage1" to "stage3", in order.

        That of the last has been through the last norm and ReLU; in the others maps of all scales lie side by side.
        """
        x, maps = convolve(x, self.stem[...]), {}
        for i, block in enumerate(self.blocks):
            x = self.transitions[i - 1](x) if i else x
            for layer in block:
                x = layer(x)
            maps[f"stage{i + 1}"] = x
        return {**maps, "stage3": self.last(x)}

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, c]` in 0..1 -> `[n, d]`."""
        x = self.stages(x)["stage3"].mean((1, 2))
        if self.head is not None:
            x = self.head(x)
        return unit_length(x) if self.normalize else x
