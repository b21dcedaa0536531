"""The rows of all runs of a comparison, one file that only grows; a run that is in it is not run again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from experiments.runs import RunError

# What a row says that does not make its run another one.
TOLD = (
    "measure", "value", "ci95", "way", "shot", "queries", "episodes", "judged_by", "width", "train_seconds", "commit",
    "device", "jax", "command",
)  # fmt: skip


def identity(row: Mapping) -> str:
    """What makes a run the one it is: all its settings."""
    return json.dumps({key: value for key, value in sorted(row.items()) if key not in TOLD})


def read(path: Path) -> list[dict]:
    """All rows, but for a last line that was being written when the command was killed, which is cut off."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise RunError(f"{path} is damaged; delete its broken line, and that run is run again.") from error


def by_run(rows: Iterable[dict]) -> dict[str, list[dict]]:
    """The rows of each run by its identity."""
    found: dict[str, list[dict]] = {}
    for row in rows:
        found.setdefault(identity(row), []).append(row)
    return found


def append(path: Path, rows: Sequence[Mapping]) -> None:
    """A run's rows at once."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write("".join(json.dumps(row) + "\n" for row in rows))
