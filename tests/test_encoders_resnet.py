"""The ResNets of the Hugging Face hub against loops over pixels and against PyTorch's modules, with random weights."""

import json
import sys
from collections import OrderedDict
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from encoder_oracles import by_loops
from flax import nnx

from experiments.data import fetching
from experiments.encoders import pretrained, resnet

# Of little networks: blocks of every stage, and channels of the stem, of the stages and within bottlenecks.
BASIC = (2, 1, 2, 1), 6, (6, 8, 10, 12), None
BOTTLENECK = (1, 2, 1, 1), 6, (12, 16, 20, 24), (3, 4, 5, 6)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 67, 96, 3), dtype=np.uint8)  # an odd side and an even one


def random_layer(rng, name, ins, out, k):
    """What it gives has the variance that the norm knows, as after training; some are so small that epsilon matters."""
    variance = rng.choice([1e-5, 0.5, 1.5], out)
    kernel = rng.normal(size=(out, ins, k, k)) / np.sqrt(ins * k * k)
    return {
        f"{name}.convolution.weight": kernel * np.sqrt(variance)[:, None, None, None],
        f"{name}.normalization.weight": rng.uniform(0.5, 1.5, out),
        f"{name}.normalization.bias": rng.normal(size=out),
        f"{name}.normalization.running_mean": rng.normal(size=out) * np.sqrt(variance),
        f"{name}.normalization.running_var": variance,
        f"{name}.normalization.num_batches_tracked": np.array(7),
    }


def random_weights(depths, stem, widths, narrow):
    rng, ins = np.random.default_rng(1), stem
    weights = random_layer(rng, "resnet.embedder.embedder", 3, stem, 7)
    for s, (depth, out) in enumerate(zip(depths, widths, strict=True)):
        for b in range(depth):
            name = f"resnet.encoder.stages.{s}.layers.{b}"
            inner = (narrow[s], narrow[s]) if narrow else (out,)
            sizes = (1, 3, 1) if narrow else (3, 3)
            for k, (a, z, size) in enumerate(zip((ins, *inner), (*inner, out), sizes, strict=True)):
                weights |= random_layer(rng, f"{name}.layer.{k}", a, z, size)
            if ins != out or (s > 0 and b == 0):
                weights |= random_layer(rng, f"{name}.shortcut", ins, out, 1)
            ins = out
    weights |= {"classifier.1.weight": rng.normal(size=(10, ins)) / 4, "classifier.1.bias": rng.normal(size=10)}
    return {name: array if array.dtype == np.int64 else array.astype(np.float32) for name, array in weights.items()}


def write_safetensors(path, arrays):
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in arrays.items():
        offsets = [len(data), len(data) + array.nbytes]
        kind = {"float32": "F32", "int64": "I64", "float16": "F16"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.fixture(scope="module", params=[BASIC, BOTTLENECK], ids=["basic", "bottleneck"])
def table(request):
    return request.param


@pytest.fixture(scope="module")
def ours(table, tmp_path_factory):
    """Maps and logits of the encoder, out of a file."""
    path = write_safetensors(tmp_path_factory.mktemp("hub") / "model.safetensors", random_weights(*table))
    run = nnx.jit(lambda model, images: (model.stages(images), model(images)))
    return run(resnet.load("resnet-18", path), jnp.asarray(IMAGES))


def agree(ours, maps, logits):
    """To 1e-4 of the size of the numbers, map by map."""
    assert set(ours[0]) == set(maps)
    for name, expected in maps.items():
        scale = max(np.abs(expected).max(), 1)
        np.testing.assert_allclose(ours[0][name], expected, rtol=0, atol=1e-4 * scale, err_msg=name)
    np.testing.assert_allclose(ours[1], logits, rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------------------------------------------------------------
# By loops


def normed(weights, name, x, stride=1):
    gain, bias, mean, var = (
        weights[f"{name}.normalization.{part}"].astype(float)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    y = by_loops(x, weights[f"{name}.convolution.weight"].transpose(2, 3, 1, 0), stride)
    return (y - mean) / np.sqrt(var + 1e-5) * gain + bias


def maximum(x):
    """Of 3x3 pixels or what there is of them at a border, at every second pixel."""
    n, h, w, c = x.shape
    y = np.zeros((n, -(-h // 2), -(-w // 2), c))
    for i, j in np.ndindex(*y.shape[1:3]):
        y[:, i, j] = x[:, max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2].max((1, 2))
    return y


def network(weights, table, images):
    depths, _, _, narrow = table
    x = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    x = maximum(np.maximum(normed(weights, "resnet.embedder.embedder", x, 2), 0))
    maps = {"stem": x}
    for s, depth in enumerate(depths):
        for b in range(depth):
            name, stride = f"resnet.encoder.stages.{s}.layers.{b}", 2 if s > 0 and b == 0 else 1
            strides = (1, stride, 1) if narrow else (stride, 1)
            y = x
            for k, of_layer in enumerate(strides):
                y = normed(weights, f"{name}.layer.{k}", y, of_layer)
                y = y if k == len(strides) - 1 else np.maximum(y, 0)
            projects = f"{name}.shortcut.convolution.weight" in weights
            x = np.maximum(y + (normed(weights, f"{name}.shortcut", x, stride) if projects else x), 0)
        maps[f"stage{s + 1}"] = x
    return maps, x.mean((1, 2)) @ weights["classifier.1.weight"].T + weights["classifier.1.bias"]


def test_every_stage_and_the_logits_agree_with_loops(table, ours):
    agree(ours, *network(random_weights(*table), table, IMAGES))
    sides = {"stem": (17, 24), "stage1": (17, 24), "stage2": (9, 12), "stage3": (5, 6), "stage4": (3, 3)}
    assert {name: x.shape[1:3] for name, x in ours[0].items()} == sides


# ---------------------------------------------------------------------------------------------------------------------
# By PyTorch's modules, put together as those of the hub: a state dict fits only if it has the hub's names


def modules(torch, table):
    nn, (depths, stem, widths, narrow) = torch.nn, table

    def layer(ins, out, k, stride=1):
        convolution = nn.Conv2d(ins, out, k, stride, k // 2, bias=False)
        return nn.Sequential(OrderedDict(convolution=convolution, normalization=nn.BatchNorm2d(out)))

    class Block(nn.Module):
        def __init__(self, ins, inner, out, stride):
            super().__init__()
            if inner:
                parts = layer(ins, inner, 1), layer(inner, inner, 3, stride), layer(inner, out, 1)
            else:
                parts = layer(ins, out, 3, stride), layer(out, out, 3)
            self.layer = nn.ModuleList(parts)
            self.shortcut = nn.Identity() if ins == out and stride == 1 else layer(ins, out, 1, stride)

        def forward(self, x):
            y = x
            for part in self.layer[:-1]:
                y = part(y).relu()
            return (self.layer[-1](y) + self.shortcut(x)).relu()

    def stage(s):
        ins, inner = (stem, *widths)[s], narrow and narrow[s]
        first = Block(ins, inner, widths[s], 2 if s else 1)
        rest = [Block(widths[s], inner, widths[s], 1) for _ in range(depths[s] - 1)]
        return nn.ModuleDict({"layers": nn.Sequential(first, *rest)})

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            embedder = nn.ModuleDict({"embedder": layer(3, stem, 7, 2)})
            encoder = nn.ModuleDict({"stages": nn.ModuleList(map(stage, range(4)))})
            self.resnet = nn.ModuleDict({"embedder": embedder, "encoder": encoder})
            self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(widths[-1], 10))

        def forward(self, x):
            x = nn.functional.max_pool2d(self.resnet["embedder"]["embedder"](x).relu(), 3, 2, 1)
            maps = {"stem": x}
            for s, part in enumerate(self.resnet["encoder"]["stages"], 1):
                maps[f"stage{s}"] = x = part["layers"](x)
            return maps, self.classifier(nn.functional.adaptive_avg_pool2d(x, 1))

    return Network().eval()


def test_every_stage_and_the_logits_agree_with_pytorch(table, ours):
    torch = pytest.importorskip("torch", reason="PyTorch has the network that ours is compared with")
    model = modules(torch, table)
    model.load_state_dict({name: torch.tensor(array) for name, array in random_weights(*table).items()})
    scaled = (torch.tensor(IMAGES).float() / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    with torch.no_grad():
        maps, logits = model(scaled.permute(0, 3, 1, 2))
    agree(ours, {name: x.permute(0, 2, 3, 1).numpy() for name, x in maps.items()}, logits.numpy())


# ---------------------------------------------------------------------------------------------------------------------
# Where the weights come from


def test_the_features_are_the_mean_of_the_last_map():
    model = resnet.ResNet(random_weights(*BASIC))
    images = jnp.asarray(IMAGES[:, :32, :32])
    maps, features = nnx.jit(lambda model, x: (model.stages(x), model.features(x)))(model, images)
    np.testing.assert_allclose(features, pretrained.pooled(maps)["stage4"], rtol=1e-5, atol=1e-6)


def test_what_is_fetched_is_asked_for_once_by_the_hubs_name(monkeypatch, tmp_path):
    asked = []

    def download(what, url, file, _):
        asked.append((what, url))
        write_safetensors(Path(file), random_weights(*BASIC))

    monkeypatch.setenv("CLUSTERJAX_CACHE", str(tmp_path))
    monkeypatch.setattr(fetching, "download", download)
    for _ in range(2):
        assert len(resnet.load("resnet-34").blocks) == 4
    assert asked == [("resnet-34", "https://huggingface.co/microsoft/resnet-34/resolve/main/model.safetensors")]
    with pytest.raises(ValueError, match="'resnet-20' is none of resnet-18, resnet-34, resnet-50"):
        resnet.load("resnet-20")


def test_without_pooch_one_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("CLUSTERJAX_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"need pooch .* pip install 'clusterjax\[experiments\]'"):
        resnet.load("resnet-50")
