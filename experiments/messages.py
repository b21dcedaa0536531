"""What a user is told, and how."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def say(line: str) -> None:
    """One line to the user, apart from the results on standard output."""
    print(line, file=sys.stderr, flush=True)


def first_line(error: Exception) -> str:
    """What fits into one sentence of a message that may be a page long, or the error's kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines])
