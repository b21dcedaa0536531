"""The committed result files: a row a run and measure, and of few-shot runs the accuracy of each episode.

A run's rows replace those of an earlier run of the same settings, seed and data.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.comparison import ledger

RESULTS = Path(__file__).parent / "results"


def read(experiment: str) -> list[dict]:
    """All rows of an experiment."""
    file = RESULTS / f"{experiment}.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def add(folders: Sequence[Path]) -> None:
    """Take finished runs into the result files: their rows, and each episode's accuracy for paired comparisons."""
    for folder in folders:
        if not (folder / "results.json").exists():
            if (folder / "results.jsonl").exists():
                add_comparison(folder)
            else:
                print(f"{folder} holds no finished run; left out.", file=sys.stderr)
            continue
        new = [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
        experiment, run = new[0]["experiment"], new[0]["run"]
        old = [row for row in read(experiment) if row["run"] == run]
        if old and old != new:
            print(f"{folder} replaces the rows of {run} (commit {old[0]['commit']}).", file=sys.stderr)
        kept = [row for row in read(experiment) if row["run"] != run]
        rows = sorted([*kept, *new], key=lambda row: row["run"])  # stable: a run's rows stay in their order
        (RESULTS / "episodes").mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "episodes.npz", RESULTS / "episodes" / f"{run}.npz")
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (RESULTS / f"{experiment}.jsonl").write_text(text, encoding="utf-8")


def add_comparison(folder: Path) -> None:
    """Take in what is done of a comparison, which need not be all of it."""
    runs = ledger.by_run(read("comparison")) | ledger.by_run(ledger.read(folder / "results.jsonl"))
    text = "".join(json.dumps(row) + "\n" for rows in runs.values() for row in rows)
    (RESULTS / "comparison.jsonl").write_text(text, encoding="utf-8")
