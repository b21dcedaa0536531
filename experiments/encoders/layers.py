"""Layers that architectures share: convolutions, a 2x2 maximum and mean; quick, with gradients that are right.

Nearly all of an encoder's time goes into 3x3 convolutions, so `convolve` is spelled here, per backend, and measured in
`benchmarks/convolution.py`.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import nnx

_ROWS = 600  # rows of a patch matrix in the kernel's gradient: some 1.4 MB, so that it stays in a core's cache


def _convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _patches(x: jax.Array) -> jax.Array:
    """The 3x3 neighbourhood of every pixel, `[n, h, w, 9 c]`."""
    h, w = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return jnp.concatenate([padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)], -1)


def _kernel_gradient(x: jax.Array, g: jax.Array) -> jax.Array:
    """Sum over images and pixels of patch (x) g, a few images at a time."""
    n, h, w, channels = x.shape
    block = max(b for b in range(1, n + 1) if n % b == 0 and (b == 1 or b * h * w <= _ROWS))
    x, g = (a.reshape(-1, block, *a.shape[1:]) for a in (x, g))

    def add(total, images):
        patches, gradient = _patches(images[0]), images[1]
        return total + jnp.einsum("nhwp,nhwf->pf", patches, gradient), None

    total, _ = jax.lax.scan(add, jnp.zeros((9 * channels, g.shape[-1]), x.dtype), (x, g))
    return total.reshape(3, 3, channels, -1)


@jax.custom_vjp
def _convolve_on_cpu(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return _convolution(x, kernel)


def _forward(x, kernel):
    return _convolution(x, kernel), (x, kernel)


def _backward(saved, g):
    x, kernel = saved
    return _convolution(g, kernel[::-1, ::-1].swapaxes(2, 3)), _kernel_gradient(x, g)


_convolve_on_cpu.defvjp(_forward, _backward)


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """3x3 convolution, stride 1, zero padding: `[n, h, w, c]`, `[3, 3, c, f]` -> `[n, h, w, f]`.

    On a CPU XLA is quick at the convolution and at its gradient in x (itself such a convolution), and several times
    slower at the gradient in the kernel, which it takes for a convolution with a kernel as large as the image. There
    that one gradient is a sum of small matrix products instead. Elsewhere the vendor's library does all three well.
    """
    return (_convolve_on_cpu if jax.default_backend() == "cpu" else _convolution)(x, kernel)


def strided(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """A convolution at every stride-th pixel: `[n, h, w, c]`, `[k, k, c, f]` -> `[n, h', w', f]`.

    Sides are rounded up: h' = ceil(h / stride).

    Padding of PyTorch's kind, k // 2 zeros on every side, so that the first is centred on the first pixel; "SAME" would
    leave out the zeros above and to the left of an even side. A kernel of size 1 is a product.
    """
    k = kernel.shape[0]
    if k == 1:
        return x[:, ::stride, ::stride] @ kernel[0, 0]
    zeros, order = (k // 2, k // 2), ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), (zeros, zeros), dimension_numbers=order)


class Normed(nnx.Module):
    """A convolution without bias, whose place the offset of the batch norm after it takes; its size is 1 or 3."""

    def __init__(self, size: int, channels: int, features: int, *, stride: int = 1, rngs: nnx.Rngs):
        self.kernel = nnx.Param(nnx.initializers.he_normal()(rngs.params(), (size, size, channels, features)))
        self.norm = nnx.BatchNorm(features, momentum=0.9, epsilon=1e-5, rngs=rngs)
        self.quick = size == 3 and stride == 1
        self.stride = stride

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, channels]` -> `[n, ceil(h / stride), ceil(w / stride), features]`."""
        kernel = self.kernel[...]
        return self.norm(convolve(x, kernel) if self.quick else strided(x, kernel, self.stride))


def max_pool(x: jax.Array) -> jax.Array:
    """2x2 maximum with stride 2; an odd last row or column is dropped.

    Of two halves at a time, because the gradient of a maximum over an axis asks which entries *equal* it: a fused
    program computes them a second time, rounds them differently, and finds none. That of a reduce_window is a slow
    scatter.
    """
    h, w = x.shape[1:3]
    x = x[:, : h // 2 * 2, : w // 2 * 2]
    x = jnp.maximum(x[:, ::2], x[:, 1::2])
    return jnp.maximum(x[:, :, ::2], x[:, :, 1::2])


def mean_pool(x: jax.Array) -> jax.Array:
    """2x2 mean with stride 2; an odd last row or column is dropped."""
    n, h, w, channels = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, channels).mean((2, 4))


def depthwise(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Each channel with a kernel of its own: `[n, h, w, c]`, `[k, k, c]` -> `[n, h', w', c]`, h' = ceil(h / stride).

    Zero padding of TensorFlow's kind, "SAME": with an odd number of zeros the extra one is below and to the right.

    A sum over the taps of shifted maps, each times one number a channel, which XLA makes one loop of. On a CPU its
    grouped convolution takes many times as long (`benchmarks/pretrained.py`).
    """
    k = kernel.shape[0]
    sides = [-(-size // stride) for size in x.shape[1:3]]
    padding = [max((side - 1) * stride + k - size, 0) for side, size in zip(sides, x.shape[1:3], strict=True)]
    x = jnp.pad(x, ((0, 0), *((zeros // 2, zeros - zeros // 2) for zeros in padding), (0, 0)))
    h, w = ((side - 1) * stride + 1 for side in sides)
    taps = [x[:, i : i + h : stride, j : j + w : stride] * kernel[i, j] for i in range(k) for j in range(k)]
    return functools.reduce(jnp.add, taps)


def unit_length(x: jax.Array) -> jax.Array:
    """`[..., d]` scaled to length 1; a zero stays zero, and its gradient finite."""
    return x * jax.lax.rsqrt(jnp.maximum(jnp.square(x).sum(-1, keepdims=True), 1e-12))
