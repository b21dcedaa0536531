"""A CIFAR with a few pictures a class, in both forms it comes in."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
from stand_ins import write_prepared

from experiments.data import cifar, errors

COUNTS = {"cifar100": {"train": 2, "test": 1}, "cifar10": {"train": 10, "test": 2}}


def picture(label, half, i):
    """Noise that tells who it is; the three colours differ."""
    return np.random.default_rng([label, half == "train", i]).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def drawn(name, half):
    """`(label, picture)` of one half, in no order of the labels."""
    few = [(label, i) for label in range(len(cifar.SETS[name].classes)) for i in range(COUNTS[name][half])]
    shuffled = np.random.default_rng(len(half)).permutation(few)
    return [(int(label), picture(int(label), half, int(i))) for label, i in shuffled]


def trust(monkeypatch, name, path):
    """Make this the published archive."""
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(cifar.SETS, name, cifar.SETS[name]._replace(md5=md5))


# ---------------------------------------------------------------------------------------------------------------------
# As TensorFlow Datasets prepares it


def prepare(root: Path, name="cifar100", halves=None, names=None) -> Path:
    """Records of every half, in another order than the archive's."""
    from PIL import Image

    def png(image):
        file = io.BytesIO()
        Image.fromarray(image).save(file, format="PNG")
        return file.getvalue()

    halves = halves or {half: drawn(name, half)[::-1] for half in ("train", "test")}
    records = {half: [{"image": png(image), "label": label} for label, image in rows] for half, rows in halves.items()}
    return write_prepared(root / name / "3.0.2", records, 32, {"label": names or cifar.SETS[name].classes})


# ---------------------------------------------------------------------------------------------------------------------
# As the authors publish it: what Python 2 and its NumPy pickled


def pickled(value) -> bytes:
    """The opcodes that Python 2 writes: `bytes` for its strings, numbers for NumPy's flags."""
    return b"\x80\x02" + opcodes(value) + b"."


def opcodes(value) -> bytes:
    """One value, without the frame around it."""
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if value is None:
        return b"N"
    if isinstance(value, list):
        return b"](" + b"".join(map(opcodes, value)) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(opcodes, value)) + b"t"
    if isinstance(value, dict):
        return b"}(" + b"".join(opcodes(key) + opcodes(item) for key, item in value.items()) + b"u"
    uint8 = b"cnumpy\ndtype\n" + opcodes((b"u1", 0, 1)) + b"R" + opcodes((3, b"|", None, None, None, -1, -1, 0)) + b"b"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + opcodes((0,)) + opcodes(b"b") + b"tR"
    return empty + b"(" + opcodes(1) + opcodes(value.shape) + uint8 + opcodes(0) + opcodes(value.tobytes()) + b"tb"


def publish(folder: Path, name="cifar100", names=None, change=None) -> Path:
    """The pictures of `prepare` as the authors would publish them; `change` alters the files before they are packed."""
    own = cifar.SETS[name]
    file, key = own.meta
    files = {file: pickled({key: [n.encode() for n in names or own.classes]})}
    for half, batches in own.batches.items():
        for i, batch in enumerate(batches):
            rows = drawn(name, half)[i :: len(batches)]
            data = np.stack([image.transpose(2, 0, 1).reshape(-1) for _, image in rows])
            files[batch] = pickled(
                {b"data": data, own.labels: [label for label, _ in rows], b"batch_label": b"a batch", b"filenames": []}
            )
    if change:
        change(files)
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / own.archive, "w:gz") as archive:
        for member, content in files.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return folder / own.archive


# ---------------------------------------------------------------------------------------------------------------------
# What the tests of both files check


def is_whole(whole, name):
    """Whether every class has its pictures, upright and in their colours, the training half first."""
    few = COUNTS[name]
    each = sum(few.values())
    classes = cifar.SETS[name].classes
    assert whole.names == classes
    np.testing.assert_array_equal(whole.labels, np.repeat(np.arange(len(classes)), each))
    np.testing.assert_array_equal(whole.training, np.tile(np.arange(each) < few["train"], len(classes)))
    for label, pictures in enumerate(whole.images.reshape(len(classes), each, 32, 32, 3)):
        for half, some in (("train", pictures[: few["train"]]), ("test", pictures[few["train"] :])):
            expected = sorted(picture(label, half, i).tobytes() for i in range(few[half]))
            assert sorted(image.tobytes() for image in some) == expected
    return True


def one_sentence(caught, *parts):
    """It says what to do, and it is no reason to take another data set."""
    assert "\n" not in str(caught.value)
    assert "fetch or copy CIFAR-100 again" in str(caught.value)
    assert not isinstance(caught.value, errors.NotFoundError)
    for part in parts:
        assert part in str(caught.value)
