"""The comparison of losses on classes never seen: on digits, which need no download, from the command to the table."""

import importlib
import json
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from filelock import FileLock
from flax import nnx

from experiments import cifar100, features, losses, train
from experiments.comparison import command, judging, ledger, material, pictures, tables, training, tuning
from experiments.comparison.settings import COMPARED, Config
from experiments.data.pictures import Part, Pictures
from experiments.runs import DivergedError, RunError

SMALL = ["--dataset", "digits", "--losses", "silhouette", "softmax", "--steps", "30", "--dim", "4"]
QUICK = [*SMALL, "--seeds", "1", "--trials", "0"]


def rows(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def value(found, loss, measure):
    return next(row["value"] for row in found if (row["loss"], row["measure"]) == (loss, measure))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    with pytest.MonkeyPatch.context() as patch:
        # a sweep and UMAP take as long to compile as all the rest, and have tests of their own
        patch.setattr(pictures, "draw", lambda *_: None)
        patch.setattr(judging, "chosen_k", lambda *_: [{"measure": "k_by_gap", "value": 7, "ci95": None}])
        assert cifar100.main([*SMALL, "--seeds", "2", "--trials", "1", "--out", str(folder)]) == 0
    return folder


def test_three_blobs_are_three():
    labels = np.repeat(np.arange(3), 20)
    x = np.array([[0, 0], [9, 0], [30, 0]])[labels] + np.random.default_rng(0).normal(size=(60, 2))
    found = judging.chosen_k(jnp.asarray(x, jnp.float32), labels)
    assert {row["measure"]: row["value"] for row in found} == {"k_by_silhouette": 3, "k_by_gap": 3}


def test_a_table_of_all_runs(finished):
    found = rows(finished)
    assert {row["loss"] for row in found} == {"silhouette", "softmax", "pixels", "pixels, PCA", "untrained"}
    assert {(row["dataset"], row["split"]) for row in found} == {("digits", "unseen")}
    needed = "experiment dataset split loss seed steps train_seconds command measure value ci95 regime dim judged_by"
    assert all(set(needed.split()) <= row.keys() for row in found)
    tested = [row for row in found if row["phase"] != "trial"]
    assert value(tested, "silhouette", "map_at_r") > value(tested, "untrained", "map_at_r")
    signed = ("silhouette", "ami", "ari")
    assert all(0 <= row["value"] <= 100 for row in tested if row["measure"] not in signed)
    table = (finished / "table.md").read_text()
    assert "| silhouette | 2 |" in table
    assert "- `python experiments/cifar100.py --dim 4 --steps 30 --dataset digits" in table
    assert "| less silhouette |" in table


def test_the_settings_are_those_that_did_best_on_the_validation_classes(finished):
    found = rows(finished)
    for loss in ("silhouette", "softmax"):
        trials = [row for row in found if row["loss"] == loss and row["phase"] == "trial"]
        assert [row["learning_rate"] for row in trials] == list(tuning.RATES)
        best = max(trials, key=lambda row: row["value"])
        tested = [row for row in found if row["loss"] == loss and row["phase"] == "test"]
        assert {(row["learning_rate"], row["judged_by"]) for row in tested} == {
            (best["learning_rate"], best["judged_by"])
        }
        assert {row["seed"] for row in tested} == {0, 1}


def test_it_goes_on_with_what_is_missing(finished, tmp_path, monkeypatch, capsys):
    lines = (finished / "results.jsonl").read_text().splitlines(keepends=True)
    missing = {"loss": "softmax", "phase": "test", "seed": 1}
    kept = [line for line in lines if missing.items() - json.loads(line).items()]
    assert 0 < len(kept) < len(lines)
    (tmp_path / "results.jsonl").write_text("".join(kept))
    trained = []
    head = training.head

    def counted(config, seen):
        trained.append((config.loss, config.seed))
        return head(config, seen)

    monkeypatch.setattr(training, "head", counted)
    assert cifar100.main([*SMALL, "--seeds", "2", "--trials", "1", "--out", str(tmp_path)]) == 0
    assert trained == [("softmax", 1)]
    told = ("train_seconds", "commit")
    ours, theirs = (
        sorted(json.dumps({k: v for k, v in row.items() if k not in told}) for row in rows(folder))
        for folder in (tmp_path, finished)
    )
    assert ours == theirs
    assert "| silhouette | 2 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--losses", "nonsense"], "--loss nonsense: choose one of"),
        (["--classes", "1"], "--classes and --drawings must be 2 or more, --test-images 20 or more"),
        (["--seeds", "0"], "--seeds must be 1 or more, --trials 0 or more"),
        (["--splits", "unseen9"], "--splits unseen9: digits has unseen"),
        (["--dim", "0"], "--dim 0: an embedding has at least 1 number"),
        (["--losses", "nca", "elsewhere:nca"], "each of another name"),
        (["--encoder", "conv4"], "--encoder conv4 takes no examples of shape (8, 8, 1)"),
        (["--encoder", "conv4", "--validate-every", "0"], "--validate-every"),
    ],
)
def test_bad_settings_get_one_sentence_and_leave_nothing(arguments, says, tmp_path, capsys):
    assert cifar100.main([*QUICK, *arguments, "--out", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_classes_are_as_large_as_the_smallest():
    part = Part(np.arange(7)[:, None], np.array([0, 1, 0, 1, 0, 0, 1]), ("a", "b"))
    np.testing.assert_array_equal(material.by_class(part)[..., 0], [[0, 2, 4], [1, 3, 6]])
    np.testing.assert_array_equal(material.by_class(part, 2)[..., 0], [[0, 2], [1, 3]])


def test_of_cifar10_all_classes_are_seen_and_no_picture_twice():
    labels = np.repeat(np.arange(10, dtype=np.int32), 60)
    training = np.tile(np.arange(60) < 40, 10)
    whole = Pictures(np.arange(600), labels, training, tuple("abcdefghij"))
    found = material.divide(material.Material("cifar10", ("official",), whole, {}), "official", 15)
    assert (found.train.shape, found.validation.shape) == ((10, 36), (10, 4))
    assert (found.seen.shape, found.unseen.shape) == ((10, 40), (10, 15))
    assert not set(found.seen.ravel()) & set(found.unseen.ravel())
    assert not set(found.train.ravel()) & set(found.validation.ravel())
    assert found.names == found.seen_names == whole.names


@pytest.mark.parametrize("loss", COMPARED)
def test_every_loss_tries_as_many_settings_and_they_are_its_own(loss):
    tried = tuning.candidates(Config(loss=loss), 40, 600)
    assert len(tried) == len(set(tried)) == 12
    assert {one.classes * one.drawings for one in tried} == {320}
    assert tried[0].learning_rate == tuning.RATES[0]
    losses.check(tried[-1], 50, 16)


def test_a_trial_that_diverges_is_the_worst_and_the_others_go_on(tmp_path, monkeypatch):
    head = training.head

    def diverge(config, seen):
        if config.learning_rate != tuning.RATES[1]:
            raise DivergedError("not finite")
        return head(config, seen)

    monkeypatch.setattr(training, "head", diverge)
    monkeypatch.setattr(pictures, "draw", lambda *_: None)
    monkeypatch.setattr(judging, "chosen_k", lambda *_: [])
    arguments = [*SMALL[:2], "--losses", "nca", *SMALL[5:], "--seeds", "1", "--trials", "1", "--out", str(tmp_path)]
    assert cifar100.main(arguments) == 0
    trials = [row["value"] for row in rows(tmp_path) if row["phase"] == "trial"]
    assert [value > 0 for value in trials] == [False, True, False]
    assert {row["learning_rate"] for row in rows(tmp_path) if row["phase"] == "test"} == {tuning.RATES[1]}


def test_a_run_that_diverges_is_told_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(train.ENCODERS, "conv4", Linear)
    monkeypatch.setattr(pictures, "draw", lambda *_: None)
    monkeypatch.setattr(judging, "chosen_k", lambda *_: [])
    monkeypatch.syspath_prepend(tmp_path)
    lost = "def lost(embeddings, labels, *, num_clusters):\n    return embeddings.sum() * float('nan')\n"
    (tmp_path / "no_number.py").write_text(lost)
    network = ["--dataset", "digits", "--encoder", "conv4", "--losses", "no_number:lost", "nca", "--seeds", "1"]
    assert cifar100.main([*network, "--trials", "0", "--steps", "2", "--out", str(tmp_path / "run")]) == 0
    assert "lost, seed 0: the loss is not finite; the tables are without" in capsys.readouterr().err
    assert {row["loss"] for row in rows(tmp_path / "run") if row["phase"] == "test"} == {"nca"}


def test_an_edited_loss_of_ones_own_is_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "draw", lambda *_: None)
    monkeypatch.setattr(judging, "chosen_k", lambda *_: [])
    monkeypatch.syspath_prepend(tmp_path)
    file, found = tmp_path / "mine_too.py", []
    arguments = [*QUICK[:2], "--losses", "mine_too:pull", *QUICK[5:], "--out", str(tmp_path / "run")]
    for sign in ("", "", "-"):
        file.write_text(f"def pull(embeddings, labels, *, num_clusters):\n    return {sign}(embeddings**2).mean()\n")
        sys.modules.pop("mine_too", None)
        importlib.invalidate_caches()
        assert cifar100.main(arguments) == 0
        found.append([row for row in rows(tmp_path / "run") if row["phase"] == "test"])
    assert len(found[0]) == len(found[1]) == len(found[2]) / 2
    (group,) = tables.groups(found[2])
    newest = found[2][len(found[1]) :]
    assert list(tables.values(group, "pull", ("nmi", None)).values()) == [value(newest, "mine_too:pull", "nmi")]


@pytest.mark.parametrize("text", ["3\n", "{}\n", '{"loss": "a"', b"\xff\xfe"])
def test_a_damaged_file_of_rows_is_told_and_kept(text, tmp_path, capsys):
    text = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "results.jsonl").write_bytes(text)
    assert cifar100.main([*QUICK, "--out", str(tmp_path)]) == 2
    assert "results.jsonl is damaged" in capsys.readouterr().err
    assert (tmp_path / "results.jsonl").read_bytes() == text


def test_rows_of_a_run_are_kept_together_or_not_at_all(tmp_path, monkeypatch):
    ledger.append(tmp_path / "a", [{"loss": "a"}])
    monkeypatch.setattr(ledger.json, "dumps", lambda row: "{" if row == {"loss": "b"} else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ledger.append(tmp_path / "a", [{"loss": "b"}, {"loss": "c"}])
    assert (tmp_path / "a").read_text() == '{"loss": "a"}\n'
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_written_by_one_process(finished, capsys):
    with FileLock(finished / "lock"):
        assert cifar100.main([*SMALL, "--out", str(finished)]) == 2
    assert "is being written by another process" in capsys.readouterr().err


def test_a_batch_has_no_more_classes_than_there_are():
    (one,) = tuning.candidates(Config(trials=0), 3, 100)
    assert (one.classes, one.drawings) == (3, 100)


def test_pictures_of_seen_and_unseen_classes(tmp_path):
    rng = np.random.default_rng(0)
    names = np.array([*"abcdefghij", "orchid", "sunflower"])
    (tmp_path / "embeddings").mkdir()
    for split, loss in (("s0", "silhouette"), ("s0", "nca"), ("s1", "silhouette"), ("s1", "stage7")):
        seen = {"seen": rng.normal(size=(12, 5, 2)), "seen_names": names} if loss != "stage7" else {}
        file = tmp_path / "embeddings" / f"{split}-{loss}.npz"
        np.savez(file, unseen=rng.normal(size=(12, 5, 2)), names=names, **seen)
    pictures.draw(tmp_path, "s0", "s1")
    assert {file.name for file in (tmp_path / "pictures").iterdir()} == {"seen.png", "unseen.png"}
    (tmp_path / "none" / "embeddings").mkdir(parents=True)
    pictures.draw(tmp_path / "none", "s0", "s1")
    assert list((tmp_path / "none" / "pictures").iterdir()) == []


def test_the_hard_classes_are_in_the_first_handful():
    names = np.array([*map(str, range(30)), "orchid", "sunflower"])
    handfuls = pictures.handfuls(names)
    assert {"orchid", "sunflower"} <= set(names[handfuls[0]])
    assert len(set(np.concatenate(handfuls))) == 24
    assert [len(one) for one in pictures.handfuls(names[:5])] == [5]


class Linear(nnx.Module):
    """So small a network that it is compiled at once."""

    def __init__(self, shape, *, dim, normalize, rngs):
        del normalize
        self.layer = nnx.Linear(int(np.prod(shape)), dim or 3, rngs=rngs)

    def __call__(self, images):
        return self.layer(images.reshape(len(images), -1))


def test_a_network_is_trained_from_its_pixels_with_checkpoints_and_the_weights_that_did_best(tmp_path, monkeypatch):
    monkeypatch.setitem(train.ENCODERS, "conv4", Linear)
    monkeypatch.setattr(pictures, "draw", lambda *_: None)
    monkeypatch.setattr(judging, "chosen_k", lambda *_: [])
    network = ["--dataset", "digits", "--encoder", "conv4", "--losses", "nca", "--seeds", "1", "--trials", "0"]
    for steps in ("4", "6"):  # of other settings another network, in the same table
        assert cifar100.main([*network, "--dim", "None", "--steps", steps, "--out", str(tmp_path)]) == 0
    logs = [file.read_text().splitlines() for file in (tmp_path / "networks").glob("*/log.jsonl")]
    assert sorted(json.loads(lines[-1])["step"] for lines in logs) == [4, 6]
    assert all("validation" in json.loads(lines[-1]) for lines in logs)
    found = rows(tmp_path)
    assert {row["regime"] for row in found} == {"from scratch"}
    assert [table.count("| nca | 1 |") for table in (tmp_path / "table.md").read_text().split("**digits")] == [0, 1, 1]


def made(loss, values, measure="map_at_r", phase="test"):
    common = {"dataset": "made up", "regime": "any", "encoder": "head", "dim": 16, "steps": 10, "train_seconds": 1.0}
    return [
        {**common, "loss": loss, "split": "s", "seed": seed, "phase": phase, "measure": measure, "value": v}
        for seed, v in enumerate(values)
    ]


def test_what_differs_in_more_than_the_loss_is_another_table():
    ours = made("nca", (1.0, 3.0))
    assert len(tables.groups([*ours, *({**row, "split": "s2"} for row in ours)])) == 1
    for other in ({"split": "fc100"}, {"trials": 4}, {"stage": "head"}, {"side": 32}, {"steps": 20}, {"dim": 4}):
        assert len(tables.groups([*ours, *({**row, **other} for row in ours)])) == 2
    # what is not trained is in the tables of all budgets
    pixels = made("pixels", (1.0,), phase="reference")
    assert [len(group) for group in tables.groups([*ours, *({**row, "trials": 4} for row in ours), *pixels])] == [3, 3]


def test_two_tables_have_two_folders():
    def named(**changed):
        return command.folder_name(Config(**changed), "digits", Config())

    assert named() == named(losses=("nca",), seeds=1, splits=("a",)) == "digits-head-dim16"
    assert named(trials=0, stage="head") == "digits-head-dim16-trials=0-stage=head"
    assert named(encoder="conv4", dim=None, steps=7) == "digits-conv4-dimNone-steps=7"


def test_the_tables_are_sorted_and_have_intervals():
    group = made("silhouette", (1.0, 3.0)) + made("a:softmax", (5.0, 7.0)) + made("nca", (6.0, 2.0))
    lines = tables.means(group).splitlines()
    # Student's t of one degree of freedom, 12.706, times a standard error of 1
    assert lines[2].startswith("| softmax | 2 | 6.0 ± 12.7 |")
    assert lines[4].startswith("| silhouette | 2 | 2.0 ± 12.7 |")
    assert lines[2].endswith("| 100.0 |")
    assert tables.differences([*group, *made("silhouette", (1.0, 3.0), "nmi")]).splitlines()[2:] == [
        "| softmax | **+4.00 ± 0.00** | - | - | - | - | - |",
        "| nca | +2.00 ± 38.12 | - | - | - | - | - |",
    ]
    assert tables.best(group) == (
        "- MAP@R: the best loss with a validity index is silhouette, the best other softmax; the first less the second "
        "-4.00 ± 0.00: behind."
    )


class Little(nnx.Module):
    """Stands for the encoder."""

    def stages(self, images):
        return {stage: images * jnp.ones(3) for stage in features.STAGES}


def colours(n):
    return np.random.default_rng(0).integers(0, 255, (n, 8, 8, 3)).astype(np.uint8)


def test_features_are_made_once_in_blocks_that_are_kept(tmp_path, monkeypatch):
    loads = []
    monkeypatch.setattr(features.efficientnet, "load", lambda: loads.append(1) or Little())
    monkeypatch.setattr(features, "BLOCK", 40)
    monkeypatch.setattr(features, "BATCH", 15)
    first = features.of(colours(100), "made-up", side=8, cache=tmp_path)
    assert list(first) == list(features.STAGES)
    for found in first.values():
        np.testing.assert_allclose(found, colours(100).mean((1, 2)), rtol=1e-3)  # float16
    files = sorted((tmp_path / "features-efficientnet-lite0-made-up-8").iterdir())
    assert [file.name for file in files] == ["000000.npz", "000040.npz", "000080.npz"]
    files[1].unlink()
    again = features.of(colours(100), "made-up", side=8, cache=tmp_path)
    np.testing.assert_array_equal(first["head"], again["head"])
    features.of(colours(100), "made-up", side=8, cache=tmp_path)
    assert len(loads) == 2
    files[2].write_bytes(b"")
    with pytest.raises(RunError, match="is damaged; delete it"):
        features.of(colours(100), "made-up", side=8, cache=tmp_path)
    files[2].unlink()
    features.of(colours(100), "made-up", side=8, cache=tmp_path)
    with pytest.raises(RunError, match="features of other pictures"):
        features.of(colours(90), "made-up", side=8, cache=tmp_path)
