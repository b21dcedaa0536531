"""What all pictures share: colours, names, axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito without yellow and black, which are hard to see on white and to tell from text
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GIVEN = "#999999"
MOST_NAMES = 45
TEXT = {"fontsize": 8, "parse_math": False}  # a name's dollars are no mathematics


def name_of(names: Sequence[str] | None, number: int | np.integer) -> str:
    """What to call a cluster: its name, or its number."""
    return str(number) if names is None else str(names[int(number)])


def new_axes(width: float, height: float) -> Axes:
    """A new figure of so many inches, with one plot."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'clusterjax[plots]'") from error
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def coloured(image: np.ndarray) -> np.ndarray:
    """[h, w, 3]: an image without colours becomes black ink on white."""
    grey = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    return image if grey.ndim == 3 else np.repeat(np.clip(1.0 - grey, 0, 1)[..., None], 3, axis=2)
