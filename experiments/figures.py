"""The pictures of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.data import Part


def draw(folder: Path, embeddings: np.ndarray, part: Part) -> None:
    """Draw all pictures of a run into `folder`."""
