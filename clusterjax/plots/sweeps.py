"""A sweep over the number of clusters: its curves, its votes, and how clusters come from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from clusterjax.plots.style import COLOURS, MOST_NAMES, TEXT, new_axes
from clusterjax.selection import SweepResult, elbow, suggest_k

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST = 0.1  # edges of a smaller share are left out, as by clustree
PALE, BRIGHT = "#DDDDDD", "#56B4E9"


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
        ax = new_axes(5.0, 3.2)
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


def votes_plot(sweep: SweepResult, *, ax: Axes | None = None) -> Axes:
    """What each criterion of a sweep votes for: a bar for each number of clusters that has votes.

    A bar is made of its votes, with the names of their criteria in them. The k of most votes is marked as suggested.

    Args:
        sweep: from `sweep_k`.
        ax: where to draw; a new figure without it.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: no criterion has a value anywhere.

    Examples:
        >>> import matplotlib; matplotlib.use("agg")
        >>> import jax, jax.numpy as jnp
        >>> from clusterjax import sweep_k
        >>> x = jnp.repeat(jnp.eye(3) * 9, 20, 0) + jax.random.normal(jax.random.key(0), (60, 3))
        >>> sweep = sweep_k(jax.random.key(1), x, ks=range(2, 6), indices=("silhouette", "davies_bouldin"))
        >>> votes_plot(sweep).get_title()
        '3 clusters: 2 of 2 votes'

    Source: Charrad et al., NbClust: an R package for determining the relevant number of clusters (2014).
    """
    suggested, votes, _ = suggest_k(sweep)
    if suggested is None:
        raise ValueError("there are no votes to draw: no criterion of the sweep has a value")
    voted = sorted(set(votes.values()))
    if ax is None:
        ax = new_axes(max(3.5, 0.9 * len(voted) + 0.8), 3.2)
    heights = dict.fromkeys(voted, 0)
    for name, k in votes.items():
        colour = BRIGHT if k == suggested else PALE
        bar = ax.bar(voted.index(k), 1, width=0.9, bottom=heights[k], color=colour, edgecolor="white", linewidth=2)
        ax.bar_label(bar, [name.replace("_", "\n")], label_type="center", **TEXT)
        heights[k] += 1
    ax.set_xticks(range(len(voted)), [f"{k}\nsuggested" if k == suggested else str(k) for k in voted])
    ax.set_yticks(range(max(heights.values()) + 1))
    ax.set_xlabel("clusters")
    ax.set_ylabel("votes")
    plural = "s" if suggested > 1 else ""
    ax.set_title(f"{suggested} cluster{plural}: {heights[suggested]} of {len(votes)} votes", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def cluster_tree_plot(sweep: SweepResult, *, ax: Axes | None = None) -> Axes:
    """How the clusters of each k come from those of the k before: a row for each k, a node for each cluster.

    `share(parent, child) = #(parent and child) / #child`: the wider and darker an edge, the more of the lower cluster
    comes from the upper one; shares below 0.1 are left out. Clusters that stay one broad line are stable. A cluster
    with several parents says that a boundary moved, and many of them that k is too large. An area is the number of
    points, a number the cluster's in `sweep.labels`; where rows hold more than 45 clusters, there are none.

    Args:
        sweep: from `sweep_k`; a point with a negative label takes no part in that row.
        ax: where to draw, at its final size; a new figure without it.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the sweep has a single k, or no point has a cluster.

    Examples:
        >>> import matplotlib; matplotlib.use("agg")
        >>> import jax, jax.numpy as jnp
        >>> from clusterjax import sweep_k
        >>> x = jnp.repeat(jnp.eye(3) * 9, 20, 0) + jax.random.normal(jax.random.key(0), (60, 3))
        >>> cluster_tree_plot(sweep_k(jax.random.key(1), x, ks=range(2, 5))).get_title()
        '60 points, 2 to 4 clusters'

    Source: Zappia and Oshlack, Clustering trees: a visualization for evaluating clusterings at multiple resolutions
    (2018).
    """
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import withStroke

    ks, labels = np.asarray(sweep.ks), np.asarray(sweep.labels)
    if ks.size < 2 or (labels < 0).all():
        raise ValueError("there is no tree to draw: give a sweep of two numbers of clusters or more, with clusters")
    nodes, ends, shares = _tree(labels)
    row, cluster, size, place = nodes.T
    widest = np.bincount(row.astype(int)).max()
    if ax is None:
        ax = new_axes(min(14.0, max(6.0, 0.55 * widest)), min(14.0, max(3.0, 0.6 * ks.size + 0.8)))
    room = 72 / ax.figure.dpi * np.divide(ax.bbox.size, (widest, ks.size))  # of a node, in points
    largest = 0.8 * min(room.min(), 36)
    lines = LineCollection(list(ends), linewidths=min(4, 0.4 * room[0]) * shares, zorder=1)
    lines.set_color([(0.2, 0.2, 0.2, share) for share in shares])
    ax.add_collection(lines)
    ax.scatter(place, row, s=largest**2 * size / size.max(), color=BRIGHT, edgecolor="black", linewidth=0.6, zorder=2)
    if widest <= MOST_NAMES:
        halo = [withStroke(linewidth=1.5, foreground="white")]  # a small node's number stands on its edges
        for at, number in zip(zip(place, row, strict=True), cluster, strict=True):
            ax.annotate(f"{number:.0f}", at, ha="center", va="center", fontsize=7, path_effects=halo)
    ax.set_xlim(0, 1)
    ax.set_ylim(ks.size - 0.4, -0.6)
    ax.set_xticks([])
    every = -(-ks.size // MOST_NAMES)  # of very many some are named
    ax.set_yticks(range(0, ks.size, every), [str(k) for k in ks[::every]], **TEXT)
    ax.tick_params(length=0)
    ax.set_ylabel("clusters")
    ax.set_title(f"{(labels >= 0).any(0).sum()} points, {ks[0]} to {ks[-1]} clusters", fontsize=10)
    ax.spines[:].set_visible(False)
    return ax


def _tree(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes [c, 4] (row, cluster, size, place in its row), the ends of edges [e, 2, 2], and their shares [e].

    The nodes of a row are spread evenly, in the order of their parents' mean place, so that edges cross little.
    """
    nodes, ends, shares = [], [np.zeros((0, 2, 2))], [np.zeros(0)]
    for row, own in enumerate(labels):
        clusters, sizes = np.unique(own[own >= 0], return_counts=True)
        places = (np.arange(clusters.size) + 0.5) / max(clusters.size, 1)
        if row:
            above, parents, of_parents = labels[row - 1], nodes[-1][:, 1], nodes[-1][:, 3]
            both = (own >= 0) & (above >= 0)
            share = np.zeros((clusters.size, parents.size))
            np.add.at(share, (np.searchsorted(clusters, own[both]), np.searchsorted(parents, above[both])), 1)
            share /= sizes[:, None]
            middle = share @ of_parents / np.maximum(share.sum(1), 1e-9)
            places = places[middle.argsort(kind="stable").argsort()]
            child, parent = np.nonzero(share >= LEAST)
            upper = np.stack([of_parents[parent], np.full(parent.size, row - 1)], -1)
            lower = np.stack([places[child], np.full(child.size, row)], -1)
            ends.append(np.stack([upper, lower], 1))
            shares.append(share[child, parent])
        nodes.append(np.stack([np.full(clusters.size, row), clusters, sizes, places], -1))
    return np.concatenate(nodes), np.concatenate(ends), np.concatenate(shares)
