"""A view of an embedding: its classes in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from clusterjax.plots.plane import in_the_middle, on_a_plane, put_labels
from clusterjax.plots.style import COLOURS, GIVEN, MARKERS, MOST_NAMES, name_of, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def embedding_plot(
    points: ArrayLike,
    labels: ArrayLike,
    *,
    method: str = "umap",
    images: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """A view of the points in two dimensions: a colour and a shape for each class, and its name or a picture of it.

    Points with one or two coordinates are drawn as they are, others are first brought down to two. UMAP and t-SNE keep
    neighbourhoods and no distances: look for what is together, not for how far apart or how dense it is.

    A line leads from each name or picture to a point of its class, the one nearest to the middle. Of more than 45
    classes some are named. Give the axes their final size first: names and pictures are placed for it.

    Args:
        points: [n, d].
        labels: [n], the class of each point; a negative one is drawn in grey.
        method: "umap", "tsne" or "pca", to come to two dimensions when d > 2. Three points or fewer lie on a plane and
            are always drawn by "pca".
        images: [n, h, w] or [n, h, w, c] in [0, 1], where one channel is ink, drawn black: the one of the point nearest
            to the middle of its class stands for the class.
        names: [max(labels) + 1], what to call the classes instead of their numbers.
        seed: for "umap" and "tsne".
        ax: where to draw; a new figure without it.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib, umap-learn or scikit-learn is needed and not installed.
        ValueError: an unknown method, no points, a point that is not finite, or `points` and `labels` differ in length.

    Examples:
        >>> import matplotlib; matplotlib.use("agg")
        >>> import numpy as np
        >>> ax = embedding_plot(np.eye(6), [0, 0, 0, 1, 1, 1], method="pca")
        >>> ax.get_title()
        '6 points, 2 classes (pca)'

    Source: McInnes et al., UMAP (2018); van der Maaten & Hinton, t-SNE (2008).
    """
    flat, labels, how = on_a_plane(points, labels, method, seed)
    if ax is None:
        ax = new_axes(7.0, 7.0)
    classes = np.unique(labels[labels >= 0])
    ax.scatter(flat[labels < 0, 0], flat[labels < 0, 1], s=8, color=GIVEN, marker=".")
    signs, ends, colours = [], [], []
    for position, label in enumerate(classes):
        own = np.flatnonzero(labels == label)
        colour = COLOURS[position % len(COLOURS)]
        marker = MARKERS[position // len(COLOURS) % len(MARKERS)]
        ax.scatter(flat[own, 0], flat[own, 1], s=18, color=colour, marker=marker, alpha=0.8, linewidth=0)
        nearest = own[in_the_middle(flat[own])]
        signs.append(name_of(names, label) if images is None else np.asarray(images)[nearest])
        ends.append(flat[nearest])
        colours.append(colour)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.margins(0.08)
    ax.set_title(f"{len(flat)} points, {classes.size} classes{how}", fontsize=10)
    every = -(-classes.size // MOST_NAMES)  # of very many classes some are named
    put_labels(ax, flat, signs[::every], ends[::every], colours[::every])
    return ax
