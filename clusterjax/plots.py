"""Pictures of clusters, of sweeps, of embeddings and of episodes: each takes axes or makes them, and returns them.

They need the extra `plots`. Colours are those of Okabe and Ito, which the colour-blind can tell apart; nothing is said
by colour alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from clusterjax.selection import SweepResult, elbow, suggest_k

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito without yellow and black, which are hard to see on white and to tell from text
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
RIGHT, WRONG, GIVEN = "#0072B2", "#D55E00", "#999999"
MOST_NAMES = 45
STAMP = 22  # the width in points of the picture that stands for a class
LONG = 24  # a longer name is broken into lines
TEXT = {"fontsize": 8, "parse_math": False}  # a name's dollars are no mathematics
ROW = 1.25  # the height of a row of an episode, in tiles: an image and its mark


def silhouette_plot(
    values: ArrayLike, labels: ArrayLike, *, names: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Rousseeuw's silhouette plot: a bar for each point, sorted within its cluster, and how good each cluster is.

    Wide, even blocks are clear clusters; a block that tapers to the left of zero holds points that lie nearer to
    another cluster. At the right stand each cluster's size and mean; the dashed line is the mean of all points.

    Args:
        values: [n], the points' silhouettes, as from `silhouette_samples`.
        labels: [n], the cluster of each point; a negative one is not drawn.
        names: [max(labels) + 1], what to call the clusters instead of their numbers.
        ax: where to draw; a new figure without it.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: `values` and `labels` differ in length, or no label is left to draw.

    Examples:
        >>> import matplotlib; matplotlib.use("agg")
        >>> silhouette_plot([0.9, 0.8, -0.1, 0.5], [0, 0, 1, 1]).get_xlabel()
        'silhouette'

    Source: Rousseeuw, Silhouettes: a graphical aid (1987).
    """
    values, labels = np.asarray(values), np.asarray(labels)
    if values.shape != labels.shape:
        raise ValueError(f"every point needs a label: {values.shape} values and {labels.shape} labels were given")
    values, labels = values[labels >= 0], labels[labels >= 0]
    if not labels.size:
        raise ValueError("no point has a cluster: give labels that are not negative")
    clusters = np.unique(labels)
    if ax is None:
        ax = _new_axes(6.5, min(14.0, max(3.0, 0.3 * clusters.size + 1)))
    gap = max(1.0, 0.01 * labels.size)
    bottom, middles, shares = 0.0, [], []
    for position, cluster in enumerate(clusters):
        own = np.sort(values[labels == cluster])[::-1]
        edges = bottom + np.arange(own.size + 1)
        # without snapping: rounded to whole pixels, thin bars would vanish
        ax.stairs(own, edges, orientation="horizontal", fill=True, snap=False, color=COLOURS[position % len(COLOURS)])
        middles.append(edges.mean())
        shares.append(f"{own.size} | {own.mean():.2f}")
        bottom = edges[-1] + gap
    ax.axvline(values.mean(), color="black", linestyle="--", linewidth=1)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_ylim(bottom, -gap)
    ax.set_xlim(min(0.0, np.floor(10 * np.nanmin(values)) / 10), 1)
    every = -(-clusters.size // MOST_NAMES)  # of very many clusters some are named
    ax.set_yticks(middles[::every], [_name(names, cluster) for cluster in clusters[::every]], **TEXT)
    beside = ax.secondary_yaxis("right")
    beside.set_yticks(middles[::every], shares[::every], **TEXT)
    for axis in (ax, beside):
        axis.tick_params(axis="y", length=0)
    ax.set_xlabel("silhouette")
    ax.set_ylabel("cluster")
    ax.set_title(f"{labels.size} points, {clusters.size} clusters, mean {values.mean():.2f}", fontsize=10)
    beside.set_ylabel("size | mean", rotation=270, labelpad=18)
    ax.spines[["top", "right", "left"]].set_visible(False)
    beside.spines["right"].set_visible(False)
    return ax


def sweep_plot(sweep: SweepResult, *, criterion: str = "silhouette", ax: Axes | None = None) -> Axes:
    """One criterion over the number of clusters, and the k that it chooses by its own rule.

    A band or bars are the standard error of the gap; a k without a value is left out. The inertia falls for any data:
    its elbow is marked where there is one, and is an accident as often as not.

    Args:
        sweep: from `sweep_k`.
        criterion: an index of the sweep, "gap" or "inertia".
        ax: where to draw; a new figure without it.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the sweep does not have this criterion.

    Examples:
        >>> import matplotlib; matplotlib.use("agg")
        >>> import jax, jax.numpy as jnp
        >>> from clusterjax import sweep_k
        >>> x = jnp.repeat(jnp.eye(3) * 9, 20, 0) + jax.random.normal(jax.random.key(0), (60, 3))
        >>> sweep_plot(sweep_k(jax.random.key(1), x, ks=range(2, 6))).get_title()
        'silhouette chooses 3'

    Source: the curves of factoextra's `fviz_nbclust`.
    """
    curves: dict[str, tuple[ArrayLike, ArrayLike, ArrayLike | None]]
    curves = {name: (sweep.ks, values, None) for name, values in sweep.indices.items()}
    if sweep.inertia is not None:
        curves["inertia"] = (sweep.ks, sweep.inertia, None)
    if sweep.gap is not None:
        curves["gap"] = (sweep.gap.ks, sweep.gap.gap, sweep.gap.standard_error)
    if criterion not in curves:
        raise ValueError(f"the sweep has no {criterion!r}: pass one of {', '.join(curves)}")
    ks, values = (np.asarray(part) for part in curves[criterion][:2])
    errors = curves[criterion][2]
    chosen = elbow(ks, values).k if criterion == "inertia" else suggest_k(sweep).votes.get(criterion)
    if ax is None:
        ax = _new_axes(5.0, 3.2)
    ax.errorbar(ks, values, yerr=errors, color=COLOURS[0], marker="o", markersize=4, linewidth=1.2, capsize=2)
    if chosen is not None:
        ax.axvline(chosen, color="black", linestyle="--", linewidth=1)
        ax.plot([chosen], values[ks == chosen], marker="o", markersize=9, fillstyle="none", color="black")
    verb = "bends at" if criterion == "inertia" else "chooses"
    ax.set_title(f"{criterion} {verb} {chosen}" if chosen is not None else f"{criterion}: no answer", fontsize=10)
    every = -(-ks.size // 12)  # of very many some are named
    ax.set_xticks(ks[::every], [str(k) for k in ks[::every]])
    ax.set_xlabel("clusters")
    ax.set_ylabel(criterion.replace("_", " "))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


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
    points, labels = np.asarray(points).astype(float), np.asarray(labels)  # half precision has no singular values
    if points.ndim != 2 or labels.shape != points.shape[:1]:
        raise ValueError(f"every point needs a label: {points.shape} points and {labels.shape} labels were given")
    if not (points.size and np.isfinite(points).all()):
        raise ValueError("there is nothing to draw: no points were given, or one that is NaN or infinite")
    flat, how = _in_two_dimensions(points, method, seed)
    if ax is None:
        ax = _new_axes(7.0, 7.0)
    classes = np.unique(labels[labels >= 0])
    ax.scatter(flat[labels < 0, 0], flat[labels < 0, 1], s=8, color=GIVEN, marker=".")
    signs, ends, colours = [], [], []
    for position, label in enumerate(classes):
        own = np.flatnonzero(labels == label)
        colour = COLOURS[position % len(COLOURS)]
        marker = MARKERS[position // len(COLOURS) % len(MARKERS)]
        ax.scatter(flat[own, 0], flat[own, 1], s=18, color=colour, marker=marker, alpha=0.8, linewidth=0)
        nearest = own[np.square(flat[own] - np.median(flat[own], axis=0)).sum(1).argmin()]
        signs.append(_name(names, label) if images is None else np.asarray(images)[nearest])
        ends.append(flat[nearest])
        colours.append(colour)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.margins(0.08)
    ax.set_title(f"{len(points)} points, {classes.size} classes{how}", fontsize=10)
    every = -(-classes.size // MOST_NAMES)  # of very many classes some are named
    _label(ax, flat, signs[::every], ends[::every], colours[::every])
    return ax


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
        ax = _new_axes(0.5 * columns + 0.8, 0.5 * ROW * way + 0.6)
    for row in range(way):
        for column in range(shot):
            _tile(ax, support[row, column], float(column), ROW * row, GIVEN)
        for place, query in enumerate(np.flatnonzero(true == row)):
            left, answer = shot + 0.4 + place, predicted[query]
            colour, mark = (RIGHT, "✓") if answer == row else (WRONG, f"✗ {_name(names, answer)}")
            _tile(ax, queries[query], left, ROW * row, colour)
            # a font that comes with matplotlib and surely has the marks
            style = {**TEXT, "ha": "center", "va": "center", "fontfamily": "DejaVu Sans", "color": colour}
            ax.text(left + 0.45, ROW * row + 1.06, mark, fontdict=style)
    # imshow has fitted the axes to the last image
    ax.set_xlim(-0.1, columns)
    ax.set_ylim(ROW * way, -0.1)
    ax.set_aspect("equal")
    ax.set_yticks([ROW * row + 0.45 for row in range(way)], [_name(names, row) for row in range(way)], **TEXT)
    ax.set_xticks([shot / 2, (shot + 0.4 + columns) / 2], ["support", "queries"], **TEXT)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(f"{way}-way {shot}-shot: {(predicted == true).sum()} of {len(true)} right", fontsize=10)
    return ax


def _tile(ax: Axes, image: np.ndarray, left: float, top: float, colour: str) -> None:
    """An image of size 0.9 with a frame."""
    from matplotlib.patches import Rectangle

    ax.imshow(_coloured(image), extent=(left, left + 0.9, top + 0.9, top))
    ax.add_patch(Rectangle((left, top), 0.9, 0.9, fill=False, edgecolor=colour, linewidth=1.8))


def _label(
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
            content = OffsetImage(_coloured(sign), zoom=STAMP / sign.shape[1])
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


def _coloured(image: np.ndarray) -> np.ndarray:
    """[h, w, 3]: an image without colours becomes black ink on white."""
    grey = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    return image if grey.ndim == 3 else np.repeat(np.clip(1.0 - grey, 0, 1)[..., None], 3, axis=2)


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


def _name(names: Sequence[str] | None, number: int | np.integer) -> str:
    return str(number) if names is None else str(names[int(number)])


def _new_axes(width: float, height: float) -> Axes:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'clusterjax[plots]'") from error
    return plt.subplots(figsize=(width, height), layout="constrained")[1]
