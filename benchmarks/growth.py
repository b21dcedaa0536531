"""How the time of a silhouette grows with the points and with the clusters, beside other libraries: a picture.

    python -m benchmarks.growth

Blobs in 64 dimensions: points in clusters of 100, and 20 000 points in more and more clusters. scib-metrics and
silhouette-scalable, whose number is an estimate, join where they are installed. The picture is
docs/pictures/growth.png.
"""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import silhouette_score as peer

from benchmarks import measure
from benchmarks.past_all_pairs import blobs
from clusterjax import silhouette_score

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "growth.png"
NS, MEMBERS = (2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000), 100
KS, N = (2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000), 20_000
# Seconds after which a rival is asked for no more points or clusters.
PATIENCE = 5
COLOURS = {
    "clusterjax": "#0072B2",
    "clusterjax, jitted": "#56B4E9",
    "scikit-learn": "#D55E00",
    "scib-metrics": "#009E73",
    "silhouette-scalable, an estimate": "#999999",
}


def rivals(x: np.ndarray, labels: np.ndarray) -> dict[str, Callable[[], object]]:
    """What is compared, on the same data."""
    k, on_device = int(labels.max()) + 1, jnp.asarray(x)
    jitted = jax.jit(partial(silhouette_score, num_clusters=k))
    compared = {
        "clusterjax": lambda: silhouette_score(on_device, labels, num_clusters=k),
        "clusterjax, jitted": lambda: jitted(on_device, labels),
        "scikit-learn": lambda: peer(x, labels),
    }
    if importlib.util.find_spec("scib_metrics"):
        from scib_metrics.utils import silhouette_samples as scib  # pyright: ignore[reportMissingImports]

        compared["scib-metrics"] = lambda: scib(x, labels)
    if importlib.util.find_spec("silhouette_scalable"):
        import silhouette_scalable  # pyright: ignore[reportMissingImports]

        estimate = partial(silhouette_scalable.compute, x, labels, threads=2)
        compared["silhouette-scalable, an estimate"] = estimate
    return compared


def grown(varied: str, shapes: list[tuple[int, int]]) -> list[dict]:
    """Rows for growing data, of each rival until it takes too long."""
    rows, asked = [], set(COLOURS)
    for n, k in shapes:
        for what, function in rivals(*blobs(n, k)).items():
            if what not in asked:
                continue
            first = measure.seconds(function)
            time = statistics.median(measure.seconds(function) for _ in range(1 if first > 2 else 3))
            rows.append({"varied": varied, "n": n, "k": k, "what": what, "seconds": time})
            if time > PATIENCE:
                asked.remove(what)
    return rows


def draw(rows: list[dict]) -> None:
    """Both growths side by side, both axes by powers."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), sharey=True, layout="constrained")
    titles = {"n": f"clusters of {MEMBERS} points", "k": f"{N} points"}
    for (varied, label), ax in zip((("n", "points"), ("k", "clusters")), axes, strict=True):
        for what, colour in COLOURS.items():
            own = [row for row in rows if (row["varied"], row["what"]) == (varied, what)]
            if own:
                line = "--" if "estimate" in what else "-"
                seconds = [row["seconds"] for row in own]
                ax.loglog([row[varied] for row in own], seconds, f"o{line}", ms=3.5, color=colour, label=what)
        ax.set_title(titles[varied], fontsize=10)
        ax.set_xlabel(label)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("seconds")
    axes[0].legend(fontsize=8, frameon=False)
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    """Measure and draw."""
    rows = grown("n", [(n, n // MEMBERS) for n in NS]) + grown("k", [(N, k) for k in KS])
    measure.write("growth", rows)
    draw(rows)


if __name__ == "__main__":
    main()
