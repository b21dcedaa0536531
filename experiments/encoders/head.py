"""`Head` is what is trained on the features of an encoder that stays as it is."""

from __future__ import annotations

import math

import jax
from flax import nnx

from experiments.encoders.layers import unit_length


class Head(nnx.Module):
    """Features, each brought to mean 0 and variance 1, and one linear layer.

    Args:
        shape: of one example.
        dim: how many numbers come out; as many as features where it is left out.
        normalize: scale each embedding to length 1.
        rngs: Flax random number generators.
    """

    def __init__(self, shape: tuple[int, ...], *, dim: int | None = None, normalize: bool = False, rngs: nnx.Rngs):
        features = math.prod(shape)
        self.norm = nnx.BatchNorm(features, use_scale=False, use_bias=False, momentum=0.9, rngs=rngs)
        self.layer = nnx.Linear(features, dim or features, rngs=rngs)
        self.normalize = normalize

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, ...]` -> `[n, d]`."""
        x = self.layer(self.norm(x.reshape(len(x), -1)))
        return unit_length(x) if self.normalize else x
