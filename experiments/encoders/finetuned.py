"""`FineTuned` is EfficientNet-Lite0 with all of it trained, from its ImageNet weights on: for a GPU."""

from __future__ import annotations

import jax
from flax import nnx

from experiments.encoders import efficientnet, pretrained
from experiments.encoders.layers import unit_length

SIDE = 96  # pixels that small pictures are enlarged to: the last map is a 32nd of them
STAGE = "stage7"


class FineTuned(nnx.Module):
    """The mean of the map before the classifier's own, and one linear layer.

    The batch norms of the pretrained network stay as they are, multiplied into its kernels: batches of few classes
    would only spoil them.

    Args:
        shape: of one picture, `[h, w, 3]`.
        dim: length of the embedding; 320 without the layer.
        normalize: scale each embedding to length 1.
        rngs: Flax random number generators.
    """

    def __init__(self, shape: tuple[int, ...], *, dim: int | None = None, normalize: bool = False, rngs: nnx.Rngs):
        self.body = efficientnet.load()
        features = jax.eval_shape(lambda x: self.body.stages(x)[STAGE], jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), float))
        self.layer = None if dim is None else nnx.Linear(features.shape[-1], dim, rngs=rngs)
        self.normalize = normalize

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, 3]` in 0..1 -> `[n, d]`."""
        x = self.body.stages(pretrained.resize(255 * x, SIDE))[STAGE].mean((1, 2))
        if self.layer is not None:
            x = self.layer(x)
        return unit_length(x) if self.normalize else x
