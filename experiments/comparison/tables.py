"""The comparison as tables: means over splits and seeds, paired differences, and what each loss was given."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median, stdev

from scipy.stats import t as student

from experiments import losses
from experiments.messages import markdown

REFERENCE = "silhouette"  # every loss is compared with this one, on the same splits, first weights and batches
# Losses that are, or have in them, an index of how good a clustering is.
VALIDITY = (
    "silhouette",
    "silhouette_ratio",
    "silhouette_and_nca",
    "silhouette_and_softmax",
    "simplified_silhouette",
    "davies_bouldin",
    "calinski_harabasz",
    "dunn",
    "xie_beni",
)
COLUMNS = {
    "MAP@R": ("map_at_r", None),
    "recall@1": ("recall_at_1", None),
    "kNN": ("knn_accuracy", None),
    "NMI": ("nmi", None),
    "AMI": ("ami", None),
    "ARI": ("ari", None),
    "matched": ("matched_accuracy", None),
    "1-shot": ("accuracy", 1),
    "5-shot": ("accuracy", 5),
    "silhouette": ("silhouette", None),
}
COMPARED = ("MAP@R", "recall@1", "NMI", "ARI", "1-shot", "5-shot")
CHOSEN = {"k by silhouette": "k_by_silhouette", "k by gap": "k_by_gap"}

Runs = dict[tuple[str, int], float]  # of a split and a seed


def name(row: dict) -> str:
    """What a loss is called."""
    return row["loss"].rpartition(":")[2]


def values(rows: Sequence[dict], loss: str, column: tuple[str, int | None]) -> Runs:
    """What each run found."""
    measure, shot = column
    ours = [r for r in rows if name(r) == loss and (r["measure"], r.get("shot")) == (measure, shot)]
    ours = [r for r in ours if r.get("code") == ours[-1].get("code")]  # a loss of one's own as it is now
    return {(r["split"], r["seed"]): r["value"] for r in ours}


def half_interval(found: Sequence[float]) -> float:
    """Half of Student's 95 % interval of the mean."""
    return float(student.ppf(0.975, len(found) - 1)) * stdev(found) / len(found) ** 0.5


def kind(split: str) -> str:
    """What splits that differ in their number only have in common: unseen0 and unseen1 are averaged over, fc100 not."""
    return split.rstrip("0123456789")


def groups(rows: Sequence[dict]) -> list[list[dict]]:
    """Rows that can be compared: all that the losses are given is the same, but for what each chose by itself."""
    given = "dataset", "regime", "encoder", "dim", "side", "stage", "test_images"

    def shared(row: dict) -> tuple:
        return kind(row["split"]), *(row.get(key) for key in given)

    def budget(row: dict) -> tuple:
        return row["steps"], row.get("trials")

    def belong(row: dict, to: dict) -> bool:
        return shared(row) == shared(to) and (row["phase"] == "reference" or budget(row) == budget(to))

    tested = [row for row in rows if row["phase"] == "test"]
    firsts = {(shared(row), budget(row)): row for row in reversed(tested)}
    return [[r for r in rows if r["phase"] != "trial" and belong(r, first)] for first in reversed(firsts.values())]


def comparison(rows: Sequence[dict]) -> str:
    """Every table of every group."""
    parts = []
    for group in groups(rows):
        first = next(r for r in group if r["phase"] == "test")
        splits = ", ".join(dict.fromkeys(r["split"] for r in group))
        way = next(r["way"] for r in group if "way" in r)
        length = f"{first['dim']}-d" if "dim" in first else "as long as the network gives it"
        parts += [
            f"**{first['dataset']}, {first['encoder']}, {first['regime']}, {length}** ({splits}; "
            f"{first['steps']} steps; {way}-way episodes; all in %)",
            means(group),
            origin(group),
        ]
        parts += [f"Less {REFERENCE}, run by run:", differences(group), best(group)] if has_pairs(group) else []
    return "\n\n".join(parts) or "Not measured yet."


def origin(group: Sequence[dict]) -> str:
    """The commands that made the rows, and the code they ran."""
    made = dict.fromkeys((row["command"], row["commit"], row["device"]) for row in group)
    return "\n".join(f"- `{command}`, commit {commit}, on {device}" for command, commit, device in made)


def means(group: Sequence[dict]) -> str:
    """A line a loss, best MAP@R first: means over runs with half a 95 % interval, and what a step costs."""
    order = ranked(group)
    lines = []
    for loss in order:
        found = [list(values(group, loss, column).values()) for column in COLUMNS.values()]
        ks = [list(values(group, loss, (measure, None)).values()) for measure in CHOSEN.values()]
        ours = [r for r in group if name(r) == loss]
        lines.append(
            [
                f"*{loss}*" if ours[0]["phase"] == "reference" else loss,
                str(len(found[0])),
                *(cell(one) for one in found),
                *(" ".join(f"{k:.0f}" for k in one) or "-" for one in ks),
                cost(ours),
            ]
        )
    return markdown(["trained with", "runs", *COLUMNS, *CHOSEN, "ms a step"], lines)


def ranked(group: Sequence[dict]) -> list[str]:
    """The names of the losses, best MAP@R first."""
    names = dict.fromkeys(name(r) for r in group)
    return sorted(names, key=lambda loss: -fmean(values(group, loss, COLUMNS["MAP@R"]).values()))


def cell(found: Sequence[float]) -> str:
    """Mean and interval, or the one value."""
    if not found:
        return "-"
    return f"{fmean(found):.1f}" + (f" ± {half_interval(found):.1f}" if len(found) > 1 else "")


def cost(rows: Sequence[dict]) -> str:
    """Milliseconds of a step; the first seed's run compiled as well, so the others tell where there are any."""
    seconds = {(r["split"], r["seed"]): r["train_seconds"] for r in rows if r["steps"]}
    later = [s for (_, seed), s in seconds.items() if seed] or list(seconds.values())
    return f"{1000 * median(later) / rows[0]['steps']:.1f}" if later else "-"


def has_pairs(group: Sequence[dict]) -> bool:
    """Whether there are runs to compare with."""
    return len(values(group, REFERENCE, COLUMNS["MAP@R"])) > 1


def paired(group: Sequence[dict], loss: str, other: str, column: str) -> list[float]:
    """Differences of runs on the same split with the same seed."""
    ours, theirs = (values(group, one, COLUMNS[column]) for one in (loss, other))
    return [ours[run] - theirs[run] for run in ours if run in theirs]


def differences(group: Sequence[dict]) -> str:
    """Each loss less the reference; bold where the interval leaves out zero."""
    lines = []
    for loss in ranked([row for row in group if row["phase"] == "test"]):
        if loss != REFERENCE and len(paired(group, loss, REFERENCE, COMPARED[0])) > 1:
            lines.append([loss, *(difference(paired(group, loss, REFERENCE, column)) for column in COMPARED)])
    return markdown([f"less {REFERENCE}", *COMPARED], lines)


def difference(found: Sequence[float]) -> str:
    """Mean and interval, where there are runs of both."""
    if len(found) < 2:
        return "-"
    text = f"{fmean(found):+.2f} ± {half_interval(found):.2f}"
    return f"**{text}**" if abs(fmean(found)) > half_interval(found) else text


def best(group: Sequence[dict]) -> str:
    """The question of the whole experiment, answered in a sentence for each of two measures."""
    said = []
    for column in ("MAP@R", "NMI"):
        trained = {name(r) for r in group if r["phase"] == "test" and r["measure"] == COLUMNS[column][0]}
        order = sorted(trained, key=lambda loss: -fmean(values(group, loss, COLUMNS[column]).values()))
        ours = next((loss for loss in order if loss in VALIDITY), None)
        theirs = next((loss for loss in order if loss not in VALIDITY), None)
        if ours and theirs and len(found := paired(group, ours, theirs, column)) > 1:
            mean, half = fmean(found), half_interval(found)
            verdict = "not told apart" if abs(mean) <= half else "ahead" if mean > 0 else "behind"
            said.append(
                f"- {column}: the best loss with a validity index is {ours}, the best other {theirs}; the first less "
                f"the second {mean:+.2f} ± {half:.2f}: {verdict}."
            )
    return "\n".join(said)


def settings(rows: Sequence[dict]) -> str:
    """What each loss chose on the validation classes of each split."""
    lines = []
    for group in groups(rows):
        tested = [r for r in group if r["phase"] == "test"]
        for loss in dict.fromkeys(name(r) for r in tested):
            ours = [r for r in tested if name(r) == loss]
            by_split = {r["split"]: r for r in ours}
            settings = "; ".join(dict.fromkeys(map(chosen, by_split.values())))
            lines.append([loss, ", ".join(by_split), str(ours[0]["dim"]), settings])
    return markdown(["loss", "splits", "d", "chosen, one a split where they differ"], lines)


def chosen(row: dict) -> str:
    """Rate, batch, and whatever else differs from the defaults."""
    own = [f"{option} {row[option]}" for option in losses.OPTIONS if row.get(option) is not None]
    unit = ["unit length"] if row["normalize"] else [f"judged by {row['judged_by']}"]
    return ", ".join([f"{row['learning_rate']:g}", f"{row['classes']} x {row['drawings']}", *own, *unit])
