"""The reader of safetensors files: on files written here, whole and damaged."""

import json

import numpy as np
import pytest

from experiments.encoders.checkpoints import read_safetensors

DATA = np.arange(6, dtype="<f4").tobytes() + np.array([7, -8], "<i8").tobytes()
HEADER = {
    "__metadata__": {"format": "pt"},
    "rows": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "steps": {"dtype": "I64", "shape": [2], "data_offsets": [24, 40]},
    "one": {"dtype": "I64", "shape": [], "data_offsets": [32, 40]},
    "none": {"dtype": "F32", "shape": [0, 3], "data_offsets": [40, 40]},
}


def written(path, header, data=DATA):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_tensors_come_back_by_name(tmp_path):
    tensors = read_safetensors(written(tmp_path / "a", HEADER))
    assert {name: array.shape for name, array in tensors.items()} == {
        "rows": (2, 3),
        "steps": (2,),
        "one": (),
        "none": (0, 3),
    }
    np.testing.assert_array_equal(tensors["rows"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tensors["steps"], [7, -8])
    assert tensors["one"] == -8
    assert [array.dtype for array in tensors.values()] == [np.float32, np.int64, np.int64, np.float32]


@pytest.mark.parametrize("length", [0, 5, 8, 100, -41, -40, -1])
def test_what_ends_early_is_refused(tmp_path, length):
    path = written(tmp_path / "a", HEADER)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="a is damaged, or no safetensors file"):
        read_safetensors(path)


ROWS = HEADER["rows"]


@pytest.mark.parametrize(
    "header",
    [
        b"<html>",
        b"\xff",
        b"[" * 100_000,
        [],
        None,
        {"rows": 1},
        {"rows": "F32"},
        {"rows": {"dtype": "F32"}},
        {"rows": {"shape": [2, 3], "data_offsets": [0, 24]}},
        {"rows": {**ROWS, "more": 1}},
        {"rows": {**ROWS, "dtype": ["F32"]}},
        *(
            {"rows": {**ROWS, "shape": shape}}
            for shape in ([2, 2], [-2, -3], [-1], [2.0, 3], [2**40, 2**40], [2**70], 6)
        ),
        *(
            {"rows": {**ROWS, "data_offsets": offsets}}
            for offsets in ([0, 20], [20, 44], [-4, 20], [-40, -16], [24, 0], [2**70, 24], [0], [0, None], None)
        ),
    ],
)
def test_a_damaged_header_is_refused_in_the_same_words(tmp_path, header):
    with pytest.raises(ValueError, match="a is damaged, or no safetensors file"):
        read_safetensors(written(tmp_path / "a", header))


def test_numbers_of_other_kinds_are_named(tmp_path):
    header = {name: {**ROWS, "dtype": name} for name in ("F16", "BF16", "F32")}
    with pytest.raises(ValueError, match="a holds BF16, F16; only F32 and I64 are read here"):
        read_safetensors(written(tmp_path / "a", header))
