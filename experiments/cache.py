"""Characters as arrays, made once and kept on disk; a damaged file is made again, never trusted."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

SIZE = 28
DRAWINGS = 20


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
    except Exception:  # a damaged archive fails in many ways (zipfile, the array's header, its length), all alike here
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
