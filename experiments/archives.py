"""Omniglot as its authors publish it: two zip files of PNG, fetched once and kept.

    read(fetch(folder)) -> Characters

Pooch keeps what it fetched only if its md5 is the published one.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from zipfile import ZipFile

from experiments.cache import Characters, say, sweep
from experiments.drawings import NotFoundError, first_line, gather

URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
MEMBER = re.compile(r"images_\w+/([^/]+)/character(\d\d)/(\d{4}_\d\d\.png)")
ANSWER, SILENCE = 2.0, 10.0  # seconds for a server to answer at all, and between two pieces of a file


class Archive(NamedTuple):
    """Its md5, and the name of the split that TensorFlow Datasets makes of it."""

    md5: str
    split: str


ARCHIVES = {
    "images_background.zip": Archive("68d2efa1b9178cc56df9314c21c6e718", "train"),
    "images_evaluation.zip": Archive("6b91aef0f799c5bb55b94e3f2daec811", "test"),
}


def fetch(folder: Path) -> list[Path]:
    """The two files in the folder, where they are whole; what is not is fetched.

    Args:
        folder: for these files alone. They come from GitHub, or from the mirror in `$CLUSTERJAX_OMNIGLOT_URL`.

    Raises:
        NotFoundError: one is missing and cannot be fetched. Nothing is lost: the next call goes on from here.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    url = (os.environ.get("CLUSTERJAX_OMNIGLOT_URL") or URL).rstrip("/")
    sweep(folder, "tmp*")  # pooch fetches into such a file, and moves it when its hash is right
    downloader: Any = download  # pooch calls it by place, whatever its annotation names the arguments
    paths = []
    for name, archive in ARCHIVES.items():
        try:
            path = pooch.retrieve(f"{url}/{name}", f"md5:{archive.md5}", name, folder, downloader=downloader)
            paths.append(Path(path))
        except (OSError, ValueError) as error:  # the network and the disk; the hash
            reason = first_line(error) if isinstance(error, OSError) else "what came is another file, by its md5"
            raise NotFoundError(
                f"There is no prepared Omniglot, and {url}/{name} cannot be fetched ({reason})",
                f"try again where there is a network, or put {' and '.join(ARCHIVES)} into {folder}, or name "
                "a folder that TensorFlow Datasets prepared with --data-dir or TFDS_DATA_DIR",
            ) from error
    return paths


def download(url: str, file: str, _: object) -> None:
    """What pooch calls where it has no whole file: fetch it under a progress bar, if anybody answers."""
    from pooch import HTTPDownloader
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress

    if not answers(url):
        raise ConnectionError("no answer")
    say(f"Fetching {url}, once.")
    columns = *Progress.get_default_columns(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Fetching Omniglot", total=None)
        bar: Any = SimpleNamespace(  # what pooch asks of a bar; it sets the total when it knows
            total=None,
            update=lambda count: progress.update(task, total=bar.total, advance=count),
            reset=lambda: progress.reset(task),
            close=progress.stop,
        )
        HTTPDownloader(progressbar=bar, chunk_size=2**16, timeout=SILENCE)(url, file, None)


def answers(url: str) -> bool:
    """Whether the server says anything in time.

    Looking up a name may hang beyond every timeout, so it is done in a thread that is left behind if it does.
    """
    from pooch import HTTPDownloader

    heard = []

    def ask() -> None:
        with suppress(Exception):
            heard.append(HTTPDownloader(timeout=ANSWER)(url, None, None, check_only=True))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER)
    return bool(heard)


def read(paths: Sequence[Path]) -> Characters:
    """Decode every drawing."""
    return gather(chain.from_iterable(map(drawings, paths)), paths[0].parent)


def drawings(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield `Alphabet/characterNN` and the PNG file of every drawing, in the order of TensorFlow Datasets.

    It shuffles by the md5 of the split's name and a key that holds the file's name. With the same order the arrays are
    the same, bit for bit, and so are the batches and episodes that are drawn from them.
    """
    split = ARCHIVES[path.name].split

    def place(member: re.Match[str]) -> bytes:
        alphabet, number, file = member.groups()
        return hashlib.md5(f"{split}{alphabet}_{int(number) - 1}_{file}".encode()).digest()

    with ZipFile(path) as archive:
        for member in sorted(filter(None, map(MEMBER.fullmatch, archive.namelist())), key=place):
            yield f"{member[1]}/character{member[2]}", archive.read(member[0])
