"""Make the result tables of the documents from the result files; no number in them is typed.

    python -m experiments.table                      # rewrite the tables
    python -m experiments.table runs/omniglot/*      # first take the finished runs there into the result files
    python -m experiments.table runs/comparison/*    # likewise what is done of a comparison

A run's rows replace those of an earlier run of the same settings, seed and data. Rows of different code are never
averaged or compared.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from clusterjax import fewshot
from experiments import losses
from experiments.comparison import ledger
from experiments.comparison import tables as comparison
from experiments.configs import CONFIGS
from experiments.messages import markdown

ROOT = Path(__file__).parent
RESULTS = ROOT / "results"
# Benchmarks that are looked at, not read.
PICTURED = ("growth", "shapes")
COLUMNS = (
    ("5-way 1-shot", "accuracy", 5, 1),
    ("5-way 5-shot", "accuracy", 5, 5),
    ("20-way 1-shot", "accuracy", 20, 1),
    ("20-way 5-shot", "accuracy", 20, 5),
    ("20-way 1-shot, one alphabet", "within_alphabet_accuracy", 20, 1),
)
REFERENCE = "prototypical"  # every loss is compared with this one, on the same batches and the same episodes
OF_THE_LOSS = ("loss", *losses.OPTIONS)
OF_THE_RUN = ("run", "seed", "train_seconds", "command", "device", "jax")
OF_THE_ROW = ("measure", "way", "shot", "queries", "value", "ci95")


class TableError(ValueError):
    """The tables cannot be made; the message is one sentence that says what to do."""


def read(experiment: str) -> list[dict]:
    """All rows of an experiment."""
    file = RESULTS / f"{experiment}.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def collect(folders: Sequence[Path]) -> None:
    """Take finished runs into the result files: their rows, and each episode's accuracy for paired comparisons."""
    for folder in folders:
        if not (folder / "results.json").exists():
            if (folder / "results.jsonl").exists():
                collect_comparison(folder)
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


def collect_comparison(folder: Path) -> None:
    """Take in what is done of a comparison, which need not be all of it."""
    runs = ledger.by_run(read("comparison")) | ledger.by_run(ledger.read(folder / "results.jsonl"))
    text = "".join(json.dumps(row) + "\n" for rows in runs.values() for row in rows)
    (RESULTS / "comparison.jsonl").write_text(text, encoding="utf-8")


def compared(dataset: str, **chosen: object) -> list[dict]:
    """Rows of a comparison."""
    return [row for row in read("comparison") if {"dataset": dataset, **chosen}.items() <= row.items()]


# ---------------------------------------------------------------------------------------------------------------------
# Which rows belong together


def common(row: Mapping) -> dict:
    """All that two losses must share to be compared: data, batches, budget, episodes, code."""
    return {field: value for field, value in row.items() if field not in OF_THE_LOSS + OF_THE_RUN + OF_THE_ROW}


def group(rows: Sequence[dict]) -> list[list[dict]]:
    """Rows of the runs that differ in nothing but their seed; the longest and then the best first."""
    groups: dict[str, list[dict]] = {}
    for row in rows:
        of_the_loss = {field: row.get(field) for field in OF_THE_LOSS}
        groups.setdefault(json.dumps([common(row), of_the_loss], sort_keys=True), []).append(row)
    best = {key: fmean(r["value"] for r in members) for key, members in groups.items()}
    return [groups[key] for key in sorted(groups, key=lambda key: (-groups[key][0]["steps"], -best[key]))]


def labels(groups: Sequence[Sequence[dict]]) -> list[str]:
    """What each group is called: its loss with its options, and whatever else tells it from a namesake."""
    names = []
    for members in groups:
        first = members[0]
        options = [f"{field} {shown(first[field])}" for field in OF_THE_LOSS[1:] if first.get(field) is not None]
        names.append(", ".join([first["loss"].rpartition(":")[2], *options]))
    told = []
    for members, name in zip(groups, names, strict=True):
        namesakes = [common(other[0]) for other, theirs in zip(groups, names, strict=True) if theirs == name]
        ours = common(members[0])
        differing = [field for field in ours if any(other.get(field) != ours[field] for other in namesakes)]
        others = [f"{field} {shown(ours[field])}" for field in differing if field not in ("steps", "dataset", "split")]
        told.append(", ".join([name, *others]))
    return told


def shown(value: object) -> str:
    """A setting in few letters."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_named(row: Mapping) -> bool:
    """Whether the row is of one of the named settings, with any loss, seed and data."""
    free = ("experiment", "dataset", "split", "commit", "encoder", *(() if row["steps"] else ("steps",)))
    ours = {field: value for field, value in common(row).items() if field not in free}
    return any(
        all(getattr(config, field, None) == value for field, value in ours.items()) for config in CONFIGS.values()
    )


def values_of(members: Sequence[dict], column: tuple) -> dict[int, dict]:
    """The row of each seed."""
    return {r["seed"]: r for r in members if (r["measure"], r["way"], r["shot"]) == column[1:]}


# ---------------------------------------------------------------------------------------------------------------------
# Tables


def accuracies(groups: Sequence[Sequence[dict]]) -> str:
    """One line for each loss and training budget, and the command of each."""
    lines, commands = [], []
    for members, label in zip(groups, labels(groups), strict=True):
        first = members[0]
        minutes = fmean(r["train_seconds"] for r in members) / 60
        batch = f"{first['classes']} x {first['drawings']}"
        budget = [f"{first['steps']} of {batch}", f"{minutes:.0f}"] if first["steps"] else ["-", "-"]
        seeds = str(len({r["seed"] for r in members}))
        lines.append([label, seeds, *budget, *(cell(list(values_of(members, c).values())) for c in COLUMNS)])
        command = re.sub(r" --seed \S+", "", first["command"])
        commands.append(f"- {label}: `{command}`, commit {first['commit']}")
    head = ["trained with", "seeds", "steps", "minutes", *(column[0] for column in COLUMNS)]
    return "\n\n".join([markdown(head, lines), "Commands (seeds by `--seed`):", "\n".join(dict.fromkeys(commands))])


def cell(rows: Sequence[dict]) -> str:
    """Mean over seeds with the standard deviation between them, or one seed's value with its interval over episodes."""
    if not rows:
        return "-"
    values = [r["value"] for r in rows]
    spread = f"± {rows[0]['ci95']:.2f}" if len(values) == 1 else f"(sd {stdev(values):.2f})"
    return f"{fmean(values):.2f} {spread}"


def paired(groups: Sequence[Sequence[dict]]) -> str:
    """Each loss less the reference on the same seeds, batches and episodes, and in a sentence what that tells."""
    lines, sentences = [], []
    for members, label in zip(groups, labels(groups), strict=True):
        if members[0]["loss"] == REFERENCE or not members[0]["steps"]:
            continue
        partners = [
            other for other in groups if other[0]["loss"] == REFERENCE and common(other[0]) == common(members[0])
        ]
        plain = [other for other in partners if all(other[0].get(field) is None for field in OF_THE_LOSS[1:])]
        seeds = sorted({r["seed"] for r in members} & {r["seed"] for r in plain[0]}) if plain else []
        if seeds:
            found = {
                column[0]: difference(members, plain[0], seeds, column)
                for column in COLUMNS
                if all(set(seeds) <= values_of(rows, column).keys() for rows in (members, plain[0]))
            }
            cells = ["{:+.2f} ± {:.2f}".format(*found[column[0]]) if column[0] in found else "-" for column in COLUMNS]
            lines.append([label, str(len(seeds)), str(members[0]["steps"]), *cells])
            sentences.append(f"- {label}, {members[0]['steps']} steps: {verdict(found, len(seeds))}")
    if not lines:
        return ""
    head = [f"less {REFERENCE}", "seeds", "steps", *(column[0] for column in COLUMNS)]
    return "\n\n".join(["Paired differences in points:", markdown(head, lines), "\n".join(sentences)])


def difference(
    ours: Sequence[dict], theirs: Sequence[dict], seeds: Sequence[int], column: tuple
) -> tuple[float, float]:
    """Mean paired difference in points, and its 95 % interval: over seeds (Student's t), or episodes where one is."""
    our_rows, their_rows = values_of(ours, column), values_of(theirs, column)
    found = [fewshot.paired_difference(*(episode_result(rows[s]) for rows in (our_rows, their_rows))) for s in seeds]
    values = [100 * float(d.mean) for d in found]
    if len(values) == 1:
        return values[0], 100 * float(found[0].ci95)
    return fmean(values), comparison.half_interval(values)


def verdict(found: Mapping[str, tuple[float, float]], seeds: int) -> str:
    """What holds beyond the intervals, in words."""
    ahead = [name for name, (mean, interval) in found.items() if mean > interval]
    behind = [name for name, (mean, interval) in found.items() if -mean > interval]
    level = [name for name in found if name not in ahead + behind]
    said = [
        f"{word} at {', '.join(names)}"
        for word, names in (("ahead", ahead), ("behind", behind), ("not told apart", level))
        if names
    ]
    beyond = (
        f"beyond the noise of {seeds} seeds" if seeds > 1 else "over episodes of one seed, which says nothing of others"
    )
    return f"{'; '.join(said)} ({beyond})."


def episode_result(row: Mapping) -> fewshot.EpisodeResult:
    """The accuracy of each episode behind a row."""
    with np.load(RESULTS / "episodes" / f"{row['run']}.npz") as file:
        right = file[f"{row['measure']}-{row['way']}-{row['shot']}-{row['queries']}"]
    accuracy = right / (row["way"] * row["queries"])
    return fewshot.EpisodeResult(accuracy, accuracy.mean(), accuracy[:0])  # only differences have intervals here


def tables(rows: Sequence[dict]) -> str:
    """For each dataset and split the accuracies and the paired differences."""
    parts = []
    for dataset, split in sorted({(r["dataset"], r["split"]) for r in rows}, reverse=True):
        groups = group([r for r in rows if (r["dataset"], r["split"]) == (dataset, split)])
        parts += [f"**{dataset}, split {split}** (accuracy % on classes never seen)", accuracies(groups)]
        parts += [differences] if (differences := paired(groups)) else []
    return "\n\n".join(parts) or "Not measured yet."


def omniglot() -> str:
    """The named settings."""
    return tables([row for row in read("omniglot") if is_named(row)])


def tries() -> str:
    """Everything else that was run."""
    return tables([row for row in read("omniglot") if not is_named(row)])


def unseen() -> str:
    """The answer of the comparison, without its table."""
    groups = comparison.groups(compared("cifar100", regime="head on frozen features", dim=16))
    return "\n\n".join(comparison.best(group) for group in groups) or "Not measured yet."


def million() -> str:
    """The one number: a million points exactly, and what all pairs would take."""
    lines = (ROOT.parent / "benchmarks" / "results" / "past_all_pairs.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    measured = {row["what"]: row for row in rows if (row["n"], row["data"]) == (1_000_000, "blobs, 1000 clusters")}
    ours, peer = measured["clusterjax"], measured["scikit-learn"]
    return (
        f"The exact silhouette of a million points (64 features, 1 000 clusters) takes {ours['seconds']:.0f} s and "
        f"{ours['peak_megabytes'] / 1000:.1f} GB ({ours['device']}), where all pairs take scikit-learn "
        f"{peer['seconds'] / 3600:.0f} hours: [why](docs/beyond.md)."
    )


def benchmarks() -> str:
    """A table for each file under `benchmarks/results/`, as measured; of some the docs have a picture."""
    parts = []
    files = sorted((ROOT.parent / "benchmarks" / "results").glob("*.jsonl"))
    for file in (file for file in files if file.stem not in PICTURED):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        where = ("device", "jax")
        columns = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in where]
        head = [key.replace("_", " ") for key in columns]
        place = f"`python -m benchmarks.{file.stem.removesuffix('.gpu')}` on {rows[0]['device']}, jax {rows[0]['jax']}:"
        parts += [place, markdown(head, [[written(row.get(key)) for key in columns] for row in rows])]
    return "\n\n".join(parts) or "Not measured yet."


def written(value: object) -> str:
    """A cell: numbers to three digits, nothing where nothing was measured."""
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


# Which document shows which tables.
DOCUMENTS: dict[Path, dict[str, Callable[[], str]]] = {
    ROOT.parent / "README.md": {"million": million, "omniglot": omniglot, "unseen": unseen, "benchmarks": benchmarks},
    ROOT.parent / "docs" / "results.md": {"tries": tries},
    ROOT.parent / "docs" / "unseen.md": {
        "cifar100": lambda: comparison.comparison(compared("cifar100", regime="head on frozen features")),
        "settings": lambda: comparison.settings(compared("cifar100", regime="head on frozen features")),
        "scratch": lambda: comparison.comparison(compared("cifar100", regime="from scratch")),
        "speakers": lambda: comparison.comparison(compared("speakers")),
    },
}


def rewrite(text: str, sections: Mapping[str, Callable[[], str]]) -> str:
    """Fill each `<!-- results: name -->` ... `<!-- end -->` of a Markdown text."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines: list[str] = []
    inside = None
    seen = []
    for line in text.split(end):
        begins = re.fullmatch(r"\s*<!--\s*results:\s*(.*?)\s*-->\s*", line)
        closes = line.strip() == "<!-- end -->"
        if begins and begins[1] not in sections:
            raise TableError(f"there is no section {begins[1]!r}; there are {', '.join(sections)}")
        if inside and begins:
            raise TableError(f"the section {inside!r} has no <!-- end -->")
        if begins:
            inside = begins[1]
            seen.append(inside)
            lines += [line, *sections[inside]().split("\n")]
        elif closes:
            inside = None
        if not inside:
            lines.append(line)
    if inside:
        raise TableError(f"the section {inside!r} has no <!-- end -->")
    if missing := set(sections) - set(seen):
        raise TableError(f"there is no <!-- results: {' -->, <!-- results: '.join(sorted(missing))} -->")
    return end.join(lines)


def main(folders: Sequence[str]) -> int:
    """Take in the runs, and rewrite every document, or none."""
    collect([Path(folder) for folder in folders])
    texts = {}
    for document, sections in DOCUMENTS.items():
        try:
            texts[document] = rewrite(document.read_bytes().decode(), sections)
        except TableError as error:
            print(f"{document}: {error}; nothing was rewritten.", file=sys.stderr)
            return 2
    for document, text in texts.items():
        document.write_bytes(text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
