"""Points on a plane: how they come there, and the names or pictures beside them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from clusterjax.plots.style import TEXT, coloured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STAMP = 22  # the width in points of the picture that stands for a class
LONG = 24  # a longer name is broken into lines


def on_a_plane(points: ArrayLike, labels: ArrayLike, method: str, seed: int) -> tuple[np.ndarray, np.ndarray, str]:
    """The points [n, 2] and their labels, and how they came there, for the title.

    Raises:
        ImportError: umap-learn or scikit-learn is needed and not installed.
        ValueError: an unknown method, no points, a point that is not finite, or not a label for each.
    """
    points, labels = np.asarray(points).astype(float), np.asarray(labels)  # half precision has no singular values
    if points.ndim != 2 or labels.shape != points.shape[:1]:
        raise ValueError(f"every point needs a label: {points.shape} points and {labels.shape} labels were given")
    if not (points.size and np.isfinite(points).all()):
        raise ValueError("there is nothing to draw: no points were given, or one that is NaN or infinite")
    flat, how = _in_two_dimensions(points, method, seed)
    return flat, labels, how


def in_the_middle(flat: np.ndarray) -> int:
    """Which point is nearest to the middle of all."""
    return int(np.square(flat - np.median(flat, axis=0)).sum(1).argmin())


def put_labels(
    ax: Axes, points: np.ndarray, signs: Sequence[str | np.ndarray], ends: Sequence[np.ndarray], colours: Sequence[str]
) -> None:
    """Set up signs, names or pictures, near their ends and off the points, with a line from each to its end.

    They stand in the cells of a grid, one in a cell, and so never on each other. Which stands where is an assignment
    problem: a place costs the length of its line, and a cell's length more for each point that it hides. Of more signs
    than there are cells some are left out.
    """
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage, TextArea
    from matplotlib.patches import ConnectionPatch
    from scipy.optimize import linear_sum_assignment

    boxes = []
    for sign, colour in zip(signs, colours, strict=True):
        if isinstance(sign, str):
            content = TextArea(textwrap.fill(sign, LONG), textprops=TEXT)
        else:
            content = OffsetImage(coloured(sign), zoom=STAMP / sign.shape[1])
        frame = {"edgecolor": colour, "linewidth": 1.5}
        boxes.append(AnnotationBbox(content, (0.5, 0.5), xycoords="axes fraction", pad=0.15, bboxprops=frame))
        ax.add_artist(boxes[-1])
    if not boxes:
        return
    ax.figure.canvas.figure.draw_without_rendering()  # only this settles the sizes of axes and boxes
    sizes = [box.patch.get_window_extent().size for box in boxes]
    cell = np.max(sizes, axis=0) + 6 * ax.figure.dpi / 72  # 6 points: a box does not touch a marker in the next cell
    cells = np.maximum(ax.bbox.size / cell, 1).astype(int)
    places = (np.indices(cells).reshape(2, -1).T + 0.5) / cells
    to_fractions = ax.transData + ax.transAxes.inverted()
    hidden = np.histogramdd(to_fractions.transform(points), cells, [(0, 1), (0, 1)])[0].ravel()
    ways = (to_fractions.transform(np.stack(ends))[:, None] - places) * ax.bbox.size
    cost = np.linalg.norm(ways, axis=-1) + cell.max() * hidden
    given = dict(zip(*linear_sum_assignment(cost), strict=True))
    for number, (box, end, colour) in enumerate(zip(boxes, ends, colours, strict=True)):
        if number not in given:
            box.remove()
            continue
        box.xybox = tuple(places[given[number]])
        # over the points and under every box
        ax.add_artist(ConnectionPatch(box.xybox, tuple(end), "axes fraction", "data", color=colour, zorder=2))


def _in_two_dimensions(points: np.ndarray, method: str, seed: int) -> tuple[np.ndarray, str]:
    """The points on a plane, and how they came there, for the title."""
    if method not in ("umap", "tsne", "pca"):
        raise ValueError(f"unknown method {method!r}: pass 'umap', 'tsne' or 'pca'")
    n, d = points.shape
    if d <= 2:
        return np.pad(points, ((0, 0), (0, 2 - d))), ""
    if method == "pca" or n <= 3:  # three points lie on a plane, which needs no other method, and the others need more
        centred = points - points.mean(0)
        flat = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
        return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1]))), " (pca)"
    try:
        if method == "umap":
            from umap import UMAP

            # fewer neighbours than points, or it warns; one thread, for a seed needs it
            reducer = UMAP(random_state=seed, n_jobs=1, n_neighbors=min(15, n - 1))
        else:
            from sklearn.manifold import TSNE

            reducer = TSNE(random_state=seed, perplexity=min(30, (n - 1) / 3))
    except ImportError as error:
        raise ImportError(f"method={method!r} needs {error.name}: pip install 'clusterjax[plots]'") from error
    return np.asarray(reducer.fit_transform(points)), f" ({method})"
