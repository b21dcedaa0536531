"""Encoders: Flax NNX modules from images `[n, h, w, c]` to embeddings `[n, d]`.

`Conv4` is the encoder of the few-shot literature (Vinyals et al. 2016; Snell et al. 2017). Nearly all of its time goes
into 3x3 convolutions, so `convolve` is spelled here, per backend, and measured in `benchmarks/convolution.py`.
"""

from __future__ import annotations

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


class Block(nnx.Module):
    """Convolution, batch norm, ReLU, 2x2 max pool. The norm's offset stands for the convolution's bias."""

    def __init__(self, channels: int, features: int, *, rngs: nnx.Rngs):
        self.kernel = nnx.Param(nnx.initializers.he_normal()(rngs.params(), (3, 3, channels, features)))
        self.norm = nnx.BatchNorm(features, momentum=0.9, epsilon=1e-5, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, c]` -> `[n, h // 2, w // 2, features]`; the maximum first: it commutes with ReLU."""
        return nnx.relu(max_pool(self.norm(convolve(x, self.kernel[...]))))


class Conv4(nnx.Module):
    """Four blocks of `features` channels, flattened: 28x28 images give `features` numbers.

    Args:
        features: channels of every block.
        dim: adds a linear layer to this many numbers; `None` leaves the flattened map as it is, as the paper does.
        normalize: scale each embedding to length 1.
        rngs: Flax random number generators.
    """

    def __init__(self, features: int = 64, *, dim: int | None = None, normalize: bool = False, rngs: nnx.Rngs):
        self.blocks = nnx.List([Block(c, features, rngs=rngs) for c in (1, features, features, features)])
        self.head = None if dim is None else nnx.Linear(features, dim, rngs=rngs)
        self.normalize = normalize

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[n, h, w, 1]` in 0..1 -> `[n, d]`."""
        for block in self.blocks:
            x = block(x)
        x = x.reshape(x.shape[0], -1)
        if self.head is not None:
            x = self.head(x)
        if self.normalize:
            x = x * jax.lax.rsqrt(jnp.maximum(jnp.square(x).sum(-1, keepdims=True), 1e-12))
        return x
