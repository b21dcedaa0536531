"""Omniglot in a folder that TensorFlow Datasets prepared.

    read(prepared_version(data_dir)) -> Characters

The records are ArrayRecord files, so TensorFlow is not needed to read them.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.cache import Characters
from experiments.drawings import AGAIN, DataError, first_line, gather, known


def default_folders() -> list[Path]:
    """Where TensorFlow Datasets would look: `$TFDS_DATA_DIR`, then its default."""
    # os.path's expanduser, as the one of Path raises where nobody has a home.
    return [Path(os.path.expanduser(f)) for f in (os.environ.get("TFDS_DATA_DIR"), "~/tensorflow_datasets") if f]


def prepared_version(folder: Path) -> Path | None:
    """The newest `omniglot/<version>` with ArrayRecord files; a preparation that was cut short has another name."""
    versions = {p.parent for p in folder.glob("omniglot/*/omniglot-train.array_record*")}
    numbered = [p for p in versions if p.name.replace(".", "").isdigit()]
    return max(numbered, key=lambda p: tuple(map(int, p.name.split("."))), default=None)


def files(folder: Path) -> list[Path]:
    """All that `read` may look at: the records, and what says how to read them and what their numbers mean."""
    return sorted(path for path in folder.iterdir() if path.is_file())


def read(folder: Path) -> Characters:
    """Decode every record; what is not Omniglot's is an error."""
    try:
        return gather(drawings(folder), folder)
    except (DataError, ImportError):
        raise
    except Exception as error:  # ArrayRecord, protobuf and PIL raise what they like, RuntimeError most often
        raise DataError(
            f"The records in {folder} cannot be read, most likely a truncated file ({first_line(error)}); {AGAIN}."
        ) from error


def drawings(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield `Alphabet/characterNN` and the PNG file of every drawing."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_datasets as tfds

        builder: Any = tfds.builder_from_directory(folder)
        # Decoded by us, not by TFDS: the files are one bit a pixel, and TFDS would make three bytes of it.
        sources = builder.as_data_source(["train", "test"], decoders={"image": tfds.decode.SkipDecoding()})
    alphabets = (folder / "alphabet.labels.txt").read_text(encoding="utf-8").split()
    if alphabets != sorted({name.split("/")[0] for name in known()}):  # two that are swapped would swap the drawings
        raise DataError(f"{folder / 'alphabet.labels.txt'} does not list Omniglot's alphabets from A to Z; {AGAIN}.")
    for source in sources:
        for start in range(0, len(source), 1000):
            for record in source.__getitems__(range(start, min(start + 1000, len(source)))):
                # TFDS counts a character from 0, the files and the split lists from 1.
                yield f"{alphabets[record['alphabet']]}/character{record['alphabet_char_id'] + 1:02d}", record["image"]
