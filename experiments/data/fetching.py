"""Files from the network, fetched once and kept; pooch keeps what it fetched only if its md5 is the published one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from experiments.data.cache import sweep
from experiments.messages import first_line, say

ANSWER, SILENCE = 2.0, 10.0  # seconds for a server to answer at all, and between two pieces of a file


class FetchError(Exception):
    """A file is not there and cannot be fetched; the message says which and why, the caller what to do."""


def fetch(what: str, url: str, md5s: Mapping[str, str | None], folder: Path) -> list[Path]:
    """The files in the folder, where they are whole; what is not is fetched.

    Args:
        what: the data set, as the progress bar calls it.
        url: where the files lie, without a slash at the end.
        md5s: of each file, by its name; `None` where it isn't known: the file is then kept as it comes.
        folder: for these files alone.

    Raises:
        FetchError: one is missing and cannot be fetched. Nothing is lost: the next call goes on from here.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    sweep(folder, "tmp*")  # pooch fetches into such a file, and moves it when its hash is right
    downloader: Any = partial(download, what)  # pooch calls it by place, whatever its annotation names the arguments
    paths = []
    for name, md5 in md5s.items():
        try:
            path = pooch.retrieve(f"{url}/{name}", md5 and f"md5:{md5}", name, folder, downloader=downloader)
            paths.append(Path(path))
        except (OSError, ValueError) as error:  # the network and the disk; the hash
            reason = first_line(error) if isinstance(error, OSError) else "what came is another file, by its md5"
            raise FetchError(f"{url}/{name} cannot be fetched ({reason})") from error
    return paths


def download(what: str, url: str, file: str, _: object) -> None:
    """What pooch calls where it has no whole file: fetch it under a progress bar, if anybody answers."""
    from pooch import HTTPDownloader
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress

    if not answers(url):
        raise ConnectionError("no answer")
    say(f"Fetching {url}, once.")
    columns = *Progress.get_default_columns(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"Fetching {what}", total=None)
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
