"""Stand-ins: characters with made-up drawings, and an Omniglot of four characters in both forms it comes in."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import NamedTuple

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
    hashing = pytest.importorskip("tensorflow_datasets.core.hashing")
    halves = {}
    for split, members in content.items():
        keys = {
            f"{ALPHABETS[a]}_{c}_{number:04d}_{i + 1:02d}.png": (a, c, i)
            for number, (a, c) in enumerate(members, 1)
            for i in range(20)
        }
        drawn = [keys[k] for k in sorted(keys, key=hashing.Hasher(split).hash_key)]
        halves[split] = [
            {"image": encode(square(a, c, i)), "alphabet": a, "alphabet_char_id": c, "label": 0} for a, c, i in drawn
        ]
    scalar = {"shape": {}, "dtype": "int64", "encoding": "none"}
    number = {"pythonClassName": f"{CORE}.tensor_feature.Tensor", "tensor": scalar}
    return write_prepared(
        root / "omniglot" / "3.0.0", halves, 105, {"alphabet": ALPHABETS, "label": ("one",)}, alphabet_char_id=number
    )


CORE = "tensorflow_datasets.core.features"


def write_prepared(folder: Path, halves: dict[str, list[dict]], size: int, labels: dict[str, tuple], **more) -> Path:
    """Write `<name>/<version>`: the records of each half, the names of the labels, and what describes them."""
    module = pytest.importorskip("array_record.python.array_record_module")
    pb = pytest.importorskip("tensorflow_datasets.proto").tf_example_pb2
    folder.mkdir(parents=True)
    splits = []
    for split, records in halves.items():
        path = folder / f"{folder.parent.name}-{split}.array_record-00000-of-00001"
        writer = module.ArrayRecordWriter(str(path), "group_size:1")
        for record in records:
            example = pb.Example()
            for key, value in record.items():
                feature = example.features.feature[key]
                kind = feature.bytes_list if isinstance(value, bytes) else feature.int64_list
                kind.value.append(value)
            writer.write(example.SerializeToString())
        writer.close()
        splits.append(
            {
                "name": split,
                "shardLengths": [str(len(records))],
                "numBytes": "1",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
        )
    image = {"shape": {"dimensions": [str(size), str(size), "3"]}, "dtype": "uint8", "encodingFormat": "png"}
    features = {"image": {"pythonClassName": f"{CORE}.image_feature.Image", "image": image}, **more}
    for key, names in labels.items():
        count = {"numClasses": str(len(names))}
        features[key] = {"pythonClassName": f"{CORE}.class_label_feature.ClassLabel", "classLabel": count}
        (folder / f"{key}.labels.txt").write_text("\n".join(names) + "\n")
    (folder / "features.json").write_text(
        json.dumps({"pythonClassName": f"{CORE}.features_dict.FeaturesDict", "featuresDict": {"features": features}})
    )
    info = {"name": folder.parent.name, "version": folder.name, "fileFormat": "array_record", "splits": splits}
    (folder / "dataset_info.json").write_text(json.dumps(info))
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


def same(one: NamedTuple, other: NamedTuple) -> bool:
    return cache.digest(one) == cache.digest(other)
