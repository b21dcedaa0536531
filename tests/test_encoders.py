"""The encoder's own spelling of a convolution against loops, and the shapes that it promises."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from encoder_oracles import by_loops
from flax import nnx

from experiments.encoders import Conv4, layers


def agrees_with_loops(function, shape, k, stride):
    """A k x k convolution of every stride-th pixel, and its gradients."""
    convolve_by_loops = partial(by_loops, stride=stride)
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(np.float32)
    kernel = rng.normal(size=(k, k, shape[-1], 4)).astype(np.float32)
    value, pull = jax.vjp(function, jnp.asarray(x), jnp.asarray(kernel))
    cotangent = rng.normal(size=value.shape).astype(np.float32)
    np.testing.assert_allclose(value, convolve_by_loops(x, kernel), rtol=1e-4, atol=1e-4)
    gradient_x, gradient_kernel = pull(jnp.asarray(cotangent))
    # The convolution is linear in each argument, so <g, f(e)> over a basis e is the gradient, exactly.
    expected = np.zeros_like(kernel)
    for index in np.ndindex(*kernel.shape):
        basis = np.zeros_like(kernel)
        basis[index] = 1
        expected[index] = (convolve_by_loops(x, basis) * cotangent).sum()
    np.testing.assert_allclose(gradient_kernel, expected, rtol=1e-4, atol=2e-3)
    direction = rng.normal(size=shape)
    along = (convolve_by_loops(direction, kernel) * cotangent).sum()
    np.testing.assert_allclose((np.asarray(gradient_x) * direction).sum(), along, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 4, 2), (7, 3, 3, 5), (2, 40, 40, 1)])
def test_convolve_and_its_gradients_agree_with_loops(shape):
    agrees_with_loops(layers.convolve, shape, 3, 1)


@pytest.mark.parametrize(("k", "stride"), [(3, 2), (7, 2), (1, 2), (3, 3), (3, 1)])
def test_a_strided_convolution_and_its_gradients_agree_with_loops(k, stride):
    agrees_with_loops(partial(layers.strided, stride=stride), (2, 6, 9, 3), k, stride)


def test_every_backend_gets_the_same_numbers():
    x = jax.random.normal(jax.random.key(0), (6, 7, 7, 3))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 4))

    def both(function):
        return jax.value_and_grad(lambda x, kernel: jnp.sin(function(x, kernel)).sum(), argnums=(0, 1))(x, kernel)

    for ours, plain in zip(
        jax.tree.leaves(both(layers._convolve_on_cpu)), jax.tree.leaves(both(layers._convolution)), strict=True
    ):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-4)


def test_max_pool_drops_an_odd_border():
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype(np.float32)
    pooled = layers.max_pool(jnp.asarray(x))
    assert pooled.shape == (2, 2, 3, 3)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(pooled[:, i, j], x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((1, 2)))


def test_mean_pool_drops_an_odd_border():
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype(np.float32)
    pooled = layers.mean_pool(jnp.asarray(x))
    assert pooled.shape == (2, 2, 3, 3)
    for i, j in np.ndindex(2, 3):
        expected = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((1, 2))
        np.testing.assert_allclose(pooled[:, i, j], expected, rtol=1e-5, atol=1e-6)


def test_conv4_embeds_28x28_images_in_64_numbers_or_as_many_as_asked():
    images = jax.random.uniform(jax.random.key(0), (4, 28, 28, 1))
    assert Conv4(rngs=nnx.Rngs(0))(images).shape == (4, 64)
    embeddings = Conv4(dim=5, normalize=True, rngs=nnx.Rngs(0))(images)
    assert embeddings.shape == (4, 5)
    np.testing.assert_allclose(jnp.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)


def test_normalizing_a_zero_embedding_gives_zero_not_nan():
    model = Conv4(normalize=True, rngs=nnx.Rngs(0))
    model.eval()
    # At test time an untrained norm is the identity: a blank image has a zero embedding.
    np.testing.assert_array_equal(model(jnp.zeros((2, 28, 28, 1))), 0)


def test_conv4_takes_colours_and_other_sizes():
    images = jnp.asarray(np.random.default_rng(0).random((3, 32, 32, 3), np.float32))
    assert Conv4((32, 32, 3), features=8, rngs=nnx.Rngs(0))(images).shape == (3, 32)
    assert Conv4((32, 32, 3), features=8, dim=5, rngs=nnx.Rngs(0))(images).shape == (3, 5)
