"""The tables of the documents: which rows belong together, and what a damaged document gets."""

import json
from statistics import fmean, stdev

import numpy as np
import pytest

from experiments import collected, runs, table
from experiments.episodes import tables
from experiments.episodes.settings import CONFIGS

EPISODES = 50


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results, and a function that adds a run to it."""
    monkeypatch.setattr(collected, "RESULTS", tmp_path)
    (tmp_path / "episodes").mkdir()
    monkeypatch.setattr(table, "DOCUMENTS", {})

    def add(loss, seed, accuracy=0.5, **others):
        config = runs.settings(CONFIGS["paper"]) | {"split": "vinyals"}
        command = f"python experiments/omniglot.py --config paper --loss {loss} --seed {seed}"
        run = "-".join(map(str, [loss, seed, *others.values()]))
        row = config | {"experiment": "omniglot", "run": run, "loss": loss, "seed": seed, "train_seconds": 60}
        row |= {"command": command, "commit": "c0", "device": "cpu", "jax": "0"} | others
        rng = np.random.default_rng(seed)
        right = np.round(100 * np.clip(accuracy + 0.1 * rng.normal(size=EPISODES), 0, 1))
        np.savez(tmp_path / "episodes" / f"{run}.npz", **{"accuracy-5-1-20": right})  # pyright: ignore[reportArgumentType]
        row |= {"measure": "accuracy", "way": 5, "shot": 1, "queries": 20, "ci95": 1.0, "value": float(right.mean())}
        with (tmp_path / "omniglot.jsonl").open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        return row["value"]

    return add


def lines(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def test_seeds_of_one_setting_are_one_line(results):
    values = [results("silhouette", seed) for seed in (0, 1, 2)]
    (line,) = lines(table.omniglot(), "| silhouette |")
    assert line.split("|")[2].strip() == "3"
    assert f"{fmean(values):.2f} (sd {stdev(values):.2f})" in line


@pytest.mark.parametrize(
    "other",
    [{"commit": "c1"}, {"power": 3.5}, {"learning_rate": 0.5}, {"dim": 9}, {"episodes": 7}, {"validate_every": 1}],
)
def test_rows_that_differ_in_more_than_the_seed_are_two_lines_with_two_names(results, other):
    results("silhouette", 0)
    results("silhouette", 1, **other)
    found = lines(tables.tables(collected.read("omniglot")), "| silhouette")
    assert len(found) == 2
    (field, value) = next(iter(other.items()))
    assert any(f"{field} {value}" in line for line in found)


def test_only_what_shares_all_but_the_loss_is_compared(results):
    ours = [results("silhouette", seed, 0.6) for seed in (0, 1)]
    theirs = [results("prototypical", seed) for seed in (0, 1)]
    results("prototypical", 0, 0.1, learning_rate=0.5)
    results("prototypical", 1, 0.1, commit="c1")
    results("prototypical", 2)  # a seed that the other has not
    results("silhouette", 0, 0.9, dim=4)  # without a partner
    (line,) = lines(tables.tables(collected.read("omniglot")).split("Paired")[1], "| silhouette")
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    assert line.split("|")[2].strip() == "2"
    interval = 12.706 * stdev(differences) / 2**0.5  # Student's t with one degree of freedom
    assert f"{fmean(differences):+.2f} ± {interval:.2f}" in line


def test_words_say_what_the_intervals_say():
    found = {"a": (0.5, 0.2), "b": (-0.5, 0.2), "c": (0.1, 0.2)}
    assert tables.verdict(found, 3) == "ahead at a; behind at b; not told apart at c (beyond the noise of 3 seeds)."
    assert "one seed" in tables.verdict(found, 1)


def test_named_settings_are_apart_from_tries(results):
    results("silhouette", 0)
    results("nca", 0, steps=700)
    assert "nca" not in table.omniglot()
    assert "silhouette" not in table.tries()
    assert lines(table.tries(), "| nca")


def test_what_is_done_of_a_comparison_is_taken_in_once(tmp_path, monkeypatch):
    monkeypatch.setattr(collected, "RESULTS", tmp_path)
    monkeypatch.setattr(table, "DOCUMENTS", {})
    row = {"dataset": "cifar100", "loss": "a", "seed": 0, "measure": "nmi", "value": 1.0, "commit": "c0"}
    folder = tmp_path / "run"
    folder.mkdir()
    for rows in ([row, row | {"measure": "ari"}], [row | {"value": 2.0, "commit": "c1"}, row | {"seed": 1}]):
        (folder / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
        assert table.main([str(folder)]) == 0
    assert collected.read("comparison") == [row | {"value": 2.0, "commit": "c1"}, row | {"seed": 1}]
    assert table.compared("cifar100", seed=1) == [row | {"seed": 1}]


SECTIONS = {"one": lambda: "1\n2", "two": lambda: "3"}
TEXT = "a\n<!-- results: one -->\n<!-- end -->\n## b\n<!-- results: two -->\nold\n<!-- end -->\nc\n"
WANTED = "a\n<!-- results: one -->\n1\n2\n<!-- end -->\n## b\n<!-- results: two -->\n3\n<!-- end -->\nc\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_sections_are_filled_and_the_rest_is_kept(end):
    assert table.rewrite(TEXT.replace("\n", end), SECTIONS) == WANTED.replace("\n", end)
    assert table.rewrite(WANTED, SECTIONS) == WANTED


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("<!-- end -->\n##", "##"), "'one' has no"),
        (("<!-- end -->\nc", "c"), "'two' has no"),
        (("results: one", "results: onne"), "no section 'onne'"),
        (("<!-- results: two -->", ""), "no <!-- results: two -->"),
    ],
)
def test_a_damaged_document_is_not_rewritten(change, says, tmp_path, monkeypatch, capsys):
    whole, damaged = tmp_path / "whole.md", tmp_path / "damaged.md"
    whole.write_text(TEXT)
    damaged.write_text(TEXT.replace(*change))
    monkeypatch.setattr(table, "DOCUMENTS", {whole: SECTIONS, damaged: SECTIONS})
    assert table.main([]) == 2
    assert says in capsys.readouterr().err
    assert whole.read_text() == TEXT


def test_the_documents_have_their_sections():
    for document, sections in table.DOCUMENTS.items():
        table.rewrite(document.read_text(), dict.fromkeys(sections, lambda: ""))
