"""The experiment as a person runs it: one command, what it leaves behind, and what it says when something is wrong."""

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from test_train import part

from experiments import collected, data, omniglot, table
from experiments.episodes import command, judging, pictures
from experiments.episodes.settings import Config
from experiments.runs import RunError

SMALL = ["--steps", "4", "--classes", "4", "--drawings", "3", "--validate-every", "2", "--episodes", "20"]


DATASET = data.Dataset("glyphs", "scripts", part(6), part(6, seed=1), part(24, seed=2))


@pytest.fixture(autouse=True)
def small_data(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "load", lambda *arguments: DATASET)
    monkeypatch.setattr(pictures, "draw", lambda *arguments: None)  # drawn once, in `drawn`
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A finished run with its pictures."""
    folder = tmp_path_factory.mktemp("omniglot") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda *arguments: DATASET)
        assert omniglot.main([*SMALL, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def finished(drawn, tmp_path):
    """The same, to do with as one likes."""
    return shutil.copytree(drawn, tmp_path / "run")


def fails(arguments, capsys) -> str:
    """The one sentence of a run that cannot be."""
    assert omniglot.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


def test_a_run_leaves_numbers_and_pictures(finished):
    names = {path.name for path in finished.iterdir()}
    assert {
        "results.json",
        "results.jsonl",
        "table.md",
        "log.jsonl",
        "config.json",
        "episodes.npz",
        "embeddings.npz",
    } <= names
    assert {path.name for path in (finished / "pictures").iterdir()} == {
        "training.png",
        "silhouette.png",
        "embedding.png",
        "episode.png",
    }
    rows = [json.loads(line) for line in (finished / "results.jsonl").read_text().splitlines()]
    kinds = {(r["measure"], r["way"], r["shot"]) for r in rows}
    assert kinds == {(s.measure, s.way, s.shot) for s in judging.SETTINGS}
    needed = (
        "experiment dataset split loss seed steps train_seconds command measure value ci95 way shot queries episodes"
    )
    assert all(set(needed.split()) <= row.keys() for row in rows)
    assert all(0 <= row["value"] <= 100 for row in rows)
    with np.load(finished / "episodes.npz") as episodes:
        assert all(episodes[name].shape == (20,) for name in episodes)


def test_the_command_in_a_row_makes_the_same_settings(finished):
    row = json.loads((finished / "results.jsonl").read_text().splitlines()[0])
    again = command.parse(row["command"].split()[2:], "")
    assert again == dataclasses.replace(command.parse(SMALL, ""), dataset="glyphs")


def test_a_finished_run_only_shows_its_table(finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.name != "config.json"}
    assert omniglot.main([*SMALL, "--out", str(finished)]) == 0
    assert "20-way 1-shot" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_another_run_in_the_folder_is_not_overwritten_unless_told(finished, capsys):
    error = fails([*SMALL, "--out", str(finished), "--seed", "3"], capsys)
    assert "seed 0, not 3" in error
    assert "--overwrite" in error
    assert json.loads((finished / "config.json").read_text())["seed"] == 0
    assert omniglot.main([*SMALL, "--out", str(finished), "--seed", "3", "--overwrite", "--loss", "none"]) == 0
    assert json.loads((finished / "config.json").read_text())["seed"] == 3


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "config.json").write_text('{"mine": true}')
    assert "holds no run" in fails([*SMALL, "--out", str(theirs), "--overwrite"], capsys)
    assert (theirs / "config.json").read_text() == '{"mine": true}'


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--metric", "nonsense"], "unknown metric"),
        (["--metric", "precomputed"], "square matrix"),
        (["--temperature", "-1"], "temperature must be positive"),
        (["--target", "7"], "target must be"),
        (["--dim", "0"], "at least 1 number"),
        (["--seed", "-1"], "from 0 to 2**32 - 1"),
        (["--seed", str(2**32)], "from 0 to 2**32 - 1"),
        (["--learning-rate", "0"], "must be positive"),
        (["--loss", "none", "--episodes", "1"], "takes 2 or more"),
        (["--loss", ":f"], "--loss :f"),
        (["--loss", "math:pi"], "is not a callable object"),
        (["--loss", "theirs:raises"], "fails on a batch: division by zero"),
        (["--loss", "theirs:vector"], "must return one number"),
        (["--loss", "theirs:integer"], "must return one number"),
        (["--loss", "theirs:other_arguments"], "fails on a batch"),
        (["--loss", "broken:f"], "--loss broken:f"),
        (["--classes", "7"], "from 2 to 6 classes"),
        (["--drawings", "21"], "has 20 drawings"),
        (["--loss", "nonsense"], "choose one of arcface, calinski_harabasz"),
        (["--loss", "no.such.module:f"], "No module named"),
        (["--loss", "math:no_such"], "no attribute"),
        (["--loss", "prototypical", "--temperature", "2"], "takes no --temperature"),
        (["--steps", "-1"], "--steps must be 0 or more"),
    ],
)
def test_bad_settings_get_one_sentence_and_leave_nothing(arguments, says, tmp_path, monkeypatch, capsys):
    (tmp_path / "theirs.py").write_text(THEIRS)
    (tmp_path / "broken.py").write_text("def f(:")
    monkeypatch.syspath_prepend(tmp_path)
    assert says in fails([*SMALL, *arguments], capsys)
    assert not Path("runs").exists()


THEIRS = """
def raises(embeddings, labels, *, num_clusters): return 1 / 0
def vector(embeddings, labels, *, num_clusters): return embeddings[:, 0]
def integer(embeddings, labels, *, num_clusters): return labels.sum()
def other_arguments(embeddings): return embeddings.sum()
"""


def test_what_is_refused_deletes_nothing_and_spoils_no_folder(finished, tmp_path, capsys):
    before = (finished / "results.json").read_text()
    assert "from 2 to 6 classes" in fails([*SMALL, "--out", str(finished), "--overwrite", "--classes", "99"], capsys)
    assert (finished / "results.json").read_text() == before
    new = ["--loss", "none", "--out", str(tmp_path / "new")]
    fails([*SMALL, *new, "--episodes", "0"], capsys)
    assert omniglot.main([*SMALL, *new]) == 0


def test_an_edited_loss_is_noticed(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(tmp_path)
    file, arguments = tmp_path / "edited.py", [*SMALL, "--steps", "2", "--loss", "edited:f"]
    file.write_text("def f(embeddings, labels, *, num_clusters): return (embeddings**2).mean()\n")
    assert omniglot.main(arguments) == 0
    file.write_text("def f(embeddings, labels, *, num_clusters): return (embeddings**4).mean()\n")
    assert "finished by other code" in fails(arguments, capsys)


@pytest.mark.parametrize("damage", ['{"exper', "[]", "null"])
def test_a_damaged_config_is_named_and_nothing_is_deleted(finished, damage, capsys):
    (finished / "config.json").write_text(damage)
    for arguments in ([], ["--overwrite"]):
        error = fails([*SMALL, "--out", str(finished), *arguments], capsys)
        assert str(finished) in error
        assert "give another --out" in error
    assert (finished / "results.json").exists()


def test_a_finished_run_needs_neither_its_table_nor_a_disk_that_can_be_written(finished, capsys):
    (finished / "table.md").unlink()
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert omniglot.main([*SMALL, "--out", str(finished)]) == 0
    assert "20-way 1-shot" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*")}


def test_overwriting_through_a_link_keeps_the_link(finished, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(finished)
    assert omniglot.main([*SMALL, "--loss", "none", "--out", str(link), "--overwrite"]) == 0
    assert link.is_symlink()
    assert json.loads((finished / "config.json").read_text())["loss"] == "none"
    assert not (finished / "checkpoints").exists()


def test_two_processes_in_one_folder(tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    with FileLock(folder / "lock"):
        assert "being written by another process" in fails([*SMALL, "--loss", "none", "--out", str(folder)], capsys)
    assert omniglot.main([*SMALL, "--loss", "none", "--out", str(folder)]) == 0


@pytest.mark.parametrize("name", ["br[/x]", "a[bold]b", "back\\slash"])
def test_names_of_folders(name, tmp_path, capsys):
    assert "give another --out" in fails([*SMALL, "--out", name], capsys)
    assert omniglot.main([*SMALL, "--loss", "none", "--out", "[b] in no name".replace("[b]", "(b) ü")]) == 0


def test_a_full_disk_is_a_sentence(monkeypatch, capsys):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    monkeypatch.setattr(judging, "save_embeddings", full)
    assert "somewhere: No space left on device" in fails([*SMALL, "--loss", "none"], capsys)
    monkeypatch.undo()


def test_rows_are_valid_json_and_say_what_was_run(finished):
    text = (finished / "results.jsonl").read_text()
    assert "NaN" not in text
    row = json.loads(text.splitlines()[0])
    assert row.keys() >= {"commit", "learning_rate", "dim", "normalize", "metric", "power", "validate_every"}
    assert row["dataset"] == "glyphs"
    assert row["split"] == "scripts"


def test_a_locale_without_the_letters_of_a_table_and_double_precision_asked_for():
    script = "import test_omniglot as t; import sys; t.data.load = lambda *a: t.DATASET; "
    script += "t.pictures.draw = lambda *a: None; sys.exit(t.omniglot.main(sys.argv[1:]))"
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent)])  # this checkout's code, whichever one is installed
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "JAX_ENABLE_X64": "1"}
    child = subprocess.run(
        [sys.executable, "-c", script, *SMALL],
        env={**os.environ, **environment, "PYTHONPATH": path},
        capture_output=True,
    )
    assert child.returncode == 0, child.stderr
    assert b"20-way 1-shot" in child.stdout


def test_a_loss_of_ones_own_trains(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "def spread(embeddings, labels, *, num_clusters):\n    return (embeddings**2).mean()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert omniglot.main([*SMALL, "--loss", "mine:spread"]) == 0
    (folder,) = Path("runs/omniglot").iterdir()
    assert folder.name.startswith("glyphs-scripts-mine.spread-seed0-quick-")
    assert (folder / "results.json").exists()


def test_two_settings_have_two_folders(capsys):
    floor = [*SMALL, "--loss", "none"]
    for arguments in (
        floor,
        [*floor, "--seed", "1"],
        [*floor, "--learning-rate", "0.01"],
        [*floor, "--episodes", "30"],
    ):
        assert omniglot.main(arguments) == 0
    assert len(list(Path("runs/omniglot").iterdir())) == 4


def test_two_encoders_have_two_names():
    names = {command.run_name(Config(encoder=encoder), DATASET) for encoder in ("conv4", "resnet12", "pixels")}
    assert len(names) == 3
    assert "glyphs-scripts-pixels-seed0-quick" in names
    assert "glyphs-scripts-silhouette-seed0-quick" in names


def test_the_floors_need_no_training():
    for arguments, name in ((["--encoder", "pixels"], "pixels"), (["--loss", "none"], "untrained")):
        assert omniglot.main([*SMALL, *arguments]) == 0
        (folder,) = Path("runs/omniglot").glob(f"glyphs-scripts-{name}-seed0-quick-*")
        assert (folder / "results.json").exists()
        assert not (folder / "log.jsonl").exists()


def test_tables_come_from_the_result_files(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(collected, "RESULTS", tmp_path / "results")
    other = tmp_path / "prototypical"
    assert omniglot.main([*SMALL, "--out", str(other), "--loss", "prototypical"]) == 0
    (tmp_path / "nothing").mkdir()
    collected.add([finished, other, tmp_path / "nothing"])
    with pytest.raises(RunError, match="is no folder of a run"):
        collected.add([tmp_path / "nowhere"])
    collected.add([finished])  # taken in again, it takes its own place
    rows = collected.read("omniglot")
    assert len(rows) == 2 * len(judging.SETTINGS)
    text = table.rewrite("before\n<!-- results: tries -->\nstale\n<!-- end -->\nafter\n", {"tries": table.tries})
    assert text.startswith("before\n<!-- results: tries -->\n**glyphs")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "stale" not in text
    values = {(r["loss"], r["way"], r["shot"]): r["value"] for r in rows if r["measure"] == "accuracy"}
    for value in values.values():
        assert f"{value:.2f}" in text
    difference = values["silhouette", 20, 1] - values["prototypical", 20, 1]
    printed = [float(cell.split()[0]) for cell in text.split("Paired")[1].splitlines()[4].split("|")[4:8]]
    assert abs(printed[2] - difference) < 0.011
