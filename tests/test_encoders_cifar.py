"""CifarResNet and DenseNet against the networks of the papers, by loops and by PyTorch; sizes, and that they learn."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from encoder_oracles import by_loops, by_torch
from flax import nnx

from clusterjax import losses
from experiments.encoders import CifarResNet, DenseNet

LITTLE = {"resnet": partial(CifarResNet, depth=14, width=4), "densenet": partial(DenseNet, depth=16, growth=2)}
TINY = {"resnet": partial(CifarResNet, depth=8, width=4), "densenet": partial(DenseNet, depth=10, growth=4)}


def stirred(model):
    """Gains and offsets that show which norm is which."""
    rng = np.random.default_rng(0)
    for _, module in nnx.iter_modules(model):
        if isinstance(module, nnx.BatchNorm):
            module.scale = nnx.Param(jnp.asarray(rng.uniform(0.5, 1.5, module.num_features), jnp.float32))
            module.bias = nnx.Param(jnp.asarray(rng.normal(size=module.num_features), jnp.float32))
    return model


# The networks once more, in double precision, with the statistics of the batch.


def normalise(x, norm):
    y = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
    return y * np.asarray(norm.scale[...]) + np.asarray(norm.bias[...])


def relu(x):
    return np.maximum(x, 0)


def resnet(convolution, model, x):
    def normed(layer, x, stride=1):
        return normalise(convolution(x, np.asarray(layer.kernel[...]), stride), layer.norm)

    x, maps = relu(normed(model.stem, x)), {}
    for i, block in enumerate(model.blocks):
        stride = 2 if i in (2, 4) else 1
        y = normed(block.second, relu(normed(block.first, x, stride)))
        shortcut = np.zeros(y.shape)
        shortcut[..., : x.shape[-1]] = x[:, ::stride, ::stride]
        maps[f"stage{i // 2 + 1}"] = x = relu(y + shortcut)
    return maps


def densenet(convolution, model, x):
    def product(x, kernel):
        return convolution(x, np.asarray(kernel[...]), 1)

    def active(layer, x):
        return relu(normalise(x, layer.norm))

    x, maps = product(x, model.stem), {}
    for i, block in enumerate(model.blocks):
        if i:
            transition = model.transitions[i - 1]
            x = product(active(transition.active, x), transition.kernel)
            h, w = (side // 2 * 2 for side in x.shape[1:3])
            x = np.mean([x[:, a:h:2, b:w:2] for a in range(2) for b in range(2)], 0)
        for layer in block:
            y = product(active(layer.second, product(active(layer.first, x), layer.narrow)), layer.grow)
            x = np.concatenate([x, y], -1)
        maps[f"stage{i + 1}"] = x
    return {**maps, "stage3": active(model.last, x)}


@pytest.mark.parametrize("convolution", [by_loops, by_torch])
@pytest.mark.parametrize("network", [resnet, densenet])
def test_every_stage_agrees_with_the_network_of_the_paper(network, convolution):
    model = stirred(LITTLE[network.__name__]((13, 10, 3), rngs=nnx.Rngs(0)))
    images = np.random.default_rng(1).random((3, 13, 10, 3))  # an odd side and an even one
    expected = network(convolution, model, images)
    maps, embeddings = nnx.jit(lambda model, x: (model.stages(x), model(x)))(model, jnp.asarray(images, jnp.float32))
    assert list(maps) == list(expected)
    for name in maps:
        np.testing.assert_allclose(maps[name], expected[name], rtol=1e-4, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(embeddings, expected["stage3"].mean((1, 2)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("encoder", "widths"),
    [(CifarResNet, (16, 32, 64)), (DenseNet, (24 + 72, 48 + 72, 60 + 72))],
    ids=["resnet", "dense"],
)
def test_the_maps_are_as_wide_as_in_the_paper_and_half_the_side_each(encoder, widths):
    maps = nnx.eval_shape(lambda: encoder(rngs=nnx.Rngs(0)).stages(jnp.zeros((2, 32, 32, 3))))
    expected = {f"stage{i + 1}": (2, 32 >> i, 32 >> i, width) for i, width in enumerate(widths)}
    assert {name: x.shape for name, x in maps.items()} == expected


# He et al. (2016, table 6), Huang et al. (2017, table 2), to their digits; both have ten classes. DenseNet-BC-40-12 is
# not in the table: counted from the text, 176122.
@pytest.mark.parametrize(
    ("encoder", "millions", "digits"),
    [
        (CifarResNet, 0.27, 2),
        (partial(CifarResNet, depth=32), 0.46, 2),
        (partial(CifarResNet, depth=56), 0.85, 2),
        (DenseNet, 0.176122, 6),
        (partial(DenseNet, depth=100), 0.8, 1),
    ],
)
def test_they_have_as_many_parameters_as_the_papers_say(encoder, millions, digits):
    params = nnx.state(nnx.eval_shape(lambda: encoder(dim=10, rngs=nnx.Rngs(0))), nnx.Param)
    assert round(sum(math.prod(p.shape) for p in jax.tree.leaves(params)) / 1e6, digits) == millions


@pytest.mark.parametrize("encoder", [CifarResNet, DenseNet])
@pytest.mark.parametrize("depth", [2, 4, 21])
def test_a_depth_between_two_networks_is_refused(encoder, depth):
    with pytest.raises(ValueError, match=rf"depth must be 6 n \+ . \(.*\), got {depth}"):
        encoder(depth=depth, rngs=nnx.Rngs(0))


IMAGES = jax.random.uniform(jax.random.key(0), (12, 8, 8, 3))


@pytest.mark.parametrize("name", TINY)
def test_at_test_time_an_image_is_embedded_the_same_whatever_is_beside_it_and_at_unit_length(name):
    model = TINY[name]((8, 8, 3), dim=5, normalize=True, rngs=nnx.Rngs(0))
    embed = nnx.jit(lambda model, x: model(x))
    embed(model, IMAGES)  # moves the running statistics
    model.eval()
    embeddings = embed(model, IMAGES)
    assert embeddings.shape == (12, 5)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(embed(model, IMAGES[:2]), embeddings[:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_a_few_steps_lower_the_loss_and_every_gradient_is_finite(name):
    graph, params, rest = nnx.split(TINY[name]((8, 8, 3), rngs=nnx.Rngs(0)), nnx.Param, ...)
    labels = jnp.repeat(jnp.arange(3), 4)

    def objective(params):
        return losses.silhouette_loss(nnx.merge(graph, params, rest, copy=True)(IMAGES), labels, num_clusters=3)

    def step(params, _):
        value, gradient = jax.value_and_grad(objective)(params)
        finite = jax.tree.reduce(jnp.logical_and, jax.tree.map(lambda g: jnp.isfinite(g).all(), gradient))
        moved = jax.tree.map(lambda g: jnp.abs(g).max() > 0, gradient)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient), (value, finite, moved)

    values, finite, moved = jax.jit(lambda params: jax.lax.scan(step, params, length=10)[1])(params)
    assert finite.all()
    assert all(hears.all() for hears in jax.tree.leaves(moved))  # no weight is left out of the network
    assert values[-1] < values[0] - 0.05
