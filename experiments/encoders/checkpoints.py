"""Tensors out of a PyTorch checkpoint without PyTorch, and without what a pickle could otherwise do.

The format is the one before PyTorch 1.6: five pickles (a magic number, a version, the machine, the object, the keys of
its storages), then each storage, as its length and its bytes, in the order of the keys.

A safetensors file is 8 bytes with the length of a header, the header, `{name: {dtype, shape, data_offsets}}` in JSON,
and the bytes of all tensors (https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
_SAFETENSORS = {"F32": "<f4", "I64": "<i8"}


def _tensor(storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> np.ndarray:
    """A view of a storage; NumPy looks that it stays inside."""
    item = storage.itemsize
    try:
        return np.ndarray(shape, storage.dtype, storage.data, offset * item, tuple(item * stride for stride in strides))
    except (TypeError, ValueError) as error:
        raise pickle.UnpicklingError("a tensor reaches beyond its storage") from error


class _Tensors(pickle.Unpickler):
    """A pickle may name any function to be called; this one knows the few names that a dict of tensors is made of."""

    def __init__(self, file: BytesIO):
        super().__init__(file)
        self.storages: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a dict of tensors")

    def persistent_load(self, pid: tuple[str, str, str, str, int, None]) -> np.ndarray:
        """A storage by its key; what it holds comes at the end of the file."""
        _, dtype, key, _, size, _ = pid
        if dtype not in _TYPES.values():
            raise pickle.UnpicklingError(f"a storage of {dtype} has no place in a dict of tensors")
        return self.storages.setdefault(key, np.zeros(size, dtype))


def state_dict(content: bytes) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint, by name.

    Raises:
        pickle.UnpicklingError: it is of another format, ends early, or names anything but tensors. Nothing was called.
    """
    file = BytesIO(content)
    if _Tensors(file).load() != _MAGIC:
        raise pickle.UnpicklingError("not a PyTorch checkpoint of the format before 1.6")
    for _ in ("version", "machine"):
        _Tensors(file).load()
    reader = _Tensors(file)
    tensors = reader.load()
    for key in _Tensors(file).load():
        storage = reader.storages[key]
        if int.from_bytes(file.read(8), "little") != storage.size or file.readinto(storage.data) != storage.nbytes:
            raise pickle.UnpicklingError("the checkpoint ends early, or holds a storage of another length")
    return dict(tensors)


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, by name.

    Raises:
        ValueError: the file is damaged, or holds numbers of other kinds than F32 and I64.
    """
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    data = memoryview(content)[start:]
    try:
        header = json.loads(content[8:start])
        header.pop("__metadata__", None)
        kinds = {entry["dtype"] for entry in header.values()} - set(_SAFETENSORS)
        if not kinds:
            return {name: _slice(data, **entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged, or no safetensors file; delete it where it was fetched") from error
    raise ValueError(f"{path} holds {', '.join(sorted(map(str, kinds)))}; only F32 and I64 are read here")


def _slice(data: memoryview, dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
    """A view of the data. NumPy alone would go back beyond their beginning, and take a length of -1 for the rest."""
    begin, end = data_offsets
    if not 0 <= begin <= end <= len(data):
        raise ValueError("a tensor reaches beyond the data")
    array = np.ndarray(shape, _SAFETENSORS[dtype], data[begin:end])
    if list(array.shape) != shape or array.nbytes != end - begin:
        raise ValueError("a tensor is of another size than its bytes")
    return array
