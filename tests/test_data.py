"""Characters to classes, the committed splits, the cache, and Omniglot's records, whole and broken."""

from __future__ import annotations

import io
import json
import os
import pwd
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from experiments import cache, data, drawings, glyphs, records

LISTS = data.SPLITS / "omniglot"


def listed(part):
    """The characters of one Vinyals list, read in the dumbest way."""
    names = []
    for alphabets in json.loads((LISTS / f"{part}.json").read_text()).values():
        for alphabet, characters in alphabets.items():
            for character in characters:
                names.append(f"{alphabet}/{character}")
    return names


def every_name():
    return sorted(listed("train") + listed("val") + listed("test"))


def made_up(names, seed=0):
    """Characters with random drawings, distinct so that any mix-up shows."""
    images = np.random.default_rng(seed).integers(0, 256, (len(names), 20, 28, 28), dtype=np.uint8)
    return cache.Characters(images, tuple(names), np.ones((len(names), 4), bool))


# ---------------------------------------------------------------------------------------------------------------------
# Splits


def test_vinyals_lists_are_disjoint_and_whole():
    parts = [listed("train"), listed("val"), listed("test")]
    assert [len(part) for part in parts] == [1028, 172, 423]
    assert len(set().union(*parts)) == 1623
    assert drawings.known() == tuple(every_name())


def test_vinyals_members_are_the_listed_characters():
    names = every_name()
    for places, part in zip(data.members("vinyals", names), ("train", "val", "test"), strict=True):
        assert [names[i] for i in places] == listed(part)


def test_lake_members_are_whole_alphabets():
    names = every_name()
    parts = [[names[i] for i in places] for places in data.members("lake", names)]
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
    lake = json.loads((data.SPLITS / "lake.json").read_text())
    assert set(lake["test"]) == sets["evaluation"]
    assert set(lake["train"]) | set(lake["validation"]) == sets["background"]


@pytest.mark.parametrize(("split", "counts"), [("vinyals", (4112, 688, 1692)), ("lake", (3260, 596, 659))])
def test_counts_of_classes(split, counts):
    names = every_name()
    blank = cache.Characters(np.zeros((1623, 20, 28, 28), np.uint8), tuple(names), np.ones((1623, 4), bool))
    dataset = data.divide("omniglot", split, blank)
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
    dataset = data.divide("omniglot", "vinyals", made_up(every_name()))
    both = data.merge(dataset.train, dataset.test)
    pairs = {(name.split("/")[0], int(number)) for name, number in zip(both.names, both.alphabets, strict=True)}
    assert len({a for a, _ in pairs}) == len({i for _, i in pairs}) == len(pairs)
    assert "Gurmukhi" in {n.split("/")[0] for n in dataset.train.names} & {n.split("/")[0] for n in dataset.test.names}


# ---------------------------------------------------------------------------------------------------------------------
# Classes


def test_classes_turn_counter_clockwise_and_skip_what_is_no_class():
    characters = made_up(["A/character01", "A/character02", "B/character01"])
    characters.turns[1, 2] = False
    part = data.classes(characters, [2, 1], {"A": 0, "B": 1})
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
    picture = characters.images[2, 7]
    turned = np.empty_like(picture)
    for row in range(28):
        for column in range(28):
            turned[27 - column, row] = picture[row, column]  # the right edge becomes the top
    np.testing.assert_array_equal(part.images[0, 7], picture)
    np.testing.assert_array_equal(part.images[2, 7], turned)
    np.testing.assert_array_equal(part.images[4, 7], picture[::-1, ::-1])


def test_merge_puts_parts_in_order():
    characters = made_up(["A/character01", "B/character01"])
    first, second = (data.classes(characters, [i], {"A": 0, "B": 1}) for i in (0, 1))
    both = data.merge(first, second)
    assert both.names == first.names + second.names
    np.testing.assert_array_equal(both.images, np.concatenate([first.images, second.images]))
    np.testing.assert_array_equal(both.alphabets, 4 * [0] + 4 * [1])


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
    small = drawings.shrink(ink)
    assert small.dtype == np.uint8
    for picture, result in zip(ink, small, strict=True):
        np.testing.assert_allclose(result, shrink_by_loops(picture), atol=0.51)


def test_shrink_commutes_with_rotation():
    ink = np.random.default_rng(1).random((5, 105, 105)) < 0.1
    for quarter in range(4):
        np.testing.assert_array_equal(
            drawings.shrink(np.rot90(ink, quarter, axes=(1, 2))), np.rot90(drawings.shrink(ink), quarter, axes=(1, 2))
        )


def test_shrink_keeps_full_ink_and_paper():
    np.testing.assert_array_equal(drawings.shrink(np.ones((1, 105, 105))), 255)
    np.testing.assert_array_equal(drawings.shrink(np.zeros((1, 105, 105))), 0)


# ---------------------------------------------------------------------------------------------------------------------
# Records: a folder as TensorFlow Datasets prepares it, with four characters


ALPHABETS = ("Early_Aramaic", "Greek", "Korean")
CONTENT = {"train": [(1, 0), (1, 11), (2, 4)], "test": [(0, 2)]}  # (alphabet, character counted from 0) of each split
NAMES = ("Early_Aramaic/character03", "Greek/character01", "Greek/character12", "Korean/character05")


def square(alphabet, character, drawing):
    """An inked rectangle that tells who it is."""
    ink = np.zeros((105, 105), bool)
    ink[5 * alphabet : 5 * alphabet + 20, character : character + 30 + drawing] = True
    return ink


def encode(ink):
    """One bit a pixel, paper 1 and ink 0, as the original files are."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(~ink).save(file, format="PNG")
    return file.getvalue()


def prepare(root: Path, content=CONTENT):
    """Write what TFDS would: records in the order of its own hash, and the JSON files that describe them."""
    module = pytest.importorskip("array_record.python.array_record_module")
    pb = pytest.importorskip("tensorflow_datasets.proto").tf_example_pb2
    hashing = pytest.importorskip("tensorflow_datasets.core.hashing")
    folder = root / "omniglot" / "3.0.0"
    folder.mkdir(parents=True)
    splits = []
    for split, members in content.items():
        keys = {
            f"{ALPHABETS[a]}_{c}_{number:04d}_{i + 1:02d}.png": (a, c, i)
            for number, (a, c) in enumerate(members, 1)
            for i in range(20)
        }
        drawn = [keys[k] for k in sorted(keys, key=hashing.Hasher(split).hash_key)]
        path = folder / f"omniglot-{split}.array_record-00000-of-00001"
        writer = module.ArrayRecordWriter(str(path), "group_size:1")
        for a, c, i in drawn:
            example = pb.Example()
            feature = example.features.feature
            feature["image"].bytes_list.value.append(encode(square(a, c, i)))
            for key, number in (("alphabet", a), ("alphabet_char_id", c), ("label", 0)):
                feature[key].int64_list.value.append(int(number))
            writer.write(example.SerializeToString())
        writer.close()
        splits.append(
            {
                "name": split,
                "shardLengths": [str(len(drawn))],
                "numBytes": "1",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
        )
    core = "tensorflow_datasets.core.features."
    scalar = {"shape": {}, "dtype": "int64", "encoding": "none"}
    label = {"pythonClassName": core + "class_label_feature.ClassLabel"}
    image = {"shape": {"dimensions": ["105", "105", "3"]}, "dtype": "uint8", "encodingFormat": "png"}
    features = {
        "image": {"pythonClassName": core + "image_feature.Image", "image": image},
        "alphabet": {**label, "classLabel": {"numClasses": str(len(ALPHABETS))}},
        "alphabet_char_id": {"pythonClassName": core + "tensor_feature.Tensor", "tensor": scalar},
        "label": {**label, "classLabel": {"numClasses": "1"}},
    }
    (folder / "features.json").write_text(
        json.dumps({"pythonClassName": core + "features_dict.FeaturesDict", "featuresDict": {"features": features}})
    )
    info = {"name": "omniglot", "version": "3.0.0", "fileFormat": "array_record", "splits": splits}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "alphabet.labels.txt").write_text("\n".join(ALPHABETS) + "\n")
    (folder / "label.labels.txt").write_text("one\n")
    return folder


@pytest.fixture
def small_omniglot(monkeypatch):
    """An Omniglot of four characters."""
    monkeypatch.setattr(drawings, "known", lambda: NAMES)
    monkeypatch.setattr(records, "known", lambda: NAMES)


@pytest.mark.usefixtures("small_omniglot")
def test_records_become_characters(tmp_path, capsys):
    prepare(tmp_path)
    characters = data.omniglot(tmp_path, tmp_path / "cache")
    assert characters.names == NAMES
    for (a, c), pictures in zip([(0, 2), (1, 0), (1, 11), (2, 4)], characters.images, strict=True):
        expected = sorted(drawings.shrink(square(a, c, i)).tobytes() for i in range(20))
        assert sorted(picture.tobytes() for picture in pictures) == expected
    again = data.omniglot(tmp_path, tmp_path / "cache")
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
        data.omniglot(tmp_path, tmp_path / "cache")
    damage(folder / "omniglot-test.array_record-00000-of-00001")
    with pytest.raises(data.DataError, match=r"(?s)cannot be read.*fetch or copy Omniglot again") as caught:
        data.load("auto", data_dir=tmp_path, cache_dir=tmp_path / "cache")
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, drawings.NotFoundError)


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
        data.omniglot(tmp_path, tmp_path / "cache")


@pytest.mark.usefixtures("small_omniglot")
def test_drawings_of_a_character_stay_in_the_order_they_come_in(tmp_path):
    drawn = [(name, encode(square(0, 0, i))) for i in np.random.default_rng(0).permutation(20) for name in NAMES]
    gathered = drawings.gather(iter(drawn), tmp_path)
    expected = [drawings.shrink(drawings.decode(png)) for _, png in drawn[::4]]
    for pictures in gathered.images:
        np.testing.assert_array_equal(pictures, expected)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def forbid(_):
        raise PermissionError(13, "Permission denied", "the file")

    prepare(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", forbid)
    with pytest.raises(data.DataError, match=r"the file cannot be read \(Permission denied\); delete that folder"):
        data.omniglot(tmp_path, tmp_path / "cache")


@pytest.mark.usefixtures("small_omniglot")
def test_characters_of_other_names_are_refused(tmp_path):
    prepare(tmp_path, {"train": [(1, 0), (1, 12), (2, 4)], "test": [(0, 2)]})
    with pytest.raises(data.DataError, match="not 20 of each of the 4 known"):
        data.omniglot(tmp_path, tmp_path / "cache")


@pytest.mark.usefixtures("small_omniglot")
@pytest.mark.parametrize("labels", ["Greek\nEarly_Aramaic\nKorean", "Early_Aramaic\nGreek\nKor\u00e9an", ""])
@pytest.mark.parametrize("cached_before", [False, True])
def test_wrong_alphabets_are_refused_and_right_ones_taken_again(tmp_path, labels, cached_before):
    path = prepare(tmp_path) / "alphabet.labels.txt"
    right = path.read_bytes()
    if cached_before:
        data.omniglot(tmp_path, tmp_path / "cache")
    path.write_text(labels, encoding="utf-8")
    with pytest.raises(data.DataError, match=r"alphabet.labels.txt does not list|cannot be read") as caught:
        data.omniglot(tmp_path, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    path.write_bytes(right)
    assert data.omniglot(tmp_path, tmp_path / "cache").names == NAMES


def test_a_preparation_that_was_cut_short_does_not_count(tmp_path):
    for version in ("2.9.0", "10.0.0", "3.0.0", "11.0.0.incompleteAB12CD"):
        (tmp_path / "omniglot" / version).mkdir(parents=True)
        (tmp_path / "omniglot" / version / "omniglot-train.array_record-00000-of-00001").touch()
    (tmp_path / "omniglot" / "12.0.0").mkdir()  # of another file format
    found = records.prepared_version(tmp_path)
    assert found is not None
    assert found.name == "10.0.0"
    assert records.prepared_version(tmp_path / "nowhere") is None


@pytest.mark.data
@pytest.mark.parametrize("split", ["vinyals", "lake"])
def test_the_real_records(split, tmp_path_factory):
    named = os.environ.get("TFDS_DATA_DIR")
    if not named or records.prepared_version(Path(named)) is None:
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
    both = data.merge(*dataset[2:])
    flat = both.images[both.upright].reshape(-1, 28 * 28)
    assert len({row.tobytes() for row in flat}) > 0.99 * len(flat)


# ---------------------------------------------------------------------------------------------------------------------
# Nothing there


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine without Omniglot, and a glyph set that costs nothing."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLUSTERJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLUSTERJAX_OMNIGLOT_URL", "http://127.0.0.1:1")  # nobody listens
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    names = [
        f"{script}/U+0000"
        for part in json.loads((data.SPLITS / "scripts.json").read_text()).values()
        for script in part
    ]
    monkeypatch.setattr(glyphs, "draw", lambda: made_up(names))
    return tmp_path


@pytest.mark.usefixtures("nowhere")
def test_auto_says_in_one_line_that_it_takes_glyphs(capsys):
    start = time.monotonic()
    dataset = data.load()
    assert time.monotonic() - start < 2
    assert (dataset.name, dataset.split) == ("glyphs", "scripts")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cannot be fetched (no answer); using the glyphs instead" in said


@pytest.mark.usefixtures("nowhere")
def test_insisting_on_omniglot_explains_what_to_do():
    with pytest.raises(
        data.DataError, match=r"cannot be fetched \(no answer\); try again .*\.zip.*--data-dir"
    ) as caught:
        data.load("omniglot")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dataset", ["auto", "omniglot"])
def test_a_named_folder_is_never_passed_over(nowhere, dataset):
    with pytest.raises(data.DataError, match=r"no-such-folder does not exist; check the name"):
        data.load(dataset, data_dir=nowhere / "no-such-folder")
    with pytest.raises(data.DataError, match=r"holds no omniglot/<version>/\*.array_record files"):
        data.load(dataset, data_dir=nowhere)


def test_the_cache_alone_is_enough(nowhere):
    kept = made_up(every_name())
    cache.write_cache(nowhere / "cache" / f"omniglot-v{drawings.VERSION}-0123456789abcdef.npz", kept)
    assert data.load().name == "omniglot"


def test_a_cache_that_cannot_be_made_stops_no_run(nowhere, capsys):
    (nowhere / "cache").write_text("a file where the folder should be")
    assert data.load().name == "glyphs"
    said = capsys.readouterr().err
    assert "cannot be fetched" in said
    assert "cannot be written" in said


@pytest.fixture
def homeless(nowhere, monkeypatch):
    """Nobody's process: no HOME, and a user that the machine does not know."""

    def unknown(_):
        raise KeyError("uid not found")

    for variable in ("HOME", "CLUSTERJAX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(nowhere))
    monkeypatch.chdir(nowhere)
    return nowhere


@pytest.mark.usefixtures("small_omniglot")
def test_without_a_home_a_folder_named_by_the_environment_is_read(homeless, monkeypatch):
    prepare(homeless / "sets")
    monkeypatch.setenv("TFDS_DATA_DIR", str(homeless / "sets"))
    assert data.omniglot(None, cache.cache_folder()).names == NAMES
    assert sorted(path.name for path in homeless.iterdir()) == ["clusterjax", "sets"]


@pytest.mark.usefixtures("homeless")
def test_without_a_home_and_a_folder_there_are_glyphs_or_a_sentence():
    assert data.load().name == "glyphs"
    with pytest.raises(data.DataError, match="cannot be fetched"):
        data.load("omniglot")
    with pytest.raises(data.DataError, match=r"~/sets does not exist"):
        data.load("omniglot", data_dir="~/sets")


@pytest.mark.parametrize(("argument", "value"), [("dataset", "mnist"), ("split", "random")])
def test_unknown_names_list_the_known(argument, value):
    with pytest.raises(data.DataError, match=f"{argument} is '{value}'; choose"):
        data.load(**{argument: value})


# ---------------------------------------------------------------------------------------------------------------------
# The cache


def forbidden() -> cache.Characters:
    raise AssertionError("made again although it was there")


def test_the_cache_gives_back_what_was_put_in(tmp_path):
    path = tmp_path / "new" / "set.npz"
    made = made_up(["A/character01", "B/character01"])
    made.turns[1, 3] = False
    cache.cached(path, lambda: made)
    kept = cache.cached(path, forbidden)
    np.testing.assert_array_equal(kept.images, made.images)
    np.testing.assert_array_equal(kept.turns, made.turns)
    assert kept.names == made.names
    assert [p.name for p in path.parent.iterdir()] == ["set.npz"]


@pytest.mark.parametrize("where", [0, 40, 100, 5000, 20000, -200, -10])
def test_a_flipped_byte_is_noticed(tmp_path, capsys, where):
    """Anywhere: in the archive's headers, the array's header, the pictures, the directory at the end."""
    path = tmp_path / "set.npz"
    made = made_up(["A/character01", "B/character01"])
    cache.write_cache(path, made)
    content = bytearray(path.read_bytes())
    content[where] ^= 0xFF
    path.write_bytes(bytes(content))
    kept = cache.cached(path, lambda: made)
    np.testing.assert_array_equal(kept.images, made.images)
    assert kept.names == made.names


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_cache_is_made_again(tmp_path, capsys, share):
    path = tmp_path / "set.npz"
    made = made_up(["A/character01", "B/character01"])
    cache.write_cache(path, made)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert cache.cached(path, lambda: made).names == made.names
    assert capsys.readouterr().err.count("is damaged") == 1
    assert cache.cached(path, forbidden).names == made.names


def other_kind(kept):
    kept["images"] = kept["images"].astype(np.int64)


def other_shape(kept):
    kept["images"] = kept["images"].reshape(4, 10, 28, 28)


def names_in_another_order(kept):
    kept["names"] = kept["names"][::-1]


def one_name_twice(kept):
    kept["names"][1] = kept["names"][0]


def turns_of_another_set(kept):
    kept["turns"] = kept["turns"][:1]


def turns_of_another_kind(kept):
    kept["turns"] = kept["turns"].astype(np.uint8)


def no_digest(kept):
    del kept["digest"]


@pytest.mark.parametrize(
    "change",
    [
        other_kind,
        other_shape,
        names_in_another_order,
        one_name_twice,
        turns_of_another_set,
        turns_of_another_kind,
        no_digest,
    ],
)
def test_a_whole_file_of_other_content_is_made_again(tmp_path, capsys, change):
    path = tmp_path / "set.npz"
    made = made_up(["A/character01", "B/character01"])
    cache.write_cache(path, made)
    with np.load(path) as file:
        kept = dict(file)
    change(kept)
    np.savez(path, **kept)
    assert cache.cached(path, lambda: made) is made
    assert capsys.readouterr().err.count("is damaged") == 1
    assert cache.cached(path, forbidden).names == made.names


def test_a_write_that_fails_keeps_the_old_file_and_the_run(tmp_path, monkeypatch, capsys):
    path = tmp_path / "set.npz"
    cache.write_cache(path, made_up(["A/character01"]))
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        cache.write_cache(path, made_up(["B/character01"]))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["set.npz"]
    assert cache.cached(tmp_path / "other.npz", lambda: made_up(["C/character01"])).names == ("C/character01",)
    assert "No space left on device" in capsys.readouterr().err


def test_what_a_killed_process_left_goes_and_what_is_being_written_stays(tmp_path):
    path = tmp_path / "set.npz"
    names = ["set.npzabc.tmp", "set.npzdef.tmp", "theirs.tmp"]
    for name in names:
        (tmp_path / name).touch()
    for name in (names[0], names[2]):
        os.utime(tmp_path / name, (0, 0))
    cache.write_cache(path, made_up(["A/character01"]))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set.npz", *names[1:]]


@pytest.mark.parametrize("change", [lambda p: p.write_bytes(b"two"), lambda p: p.rename(p.with_name("c"))])
def test_the_key_changes_with_content_and_name(tmp_path, change):
    for name in "ab":
        (tmp_path / name).write_bytes(b"one")
    before = cache.key(sorted(tmp_path.iterdir()))
    assert cache.key(sorted(tmp_path.iterdir())) == before
    change(tmp_path / "a")
    assert cache.key(sorted(tmp_path.iterdir())) != before


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLUSTERJAX_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache.cache_folder() == tmp_path / ".cache" / "clusterjax"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder() == tmp_path / "xdg" / "clusterjax"
    monkeypatch.setenv("CLUSTERJAX_CACHE", str(tmp_path / "own"))
    assert cache.cache_folder() == tmp_path / "own"
    assert cache.cache_folder(tmp_path / "named") == tmp_path / "named"
