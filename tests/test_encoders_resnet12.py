"""ResNet12 against the block as the papers draw it, and the shapes that it promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments.encoders import ResNet12
from experiments.encoders.resnet12 import Block

LITTLE = (4, 5, 6, 7)


def convolution(x, kernel):
    k = kernel.shape[0]
    n, h, w, _ = x.shape
    x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    y = np.zeros((n, h, w, kernel.shape[-1]))
    for i, j in np.ndindex(h, w):
        y[:, i, j] = np.einsum("nabc,abcf->nf", x[:, i : i + k, j : j + k], kernel)
    return y


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def test_a_block_is_three_convolutions_and_a_shortcut_with_the_statistics_of_the_batch():
    rng = np.random.default_rng(0)
    block = Block(3, 4, rngs=nnx.Rngs(0))
    for layer in (*block.layers, block.shortcut):  # gains and offsets that show which norm is which
        layer.norm.scale = nnx.Param(jnp.asarray(rng.uniform(0.5, 1.5, 4), jnp.float32))
        layer.norm.bias = nnx.Param(jnp.asarray(rng.normal(size=4), jnp.float32))

    def normed(layer, x):
        y = convolution(x, np.asarray(layer.kernel[...], float))
        y = (y - y.mean((0, 1, 2))) / np.sqrt(y.var((0, 1, 2)) + 1e-5)
        return y * np.asarray(layer.norm.scale[...]) + np.asarray(layer.norm.bias[...])

    x = rng.normal(size=(3, 5, 6, 3))
    first, second, third = block.layers
    y = leaky(normed(third, leaky(normed(second, leaky(normed(first, x))))) + normed(block.shortcut, x))
    expected = np.maximum.reduce([y[:, i:4:2, j:6:2] for i in range(2) for j in range(2)])
    np.testing.assert_allclose(block(jnp.asarray(x, jnp.float32)), expected, rtol=1e-4, atol=1e-4)


def test_it_embeds_28x28_images_in_640_numbers():
    shape = nnx.eval_shape(lambda: ResNet12(rngs=nnx.Rngs(0))(jnp.zeros((2, 28, 28, 1)))).shape
    assert shape == (2, 640)


def test_every_stage_by_name_and_the_mean_of_the_last():
    model = ResNet12((32, 32, 3), widths=LITTLE, rngs=nnx.Rngs(0))
    images = jax.random.uniform(jax.random.key(0), (2, 35, 32, 3))
    maps = model.stages(images)
    assert {name: x.shape for name, x in maps.items()} == {
        "stage1": (2, 17, 16, 4),
        "stage2": (2, 8, 8, 5),
        "stage3": (2, 4, 4, 6),
        "stage4": (2, 2, 2, 7),
    }
    assert list(maps) == sorted(maps)
    np.testing.assert_allclose(model(images), np.mean(maps["stage4"], (1, 2)), rtol=1e-5, atol=1e-6)


def test_a_head_and_unit_length():
    images = jax.random.uniform(jax.random.key(0), (4, 16, 16, 1))
    embeddings = ResNet12(widths=LITTLE, dim=5, normalize=True, rngs=nnx.Rngs(0))(images)
    assert embeddings.shape == (4, 5)
    np.testing.assert_allclose(jnp.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("normalize", [False, True])
def test_at_test_time_an_image_is_embedded_the_same_whatever_is_beside_it(normalize):
    model = ResNet12(widths=LITTLE, normalize=normalize, rngs=nnx.Rngs(0))
    images = jax.random.uniform(jax.random.key(0), (4, 16, 16, 1))
    model(images)  # moves the running statistics
    model.eval()
    np.testing.assert_allclose(model(images)[:2], model(images[:2]), rtol=1e-4, atol=1e-5)
