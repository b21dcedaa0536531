"""The silhouette over the number of points, clusters and features, one at a time: a picture that would show a cliff.

    python -m benchmarks.shapes

Nanoseconds for each ordered pair of points; the picture is docs/pictures/shapes.png.
"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import measure
from clusterjax import silhouette_score

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "shapes.png"
USUAL = {"n": 10_000, "k": 10, "d": 64}
SWEEPS = {
    "n": (200, 300, 500, 520, 700, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000),
    "k": (2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000),
    "d": (2, 4, 8, 9, 16, 32, 64, 128, 256, 512),
}
AXES = {"n": "points", "k": "clusters", "d": "features"}


def nanoseconds(n: int, k: int, d: int) -> float:
    """For each ordered pair of points; the time is the median of several calls, compile time apart."""
    rng = np.random.default_rng(0)
    labels = jnp.asarray(np.arange(n) % k)
    x = jnp.asarray(rng.normal(size=(k, d))[labels] + rng.normal(size=(n, d)), jnp.float32)
    score = jax.jit(lambda x: silhouette_score(x, labels, num_clusters=k))
    score(x).block_until_ready()
    return float(np.median([measure.seconds(lambda: score(x)) for _ in range(max(5, 1_000 // n))])) / n**2 * 1e9


def draw(rows: list[dict]) -> None:
    """One panel for what varies, both axes by powers."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
    for (varied, name), ax in zip(AXES.items(), axes, strict=True):
        own = [row for row in rows if row["varied"] == varied]
        ax.loglog([row[varied] for row in own], [row["nanoseconds_per_pair"] for row in own], "o-", color="#0072B2")
        held = ", ".join(f"{USUAL[other]} {AXES[other]}" for other in USUAL if other != varied)
        ax.set_title(held, fontsize=9)
        ax.set_xlabel(name)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("nanoseconds for a pair")
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    """Measure and draw."""
    rows = []
    for varied, values in SWEEPS.items():
        for value in values:
            shape = {**USUAL, varied: value}
            rows.append({"varied": varied, **shape, "nanoseconds_per_pair": nanoseconds(**shape)})
    measure.write("shapes", rows)
    draw(rows)


if __name__ == "__main__":
    main()
