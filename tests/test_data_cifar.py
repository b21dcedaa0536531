"""CIFAR: records and archives read alike, kept, damaged, and not to be had."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cifar_stand_ins import drawn, is_whole, one_sentence, prepare, publish
from stand_ins import same

from experiments import data
from experiments.data import cache, cifar, errors, finding

SETS = pytest.mark.parametrize("name", ["cifar100", "cifar10"])


def test_the_official_names():
    hundred, ten = (cifar.SETS[name].classes for name in ("cifar100", "cifar10"))
    assert (len(hundred), len(ten)) == (100, 10)
    assert [hundred[i] for i in (0, 1, 19, 29, 49, 71, 99)] == [
        *("apple", "aquarium_fish", "cattle", "dinosaur", "mountain", "sea", "worm")
    ]
    assert (ten[0], ten[6], ten[9]) == ("airplane", "frog", "truck")


@SETS
@pytest.mark.usefixtures("small_cifar")
def test_archives_are_read_as_records_are(tmp_path, name):
    own = cifar.SETS[name]
    records = cifar.read_prepared(own, prepare(tmp_path, name))
    archive = cifar.read_archives(own, [publish(tmp_path, name)])
    assert is_whole(records, name)
    assert same(records, archive)
    assert (records.images.dtype, records.labels.dtype, records.training.dtype) == (np.uint8, np.int32, bool)


@pytest.mark.usefixtures("small_cifar")
def test_the_cache_is_used_while_the_files_stay(tmp_path, monkeypatch):
    folder = prepare(tmp_path / "sets")
    first = data.load_pictures(data_dir=tmp_path / "sets", cache_dir=tmp_path / "cache")
    assert first[:2] == ("cifar100", "unseen0")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".npz"]

    def forbidden(*_):
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(cifar, "read_prepared", forbidden)
        again = data.load_pictures(data_dir=tmp_path / "sets", cache_dir=tmp_path / "cache")
    for one, other in zip(first[2:], again[2:], strict=True):
        assert same(one, other)
    (folder / "a_new_file").touch()
    data.load_pictures(data_dir=tmp_path / "sets", cache_dir=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2


# ---------------------------------------------------------------------------------------------------------------------
# Damage


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def header_only(path):
    path.write_bytes(path.read_bytes()[:65536])


def bits(path):
    content = bytearray(path.read_bytes())
    content[70000:70016] = 16 * b"X"
    path.write_bytes(bytes(content))


@pytest.mark.usefixtures("small_cifar")
@pytest.mark.parametrize("damage", [cut, header_only, bits, Path.unlink])
@pytest.mark.parametrize("name", ["auto", "cifar100"])
def test_damaged_records_are_named_and_nothing_else_is_used(tmp_path, damage, name):
    folder = prepare(tmp_path)
    damage(folder / "cifar100-test.array_record-00000-of-00001")
    with pytest.raises(data.DataError, match="cannot be read") as caught:
        data.load_pictures(name, data_dir=tmp_path, cache_dir=tmp_path / "cache")
    one_sentence(caught, str(folder))


def swapped():
    first, second, *rest = cifar.SETS["cifar100"].classes
    return (second, first, *rest)


@pytest.mark.usefixtures("small_cifar")
def test_names_in_another_order_are_refused(tmp_path):
    prepare(tmp_path, names=swapped())
    with pytest.raises(data.DataError, match=r"^\S+3\.0\.2 does not list the classes of CIFAR-100 in order") as caught:
        data.load_pictures(data_dir=tmp_path, cache_dir=tmp_path / "cache")
    one_sentence(caught)
    with pytest.raises(data.DataError, match=r"tar\.gz does not list the classes of CIFAR-100 in order") as caught:
        cifar.read_archives(cifar.SETS["cifar100"], [publish(tmp_path, names=swapped())])
    one_sentence(caught)


@pytest.mark.usefixtures("small_cifar")
def test_other_counts_and_sizes_are_refused(tmp_path):
    train, test = (drawn("cifar100", half) for half in ("train", "test"))
    (label, image), *rest = train
    wrong = [
        {"train": rest, "test": test},
        {"train": [((label + 1) % 100, image), *rest], "test": test},
        {"train": rest, "test": [(label, image), *test]},
        {half: [(n, pixels[:16]) for n, pixels in rows] for half, rows in (("train", train), ("test", test))},
    ]
    for i, halves in enumerate(wrong):
        with pytest.raises(data.DataError, match="not 2 for train and 1 for test of kind uint8") as caught:
            cifar.read_prepared(cifar.SETS["cifar100"], prepare(tmp_path / str(i), halves=halves))
        one_sentence(caught)


# ---------------------------------------------------------------------------------------------------------------------
# No CIFAR


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("split", [None, "fc100"])
def test_auto_says_in_one_line_that_it_takes_digits(capsys, split):
    dataset = data.load_pictures("auto", split)
    assert dataset[:2] == ("digits", "unseen")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cifar-100-python.tar.gz cannot be fetched (no answer); using scikit-learn's digits instead." in said


@SETS
@pytest.mark.usefixtures("nowhere")
def test_insisting_explains_what_to_do(name):
    start = time.monotonic()
    expected = r"no prepared CIFAR-100?, and .*cannot be fetched \(no answer\); try again .*\.tar\.gz into .*--data-dir"
    with pytest.raises(errors.NotFoundError, match=expected) as caught:
        data.load_pictures(name)
    assert time.monotonic() - start < 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["auto", "cifar100"])
def test_a_named_folder_is_never_passed_over(nowhere, name):
    with pytest.raises(data.DataError, match=r"no-such-folder does not exist; check the name"):
        data.load_pictures(name, data_dir=nowhere / "no-such-folder")
    with pytest.raises(data.DataError, match=r"holds no cifar100/<version>/\*.array_record files"):
        data.load_pictures(name, data_dir=nowhere)


@pytest.mark.usefixtures("nowhere")
def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(data.DataError, match=r"CIFAR-100 needs pooch; run `pip install 'clusterjax\[experiments\]'`"):
        data.load_pictures("auto")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mnist"}, "name is 'mnist'; choose 'auto', 'cifar100', 'cifar10', 'digits' or 'speakers'"),
        ({"split": "vinyals"}, "split is 'vinyals'; choose 'unseen0', .* or 'cifar-fs'"),
        ({"name": "cifar10", "split": "unseen0"}, "split is 'unseen0'; choose 'official'"),
        ({"name": "digits", "split": "fc100"}, "split is 'fc100'; choose 'unseen'"),
    ],
)
def test_unknown_names_list_the_known(arguments, message):
    with pytest.raises(data.DataError, match=message):
        data.load_pictures(**arguments)


# ---------------------------------------------------------------------------------------------------------------------
# The real one


@pytest.mark.data
def test_the_real_records(tmp_path):
    named = os.environ.get("TFDS_DATA_DIR")
    if not named or finding.prepared_version(Path(named), "cifar100") is None:
        pytest.skip("TFDS_DATA_DIR names no folder with a prepared CIFAR-100")
    whole = cifar.find("cifar100", named, tmp_path)
    assert whole.images.shape == (60_000, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(whole.labels[whole.training]), 100 * [500])
    # The published mean colour of the training half, by which everybody standardises.
    mean = whole.images[whole.training].mean((0, 1, 2)) / 255
    np.testing.assert_allclose(mean, [0.5071, 0.4865, 0.4409], atol=1e-4)
    for split, counts in (("unseen0", (40, 10, 50)), ("fc100", (60, 20, 20)), ("cifar-fs", (64, 16, 20))):
        dataset = data.load_pictures("cifar100", split, named, tmp_path)
        assert [len(part.names) for part in dataset[2:]] == list(counts)
        assert [len(part.images) for part in dataset[2:]] == [600 * count for count in counts]
    assert same(cifar.find("cifar100", named, tmp_path), whole)
    assert len(cache.digest(whole)) == 64
