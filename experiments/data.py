"""Characters for few-shot learning: Omniglot, or letters drawn from fonts where there is no Omniglot.

    load(dataset="auto", split="vinyals") -> Dataset(name, split, train, validation, test)

Omniglot is read from a folder prepared by TensorFlow Datasets (ArrayRecord files, so TensorFlow is not needed),
reduced once to one compact array, and kept in a cache. Both sets are a list of characters, 20 drawings each, and
take the same road from there: characters are shared out by a committed list, then turned into classes.

Every drawing becomes 28 x 28 *grey* values by area averaging, `A @ ink @ A.T`. The first implementations picked single
pixels instead, which breaks strokes: they are 2 to 3 pixels wide and every 3.75th is kept. Because `A` is symmetric
under a flip, a rotation by 90 degrees commutes with it: turning the small picture is turning the large one first.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import logging
import os
import socket
import sys
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

SIZE = 28
DRAWINGS = 20
SPLITS = Path(__file__).parent / "splits"
VERSION = 1  # of what the cache holds: raise it when the same source would give other arrays
HOSTS = (
    "storage.googleapis.com",
    "github.com",
    "raw.githubusercontent.com",
)  # what TFDS asks when it prepares Omniglot


class DataError(ValueError):
    """The data cannot be had; the message is one sentence that says what to do."""


class Part(NamedTuple):
    """The classes of one side of a split; a rotated character is a class of its own.

    Attributes:
        images: `[classes, 20, 28, 28]` uint8, grey: 0 is paper, 255 is full ink. **Divide by 255** before use.
        names: one a class, `Alphabet/character05` upright, `Alphabet/character05/rot090` turned counter-clockwise.
        alphabets: `[classes]` int32, the number of the class's alphabet in the whole dataset (not in the part).
        upright: `[classes]` bool, False for rotated classes: the within-alphabet task draws from the upright ones.
    """

    images: np.ndarray
    names: tuple[str, ...]
    alphabets: np.ndarray
    upright: np.ndarray


class Dataset(NamedTuple):
    """Three parts without a class in common.

    Attributes:
        name: `omniglot` or `glyphs`; every result carries it.
        split: `vinyals` or `lake` for Omniglot, `scripts` for the glyphs.
        train: the classes to learn from.
        validation: the classes to choose by.
        test: the classes to report on.
    """

    name: str
    split: str
    train: Part
    validation: Part
    test: Part


class Characters(NamedTuple):
    """A whole dataset before it is split, as the cache holds it.

    Attributes:
        images: `[characters, 20, 28, 28]` uint8, upright.
        names: one a character, `Alphabet/character05`.
        turns: `[characters, 4]` bool: which of the rotations by 0, 90, 180, 270 degrees are classes of their own.
    """

    images: np.ndarray
    names: tuple[str, ...]
    turns: np.ndarray


def load(
    dataset: Literal["auto", "omniglot", "glyphs"] = "auto",
    split: Literal["vinyals", "lake"] = "vinyals",
    data_dir: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load Omniglot or the glyph set, split into classes to learn from, to choose by and to report on.

    Args:
        dataset: `omniglot` insists on it; `auto` takes it where it is prepared, cached or can be fetched, and
            otherwise says so in one line and takes `glyphs`.
        split: of Omniglot. `vinyals`: 1028 / 172 / 423 characters, every rotation a class in all three parts.
            `lake`: 25 / 5 / 20 whole alphabets, rotations in the first two only. The glyphs have one split, `scripts`.
        data_dir: folder that holds `omniglot/<version>/` as TensorFlow Datasets prepared it. Default: `$TFDS_DATA_DIR`,
            then `~/tensorflow_datasets`.
        cache_dir: where the compact arrays are kept. Default: `$CLUSTERJAX_CACHE`, else `clusterjax` in the
            user's cache folder.

    Returns:
        A `Dataset`.

    Raises:
        DataError: `omniglot` was asked for and cannot be had, or a folder that was named or found is broken.
    """
    if dataset not in ("auto", "omniglot", "glyphs"):
        raise DataError(f"dataset is {dataset!r}; choose 'auto', 'omniglot' or 'glyphs'.")
    if split not in ("vinyals", "lake"):
        raise DataError(f"split is {split!r}; choose 'vinyals' or 'lake'.")
    cache = cache_folder(cache_dir)
    if dataset != "glyphs":
        try:
            return divide("omniglot", split, omniglot(None if data_dir is None else Path(data_dir), cache))
        except NotFoundError as missing:
            if dataset == "omniglot" or data_dir is not None:
                raise
            say(f"{str(missing).split(';')[0]}; using glyphs, letters drawn from fonts, instead.")
    from experiments import glyphs

    def draw() -> Characters:
        return Characters(*glyphs.draw())

    return divide("glyphs", "scripts", cached(cache / f"glyphs-v{VERSION}-{glyphs.key()}.npz", draw))


def merge(*parts: Part) -> Part:
    """Put parts of one dataset together, as the last training on train and validation classes wants it.

    Args:
        *parts: parts of the same `Dataset`.

    Returns:
        One `Part` with the classes of all, in the order given.
    """
    return Part(
        np.concatenate([part.images for part in parts]),
        tuple(name for part in parts for name in part.names),
        np.concatenate([part.alphabets for part in parts]),
        np.concatenate([part.upright for part in parts]),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Splits and classes


def divide(name: str, split: str, characters: Characters) -> Dataset:
    """Share the characters out by the committed lists, and turn each share into classes."""
    alphabets = {alphabet: i for i, alphabet in enumerate(sorted({n.split("/")[0] for n in characters.names}))}
    train, validation, test = members(split, characters.names)
    return Dataset(
        name,
        split,
        classes(characters, train, alphabets),
        classes(characters, validation, alphabets),
        # The within-alphabet task of Lake's split is about alphabets as they are written.
        classes(characters, test, alphabets, rotated=split != "lake"),
    )


def members(split: str, names: Sequence[str]) -> tuple[list[int], list[int], list[int]]:
    """Places of the train, validation and test characters in `names`, by the committed lists."""
    if split == "vinyals":
        listed = [json.loads((SPLITS / "omniglot" / f"{part}.json").read_text()) for part in ("train", "val", "test")]
        place = {name: i for i, name in enumerate(names)}
        train, validation, test = (
            [
                place[f"{a}/{c}"]
                for alphabets in sets.values()
                for a, characters in alphabets.items()
                for c in characters
            ]
            for sets in listed
        )
        return train, validation, test
    listed = json.loads((SPLITS / f"{split}.json").read_text())
    train, validation, test = (
        [i for i, name in enumerate(names) if name.split("/")[0] in set(listed[part])]
        for part in ("train", "validation", "test")
    )
    return train, validation, test


def classes(characters: Characters, chosen: Sequence[int], alphabets: dict[str, int], *, rotated: bool = True) -> Part:
    """The chosen characters as classes: first all of them upright, then turned by 90, 180 and 270 degrees."""
    parts = []
    for quarter in range(4 if rotated else 1):
        kept = [i for i in chosen if characters.turns[i, quarter]]
        names = [characters.names[i] for i in kept]
        parts.append(
            Part(
                np.rot90(characters.images[kept], quarter, axes=(2, 3)),
                tuple(f"{name}/rot{90 * quarter:03d}" if quarter else name for name in names),
                np.array([alphabets[name.split("/")[0]] for name in names], np.int32),
                np.full(len(kept), quarter == 0),
            )
        )
    return merge(*parts)


# ---------------------------------------------------------------------------------------------------------------------
# Omniglot


class NotFoundError(DataError):
    """No prepared Omniglot, as opposed to a broken one: the only failure that `auto` may answer with glyphs."""


def omniglot(data_dir: Path | None, cache: Path) -> Characters:
    """All of Omniglot: from the folder named, a folder found, the cache, or the network, in this order."""
    folders = [data_dir] if data_dir else [Path(f).expanduser() for f in default_folders()]
    for folder in folders:
        if prepared := prepared_version(folder):
            return from_prepared(prepared, cache)
    if data_dir is not None:
        what = "has no folder omniglot/<version>" if data_dir.is_dir() else "does not exist"
        raise NotFoundError(f"The data folder {data_dir} {what}; {how_to_prepare(data_dir)}.")
    for path in sorted(cache.glob(f"omniglot-v{VERSION}-*.npz")):
        if characters := read_cache(path):
            return characters
    looked = " or ".join(map(str, folders))
    if obstacle := why_not_fetch():
        raise NotFoundError(
            f"No prepared Omniglot in {looked}, and it cannot be fetched here ({obstacle}); {how_to_prepare(folders[0])}."
        )
    return from_prepared(fetch(folders[0]), cache)


def default_folders() -> list[str]:
    """Where TensorFlow Datasets would look: `$TFDS_DATA_DIR`, then its default."""
    return [folder for folder in (os.environ.get("TFDS_DATA_DIR"), "~/tensorflow_datasets") if folder]


def prepared_version(folder: Path) -> Path | None:
    """The newest `omniglot/<version>` under the folder; a preparation that was cut short has another name."""
    versions = [p for p in folder.glob("omniglot/*") if p.name.replace(".", "").isdigit() and p.is_dir()]
    return max(versions, key=lambda p: tuple(map(int, p.name.split("."))), default=None)


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
    if not records:
        raise DataError(
            f"{folder} holds no omniglot-train.array_record files (TFRecords cannot be read without TensorFlow); "
            f"remove it, and {how_to_prepare(folder.parent.parent)}."
        )
    digest = hashlib.sha256()
    for path in records:
        digest.update(path.read_bytes())
    return cached(cache / f"omniglot-v{VERSION}-{digest.hexdigest()[:16]}.npz", lambda: read_records(folder))


def read_records(folder: Path) -> Characters:
    """Decode every drawing and gather them by character; a count that is not Omniglot's is an error."""
    names: list[str] = []
    images = []
    try:
        for batch_names, ink in decoded_batches(folder):
            names += batch_names
            images.append(shrink(ink))
    except Exception as error:  # ArrayRecord, protobuf and PIL raise what they like, RuntimeError most often
        raise DataError(
            f"The records in {folder} cannot be read, most likely a truncated file ({str(error).splitlines()[0][:120]}); "
            "delete that folder and prepare or copy Omniglot again."
        ) from error
    found, counts = np.unique(names, return_counts=True)
    if len(found) != 1623 or not (counts == DRAWINGS).all():
        raise DataError(
            f"The records in {folder} hold {len(names)} drawings of {len(found)} characters instead of 20 of each of 1623; "
            "delete that folder and prepare or copy Omniglot again."
        )
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

        builder = tfds.builder_from_directory(folder)
        alphabets = builder.info.features["alphabet"].names
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


# ---------------------------------------------------------------------------------------------------------------------
# The network, which may be missing in ways that hang


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
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise NotFoundError(f"Omniglot could not be fetched ({reason}); {how_to_prepare(folder)}.") from error
    if prepared := prepared_version(folder):
        return prepared
    raise NotFoundError(f"Omniglot was fetched but is not in {folder}; {how_to_prepare(folder)}.")


# ---------------------------------------------------------------------------------------------------------------------
# The cache


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder named, else `$CLUSTERJAX_CACHE`, else `clusterjax` in the user's cache folder."""
    if named := cache_dir or os.environ.get("CLUSTERJAX_CACHE"):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "clusterjax"


def cached(path: Path, make: Callable[[], Characters]) -> Characters:
    """What the file holds, or, where it is missing or damaged, what `make` gives, written for the next time."""
    characters = read_cache(path)
    if characters is None:
        characters = make()
        try:
            write_cache(path, characters)
        except OSError as error:  # a cache is a convenience: a full or read-only disk must not stop a run
            say(f"The cache {path} cannot be written ({error.strerror}); it will be made again next time.")
    return characters


def read_cache(path: Path) -> Characters | None:
    """The file's characters; None where there is no file or, with a line said, where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:  # a zip archive: every member carries a checksum
            characters = Characters(file["images"], tuple(map(str, file["names"])), file["turns"])
        if characters.images.shape == (len(characters.names), DRAWINGS, SIZE, SIZE):
            return characters
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass
    say(f"The cache {path} is damaged and is not used.")
    return None


def write_cache(path: Path, characters: Characters) -> None:
    """Write beside the file and move over it, so that nobody ever reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, suffix=".tmp", delete=False) as file:
        try:
            np.savez(file, images=characters.images, names=np.array(characters.names), turns=characters.turns)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def say(line: str) -> None:
    """One line to the user, apart from the results on standard output."""
    print(line, file=sys.stderr, flush=True)
