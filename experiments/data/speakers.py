"""A data set without pictures: nine men who say two Japanese vowels, 640 times in all (Kudo, Toyama and Shimbo 1999).

read() -> Pictures(images [640, 10, 12], labels, training, names)

An utterance is a series of 7 to 29 frames of 12 coefficients of its spectrum (cepstra of a linear prediction). It comes
with the package `aeon`: `pip install 'clusterjax[speech]'`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from experiments.data.errors import DataError
from experiments.data.pictures import Pictures

FRAMES = 10  # that every utterance is brought to, evenly from its first to its last


def read(folder: Path | None = None) -> Pictures:
    """All utterances, float32, as ten frames each.

    Args:
        folder: that holds the two files; by default that of the package.

    Raises:
        DataError: the package is not there, or has no such files.
    """
    folder = folder or packaged()
    series, labels, training = [], [], []
    for half in ("TRAIN", "TEST"):
        for line in lines(folder / f"JapaneseVowels_{half}.ts"):
            *coefficients, label = line.split(":")
            series.append(resampled(np.array([one.split(",") for one in coefficients], float)))
            labels.append(int(label) - 1)
            training.append(half == "TRAIN")
    names = tuple(f"speaker {i + 1}" for i in range(max(labels) + 1))
    return Pictures(np.stack(series).astype(np.float32), np.array(labels, np.int32), np.array(training), names)


def packaged() -> Path:
    """Where the package keeps them; it is not imported for that."""
    package = find_spec("aeon")
    if package is None or not package.submodule_search_locations:
        raise DataError("The speakers come with the package aeon; run `pip install 'clusterjax[speech]'`.")
    return Path(package.submodule_search_locations[0]) / "datasets" / "data" / "JapaneseVowels"


def lines(path: Path) -> list[str]:
    """The data of a file of series, one a line, after a head that ends with @data."""
    try:
        _, data = path.read_text(encoding="utf-8").lower().split("@data\n")
    except (FileNotFoundError, ValueError) as error:
        raise DataError(f"{path} is missing or no file of series; install another version of aeon.") from error
    return data.split()


def resampled(series: np.ndarray) -> np.ndarray:
    """`[coefficients, frames]` -> `[FRAMES, coefficients]`, in between by straight lines."""
    at = np.linspace(0, series.shape[1] - 1, FRAMES)
    return np.stack([np.interp(at, np.arange(series.shape[1]), one) for one in series], axis=1)
