"""A sweep over the number of clusters: its curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from clusterjax.plots.style import COLOURS, new_axes
from clusterjax.selection import SweepResult, elbow, suggest_k

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
