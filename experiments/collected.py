"""The committed result files: a row a run and measure, and of few-shot runs the accuracy of each episode.

A run's rows replace those of an earlier run of the same settings, seed and data.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from experiments.comparison import ledger
from experiments.messages import say
from experiments.runs import RunError, write

RESULTS = Path(__file__).parent / "results"


def read(experiment: str) -> list[dict]:
    """All rows of an experiment."""
    return ledger.read(RESULTS / f"{experiment}.jsonl")


def add(folders: Sequence[Path]) -> None:
    """Take runs into the result files: their rows, and each episode's accuracy for paired comparisons.

    Raises:
        RunError: one of them is no folder, or what it holds is damaged.
    """
    for folder in folders:
        if not folder.is_dir():
            raise RunError(f"{folder} is no folder of a run.")
        if (folder / "results.json").exists():
            add_episodes(folder)
        elif (folder / "results.jsonl").exists():
            add_comparison(folder)
        else:
            say(f"{folder} holds no finished run; left out.")


def add_episodes(folder: Path) -> None:
    """Take in a finished run of few-shot episodes."""
    new = ledger.read(folder / "results.jsonl")
    if not new or not (folder / "episodes.npz").exists():
        raise RunError(f"{folder} has lost its results.jsonl or its episodes.npz; run it again with --overwrite.")
    experiment, run = new[0]["experiment"], new[0]["run"]
    old = [row for row in read(experiment) if row["run"] == run]
    if old and old != new:
        say(f"{folder} replaces the rows of {run} (commit {old[0]['commit']}).")
    kept = [row for row in read(experiment) if row["run"] != run]
    (RESULTS / "episodes").mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "episodes.npz", RESULTS / "episodes" / f"{run}.npz")
    # stable: a run's rows stay in their order
    keep(experiment, sorted([*kept, *new], key=lambda row: row["run"]))


def add_comparison(folder: Path) -> None:
    """Take in what is done of a comparison, which need not be all of it."""
    runs = ledger.by_run(read("comparison")) | ledger.by_run(ledger.read(folder / "results.jsonl"))
    keep("comparison", [row for rows in runs.values() for row in rows])


def keep(experiment: str, rows: Sequence[dict]) -> None:
    """All rows of an experiment, in the place of those that were there."""
    write(RESULTS / f"{experiment}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
