"""Pictures of the embeddings: seen classes, a panel a loss; unseen classes, a row a loss and a column a handful."""

from __future__ import annotations

import zipfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a run draws into files, on machines without a screen too

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from clusterjax.plots import embedding_plot
from experiments.runs import RunError

SEEN, PANELS, COLUMNS = 10, 8, 4  # seen classes of one picture, its panels, and how many are side by side
FIRST = "silhouette", "silhouette_ratio", "silhouette_and_nca", "nca", "softmax", "cosine_corel", "triplet", "untrained"
HANDFUL, HANDFULS = 8, 3  # unseen classes of one panel, and panels of one row
HARD = ("orchid", "sunflower")  # the hard case of Bremner (2019)
THEMSELVES = ("stage7", "pixels", "examples")  # the first of them that there is: what a head is trained on
ROWS = ("cosine_corel", "silhouette", "silhouette_and_nca")  # the two of that post, and what is best here


def draw(folder: Path, first: str, last: str) -> None:
    """Draw into `folder/pictures` the seen classes of the first split, and the unseen ones of the last.

    Args:
        folder: of the comparison, which has `embeddings/`.
        first: name of a split.
        last: likewise.
    """
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    for name, figure in (("seen", seen(read(folder, first))), ("unseen", unseen(read(folder, last)))):
        if figure is not None:
            figure.savefig(pictures / f"{name}.png", dpi=80, bbox_inches="tight")
            plt.close(figure)


def read(folder: Path, split: str) -> dict[str, dict[str, np.ndarray]]:
    """What each loss made of the split's classes."""
    found = {}
    for file in sorted((folder / "embeddings").glob(f"{split}-*.npz")):
        try:
            with np.load(file) as arrays:
                found[file.stem.removeprefix(f"{split}-")] = dict(arrays)
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise RunError(f"{file} is damaged; delete it, and the pictures are drawn of the others.") from error
    return found


def seen(found: dict[str, dict[str, np.ndarray]]) -> Figure | None:
    """Ten classes that every loss was trained on."""
    order = sorted(found, key=lambda loss: (loss not in FIRST, loss))
    shown = [loss for loss in order if "seen" in found[loss]][:PANELS]
    if not shown:
        return None
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 4 * rows), squeeze=False)
    for ax in axes.flat[len(shown) :]:
        ax.axis("off")
    for ax, loss in zip(axes.flat, shown, strict=False):
        arrays = found[loss]
        panel(ax, arrays["seen"][:SEEN], arrays["seen_names"][:SEEN], f"{loss}: seen classes")
    figure.tight_layout()
    return figure


def unseen(found: dict[str, dict[str, np.ndarray]]) -> Figure | None:
    """Handfuls of classes that nobody trained on; the hard case is in the first where the split has it."""
    shown = [*[name for name in THEMSELVES if name in found][:1], *(loss for loss in ROWS if loss in found)]
    if not shown:
        return None
    names = found[shown[0]]["names"]
    drawn = handfuls(names)
    figure, axes = plt.subplots(len(shown), len(drawn), figsize=(5 * len(drawn), 4.5 * len(shown)), squeeze=False)
    for row, loss in zip(axes, shown, strict=True):
        for ax, classes in zip(row, drawn, strict=True):
            panel(ax, found[loss]["unseen"][classes], names[classes], f"{loss}: unseen classes")
    figure.tight_layout()
    return figure


def handfuls(names: np.ndarray) -> list[np.ndarray]:
    """Numbers of classes, no class twice, as many handfuls as there are classes for."""
    order = np.random.default_rng(0).permutation(len(names))
    hard = np.isin(names[order], HARD)
    order = np.concatenate([order[hard], order[~hard]])
    number = min(HANDFULS, max(1, len(names) // HANDFUL))
    return [order[i * HANDFUL : (i + 1) * HANDFUL] for i in range(number)]


def panel(ax, x: np.ndarray, names: np.ndarray, title: str) -> None:
    """`[classes, examples, d]` on a plane."""
    labels = np.repeat(np.arange(len(x)), x.shape[1])
    embedding_plot(x.reshape(len(labels), -1), labels, names=[name.replace("_", " ") for name in names], ax=ax)
    ax.set_title(title)
