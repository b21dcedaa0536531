"""Where a long computation stands, on stderr: a bar of rich's if that is installed, else lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def bar(what: str, total: int, shown: bool) -> Iterator[Callable[[str], None]]:
    """A function to call after each of so many steps, with what to say of it from now on."""
    if not shown:
        yield lambda _: None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        said = [""]

        def line(text: str) -> None:
            if text != said[0]:
                print(f"{what}{text}", file=sys.stderr)
                said[0] = text

        yield line
        return
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda text: progress.update(task, advance=1, description=f"{what}{text}")


def tracked(items: Sequence[Item], what: str, shown: bool) -> Iterator[Item]:
    """The items, one after the other, with a bar where it is wanted."""
    with bar(what, len(items), shown) as step:
        for place, item in enumerate(items, 1):
            yield item
            step(f": {place} of {len(items)}")
