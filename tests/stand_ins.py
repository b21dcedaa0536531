"""Stand-ins: characters with made-up drawings, and an Omniglot of four characters in both forms it comes in."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from experiments import data
from experiments.data import cache, characters

LISTS = characters.SPLITS / "omniglot"


def listed(part):
    """The characters of one Vinyals list, read in the dumbest way."""
    names = []
    for alphabets in json.loads((LISTS / f"{part}.json").read_text()).values():
        for alphabet, drawn in alphabets.items():
            for character in drawn:
                names.append(f"{alphabet}/{character}")
    return names


def every_name():
    return sorted(listed("train") + listed("val") + listed("test"))


def made_up(names, seed=0):
    """Characters with random drawings, distinct so that any mix-up shows."""
    images = np.random.default_rng(seed).integers(0, 256, (len(names), 20, 28, 28), dtype=np.uint8)
    return data.Characters(images, tuple(names), np.ones((len(names), 4), bool))


# ---------------------------------------------------------------------------------------------------------------------
# A folder as TensorFlow Datasets prepares it, with four characters


ALPHABETS = ("Early_Aramaic", "Greek", "Korean")
CONTENT = {"train": [(1, 0), (1, 11), (2, 4)], "test": [(0, 2)]}  # (alphabet, character counted from 0) of each split
NAMES = ("Early_Aramaic/character03", "Greek/character01", "Greek/character12", "Korean/character05")


def square(alphabet, character, drawing):
    """An inked rectangle that tells who it is."""
    ink = np.zeros((105, 105), bool)
    ink[5 * alphabet : 5 * alphabet + 20, character : character + 30 + drawing] = True
    return ink


def encode(ink):
    """One bit a pixel, paper 1 and ink 0, as the original files are."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(~ink).save(file, format="PNG")
    return file.getvalue()


def prepare(root: Path, content=CONTENT):
    """Write what TFDS would: records in the order of its own hash, and the JSON files that describe them."""
    module = pytest.importorskip("array_record.python.array_record_module")
    pb = pytest.importorskip("tensorflow_datasets.proto").tf_example_pb2
    hashing = pytest.importorskip("tensorflow_datasets.core.hashing")
    folder = root / "omniglot" / "3.0.0"
    folder.mkdir(parents=True)
    splits = []
    for split, members in content.items():
        keys = {
            f"{ALPHABETS[a]}_{c}_{number:04d}_{i + 1:02d}.png": (a, c, i)
            for number, (a, c) in enumerate(members, 1)
            for i in range(20)
        }
        drawn = [keys[k] for k in sorted(keys, key=hashing.Hasher(split).hash_key)]
        path = folder / f"omniglot-{split}.array_record-00000-of-00001"
        writer = module.ArrayRecordWriter(str(path), "group_size:1")
        for a, c, i in drawn:
            example = pb.Example()
            feature = example.features.feature
            feature["image"].bytes_list.value.append(encode(square(a, c, i)))
            for key, number in (("alphabet", a), ("alphabet_char_id", c), ("label", 0)):
                feature[key].int64_list.value.append(int(number))
            writer.write(example.SerializeToString())
        writer.close()
        splits.append(
            {
                "name": split,
                "shardLengths": [str(len(drawn))],
                "numBytes": "1",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
        )
    core = "tensorflow_datasets.core.features."
    scalar = {"shape": {}, "dtype": "int64", "encoding": "none"}
    label = {"pythonClassName": core + "class_label_feature.ClassLabel"}
    image = {"shape": {"dimensions": ["105", "105", "3"]}, "dtype": "uint8", "encodingFormat": "png"}
    features = {
        "image": {"pythonClassName": core + "image_feature.Image", "image": image},
        "alphabet": {**label, "classLabel": {"numClasses": str(len(ALPHABETS))}},
        "alphabet_char_id": {"pythonClassName": core + "tensor_feature.Tensor", "tensor": scalar},
        "label": {**label, "classLabel": {"numClasses": "1"}},
    }
    (folder / "features.json").write_text(
        json.dumps({"pythonClassName": core + "features_dict.FeaturesDict", "featuresDict": {"features": features}})
    )
    info = {"name": "omniglot", "version": "3.0.0", "fileFormat": "array_record", "splits": splits}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "alphabet.labels.txt").write_text("\n".join(ALPHABETS) + "\n")
    (folder / "label.labels.txt").write_text("one\n")
    return folder


# ---------------------------------------------------------------------------------------------------------------------
# The authors' zip files, with the same characters


def zipped(folder: Path, stem: str, members: dict[str, bytes]) -> Path:
    """An archive as the authors made theirs, with what a Mac adds to such a thing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{stem}/", b"")
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(f"{stem}/{name}"), content)
            file.writestr(zipfile.ZipInfo(f"__MACOSX/{stem}/{name}"), b"not a picture")
        file.writestr(f"{stem}/.DS_Store", bytes(200_000))  # so that half the file is more than pooch asks for at once
    return path


def publish(folder: Path) -> list[Path]:
    """The four characters of `prepare` as the authors would publish them."""
    return [
        zipped(
            folder,
            stem,
            {
                f"{ALPHABETS[a]}/character{c + 1:02d}/{number:04d}_{i + 1:02d}.png": encode(square(a, c, i))
                for number, (a, c) in enumerate(CONTENT[split], 1)
                for i in range(20)
            },
        )
        for stem, split in (("images_background", "train"), ("images_evaluation", "test"))
    ]


def same(one: data.Characters, other: data.Characters) -> bool:
    return cache.digest(one) == cache.digest(other)
