"""Where a data set is looked for: a folder that TensorFlow Datasets prepared, the cache, the network, in this order.

find(source, data_dir, cache) -> what the source's readers make of its files

TensorFlow is not needed: the prepared records are ArrayRecord files.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from experiments.data import fetching
from experiments.data.cache import cached, key, read_cache
from experiments.data.errors import DataError, NotFoundError
from experiments.messages import first_line

HALVES = "train", "test"  # of a published set, as TensorFlow Datasets calls them
Whole = TypeVar("Whole", bound=NamedTuple)
Row = TypeVar("Row")


class Source(NamedTuple, Generic[Whole]):
    """A data set that is published, as `find` needs to know it.

    Attributes:
        title: what messages call it.
        name: what TensorFlow Datasets calls it, and the cache.
        version: of what the cache holds: raise it when the same files would give other arrays.
        kind: of what the readers give, a named tuple of arrays.
        url: where the authors' files lie.
        mirror: the environment variable that names another address.
        md5s: of each of the authors' files, by its name.
        read_prepared: reads a prepared folder.
        read_archives: reads the authors' files.
    """

    title: str
    name: str
    version: int
    kind: type[Whole]
    url: str
    mirror: str
    md5s: Mapping[str, str]
    read_prepared: Callable[[Path], Whole]
    read_archives: Callable[[Sequence[Path]], Whole]


def find(source: Source[Whole], data_dir: str | os.PathLike[str] | None, cache: Path) -> Whole:
    """All of it: from the folder named, a folder found, the cache, or the network, in this order."""
    folders = [Path(os.path.expanduser(data_dir))] if data_dir is not None else default_folders()
    for folder in folders:
        if prepared := prepared_version(folder, source.name):
            return kept(source, cache, prepared_files(prepared), lambda: source.read_prepared(prepared))
    if data_dir is not None:
        what = f"holds no {source.name}/<version>/*.array_record files"
        raise NotFoundError(
            f"The data folder {folders[0]} {what if os.path.isdir(folders[0]) else 'does not exist'}",
            f"check the name, or leave it out and have {source.title} fetched",
        )
    for path in sorted(cache.glob(f"{source.name}-v{source.version}-*.npz")):
        if whole := read_cache(path, source.kind):
            return whole
    fetched = fetch(source, cache / source.name)
    return kept(source, cache, fetched, lambda: source.read_archives(fetched))


def kept(source: Source[Whole], cache: Path, files: Sequence[Path], read: Callable[[], Whole]) -> Whole:
    """What the cache kept of the very same files (hashing 100 MB takes a tenth of a second), or what `read` gives."""

    def make() -> Whole:
        try:
            return read()
        except (DataError, ImportError):
            raise
        except Exception as error:  # ArrayRecord, protobuf, PIL and pickle raise what they like
            raise DataError(
                f"The records in {files[0].parent} cannot be read, most likely a truncated file ({first_line(error)}); "
                f"{again(source.title)}."
            ) from error

    try:
        name = f"{source.name}-v{source.version}-{key(files)}.npz"
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); {again(source.title)}.") from error
    return cached(cache / name, source.kind, make)


def again(title: str) -> str:
    """The cure for whatever is broken."""
    return f"delete that folder and fetch or copy {title} again"


def fetch(source: Source[Any], folder: Path) -> list[Path]:
    """The authors' files in the folder, where they are whole; what is not is fetched, from them or from the mirror.

    Args:
        source: whose files.
        folder: for these files alone.

    Raises:
        NotFoundError: one is missing and cannot be fetched. Nothing is lost: the next call goes on from here.
    """
    url = (os.environ.get(source.mirror) or source.url).rstrip("/")
    try:
        return fetching.fetch(source.title, url, source.md5s, folder)
    except fetching.FetchError as error:
        raise NotFoundError(
            f"There is no prepared {source.title}, and {error}",
            f"try again where there is a network, or put {' and '.join(source.md5s)} into {folder}, or name "
            "a folder that TensorFlow Datasets prepared with --data-dir or TFDS_DATA_DIR",
        ) from error


# ---------------------------------------------------------------------------------------------------------------------
# A folder that TensorFlow Datasets prepared


def default_folders() -> list[Path]:
    """Where TensorFlow Datasets would look: `$TFDS_DATA_DIR`, then its default."""
    # os.path's expanduser, as the one of Path raises where nobody has a home.
    return [Path(os.path.expanduser(f)) for f in (os.environ.get("TFDS_DATA_DIR"), "~/tensorflow_datasets") if f]


def prepared_version(folder: Path, name: str) -> Path | None:
    """The newest `<name>/<version>` with ArrayRecord files; a preparation that was cut short has another name."""
    versions = {p.parent for p in folder.glob(f"{name}/*/{name}-train.array_record*")}
    numbered = [p for p in versions if p.name.replace(".", "").isdigit()]
    return max(numbered, key=lambda p: tuple(map(int, p.name.split("."))), default=None)


def prepared_files(folder: Path) -> list[Path]:
    """All that a reader may look at: the records, and what says how to read them and what their numbers mean."""
    return sorted(path for path in folder.iterdir() if path.is_file())


@contextmanager
def decoding(title: str, rows: Iterable[Row], total: int) -> Iterator[Iterable[Row]]:
    """The rows under a progress bar, which goes when they are done or fail."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        yield progress.track(rows, total, description=f"Decoding {title}")


def records(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """`train` or `test` and every record of it, its `image` still the bytes of a PNG file."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_datasets as tfds

        builder: Any = tfds.builder_from_directory(folder)
        # Decoded by us, not by TFDS: a file may have one bit a pixel, and TFDS would make three bytes of it.
        halves = builder.as_data_source({n: n for n in HALVES}, decoders={"image": tfds.decode.SkipDecoding()})
    return (
        (name, record)
        for name in HALVES
        for start in range(0, len(halves[name]), 1000)
        for record in halves[name].__getitems__(range(start, min(start + 1000, len(halves[name]))))
    )
