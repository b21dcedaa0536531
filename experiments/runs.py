"""The folder of a run: named after its settings, written by one process at a time, never mixed with another run's.

    with open_run(folder, settings, overwrite=False) as finished: ...

`config.json` says what the run is, `results.json`, written last, that it is done.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np
from filelock import FileLock, Timeout

ROOT = Path(__file__).parent.parent
HIDDEN = ("data_dir", "out", "overwrite")  # settings that say where a run lies, not what it is


class RunError(ValueError):
    """The run cannot go on; the message is one sentence that says what to do."""


class DivergedError(RunError):
    """The loss is not a number any more."""


# ---------------------------------------------------------------------------------------------------------------------
# What a run is


def settings(config: Any) -> dict:
    """Every setting that the numbers depend on."""
    return {field: value for field, value in dataclasses.asdict(config).items() if field not in HIDDEN}


def changed(config: Any, named: Mapping[str, Any]) -> tuple[str, dict]:
    """The nearest of the named settings, and what differs from them: what one types to run this again."""
    ours = settings(config)
    differences = {
        known: {field: value for field, value in ours.items() if value != getattr(defaults, field)}
        for known, defaults in named.items()
    }
    nearest = min(differences, key=lambda known: len(differences[known]))
    return nearest, differences[nearest]


def command(script: str, config: Any, named: Mapping[str, Any]) -> str:
    """The command line that makes these settings; the first of the named ones is the default."""
    known, differences = changed(config, named)
    options = ({"config": known} if known != next(iter(named)) else {}) | differences
    flags = [f"--{name.replace('_', '-')}{written(value)}" for name, value in options.items()]
    return " ".join([f"python {script}", *flags])


def written(value: object) -> str:
    """What follows the name of an option."""
    if value is True:
        return ""
    return "".join(f" {one}" for one in (value if isinstance(value, tuple) else (value,)))


def folder_name(parts: Sequence[str], differences: Mapping[str, Any]) -> str:
    """`parts`, and each setting that differs as `name=value`, in letters that every system takes."""
    return re.sub(r"[^\w.=+-]", ".", "-".join([*parts, *(f"{name}={value}" for name, value in differences.items())]))


def commit() -> str:
    """The commit of the code that runs, with a + where files differ from it; empty outside a checkout."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--", "clusterjax", "experiments")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def code(*functions: Callable) -> str:
    """A digest of the code that makes the numbers: the two packages, and the files of functions from elsewhere."""
    files = {path for package in ("clusterjax", "experiments") for path in (ROOT / package).rglob("*.py")}
    files |= {file for function in functions if (file := source(function))}
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def source(function: Callable) -> Path | None:
    """The file that a function was written in, where there is one."""
    while isinstance(function, partial):
        function = function.func
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:  # built in, or an object that can be called
        file = inspect.getsourcefile(type(function)) if type(function).__module__ != "builtins" else None
    return Path(file) if file else None


def device() -> str:
    """What it runs on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{jax.devices()[0].device_kind}, {platform.machine()}, {cores} cores"


# ---------------------------------------------------------------------------------------------------------------------
# Where it lies


@contextmanager
def open_run(folder: Path, about: dict, *, overwrite: bool) -> Iterator[dict]:
    """Hold the folder of a run: a new one, or one to go on with.

    Args:
        folder: made if it is not there.
        about: the settings, with `experiment`, and `code`, the digest of what makes the numbers.
        overwrite: another run of this experiment that is there is deleted.

    Yields:
        What `config.json` says; of a finished run what `results.json` says, and then nothing was written.

    Raises:
        RunError: the folder holds something else, another run, or one that is being written by another process.
    """
    folder = folder.absolute()
    if any(letter in part for part in folder.parts[1:] for letter in "[\\"):
        raise RunError(f"{folder} cannot hold checkpoints, as its name has a [ or a \\ in it; give another --out.")
    found = read_json(folder / "config.json")
    ours = found.get("experiment") == about["experiment"]
    if not ours and folder.exists() and (not folder.is_dir() or set(os.listdir(folder)) - {"lock"}):
        raise RunError(f"{folder} is not empty and holds no run of this experiment; give another --out.")
    if ours and not overwrite:
        finished = read_json(folder / "results.json")
        refuse_other(folder, about, found, finished=bool(finished))
        if finished:
            yield finished
            return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            if ours and overwrite:
                empty(folder)
            about = about if overwrite or not ours else found
            write(folder / "config.json", json.dumps(about, indent=1) + "\n")
            yield about
    except Timeout as error:
        raise RunError(f"{folder} is being written by another process; wait for it, or give another --out.") from error


def refuse_other(folder: Path, about: dict, found: dict, *, finished: bool) -> None:
    """One sentence where what is there is not what was asked for."""
    told = ("commit", "code")
    other = [f for f in sorted(about | found) if about.get(f) != found.get(f) and f not in told]
    if other:
        changes = ", ".join(f"{field} {found.get(field)!r}, not {about.get(field)!r}" for field in other)
        raise RunError(
            f"{folder} holds a run with other settings ({changes}); give another --out, or --overwrite to delete it."
        )
    if found.get("code") != about["code"]:
        state = "finished" if finished else "begun"
        raise RunError(
            f"{folder} holds a run that was {state} by other code (commit {found.get('commit') or 'unknown'}); "
            "give another --out, or --overwrite to delete it."
        )


def empty(folder: Path) -> None:
    """Delete what a run left, but for the lock that is held."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()


def read_json(path: Path) -> dict:
    """What a file says, nothing where there is no file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise RunError(f"{path} is damaged; delete its folder, or give another --out.") from error
    return value if isinstance(value, dict) else {}


def write(path: Path, text: str) -> None:
    """Write whole or not at all."""
    with replacing(path) as stream:
        stream.write(text.encode())


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write whole or not at all."""
    with replacing(path) as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file of this process alone, which takes the place of `path` when all is written."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
