"""The comparison of losses on classes never seen: on digits, which need no download, from the command to the table."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments import cifar100, features
from experiments.data.pictures import Part, Pictures
from experiments.runs import RunError

SMALL = ["--dataset", "digits", "--losses", "silhouette", "softmax", "--seeds", "1", "--steps", "30", "--dim", "4"]


def rows(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    assert cifar100.main([*SMALL, "--out", str(folder)]) == 0
    return folder


def test_a_table_of_all_runs(finished, capsys):
    found = rows(finished)
    assert {row["loss"] for row in found} == {"silhouette", "softmax", "features", "untrained"}
    assert {row["dataset"] for row in found} == {"digits"}
    assert {row["split"] for row in found} == {"unseen"}
    needed = "experiment dataset split loss seed steps train_seconds command measure value ci95 regime dim"
    assert all(set(needed.split()) <= row.keys() for row in found)
    value = {(row["loss"], row["measure"]): row["value"] for row in found}
    assert value["silhouette", "map_at_r"] > value["untrained", "map_at_r"]
    assert all(0 <= v <= 100 for (_, measure), v in value.items() if measure not in ("silhouette", "ami", "ari"))


def test_it_goes_on_with_what_is_missing(finished, tmp_path, monkeypatch, capsys):
    lines = (finished / "results.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["loss"] != "softmax"]
    (tmp_path / "results.jsonl").write_text("".join(kept))
    trained = []
    embeddings_of = cifar100.embeddings_of

    def counted(config, *examples):
        trained.append(config.loss)
        return embeddings_of(config, *examples)

    monkeypatch.setattr(cifar100, "embeddings_of", counted)
    assert cifar100.main([*SMALL, "--out", str(tmp_path)]) == 0
    assert trained == ["softmax"]
    assert [row["value"] for row in rows(tmp_path) if row["loss"] == "softmax"] == [
        row["value"] for row in rows(finished) if row["loss"] == "softmax"
    ]
    assert "| silhouette |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--losses", "nonsense"], "--loss nonsense: choose one of"),
        (["--classes", "1"], "--classes 1: a batch takes from 2 to 5 classes here"),
        (["--drawings", "1"], "--drawings must be 2 or more"),
        (["--seeds", "0"], "--seeds and --splits must be 1 or more"),
    ],
)
def test_bad_settings_get_one_sentence_and_leave_nothing(arguments, says, tmp_path, capsys):
    assert cifar100.main([*SMALL, *arguments, "--out", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_classes_are_as_large_as_the_smallest():
    part = Part(np.arange(7)[:, None], np.array([0, 1, 0, 1, 0, 0, 1]), ("a", "b"))
    np.testing.assert_array_equal(cifar100.by_class(part)[..., 0], [[0, 2, 4], [1, 3, 6]])
    np.testing.assert_array_equal(cifar100.by_class(part, 2)[..., 0], [[0, 2], [1, 3]])


def test_the_table_is_sorted_and_has_intervals():
    made = [
        {"loss": loss, "measure": m, "value": v}
        for loss, values in (("a", (1.0, 3.0)), ("b", (5.0, 7.0)))
        for m in ("map_at_r", "nmi")
        for v in values
    ]
    lines = cifar100.table(made).splitlines()
    assert lines[2].startswith("| b | 6.0 ± 12.7 |")  # t of one degree of freedom, 12.706, times a standard error of 1
    assert lines[3].startswith("| a | 2.0 ± 12.7 |")


class Little(nnx.Module):
    """Stands for the encoder."""

    def features(self, images):
        return images.mean((1, 2)) * jnp.ones(3)


def pictures(n):
    images = np.random.default_rng(0).integers(0, 255, (n, 8, 8, 3)).astype(np.uint8)
    return Pictures(images, np.zeros(n, np.int32), np.ones(n, bool), ("one",))


def test_features_are_made_once_in_blocks_that_are_kept(tmp_path, monkeypatch):
    loads = []
    monkeypatch.setattr(features.efficientnet, "load", lambda: loads.append(1) or Little())
    monkeypatch.setattr(features, "BLOCK", 40)
    monkeypatch.setattr(features, "BATCH", 15)
    first = features.of(pictures(100), "made-up", side=8, cache=tmp_path)
    np.testing.assert_allclose(first.images, pictures(100).images.mean((1, 2)), rtol=1e-5)
    files = sorted((tmp_path / "features-efficientnet-lite0-made-up-8").iterdir())
    assert [file.name for file in files] == ["000000.npy", "000040.npy", "000080.npy"]
    files[1].unlink()
    again = features.of(pictures(100), "made-up", side=8, cache=tmp_path)
    np.testing.assert_array_equal(first.images, again.images)
    features.of(pictures(100), "made-up", side=8, cache=tmp_path)
    assert len(loads) == 2
    files[2].write_bytes(b"")
    with pytest.raises(RunError, match="is damaged; delete it"):
        features.of(pictures(100), "made-up", side=8, cache=tmp_path)
    files[2].unlink()
    features.of(pictures(100), "made-up", side=8, cache=tmp_path)
    with pytest.raises(RunError, match="features of other pictures"):
        features.of(pictures(90), "made-up", side=8, cache=tmp_path)
