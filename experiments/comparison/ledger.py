"""The rows of all runs of a comparison, one file; a run that is in it is not run again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from experiments.runs import RunError, write

# What a row says that does not make its run another one.
TOLD = (
    "measure", "value", "ci95", "way", "shot", "queries", "episodes", "judged_by", "width", "train_seconds", "commit",
    "device", "jax", "command",
)  # fmt: skip


def identity(row: Mapping) -> str:
    """What makes a run the one it is: all its settings."""
    return json.dumps({key: value for key, value in sorted(row.items()) if key not in TOLD})


def read(path: Path) -> list[dict]:
    """All rows."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        rows = [json.loads(line) for line in lines]
        whole = all(isinstance(row, dict) and {"loss", "seed", "measure", "value"} <= row.keys() for row in rows)
    except ValueError:
        rows, whole = [], False
    if not whole:
        raise RunError(f"{path} is damaged; delete all lines of the run that is broken, and it is run again.")
    return rows


def by_run(rows: Iterable[dict]) -> dict[str, list[dict]]:
    """The rows of each run by its identity."""
    found: dict[str, list[dict]] = {}
    for row in rows:
        found.setdefault(identity(row), []).append(row)
    return found


def append(path: Path, rows: Sequence[Mapping]) -> None:
    """A run's rows, all or none of them."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    write(path, text + "".join(json.dumps(row) + "\n" for row in rows))
