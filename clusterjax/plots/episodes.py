"""An episode as a grid of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from clusterjax.plots.style import GIVEN, TEXT, coloured, name_of, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RIGHT, WRONG = "#0072B2", "#D55E00"
ROW = 1.25  # the height of a row of an episode, in tiles: an image and its mark


def episode_plot(
    support: ArrayLike,
    queries: ArrayLike,
    predicted: ArrayLike,
    true: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One episode as a grid of images: a row for each class, its support at the left, its queries at the right.

    A query has a blue frame and a tick when it went to its class; else an orange frame, a cross and the class it was
    taken for.

    Args:
        support: [way, shot, h, w] or [way, shot, h, w, c] in [0, 1], where one channel is ink, drawn black.
        queries: [m, h, w] or [m, h, w, c].
        predicted: [m], integers in [0, way): the rows that the queries were put in.
        true: [m], integers in [0, way): the rows that they belong in.
        names: [way], what to call the classes instead of their numbers.
        ax: where to draw; a new figure without it.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: `queries`, `predicted` and `true` differ in length.

    Examples:
        >>> import matplotlib; matplotlib.use("agg")
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> ax = episode_plot(rng.random((2, 1, 8, 8)), rng.random((4, 8, 8)), [0, 1, 1, 1], [0, 0, 1, 1])
        >>> ax.get_title()
        '2-way 1-shot: 3 of 4 right'

    Source: the setting of Lake, Salakhutdinov, Tenenbaum (2015).
    """
    support, queries, predicted, true = (np.asarray(a) for a in (support, queries, predicted, true))
    if not len(queries) == len(predicted) == len(true):
        raise ValueError(
            f"every query needs an answer: {len(queries)} queries, {len(predicted)} predicted and {len(true)} true "
            "classes were given"
        )
    way, shot = support.shape[:2]
    columns = shot + 0.4 + np.bincount(true, minlength=way).max(initial=0)
    if ax is None:
        ax = new_axes(0.5 * columns + 0.8, 0.5 * ROW * way + 0.6)
    for row in range(way):
        for column in range(shot):
            _tile(ax, support[row, column], float(column), ROW * row, GIVEN)
        for place, query in enumerate(np.flatnonzero(true == row)):
            left, answer = shot + 0.4 + place, predicted[query]
            colour, mark = (RIGHT, "✓") if answer == row else (WRONG, f"✗ {name_of(names, answer)}")
            _tile(ax, queries[query], left, ROW * row, colour)
            # a font that comes with matplotlib and surely has the marks
            style = {**TEXT, "ha": "center", "va": "center", "fontfamily": "DejaVu Sans", "color": colour}
            ax.text(left + 0.45, ROW * row + 1.06, mark, fontdict=style)
    # imshow has fitted the axes to the last image
    ax.set_xlim(-0.1, columns)
    ax.set_ylim(ROW * way, -0.1)
    ax.set_aspect("equal")
    ax.set_yticks([ROW * row + 0.45 for row in range(way)], [name_of(names, row) for row in range(way)], **TEXT)
    ax.set_xticks([shot / 2, (shot + 0.4 + columns) / 2], ["support", "queries"], **TEXT)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(f"{way}-way {shot}-shot: {(predicted == true).sum()} of {len(true)} right", fontsize=10)
    return ax


def _tile(ax: Axes, image: np.ndarray, left: float, top: float, colour: str) -> None:
    """An image of size 0.9 with a frame."""
    from matplotlib.patches import Rectangle

    ax.imshow(coloured(image), extent=(left, left + 0.9, top + 0.9, top))
    ax.add_patch(Rectangle((left, top), 0.9, 0.9, fill=False, edgecolor=colour, linewidth=1.8))
