"""Omniglot, read from a folder that TensorFlow Datasets prepared, or fetched through it where that can work.

    characters(data_dir, cache) -> Characters

The records are ArrayRecord files, so TensorFlow is not needed to read them. Every drawing is reduced to 28 x 28 *grey*
values by area averaging, `A @ ink @ A.T`. The first few-shot code picked single pixels instead, which breaks strokes:
they are 2 to 3 pixels wide and every 3.75th is kept. `A` is symmetric under a flip, so that turning the small picture
by 90 degrees is the same as turning the large one first.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import logging
import os
import socket
import threading
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.cache import DRAWINGS, SIZE, Characters, cached, read_cache, say

CHARACTERS = 1623
VERSION = 1  # of what the cache holds: raise it when the same records would give other arrays
AGAIN = "delete that folder and prepare or copy Omniglot again"
HOSTS = ("storage.googleapis.com", "github.com", "raw.githubusercontent.com")  # what preparing Omniglot asks


class DataError(ValueError):
    """The data cannot be had; the message is one sentence that says what to do."""


class NotFoundError(DataError):
    """No prepared Omniglot, as opposed to a broken one: the only failure that may be answered with another dataset."""

    def __init__(self, what: str, cure: str):
        super().__init__(f"{what}; {cure}.")
        self.what = what


def characters(data_dir: Path | None, cache: Path) -> Characters:
    """All of Omniglot: from the folder named, a folder found, the cache, or the network, in this order.

    Args:
        data_dir: folder that holds `omniglot/<version>/`; then no other place is tried. Default: `$TFDS_DATA_DIR`, then
            `~/tensorflow_datasets`.
        cache: folder for the compact array.

    Returns:
        1623 characters, named as in the original files, every rotation a class.

    Raises:
        NotFoundError: there is none.
        DataError: there is one, and it is broken.
    """
    folders = [data_dir] if data_dir else default_folders()
    for folder in folders:
        if prepared := prepared_version(folder):
            return from_prepared(prepared, cache)
    if data_dir:
        what = "holds no omniglot/<version>/*.array_record files" if data_dir.is_dir() else "does not exist"
        raise NotFoundError(f"The data folder {data_dir} {what}", f"check the name, or, {how_to_prepare(data_dir)}")
    for path in sorted(cache.glob(f"omniglot-v{VERSION}-*.npz")):
        if found := read_cache(path):
            return found
    if obstacle := why_not_fetch():
        looked = " or ".join(map(str, folders))
        what = f"No prepared Omniglot in {looked}, and it cannot be fetched here ({obstacle})"
        raise NotFoundError(what, how_to_prepare(folders[0]))
    return from_prepared(fetch(folders[0]), cache)


def default_folders() -> list[Path]:
    """Where TensorFlow Datasets would look: `$TFDS_DATA_DIR`, then its default."""
    return [Path(f).expanduser() for f in (os.environ.get("TFDS_DATA_DIR"), "~/tensorflow_datasets") if f]


def prepared_version(folder: Path) -> Path | None:
    """The newest `omniglot/<version>` with ArrayRecord files; a preparation that was cut short has another name."""
    versions = {p.parent for p in folder.glob("omniglot/*/omniglot-train.array_record*")}
    numbered = [p for p in versions if p.name.replace(".", "").isdigit()]
    return max(numbered, key=lambda p: tuple(map(int, p.name.split("."))), default=None)


def how_to_prepare(folder: Path) -> str:
    """What to do where Omniglot is missing."""
    return (
        "where there is a network, run `pip install tensorflow tensorflow-datasets importlib_resources` and "
        f"`python -c \"import tensorflow_datasets as t; t.data_source('omniglot', data_dir='{folder}')\"`, "
        "and name that folder with --data-dir or TFDS_DATA_DIR"
    )


def from_prepared(folder: Path, cache: Path) -> Characters:
    """Read a prepared folder, or what the cache kept of the very same bytes (hashing 12 MB takes milliseconds)."""
    records = sorted(p for split in ("train", "test") for p in folder.glob(f"omniglot-{split}.array_record*"))
    digest = hashlib.sha256()
    for path in records:
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); {AGAIN}.") from error
    return cached(cache / f"omniglot-v{VERSION}-{digest.hexdigest()[:16]}.npz", lambda: read_records(folder))


def read_records(folder: Path) -> Characters:
    """Decode every drawing and gather them by character; a count that is not Omniglot's is an error."""
    names: list[str] = []
    images = []
    try:
        for batch_names, ink in decoded_batches(folder):
            names += batch_names
            images.append(shrink(ink))
    except ImportError as error:
        raise DataError(f"Reading Omniglot needs {error.name}; run `pip install 'clusterjax[experiments]'`.") from error
    except Exception as error:  # ArrayRecord, protobuf and PIL raise what they like, RuntimeError most often
        raise DataError(
            f"The records in {folder} cannot be read, most likely a truncated file ({first_line(error)}); {AGAIN}."
        ) from error
    found, counts = np.unique(names, return_counts=True)
    if len(found) != CHARACTERS or not (counts == DRAWINGS).all():
        what = f"{len(names)} drawings of {len(found)} characters, not {DRAWINGS} of each of {CHARACTERS}"
        raise DataError(f"The records in {folder} hold {what}; {AGAIN}.")
    order = np.argsort(np.array(names), kind="stable")
    drawings = np.concatenate(images)[order].reshape(len(found), DRAWINGS, SIZE, SIZE)
    return Characters(drawings, tuple(map(str, found)), np.ones((len(found), 4), bool))


def decoded_batches(folder: Path, size: int = 1000) -> Iterable[tuple[list[str], np.ndarray]]:
    """Yield `Alphabet/characterNN` names and `[b, 105, 105]` bool ink, batch by batch, under a progress bar."""
    from PIL import Image
    from rich.console import Console
    from rich.progress import track

    logging.getLogger("absl").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_datasets as tfds

        builder: Any = tfds.builder_from_directory(folder)
        alphabets = (folder / "alphabet.labels.txt").read_text().split()
        # Decoded here, not by TFDS: the files are one bit a pixel, and TFDS would make three bytes of it.
        sources = builder.as_data_source(["train", "test"], decoders={"image": tfds.decode.SkipDecoding()})
    batches = [(s, range(i, min(i + size, len(s)))) for s in sources for i in range(0, len(s), size)]
    for source, rows in track(batches, "Decoding Omniglot", console=Console(stderr=True), transient=True):
        records = source.__getitems__(list(rows))
        ink = [np.asarray(Image.open(io.BytesIO(r["image"])).convert("L")) == 0 for r in records]  # paper 255, ink 0
        # TFDS counts a character from 0, the files and the split lists from 1.
        yield [f"{alphabets[r['alphabet']]}/character{r['alphabet_char_id'] + 1:02d}" for r in records], np.stack(ink)


def shrink(ink: np.ndarray) -> np.ndarray:
    """Reduce square pictures to 28 x 28 by the mean over each output pixel's area.

    Args:
        ink: `[b, n, n]`, 1 where there is ink, n >= 28.

    Returns:
        `[b, 28, 28]` uint8, 255 for full ink.
    """
    n = ink.shape[-1]
    edges = np.arange(SIZE + 1) * n / SIZE
    pixels = np.arange(n)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    average = (np.maximum(overlap, 0) * SIZE / n).astype(np.float32)
    return np.rint(255 * (average @ ink.astype(np.float32) @ average.T)).astype(np.uint8)


def why_not_fetch() -> str | None:
    """Why Omniglot cannot be prepared from the network, or None where it can; takes at most two seconds."""
    for module in ("tensorflow", "importlib_resources"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed"
    return None if reachable(HOSTS) else "no network"


def reachable(hosts: Sequence[str], port: int = 443, seconds: float = 2.0) -> bool:
    """Whether every host accepts a connection in time.

    TFDS without a network retries for minutes, and looking up a name may hang beyond any socket's timeout: so the
    attempts are made in daemon threads that are left behind.
    """
    answered: list[str] = []

    def knock(host: str) -> None:
        try:
            with socket.create_connection((host, port), timeout=seconds):
                answered.append(host)
        except OSError:
            pass

    threads = [threading.Thread(target=knock, args=(host,), daemon=True) for host in hosts]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return len(answered) == len(hosts)


def fetch(folder: Path) -> Path:
    """Let TensorFlow Datasets download and prepare Omniglot."""
    import tensorflow_datasets as tfds

    say(f"Fetching Omniglot into {folder}, once.")
    try:
        tfds.data_source("omniglot", data_dir=folder)
    except Exception as error:  # whatever the network, the disk or TFDS came up with
        raise NotFoundError(f"Omniglot could not be fetched ({first_line(error)})", how_to_prepare(folder)) from error
    if prepared := prepared_version(folder):
        return prepared
    raise NotFoundError(f"Omniglot was fetched but is not in {folder}", how_to_prepare(folder))


def first_line(error: Exception) -> str:
    """What fits into one sentence of a message that may be a page long, or empty."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
