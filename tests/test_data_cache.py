"""The cache: what was put in comes out, and what is damaged is made again."""

from __future__ import annotations

import os

import numpy as np
import pytest
from stand_ins import made_up

from experiments import data
from experiments.data import cache


def forbidden() -> data.Characters:
    raise AssertionError("made again although it was there")


def test_the_cache_gives_back_what_was_put_in(tmp_path):
    path = tmp_path / "new" / "set.npz"
    made = made_up(["A/character01", "B/character01"])
    made.turns[1, 3] = False
    cache.cached(path, data.Characters, lambda: made)
    kept = cache.cached(path, data.Characters, forbidden)
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
    kept = cache.cached(path, data.Characters, lambda: made)
    np.testing.assert_array_equal(kept.images, made.images)
    assert kept.names == made.names


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_cache_is_made_again(tmp_path, capsys, share):
    path = tmp_path / "set.npz"
    made = made_up(["A/character01", "B/character01"])
    cache.write_cache(path, made)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert cache.cached(path, data.Characters, lambda: made).names == made.names
    assert capsys.readouterr().err.count("is damaged") == 1
    assert cache.cached(path, data.Characters, forbidden).names == made.names


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
    assert cache.cached(path, data.Characters, lambda: made) is made
    assert capsys.readouterr().err.count("is damaged") == 1
    assert cache.cached(path, data.Characters, forbidden).names == made.names


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
    other = made_up(["C/character01"])
    assert cache.cached(tmp_path / "other.npz", data.Characters, lambda: other) is other
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
