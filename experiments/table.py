"""Make the result tables of the documents from the result files; no number in them is typed.

python -m experiments.table                      # rewrite the tables
python -m experiments.table runs/omniglot/*      # first take the finished runs there into the result files
python -m experiments.table runs/comparison/*    # likewise what is done of a comparison
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from experiments import collected
from experiments.comparison import tables as comparison
from experiments.episodes import tables as episodes
from experiments.messages import markdown, say
from experiments.runs import RunError

ROOT = Path(__file__).parent.parent
# Benchmarks that are looked at, not read.
PICTURED = ("growth", "shapes")


class TableError(ValueError):
    """The tables cannot be made; the message is one sentence that says what to do."""


def compared(dataset: str, **chosen: object) -> list[dict]:
    """Rows of a comparison."""
    return [row for row in collected.read("comparison") if {"dataset": dataset, **chosen}.items() <= row.items()]


def omniglot() -> str:
    """The named settings."""
    return episodes.tables([row for row in collected.read("omniglot") if episodes.is_named(row)])


def tries() -> str:
    """Everything else that was run."""
    return episodes.tables([row for row in collected.read("omniglot") if not episodes.is_named(row)])


def unseen() -> str:
    """The answer of the comparison, without its table."""
    rows = compared("cifar100", regime="head on frozen features", dim=16)
    groups = comparison.groups([row for row in rows if comparison.kind(row["split"]) == "unseen"])
    return "\n\n".join(comparison.best(group) for group in groups) or "Not measured yet."


def million() -> str:
    """The one number: a million points exactly, and what all pairs would take."""
    lines = (ROOT / "benchmarks" / "results" / "past_all_pairs.jsonl").read_text().splitlines()
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
    files = sorted((ROOT / "benchmarks" / "results").glob("*.jsonl"))
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
    ROOT / "README.md": {"million": million, "omniglot": omniglot, "unseen": unseen, "benchmarks": benchmarks},
    ROOT / "docs" / "results.md": {"tries": tries},
    ROOT / "docs" / "unseen.md": {
        "cifar100": lambda: comparison.comparison(compared("cifar100", regime="head on frozen features")),
        "settings": lambda: comparison.settings(compared("cifar100", regime="head on frozen features")),
        "scratch": lambda: comparison.comparison(compared("cifar100", regime="from scratch")),
        "speakers": lambda: comparison.comparison(compared("speakers")),
    },
}


def rewrite(text: str, sections: Mapping[str, Callable[[], str]], document: Path | str = "the text") -> str:
    """Fill each `<!-- results: name -->` ... `<!-- end -->` of a Markdown text."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines: list[str] = []
    inside = None
    seen = []
    for line in text.split(end):
        begins = re.fullmatch(r"\s*<!--\s*results:\s*(.*?)\s*-->\s*", line)
        closes = line.strip() == "<!-- end -->"
        if begins and begins[1] not in sections:
            raise TableError(f"{document}: there is no section {begins[1]!r}; there are {', '.join(sections)}.")
        if inside and begins:
            raise TableError(f"{document}: the section {inside!r} has no <!-- end -->.")
        if begins:
            inside = begins[1]
            seen.append(inside)
            lines += [line, *sections[inside]().split("\n")]
        elif closes:
            inside = None
        if not inside:
            lines.append(line)
    if inside:
        raise TableError(f"{document}: the section {inside!r} has no <!-- end -->.")
    if missing := set(sections) - set(seen):
        names = " -->, <!-- results: ".join(sorted(missing))
        raise TableError(f"{document}: there is no <!-- results: {names} -->.")
    return end.join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take in the runs, and rewrite every document, or none."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m experiments.table", description=__doc__, formatter_class=raw)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of runs to take in")
    texts = {}
    try:
        collected.add(parser.parse_args(arguments).runs)
        for document, sections in DOCUMENTS.items():
            texts[document] = rewrite(document.read_bytes().decode(), sections, document)
    except (RunError, TableError, OSError) as error:
        say(f"{error} Nothing was rewritten.")
        return 2
    for document, text in texts.items():
        document.write_bytes(text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
