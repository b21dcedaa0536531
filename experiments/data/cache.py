"""Data sets as arrays, made once and kept on disk; a damaged file is made again, never trusted."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from experiments.messages import say

Whole = TypeVar("Whole", bound=NamedTuple)  # arrays and one tuple, `names`


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder named, else `$CLUSTERJAX_CACHE`, else `clusterjax` in the user's cache folder."""
    if named := cache_dir or os.environ.get("CLUSTERJAX_CACHE"):
        return Path(os.path.expanduser(named))
    # Nobody is promised a home: in a container `~` may stay what it is.
    places = os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache"), tempfile.gettempdir()
    return next(Path(place) for place in places if os.path.isabs(place)) / "clusterjax"


def cached(path: Path, kind: type[Whole], make: Callable[[], Whole]) -> Whole:
    """What the file holds, or, where it is missing or damaged, what `make` gives, written for the next time."""
    whole = read_cache(path, kind)
    if whole is None:
        whole = make()
        try:
            write_cache(path, whole)
        except OSError as error:  # a cache is a convenience: a full or read-only disk must not stop a run
            say(f"The cache {path} cannot be written ({error.strerror or error}); it will be made again next time.")
    return whole


def read_cache(path: Path, kind: type[Whole]) -> Whole | None:
    """The file's arrays; None where there is no file or, with a line said, where it is damaged."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            whole = kind._make(tuple(map(str, file[f])) if f == "names" else file[f] for f in kind._fields)
            if file["digest"] == digest(whole):  # nothing is missing, and all was made together
                return whole
    except FileNotFoundError:
        return None
    except Exception:  # a damaged archive fails in many ways (zipfile, the array's header, its length), all alike here
        pass
    say(f"The cache {path} is damaged and is not used.")
    return None


def write_cache(path: Path, whole: NamedTuple) -> None:
    """Write beside the file and move over it, so that nobody ever reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, f"{path.name}*.tmp")
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, suffix=".tmp", delete=False) as file:
        try:
            np.savez(file, **whole._asdict(), digest=digest(whole))
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def digest(whole: NamedTuple) -> str:
    """Changes with every value, shape, kind and order in it."""
    summary = hashlib.sha256()
    for array in map(np.asarray, whole):
        summary.update(f"{array.dtype} {array.shape} ".encode())
        summary.update(np.ascontiguousarray(array).view(np.uint8).data)
    return summary.hexdigest()


def sweep(folder: Path, pattern: str) -> None:
    """Delete what killed processes left half-written; an hour spares those that are at work."""
    for path in folder.glob(pattern):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > 3600:
                path.unlink()


def key(files: Sequence[Path]) -> str:
    """A name for what is made of these files: it changes with every byte of theirs."""
    summary = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        summary.update(b"%s %d " % (os.fsencode(path.name), len(content)))
        summary.update(content)
    return summary.hexdigest()[:16]
