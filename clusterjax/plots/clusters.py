"""Clusters and how well each of their points lies: as bars, and where the points are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from clusterjax.plots.plane import in_the_middle, on_a_plane, put_labels
from clusterjax.plots.style import COLOURS, GIVEN, MARKERS, MOST_NAMES, TEXT, name_of, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        ax = new_axes(6.5, min(14.0, max(3.0, 0.3 * clusters.size + 1)))
    gap = max(1.0, 0.01 * labels.size)
    least = labels.size / max(30, clusters.size)  # small clusters have room for their names
    bottom, middles, shares = 0.0, [], []
    for position, cluster in enumerate(clusters):
        own = np.sort(values[labels == cluster])[::-1]
        edges = bottom + np.arange(own.size + 1)
        # without snapping: rounded to whole pixels, thin bars would vanish
        ax.stairs(own, edges, orientation="horizontal", fill=True, snap=False, color=COLOURS[position % len(COLOURS)])
        middles.append(edges.mean())
        shares.append(f"{own.size} | {own.mean():.2f}")
        bottom += max(own.size, least) + gap
    ax.axvline(values.mean(), color="black", linestyle="--", linewidth=1)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_ylim(bottom, -gap)
    ax.set_xlim(min(0.0, np.floor(10 * np.nanmin(values)) / 10), 1)
    every = -(-clusters.size // MOST_NAMES)  # of very many clusters some are named
    ax.set_yticks(middles[::every], [name_of(names, cluster) for cluster in clusters[::every]], **TEXT)
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


def silhouette_points_plot(
    points: ArrayLike,
    values: ArrayLike,
    labels: ArrayLike,
    *,
    method: str = "umap",
    names: Sequence[str] | None = None,
    seed: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Where the points lie that sit badly: the points in two dimensions, coloured by their silhouettes.

    A marker for each cluster, and its name beside it; a ring around each point below 0, which is nearer to another
    cluster. As in `embedding_plot`, two dimensions show what is together; the silhouettes are those of all dimensions.

    Args:
        points: [n, d].
        values: [n], their silhouettes, as from `silhouette_samples`.
        labels: [n], the cluster of each point; a negative one is drawn in grey.
        method: "umap", "tsne" or "pca", to come to two dimensions when d > 2.
        names: [max(labels) + 1], what to call the clusters instead of their numbers.
        seed: for "umap" and "tsne".
        ax: where to draw; a new figure without it.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib, umap-learn or scikit-learn is needed and not installed.
        ValueError: an unknown method, a point or the silhouette of one that is not finite, `points`, `values` and
            `labels` differ in length, or no label is left to draw.

    Examples:
        >>> import matplotlib; matplotlib.use("agg")
        >>> points = [[0.0, 0.0], [0.0, 1.0], [5.0, 0.0], [1.0, 1.0]]
        >>> silhouette_points_plot(points, [0.8, 0.7, 0.1, -0.6], [0, 0, 1, 1]).get_title()
        '4 points, 2 clusters; ringed: 1 below 0'

    Source: Rousseeuw (1987) for the silhouettes.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    flat, labels, how = on_a_plane(points, labels, method, seed)
    values, clusters = np.asarray(values).astype(float), np.unique(labels[labels >= 0])
    if values.shape != labels.shape:
        raise ValueError(f"every point needs a silhouette: {values.shape} values were given for {len(flat)} points")
    if not (clusters.size and np.isfinite(values[labels >= 0]).all()):
        raise ValueError("there is nothing to colour by: no point has a cluster, or a silhouette is NaN or infinite")
    if ax is None:
        ax = new_axes(7.5, 6.5)
    reach = np.abs(values[labels >= 0]).max() or 1.0
    shades = {"norm": Normalize(-reach, reach), "cmap": "PuOr"}
    ax.scatter(flat[labels < 0, 0], flat[labels < 0, 1], s=8, color=GIVEN, marker=".")
    middles = []
    for position, cluster in enumerate(clusters):
        own = np.flatnonzero(labels == cluster)
        marker = MARKERS[position % len(MARKERS)]
        look = {"s": 24, "marker": marker, "edgecolor": "#666666", "linewidth": 0.4}
        ax.scatter(flat[own, 0], flat[own, 1], c=values[own], **shades, **look)
        middles.append(flat[own[in_the_middle(flat[own])]])
    below = (labels >= 0) & (values < 0)
    ax.scatter(flat[below, 0], flat[below, 1], s=75, facecolor="none", edgecolor="black", linewidth=0.9)
    ax.figure.colorbar(ScalarMappable(**shades), ax=ax, label="silhouette", shrink=0.8)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.margins(0.08)
    ax.set_title(f"{len(flat)} points, {clusters.size} clusters{how}; ringed: {below.sum()} below 0", fontsize=10)
    every = -(-clusters.size // MOST_NAMES)  # of very many clusters some are named
    signs = [name_of(names, cluster) for cluster in clusters[::every]]
    put_labels(ax, flat, signs, middles[::every], ["black"] * len(signs))
    return ax
