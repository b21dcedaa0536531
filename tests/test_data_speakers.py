"""Utterances that come with another package, read from files in its format."""

from importlib.util import find_spec

import numpy as np
import pytest

from experiments import data, speakers
from experiments.data import speakers as utterances

HEAD = "#A comment\n@problemName Made up\n@dimensions 2\n@classLabel true 1 2\n@data\n"


def folder_of(tmp_path, train="0,1,2:5,5,5:1\n", test="3,3:0,9:2\n"):
    for half, text in (("TRAIN", train), ("TEST", test)):
        (tmp_path / f"JapaneseVowels_{half}.ts").write_text(HEAD + text)
    return tmp_path


def test_every_series_has_as_many_frames(tmp_path):
    found = utterances.read(folder_of(tmp_path))
    assert found.names == ("speaker 1", "speaker 2")
    np.testing.assert_array_equal(found.labels, [0, 1])
    np.testing.assert_array_equal(found.training, [True, False])
    assert found.images.dtype == np.float32
    np.testing.assert_allclose(found.images[0], np.stack([np.linspace(0, 2, 10), np.full(10, 5)], 1), rtol=1e-6)
    np.testing.assert_allclose(found.images[1], np.stack([np.full(10, 3), np.linspace(0, 9, 10)], 1), rtol=1e-6)


def test_a_file_that_is_none_is_named(tmp_path):
    folder = folder_of(tmp_path)
    (folder / "JapaneseVowels_TEST.ts").write_text("nothing")
    with pytest.raises(data.DataError, match=r"JapaneseVowels_TEST.ts is missing or no file of series"):
        utterances.read(folder)


def test_without_the_package_there_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(utterances, "find_spec", lambda name: None)
    assert speakers.main([]) == 2
    told = "speakers.py: The speakers come with the package aeon; run `pip install 'clusterjax[speech]'`.\n"
    assert capsys.readouterr().err == told


@pytest.mark.data
@pytest.mark.skipif(find_spec("aeon") is None, reason="needs the package aeon, which has the utterances")
def test_all_of_them():
    found = utterances.read()
    assert found.images.shape == (640, 10, 12)
    assert np.bincount(found.labels, found.training).tolist() == [30] * 9
    # as published
    assert np.bincount(found.labels, ~found.training).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
