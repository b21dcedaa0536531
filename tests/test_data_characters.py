"""Characters to classes, and the committed splits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from stand_ins import LISTS, every_name, listed, made_up

from experiments import data
from experiments.data import characters, omniglot

# ---------------------------------------------------------------------------------------------------------------------
# Splits


def test_vinyals_lists_are_disjoint_and_whole():
    parts = [listed("train"), listed("val"), listed("test")]
    assert [len(part) for part in parts] == [1028, 172, 423]
    assert len(set().union(*parts)) == 1623
    assert omniglot.known() == tuple(every_name())


def test_vinyals_members_are_the_listed_characters():
    names = every_name()
    for places, part in zip(characters.members("vinyals", names), ("train", "val", "test"), strict=True):
        assert [names[i] for i in places] == listed(part)


def test_lake_members_are_whole_alphabets():
    names = every_name()
    parts = [[names[i] for i in places] for places in characters.members("lake", names)]
    assert [len(part) for part in parts] == [815, 149, 659]
    assert sorted(parts[0] + parts[1] + parts[2]) == names
    alphabets = [{name.split("/")[0] for name in part} for part in parts]
    assert [len(a) for a in alphabets] == [25, 5, 20]
    assert not alphabets[0] & alphabets[1] | alphabets[0] & alphabets[2] | alphabets[1] & alphabets[2]


def test_lake_test_alphabets_are_the_evaluation_set_of_the_published_lists():
    sets = {}
    for part in ("train", "val", "test"):
        for kind, alphabets in json.loads((LISTS / f"{part}.json").read_text()).items():
            sets.setdefault(kind, set()).update(alphabets)
    lake = json.loads((characters.SPLITS / "lake.json").read_text())
    assert set(lake["test"]) == sets["evaluation"]
    assert set(lake["train"]) | set(lake["validation"]) == sets["background"]


@pytest.mark.parametrize(("split", "counts"), [("vinyals", (4112, 688, 1692)), ("lake", (3260, 596, 659))])
def test_counts_of_classes(split, counts):
    names = every_name()
    blank = data.Characters(np.zeros((1623, 20, 28, 28), np.uint8), tuple(names), np.ones((1623, 4), bool))
    dataset = characters.divide("omniglot", split, blank)
    parts = dataset[2:]
    assert tuple(len(part.names) for part in parts) == counts
    all_names = [name for part in parts for name in part.names]
    assert len(set(all_names)) == len(all_names)
    for part in parts:
        assert part.images.shape == (len(part.names), 20, 28, 28)
        assert part.images.dtype == np.uint8
        assert part.alphabets.dtype == np.int32
        np.testing.assert_array_equal(part.upright, ["rot" not in name.split("/")[-1] for name in part.names])
    assert dataset.test.upright.all() == (split == "lake")


def test_alphabet_numbers_hold_across_parts():
    dataset = characters.divide("omniglot", "vinyals", made_up(every_name()))
    both = characters.merge(dataset.train, dataset.test)
    pairs = {(name.split("/")[0], int(number)) for name, number in zip(both.names, both.alphabets, strict=True)}
    assert len({a for a, _ in pairs}) == len({i for _, i in pairs}) == len(pairs)
    assert "Gurmukhi" in {n.split("/")[0] for n in dataset.train.names} & {n.split("/")[0] for n in dataset.test.names}


# ---------------------------------------------------------------------------------------------------------------------
# Classes


def test_classes_turn_counter_clockwise_and_skip_what_is_no_class():
    made = made_up(["A/character01", "A/character02", "B/character01"])
    made.turns[1, 2] = False
    part = characters.classes(made, [2, 1], {"A": 0, "B": 1})
    assert part.names == (
        "B/character01",
        "A/character02",
        "B/character01/rot090",
        "A/character02/rot090",
        "B/character01/rot180",
        "B/character01/rot270",
        "A/character02/rot270",
    )
    np.testing.assert_array_equal(part.alphabets, [1, 0, 1, 0, 1, 1, 0])
    np.testing.assert_array_equal(part.upright, [True, True] + 5 * [False])
    picture = made.images[2, 7]
    turned = np.empty_like(picture)
    for row in range(28):
        for column in range(28):
            turned[27 - column, row] = picture[row, column]  # the right edge becomes the top
    np.testing.assert_array_equal(part.images[0, 7], picture)
    np.testing.assert_array_equal(part.images[2, 7], turned)
    np.testing.assert_array_equal(part.images[4, 7], picture[::-1, ::-1])


def test_merge_puts_parts_in_order():
    made = made_up(["A/character01", "B/character01"])
    first, second = (characters.classes(made, [i], {"A": 0, "B": 1}) for i in (0, 1))
    both = characters.merge(first, second)
    assert both.names == first.names + second.names
    np.testing.assert_array_equal(both.images, np.concatenate([first.images, second.images]))
    np.testing.assert_array_equal(both.alphabets, 4 * [0] + 4 * [1])
