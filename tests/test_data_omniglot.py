"""Omniglot: drawings made small, the records whole and broken, the zip files read as the records are."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from stand_ins import NAMES, encode, prepare, publish, same, square, zipped

from experiments import data
from experiments import omniglot as command
from experiments.data import characters, errors, finding, omniglot

# ---------------------------------------------------------------------------------------------------------------------
# From 105 x 105 to 28 x 28


def shrink_by_loops(ink):
    """Cut every pixel in 4 x 4, so that 105 becomes 420 = 28 * 15, and average blocks of 15."""
    fine = np.kron(ink, np.ones((4, 4)))
    return np.array(
        [[255 * fine[15 * r : 15 * r + 15, 15 * c : 15 * c + 15].mean() for c in range(28)] for r in range(28)]
    )


def test_shrink_averages_areas():
    ink = np.random.default_rng(0).random((3, 105, 105)) < 0.2
    small = omniglot.shrink(ink)
    assert small.dtype == np.uint8
    for picture, result in zip(ink, small, strict=True):
        np.testing.assert_allclose(result, shrink_by_loops(picture), atol=0.51)


def test_shrink_commutes_with_rotation():
    ink = np.random.default_rng(1).random((5, 105, 105)) < 0.1
    for quarter in range(4):
        np.testing.assert_array_equal(
            omniglot.shrink(np.rot90(ink, quarter, axes=(1, 2))), np.rot90(omniglot.shrink(ink), quarter, axes=(1, 2))
        )


def test_shrink_keeps_full_ink_and_paper():
    np.testing.assert_array_equal(omniglot.shrink(np.ones((1, 105, 105))), 255)
    np.testing.assert_array_equal(omniglot.shrink(np.zeros((1, 105, 105))), 0)


# ---------------------------------------------------------------------------------------------------------------------
# Records


@pytest.mark.usefixtures("small_omniglot")
def test_records_become_characters(tmp_path, capsys):
    prepare(tmp_path)
    characters = omniglot.find(tmp_path, tmp_path / "cache")
    assert characters.names == NAMES
    for (a, c), pictures in zip([(0, 2), (1, 0), (1, 11), (2, 4)], characters.images, strict=True):
        expected = sorted(omniglot.shrink(square(a, c, i)).tobytes() for i in range(20))
        assert sorted(picture.tobytes() for picture in pictures) == expected
    again = omniglot.find(tmp_path, tmp_path / "cache")
    np.testing.assert_array_equal(again.images, characters.images)
    assert again.names == characters.names
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert "warning" not in capsys.readouterr().err.lower()


def damage_cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def damage_header_only(path):
    path.write_bytes(path.read_bytes()[:65536])  # the reader then gives records that are None, without an error


def damage_bits(path):
    content = bytearray(path.read_bytes())
    content[1000:1016] = 16 * b"X"
    path.write_bytes(bytes(content))


def damage_missing(path):
    path.unlink()


@pytest.mark.usefixtures("small_omniglot")
@pytest.mark.parametrize("damage", [damage_cut, damage_header_only, damage_bits, damage_missing])
@pytest.mark.parametrize("cached_before", [False, True])
def test_broken_records_are_named_and_nothing_else_is_used(tmp_path, damage, cached_before):
    folder = prepare(tmp_path)
    if cached_before:
        omniglot.find(tmp_path, tmp_path / "cache")
    damage(folder / "omniglot-test.array_record-00000-of-00001")
    with pytest.raises(data.DataError, match=r"(?s)cannot be read.*fetch or copy Omniglot again") as caught:
        data.load("auto", data_dir=tmp_path, cache_dir=tmp_path / "cache")
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, errors.NotFoundError)


@pytest.mark.usefixtures("small_omniglot")
@pytest.mark.parametrize(
    ("train", "found"),
    [
        ([(1, 0), (2, 4)], "60 drawings of 3 characters"),
        ([(1, 0), (1, 0), (1, 11), (2, 4)], "100 drawings of 4 characters"),
    ],
)
def test_a_set_with_other_counts_is_refused(tmp_path, train, found):
    prepare(tmp_path, {"train": train, "test": [(0, 2)]})
    with pytest.raises(data.DataError, match=f"{found}, not 20 of each of the 4 known"):
        omniglot.find(tmp_path, tmp_path / "cache")


@pytest.mark.usefixtures("small_omniglot")
def test_drawings_of_a_character_stay_in_the_order_they_come_in(tmp_path):
    drawn = [(name, encode(square(0, 0, i))) for i in np.random.default_rng(0).permutation(20) for name in NAMES]
    gathered = omniglot.gather(iter(drawn), tmp_path)
    expected = [omniglot.shrink(omniglot.decode(png)) for _, png in drawn[::4]]
    for pictures in gathered.images:
        np.testing.assert_array_equal(pictures, expected)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def forbid(_):
        raise PermissionError(13, "Permission denied", "the file")

    prepare(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", forbid)
    with pytest.raises(data.DataError, match=r"the file cannot be read \(Permission denied\); delete that folder"):
        omniglot.find(tmp_path, tmp_path / "cache")


@pytest.mark.usefixtures("small_omniglot")
def test_characters_of_other_names_are_refused(tmp_path):
    prepare(tmp_path, {"train": [(1, 0), (1, 12), (2, 4)], "test": [(0, 2)]})
    with pytest.raises(data.DataError, match="not 20 of each of the 4 known"):
        omniglot.find(tmp_path, tmp_path / "cache")


@pytest.mark.usefixtures("small_omniglot")
@pytest.mark.parametrize("labels", ["Greek\nEarly_Aramaic\nKorean", "Early_Aramaic\nGreek\nKor\u00e9an", ""])
@pytest.mark.parametrize("cached_before", [False, True])
def test_wrong_alphabets_are_refused_and_right_ones_taken_again(tmp_path, labels, cached_before):
    path = prepare(tmp_path) / "alphabet.labels.txt"
    right = path.read_bytes()
    if cached_before:
        omniglot.find(tmp_path, tmp_path / "cache")
    path.write_text(labels, encoding="utf-8")
    with pytest.raises(data.DataError, match=r"alphabet.labels.txt does not list|cannot be read") as caught:
        omniglot.find(tmp_path, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    path.write_bytes(right)
    assert omniglot.find(tmp_path, tmp_path / "cache").names == NAMES


def test_a_preparation_that_was_cut_short_does_not_count(tmp_path):
    for version in ("2.9.0", "10.0.0", "3.0.0", "11.0.0.incompleteAB12CD"):
        (tmp_path / "omniglot" / version).mkdir(parents=True)
        (tmp_path / "omniglot" / version / "omniglot-train.array_record-00000-of-00001").touch()
    (tmp_path / "omniglot" / "12.0.0").mkdir()  # of another file format
    found = finding.prepared_version(tmp_path, "omniglot")
    assert found is not None
    assert found.name == "10.0.0"
    assert finding.prepared_version(tmp_path / "nowhere", "omniglot") is None


@pytest.mark.data
@pytest.mark.parametrize("split", ["vinyals", "lake"])
def test_the_real_records(split, tmp_path_factory):
    named = os.environ.get("TFDS_DATA_DIR")
    if not named or finding.prepared_version(Path(named), "omniglot") is None:
        pytest.skip("TFDS_DATA_DIR names no folder with a prepared Omniglot")
    folder = tmp_path_factory.getbasetemp() / "omniglot-cache"  # shared: decoding takes ten seconds
    dataset = data.load("omniglot", split, data_dir=named, cache_dir=folder)
    assert (dataset.name, dataset.split) == ("omniglot", split)
    upright = [int(part.upright.sum()) for part in dataset[2:]]
    assert upright == {"vinyals": [1028, 172, 423], "lake": [815, 149, 659]}[split]
    for part in dataset[2:]:
        ink = part.images.mean() / 255
        assert 0.04 < ink < 0.12  # mostly paper, so ink is not inverted
        assert (part.images.reshape(len(part.names) * 20, -1).max(1) > 128).all()  # no drawing is blank
    both = characters.merge(*dataset[2:])
    flat = both.images[both.upright].reshape(-1, 28 * 28)
    assert len({row.tobytes() for row in flat}) > 0.99 * len(flat)


# ---------------------------------------------------------------------------------------------------------------------
# Archives


@pytest.mark.usefixtures("small_omniglot")
def test_archives_are_read_as_records_are(tmp_path):
    expected = omniglot.read_prepared(prepare(tmp_path))
    found = omniglot.read_archives(publish(tmp_path / "zips"))
    assert found.names == expected.names == NAMES
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.turns, expected.turns)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A prepared Omniglot, and the zip files that it was made from.

    The records do not tell who drew what, but their order does: TFDS sorts by a hash of the file's name.
    """
    tfds = pytest.importorskip("tensorflow_datasets")
    hashing = pytest.importorskip("tensorflow_datasets.core.hashing")
    named = os.environ.get("TFDS_DATA_DIR")
    prepared = finding.prepared_version(Path(named), "omniglot") if named else None
    if prepared is None:
        pytest.skip("TFDS_DATA_DIR names no folder with a prepared Omniglot")
    folder = tmp_path_factory.mktemp("archives")
    alphabets = (prepared / "alphabet.labels.txt").read_text().split()
    builder = tfds.builder_from_directory(prepared)
    paths = []
    for stem, split in (("images_background", "train"), ("images_evaluation", "test")):
        source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
        rows = source.__getitems__(range(len(source)))
        keys = {
            f"{alphabets[a]}_{c}_{label + 1:04d}_{i:02d}.png": (alphabets[a], c, f"{label + 1:04d}_{i:02d}.png")
            for a, c, label in {(r["alphabet"], r["alphabet_char_id"], r["label"]) for r in rows}
            for i in range(1, 21)
        }
        files = [keys[key] for key in sorted(keys, key=hashing.Hasher(split).hash_key)]
        # 32 460 places agree, so the rule is theirs.
        assert [file[:2] for file in files] == [(alphabets[r["alphabet"]], r["alphabet_char_id"]) for r in rows]
        images = {
            f"{a}/character{c + 1:02d}/{file}": row["image"] for (a, c, file), row in zip(files, rows, strict=True)
        }
        paths.append(zipped(folder, stem, dict(sorted(images.items()))))
    return prepared, paths


@pytest.mark.data
def test_the_real_archives_are_read_as_the_real_records_are(real):
    prepared, paths = real
    assert same(omniglot.read_archives(paths), omniglot.read_prepared(prepared))


@pytest.mark.data
def test_a_run_on_what_was_fetched_gives_the_numbers_of_one_on_records(real, tmp_path, monkeypatch):
    """The whole command, from a server on this machine and from a prepared folder."""
    prepared, paths = real
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("TFDS_DATA_DIR")
    archives = {
        path.name: omniglot.ARCHIVES[path.name]._replace(md5=hashlib.md5(path.read_bytes()).hexdigest())
        for path in paths
    }
    monkeypatch.setattr(omniglot, "ARCHIVES", archives)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(paths[0].parent))
    small = ["--dataset", "omniglot", "--steps", "4", "--classes", "10", "--validate-every", "2", "--episodes", "50"]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("CLUSTERJAX_OMNIGLOT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("CLUSTERJAX_CACHE", str(tmp_path / "fetched"))
        assert command.main([*small, "--out", str(tmp_path / "a")]) == 0
        server.shutdown()
    monkeypatch.setenv("CLUSTERJAX_CACHE", str(tmp_path / "read"))
    assert command.main([*small, "--out", str(tmp_path / "b"), "--data-dir", str(prepared.parents[1])]) == 0
    fetched, read = ([json.loads(line) for line in (tmp_path / n / "results.jsonl").open()] for n in "ab")
    assert [row["value"] for row in fetched] == [row["value"] for row in read]
    assert len({row["value"] for row in fetched}) > 3
