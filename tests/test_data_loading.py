"""Which data set is loaded: what is there, what is said where it is not, and what a machine may lack."""

from __future__ import annotations

import pwd
import tempfile
import time

import pytest
from stand_ins import NAMES, every_name, made_up, prepare

from experiments import data
from experiments.data import cache, omniglot


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
    cache.write_cache(nowhere / "cache" / f"omniglot-v{omniglot.VERSION}-0123456789abcdef.npz", kept)
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
    assert omniglot.find(None, cache.cache_folder()).names == NAMES
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
