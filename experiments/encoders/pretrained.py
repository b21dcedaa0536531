"""What encoders with ImageNet weights share: the map of every stage by name, its mean, and the logits.

    model = efficientnet.load()
    images = pretrained.resize(images, 96)      # small images have to be enlarged: the maps are 1/32 of their side
    model.features(images)                      # [n, d]
    pretrained.pooled(model.stages(images))     # {"stem": [n, 32], ..., "head": [n, d]}

The stages come in the order of the network; what passes out of `jax.jit` comes in that of the alphabet, as any dict.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

Weights = Mapping[str, np.ndarray]  # a PyTorch state dict, as arrays


def folded(weights: Weights, convolution: str, norm: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """A kernel `[k, k, in, out]` that the batch norm after it is multiplied into, and the shift that is left of it."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + epsilon)
    shift = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return weights[f"{convolution}.weight"].transpose(2, 3, 1, 0) * scale, shift


class Pretrained(nnx.Module):
    """An encoder with a linear classifier on the mean of its last map. Architectures say what `stages` are."""

    def __init__(self, kernel: np.ndarray, bias: np.ndarray):
        self.kernel, self.bias = nnx.Param(jnp.asarray(kernel)), nnx.Param(jnp.asarray(bias))

    def stages(self, images: jax.Array) -> dict[str, jax.Array]:
        """`[n, h, w, 3]`, RGB in 0..255 of any number type -> the map of every stage, `[n, h', w', c]`, in order."""
        raise NotImplementedError

    def features(self, images: jax.Array) -> jax.Array:
        """The mean of the last map, `[n, d]`."""
        return list(pooled(self.stages(images)).values())[-1]

    def __call__(self, images: jax.Array) -> jax.Array:
        """Logits of ImageNet's classes, `[n, 1000]`."""
        return self.features(images) @ self.kernel[...] + self.bias[...]


def pooled(stages: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The mean of every map over its pixels, `[n, c]`."""
    return {name: maps.mean((1, 2)) for name, maps in stages.items()}


def resize(images: jax.Array, side: int) -> jax.Array:
    """`[n, h, w, c]` -> float32 `[n, side, side, c]`, bilinear; what shrinks is smoothed first, what grows is not."""
    shape = images.shape[0], side, side, images.shape[-1]
    return jax.image.resize(jnp.asarray(images, jnp.float32), shape, "bilinear")
