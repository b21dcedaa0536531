"""Make the result tables of README from the result files; no number in them is typed.

    python -m experiments.table                      # rewrite the tables
    python -m experiments.table runs/omniglot/*      # first take the finished runs there into the result files

A run's rows replace those of an earlier run with the same name.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from clusterjax import fewshot

ROOT = Path(__file__).parent
RESULTS = ROOT / "results"
README = ROOT.parent / "README.md"
COLUMNS = (
    ("5-way 1-shot", "accuracy", 5, 1),
    ("5-way 5-shot", "accuracy", 5, 5),
    ("20-way 1-shot", "accuracy", 20, 1),
    ("20-way 5-shot", "accuracy", 20, 5),
    ("20-way 1-shot, one alphabet", "within_alphabet_accuracy", 20, 1),
)
REFERENCE = "prototypical"  # every loss is compared with this one, on the same batches and the same episodes


def read(experiment: str) -> list[dict]:
    """All rows of an experiment."""
    file = RESULTS / f"{experiment}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def collect(folders: Sequence[Path]) -> None:
    """Take finished runs into the result files: their rows, and each episode's accuracy for paired comparisons."""
    for folder in folders:
        file = folder / "results.jsonl"
        if not (folder / "results.json").exists():
            print(f"{folder} holds no finished run; left out.", file=sys.stderr)
            continue
        new = [json.loads(line) for line in file.read_text().splitlines()]
        kept = [row for row in read(new[0]["experiment"]) if row["run"] != new[0]["run"]]
        rows = sorted([*kept, *new], key=lambda row: row["run"])  # stable: a run's rows stay in their order
        (RESULTS / "episodes").mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "episodes.npz", RESULTS / "episodes" / f"{new[0]['run']}.npz")
        (RESULTS / f"{new[0]['experiment']}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def group(rows: Sequence[dict]) -> dict[str, list[dict]]:
    """Rows of the runs that differ in nothing but their seed, by the command without it."""
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(re.sub(r" --seed \d+", "", row["command"]), []).append(row)
    return groups


def cell(rows: Sequence[dict], column: tuple) -> str:
    """Mean over seeds with the standard deviation between them, or one seed's value with its interval over episodes."""
    found = [r for r in rows if (r["measure"], r["way"], r["shot"]) == column[1:]]
    if not found:
        return "-"
    values = [r["value"] for r in found]
    spread = f"± {found[0]['ci95']:.2f}" if len(values) == 1 else f"(sd {stdev(values):.2f})"
    return f"{fmean(values):.2f} {spread}"


def accuracies(rows: Sequence[dict]) -> str:
    """One line for each loss and training budget."""
    head = ["trained with", "seeds", "steps", "minutes", *(column[0] for column in COLUMNS)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    groups = group(rows)
    for members in sorted(groups.values(), key=lambda members: (-members[0]["steps"], members[0]["loss"])):
        first = members[0]
        seeds = len({r["seed"] for r in members})
        minutes = fmean(r["train_seconds"] for r in members) / 60
        trained = (
            [f"{first['steps']} x {first['classes'] * first['drawings']}", f"{minutes:.0f}"]
            if first["steps"]
            else ["-", "-"]
        )
        lines.append(
            "| " + " | ".join([first["loss"], str(seeds), *trained, *(cell(members, c) for c in COLUMNS)]) + " |"
        )
    commands = [f"- `{command}`" for command in groups]
    return "\n".join([*lines, "", "Commands (seeds by `--seed`):", "", *sorted(commands)])


def paired(rows: Sequence[dict]) -> str:
    """Each loss less the reference, on the same seeds, batches and episodes."""
    head = ["less prototypical", "seeds", "steps", *(column[0] for column in COLUMNS)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    groups = group(rows)
    for members in groups.values():
        first = members[0]
        if first["loss"] == REFERENCE or not first["steps"]:
            continue
        same = ("dataset", "split", "steps", "classes", "drawings", "train_on")
        partners = [r for r in rows if r["loss"] == REFERENCE and all(r[f] == first[f] for f in same)]
        seeds = sorted({r["seed"] for r in members} & {r["seed"] for r in partners})
        if seeds:
            cells = [difference(members, partners, seeds, column) for column in COLUMNS]
            lines.append("| " + " | ".join([first["loss"], str(len(seeds)), str(first["steps"]), *cells]) + " |")
    return "\n".join(lines) if len(lines) > 2 else ""


def difference(ours: Sequence[dict], theirs: Sequence[dict], seeds: Sequence[int], column: tuple) -> str:
    """Mean paired difference in points, with its interval over episodes, or over seeds where there are several."""
    differences = []
    for seed in seeds:
        pair = [
            next((r for r in rows if r["seed"] == seed and (r["measure"], r["way"], r["shot"]) == column[1:]), None)
            for rows in (ours, theirs)
        ]
        if None in pair:
            return "-"
        differences.append(fewshot.paired_difference(*(episode_result(row) for row in pair if row)))
    values = [100 * float(d.mean) for d in differences]
    spread = f"± {100 * float(differences[0].ci95):.2f}" if len(values) == 1 else f"(sd {stdev(values):.2f})"
    return f"{fmean(values):+.2f} {spread}"


def episode_result(row: dict) -> fewshot.EpisodeResult:
    """The accuracy of each episode behind a row."""
    with np.load(RESULTS / "episodes" / f"{row['run']}.npz") as file:
        right = file[f"{row['measure']}-{row['way']}-{row['shot']}-{row['queries']}"]
    accuracy = right / (row["way"] * row["queries"])
    return fewshot.EpisodeResult(accuracy, accuracy.mean(), 1.96 * accuracy.std(ddof=1) / len(accuracy) ** 0.5)


def omniglot() -> str:
    """The Omniglot section: a table for each dataset and split, and the paired differences."""
    rows = read("omniglot")
    parts = []
    for dataset, split in sorted({(r["dataset"], r["split"]) for r in rows}, reverse=True):
        chosen = [r for r in rows if (r["dataset"], r["split"]) == (dataset, split)]
        parts += [f"**{dataset}, split {split}** (accuracy % on classes never seen)", accuracies(chosen)]
        if differences := paired(chosen):
            parts += ["Paired differences in points:", differences]
    return "\n\n".join(parts) or "Not measured yet."


def benchmarks() -> str:
    """A table for each file under `benchmarks/results/`, as measured."""
    parts = []
    for file in sorted((ROOT.parent / "benchmarks" / "results").glob("*.jsonl")):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        where = ("device", "jax")
        columns = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in where]
        lines = ["| " + " | ".join(key.replace("_", " ") for key in columns) + " |", "|---" * len(columns) + "|"]
        lines += ["| " + " | ".join(written(row.get(key)) for key in columns) + " |" for row in rows]
        place = f"`python -m benchmarks.{file.stem}` on {rows[0]['device']}, jax {rows[0]['jax']}:"
        parts += [place, "\n".join(lines)]
    return "\n\n".join(parts) or "Not measured yet."


def written(value: object) -> str:
    """A cell: numbers to three digits, nothing where nothing was measured."""
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


SECTIONS = {"omniglot": omniglot, "benchmarks": benchmarks}


def rewrite(text: str) -> str:
    """Fill each `<!-- results: name -->` ... `<!-- end -->` of a Markdown text."""
    for section, make in SECTIONS.items():
        pattern = re.compile(rf"(<!-- results: {section} -->\n).*?(<!-- end -->)", re.DOTALL)
        body = make()
        text = pattern.sub(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)
    return text


if __name__ == "__main__":
    collect([Path(argument) for argument in sys.argv[1:]])
    README.write_text(rewrite(README.read_text()))
