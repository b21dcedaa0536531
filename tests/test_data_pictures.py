"""The committed splits of CIFAR and the digits, and pictures shared out by them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments import data
from experiments.data import cifar, digits, pictures
from experiments.data.characters import SPLITS

PARTS = "train", "validation", "test"
CIFAR100 = json.loads((SPLITS / "cifar100" / "superclasses.json").read_text())


def made_up(names, each=4):
    """One pixel that tells whose it is: 10 times the class, and which of it; the last one is of the test half."""
    labels = np.repeat(np.arange(len(names), dtype=np.int32), each)
    which = np.tile(np.arange(each), len(names))
    images = (10 * labels + which).astype(np.uint8).reshape(-1, 1, 1, 1)
    return pictures.Pictures(images, labels, which < each - 1, tuple(names))


# ---------------------------------------------------------------------------------------------------------------------
# Lists


@pytest.mark.parametrize("seed", range(5))
def test_the_unseen_lists_are_numpys(seed):
    names = sorted(fine for five in CIFAR100.values() for fine in five)
    order = [names[i] for i in np.random.default_rng(seed).permutation(100)]
    committed = json.loads((SPLITS / "cifar100" / f"unseen{seed}.json").read_text())
    assert committed == {"train": order[:40], "validation": order[40:50], "test": order[50:]}


def test_the_digits_list_is_numpys():
    order = [str(i) for i in np.random.default_rng(0).permutation(10)]
    committed = json.loads((SPLITS / "digits" / "unseen.json").read_text())
    assert committed == {"train": order[:3], "validation": order[3:5], "test": order[5:]}


def test_the_speakers_list_is_numpys():
    order = [f"speaker {i + 1}" for i in np.random.default_rng(0).permutation(9)]
    committed = json.loads((SPLITS / "speakers" / "unseen.json").read_text())
    assert committed == {"train": order[:3], "validation": order[3:5], "test": order[5:]}


@pytest.mark.parametrize(
    ("split", "counts"),
    [*((f"unseen{seed}", (40, 10, 50)) for seed in range(5)), ("fc100", (60, 20, 20)), ("cifar-fs", (64, 16, 20))],
)
def test_lists_are_disjoint_and_whole(split, counts):
    parts = [pictures.members("cifar100", split, part) for part in PARTS]
    assert tuple(map(len, parts)) == counts
    assert sorted(parts[0] + parts[1] + parts[2]) == sorted(cifar.SETS["cifar100"].classes)


def test_fc100_keeps_superclasses_whole():
    for part in PARTS:
        chosen = set(pictures.members("cifar100", "fc100", part))
        assert all(chosen.isdisjoint(five) or chosen.issuperset(five) for five in CIFAR100.values())


def test_cifar_fs_names_classes_with_their_superclasses():
    for part in ("train", "val", "test"):
        for coarse, fine in json.loads((SPLITS / "cifar100" / "cifar-fs" / f"{part}.json").read_text()):
            assert fine in CIFAR100[coarse]


def test_the_usual_split_is_a_split_that_there_is():
    for name, splits in pictures.NAMED.items():
        for split in splits:
            assert split == "official" or pictures.members(name, split, "test")


# ---------------------------------------------------------------------------------------------------------------------
# Parts


@pytest.mark.parametrize("split", pictures.NAMED["cifar100"])
def test_classes_go_whole_and_are_counted_within_the_part(split):
    names = cifar.SETS["cifar100"].classes
    whole = made_up(names, each=2)
    whole = whole._replace(images=np.arange(200, dtype=np.uint8).reshape(-1, 1, 1, 1))
    dataset = pictures.divide("cifar100", split, whole)
    assert dataset[:2] == ("cifar100", split)
    seen = []
    for part, name in zip(dataset[2:], PARTS, strict=True):
        assert part.names == tuple(n for n in names if n in pictures.members("cifar100", split, name))
        assert part.labels.dtype == np.int32
        for label, image in zip(part.labels, part.images.ravel(), strict=True):
            assert part.names[label] == names[image // 2]
        seen += list(part.images.ravel())
    assert sorted(seen) == list(range(200))


def test_official_halves_hold_out_the_last_tenth_of_every_class():
    whole = made_up(["a", "b"], each=26)  # 25 for training: two are held out
    whole = whole._replace(images=np.arange(52, dtype=np.uint8).reshape(-1, 1, 1, 1))
    train, validation, test = pictures.divide("cifar10", "official", whole)[2:]
    np.testing.assert_array_equal(train.images.ravel(), [*range(23), *range(26, 49)])
    np.testing.assert_array_equal(validation.images.ravel(), [23, 24, 49, 50])
    np.testing.assert_array_equal(test.images.ravel(), [25, 51])
    np.testing.assert_array_equal(validation.labels, [0, 0, 1, 1])
    assert train.names == validation.names == test.names == ("a", "b")


def test_merge_adds_classes_and_keeps_those_in_common_one():
    blank = np.zeros((3, 1, 1, 1), np.uint8)
    first = pictures.Part(blank, np.array([1, 0, 1], np.int32), ("b", "c"))
    second = pictures.Part(blank + 1, np.array([0, 1, 2], np.int32), ("c", "a", "b"))
    both = pictures.merge(first, second)
    assert both.names == ("b", "c", "a")
    assert both.labels.dtype == np.int32
    np.testing.assert_array_equal(both.labels, [1, 0, 1, 1, 2, 0])
    np.testing.assert_array_equal(both.images.ravel(), [0, 0, 0, 1, 1, 1])


# ---------------------------------------------------------------------------------------------------------------------
# Digits


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    whole = digits.read()
    grey, labels = load_digits(return_X_y=True)
    np.testing.assert_array_equal(whole.images.reshape(1797, 64), np.rint(grey * 255 / 16))
    np.testing.assert_array_equal(whole.labels, labels)
    assert whole.images.shape == (1797, 8, 8, 1)
    assert whole.images.dtype == np.uint8
    assert (whole.images.min(), whole.images.max()) == (0, 255)


def test_digits_are_split_by_class():
    dataset = data.load_pictures("digits")
    assert dataset[:2] == ("digits", "unseen")
    assert [len(part.names) for part in dataset[2:]] == [3, 2, 5]
    assert sum(len(part.images) for part in dataset[2:]) == 1797
