"""CIFAR-100 and CIFAR-10: 60 000 colour pictures each, as TensorFlow Datasets prepared them or as Krizhevsky published.

    find(name, data_dir, cache) -> Pictures

Both ways give the same arrays, bit for bit: whatever order the files have, pictures are sorted by class, within it the
training half first, and there by a hash of the pixels.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.data import finding
from experiments.data.errors import DataError
from experiments.data.finding import HALVES, Source
from experiments.data.pictures import Pictures, superclasses

VERSION = 1  # of what the cache holds: raise it when the same files would give other arrays
URL = "https://www.cs.toronto.edu/~kriz"
SIZE = 32


class Cifar(NamedTuple):
    """One of the two.

    Attributes:
        title: what messages call it.
        classes: in the order of the labels.
        counts: of the pictures of a class in either half.
        archive: the authors' file.
        md5: of it.
        batches: the files in it that hold either half.
        labels: what they call the labels.
        meta: the file in it that holds the names of the classes, and what it calls them.
    """

    title: str
    classes: tuple[str, ...]
    counts: dict[str, int]
    archive: str
    md5: str
    batches: dict[str, tuple[str, ...]]
    labels: bytes
    meta: tuple[str, bytes]


SETS = {
    "cifar100": Cifar(
        "CIFAR-100",
        tuple(sorted(name for names in superclasses().values() for name in names)),
        {"train": 500, "test": 100},
        "cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
        {"train": ("cifar-100-python/train",), "test": ("cifar-100-python/test",)},
        b"fine_labels",
        ("cifar-100-python/meta", b"fine_label_names"),
    ),
    "cifar10": Cifar(
        "CIFAR-10",
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        {"train": 5000, "test": 1000},
        "cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
        {
            "train": tuple(f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)),
            "test": ("cifar-10-batches-py/test_batch",),
        },
        b"labels",
        ("cifar-10-batches-py/batches.meta", b"label_names"),
    ),
}


def find(name: str, data_dir: str | os.PathLike[str] | None, cache: Path) -> Pictures:
    """All of `cifar100` or `cifar10`: from the folder named, a folder found, the cache, or the network."""
    return finding.find(source(name), data_dir, cache)


def source(name: str) -> Source[Pictures]:
    """Where it comes from: the university's server, where nothing is prepared."""
    cifar = SETS[name]
    return Source(
        title=cifar.title,
        name=name,
        version=VERSION,
        kind=Pictures,
        url=URL,
        mirror="CLUSTERJAX_CIFAR_URL",
        md5s={cifar.archive: cifar.md5},
        read_prepared=partial(read_prepared, cifar),
        read_archives=partial(read_archives, cifar),
    )


# ---------------------------------------------------------------------------------------------------------------------
# A folder that TensorFlow Datasets prepared


def read_prepared(cifar: Cifar, folder: Path) -> Pictures:
    """Decode every record under a progress bar."""
    records = finding.records(folder)
    named_rightly(cifar, (folder / "label.labels.txt").read_text(encoding="utf-8").split(), folder)
    total = len(cifar.classes) * sum(cifar.counts.values())
    images, labels, training = [], [], []
    with finding.decoding(cifar.title, records, total) as rows:
        for half, record in rows:
            images.append(decode(record["image"]))
            labels.append(record["label"])
            training.append(half == "train")
    return gather(cifar, np.stack(images), np.array(labels, np.int32), np.array(training), folder)


def decode(png: bytes) -> np.ndarray:
    """`[32, 32, 3]` uint8."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


# ---------------------------------------------------------------------------------------------------------------------
# The authors' archive of pickles


def read_archives(cifar: Cifar, paths: Sequence[Path]) -> Pictures:
    """Read every picture of the one archive."""
    (path,) = paths
    images, labels, training = [], [], []
    with tarfile.open(path) as archive:
        file, key = cifar.meta
        named_rightly(cifar, [name.decode() for name in unpickle(archive, file)[key]], path)
        for half in HALVES:
            for file in cifar.batches[half]:
                batch = unpickle(archive, file)
                images.append(batch[b"data"].reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1))  # a colour after another
                labels += batch[cifar.labels]
                training += len(batch[cifar.labels]) * [half == "train"]
    return gather(cifar, np.concatenate(images), np.array(labels, np.int32), np.array(training), path)


def unpickle(archive: tarfile.TarFile, name: str) -> dict[bytes, Any]:
    """What Python 2 pickled: its strings are bytes here."""
    file = archive.extractfile(name)
    if file is None:
        raise pickle.UnpicklingError(f"{name} is no file")
    return OnlyArrays(io.BytesIO(file.read()), encoding="bytes").load()


class OnlyArrays(pickle.Unpickler):
    """A pickle may call whatever it names: this one may make arrays."""

    NAMES = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # NumPy has moved it since
        ("numpy", "ndarray"): np.ndarray,
        # NumPy deprecates the numbers that used to stand for its flags.
        ("numpy", "dtype"): lambda code, align, copy: np.dtype(code, align=bool(align), copy=bool(copy)),
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        """What the pickle names, or an error."""
        try:
            return self.NAMES[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"the pickle asks for {module_name}.{global_name}") from None


# ---------------------------------------------------------------------------------------------------------------------
# Pictures, from whichever files they were read, in one order


def named_rightly(cifar: Cifar, names: Iterable[str], file: Path) -> None:
    """Two names that are swapped would swap the pictures."""
    if tuple(names) != cifar.classes:
        raise DataError(f"{file} does not list the classes of {cifar.title} in order; {finding.again(cifar.title)}.")


def gather(cifar: Cifar, images: np.ndarray, labels: np.ndarray, training: np.ndarray, place: Path) -> Pictures:
    """Check that all of it is there, and sort it.

    Args:
        cifar: which of the two.
        images: `[n, 32, 32, 3]` uint8.
        labels: `[n]`.
        training: `[n]` bool.
        place: where they come from, to be named where they are not CIFAR's.
    """
    counts = [np.bincount(labels[training == (half == "train")], minlength=len(cifar.classes)) for half in HALVES]
    expected = [len(cifar.classes) * [cifar.counts[half]] for half in HALVES]
    if images.shape[1:] != (SIZE, SIZE, 3) or images.dtype != np.uint8 or not np.array_equal(counts, expected):
        each = " and ".join(f"{count} for {half}" for half, count in cifar.counts.items())
        raise DataError(
            f"{place} holds {len(images)} pictures of kind {images.dtype}{list(images.shape[1:])}, not {each} of kind "
            f"uint8[32, 32, 3] in each of the {len(cifar.classes)} classes; {finding.again(cifar.title)}."
        )
    hashes = np.array([hashlib.md5(image.tobytes()).hexdigest() for image in images])
    order = np.lexsort((hashes, ~training, labels))
    return Pictures(images[order], labels[order], training[order], cifar.classes)
