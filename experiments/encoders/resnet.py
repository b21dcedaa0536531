"""ResNet-18, -34 and -50 with ImageNet weights, for inference.

The network is that of He et al. (2016), with the stride of a bottleneck in its 3x3 convolution, as PyTorch's. The
weights come from the Hugging Face hub, microsoft/resnet-18 and so on, 47 to 103 MB. Depth and kind of block are read
off them.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.data.cache import cache_folder
from experiments.data.fetching import fetch
from experiments.encoders import layers
from experiments.encoders.checkpoints import read_safetensors
from experiments.encoders.pretrained import Pretrained, Weights, folded

HUB = "https://huggingface.co/microsoft/{}/resolve/main"
MODELS = "resnet-18", "resnet-34", "resnet-50"
EPSILON = 1e-5  # of the batch norms
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels, RGB in 0..1


def members(weights: Weights, name: str) -> int:
    """How many there are of `name.0`, `name.1` and so on."""
    return next(i for i in count() if not any(key.startswith(f"{name}.{i}.") for key in weights))


def max_pool(x: jax.Array) -> jax.Array:
    """The maximum of 3x3 pixels at every second: `[n, h, w, c]` -> `[n, ceil(h / 2), ceil(w / 2), c]`."""
    padding = (0, 0), (1, 1), (1, 1), (0, 0)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), padding)


class Convolution(nnx.Module):
    """A convolution with the batch norm after it."""

    def __init__(self, weights: Weights, name: str, stride: int = 1):
        kernel, shift = folded(weights, f"{name}.convolution", f"{name}.normalization", EPSILON)
        self.kernel, self.shift = nnx.Param(jnp.asarray(kernel)), nnx.Param(jnp.asarray(shift))
        self.stride = stride

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, in]` -> `[n, ceil(h / stride), ceil(w / stride), out]`."""
        return layers.strided(x, self.kernel[...], self.stride) + self.shift[...]


class Block(nnx.Module):
    """Two 3x3 convolutions, or one between two of 1x1 (a bottleneck), and a shortcut; the first 3x3 has the stride."""

    def __init__(self, weights: Weights, name: str, stride: int):
        number = members(weights, f"{name}.layer")
        strides = [stride if k == number - 2 else 1 for k in range(number)]
        self.layers = nnx.List([Convolution(weights, f"{name}.layer.{k}", s) for k, s in enumerate(strides)])
        projects = f"{name}.shortcut.convolution.weight" in weights
        self.shortcut = Convolution(weights, f"{name}.shortcut", stride) if projects else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, in]` -> `[n, ceil(h / stride), ceil(w / stride), out]`."""
        *first, last = self.layers
        y = x
        for layer in first:
            y = nnx.relu(layer(y))
        return nnx.relu(last(y) + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(Pretrained):
    """The maps are "stem" (64 channels, a quarter of the side) and "stage1" to "stage4" (512 or 2048, a 32nd).

    Args:
        weights: a PyTorch state dict, as arrays.
    """

    def __init__(self, weights: Weights):
        super().__init__(weights["classifier.1.weight"].T, weights["classifier.1.bias"])
        self.stem = Convolution(weights, "resnet.embedder.embedder", stride=2)
        self.blocks = nnx.List()
        for s in range(members(weights, "resnet.encoder.stages")):
            name = f"resnet.encoder.stages.{s}.layers"
            strides = [2 if s and not i else 1 for i in range(members(weights, name))]
            self.blocks.append(nnx.List([Block(weights, f"{name}.{i}", stride) for i, stride in enumerate(strides)]))

    def stages(self, images: jax.Array) -> dict[str, jax.Array]:
        """`[n, h, w, 3]`, RGB in 0..255 of any number type -> the map of every stage, in order."""
        x = (jnp.asarray(images, jnp.float32) / 255 - jnp.asarray(MEAN)) / jnp.asarray(DEVIATION)
        x = max_pool(nnx.relu(self.stem(x)))
        maps = {"stem": x}
        for s, blocks in enumerate(self.blocks, 1):
            for block in blocks:
                x = block(x)
            maps[f"stage{s}"] = x
        return maps


def load(name: str, path: Path | None = None) -> ResNet:
    """The encoder with its weights.

    No hash of the hub's files is known here: what is fetched is kept as it comes, and only its format is checked.

    Args:
        name: "resnet-18", "resnet-34" or "resnet-50".
        path: a `model.safetensors` of that model; without it the hub's is fetched, once.

    Raises:
        FetchError: it cannot be fetched.
        ImportError: pooch, which fetches it, is not there.
        ValueError: no such model, or the file is damaged.
    """
    if name not in MODELS:
        raise ValueError(f"{name!r} is none of {', '.join(MODELS)}")
    return ResNet(read_safetensors(path or fetched(name)))


def fetched(name: str) -> Path:
    """The hub's file, in the folder of the cache."""
    try:
        return fetch(name, HUB.format(name), {"model.safetensors": None}, cache_folder() / name)[0]
    except ModuleNotFoundError as error:
        raise ImportError("ResNets need pooch to fetch their weights: pip install 'clusterjax[experiments]'") from error
