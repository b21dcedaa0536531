"""`Conv4` is the encoder of the few-shot literature (Vinyals et al. 2016; Snell et al. 2017)."""

from __future__ import annotations

import jax
from flax import nnx

from experiments.encoders.layers import convolve, max_pool, unit_length


class Block(nnx.Module):
    """Convolution, batch norm, ReLU, 2x2 max pool. The norm's offset stands for the convolution's bias."""

    def __init__(self, channels: int, features: int, *, rngs: nnx.Rngs):
        self.kernel = nnx.Param(nnx.initializers.he_normal()(rngs.params(), (3, 3, channels, features)))
        self.norm = nnx.BatchNorm(features, momentum=0.9, epsilon=1e-5, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, c]` -> `[n, h // 2, w // 2, features]`; the maximum first: it commutes with ReLU."""
        return nnx.relu(max_pool(self.norm(convolve(x, self.kernel[...]))))


class Conv4(nnx.Module):
    """Four blocks of `features` channels, flattened: 28x28 images give `features` numbers, 32x32 four times as many.

    Args:
        shape: of one image, `[h, w, c]`.
        features: channels of every block.
        dim: adds a linear layer to this many numbers; `None` leaves the flattened map as it is, as the paper does.
        normalize: scale each embedding to length 1.
        rngs: Flax random number generators.

    Raises:
        ValueError: images too small for four blocks.
    """

    def __init__(
        self,
        shape: tuple[int, ...] = (28, 28, 1),
        *,
        features: int = 64,
        dim: int | None = None,
        normalize: bool = False,
        rngs: nnx.Rngs,
    ):
        h, w, channels = shape
        if min(h, w) < 16:  # each block halves them
            raise ValueError(f"Conv4 wants images of 16 x 16 pixels or more, not {h} x {w}")
        self.blocks = nnx.List([Block(c, features, rngs=rngs) for c in (channels, features, features, features)])
        self.head = None if dim is None else nnx.Linear((h // 16) * (w // 16) * features, dim, rngs=rngs)
        self.normalize = normalize

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, c]` in 0..1 -> `[n, d]`."""
        for block in self.blocks:
            x = block(x)
        x = x.reshape(x.shape[0], -1)
        if self.head is not None:
            x = self.head(x)
        return unit_length(x) if self.normalize else x
