"""How every command begins and ends, and what it says while it runs."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.data import DataError
from experiments.messages import say
from experiments.runs import RunError

EVERY = 30.0  # seconds between two lines where there is no terminal to draw a bar on


def run(script: str, goes_on: str, work: Callable[[Console], None]) -> int:
    """Do the work; what a user can mend becomes one sentence, and the exit status that is returned.

    Args:
        script: the command's name.
        goes_on: what the same command does when it is started again.
        work: given the console to write to.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a locale may not have the letters of a table
    jax.config.update("jax_enable_x64", False)  # whatever the environment says
    try:
        work(Console(markup=False, highlight=False))
    except (DataError, RunError) as error:
        say(f"{script}: {error}")
        return 2
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        say(f"{script}: {what}; with that mended the same command {goes_on}.")
        return 2
    except KeyboardInterrupt:
        say(f"{script}: stopped; the same command {goes_on}.")
        return 130
    return 0


@contextmanager
def progress(console: Console, total: int) -> Iterator[Callable[[str, int], None]]:
    """A function to be told what is being done and how much of `total` is; a log has a line of it now and then."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        last = time.monotonic()

        def tell(text: str, done: int) -> None:
            nonlocal last
            bar.update(task, description=text, completed=done)
            if not console.is_terminal and time.monotonic() - last > EVERY:
                say(f"{done} of {total}: {text}")
                last = time.monotonic()

        yield tell
