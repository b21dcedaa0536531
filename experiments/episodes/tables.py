"""The tables of a result file: accuracies of each loss, and paired differences.

Rows of different code are never averaged or compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

import numpy as np

from clusterjax import fewshot
from experiments import collected, losses
from experiments.comparison.tables import half_interval
from experiments.episodes.settings import CONFIGS
from experiments.messages import markdown

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
    return fmean(values), half_interval(values)


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
    with np.load(collected.RESULTS / "episodes" / f"{row['run']}.npz") as file:
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
