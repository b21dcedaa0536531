"""The pictures of a run: how it learnt, and what its embedding makes of classes it never saw."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import matplotlib

matplotlib.use("Agg")  # a run draws into files, on machines without a screen too

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from clusterjax import fewshot, plots, silhouette_samples
from experiments.data import Part

CLASSES = 20  # unseen classes in each picture
QUERIES = 8  # of each class in the picture of an episode
SEED = 0  # which ones: the same for every run, so that pictures can be laid side by side


def draw(folder: Path, embeddings: np.ndarray, part: Part) -> None:
    """Draw every picture of a run into `folder/pictures`.

    Args:
        folder: the run's folder; its `log.jsonl` gives the learning curve.
        embeddings: `[classes * drawings, d]` of the part's images, class by class.
        part: classes not seen in training.
    """
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    drawings = part.images.shape[1]
    upright = np.flatnonzero(part.upright)
    chosen = np.random.default_rng(SEED).permutation(upright)[:CLASSES]
    points = embeddings.reshape(len(part.images), drawings, -1)[chosen].reshape(len(chosen) * drawings, -1)
    labels = np.repeat(np.arange(len(chosen)), drawings)
    names = [part.names[i] for i in chosen]
    figures = {
        "silhouette": silhouette(points, labels, names),
        "embedding": view(points, labels, part.images[chosen]),
        "episode": episode(points, labels, part.images[chosen]),
    }
    if (folder / "log.jsonl").exists():
        figures["training"] = training(folder / "log.jsonl")
    for name, figure in figures.items():
        figure.savefig(pictures / f"{name}.png", dpi=120, bbox_inches="tight")
        plt.close(figure)


def training(log: Path) -> Figure:
    """Loss of the batches, and accuracy on the validation classes where the run looked at them."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    looks = [line for line in lines if "validation" in line]
    figure, axes = plt.subplots(1, 2 if looks else 1, figsize=(9 if looks else 5, 3.2), squeeze=False)
    axes[0, 0].plot([line["step"] for line in lines], [line["loss"] for line in lines])
    axes[0, 0].set(xlabel="step", ylabel="training loss")
    if looks:
        accuracy = [100 * line["validation"] for line in looks]
        axes[0, 1].plot([line["step"] for line in looks], accuracy, marker="o", markersize=3)
        axes[0, 1].set(xlabel="step", ylabel="20-way 1-shot accuracy\non validation classes, %")
    figure.tight_layout()
    return figure


def silhouette(points: np.ndarray, labels: np.ndarray, names: list[str]) -> Figure:
    """Silhouettes of unseen classes, in the embedding's own space."""
    figure, ax = plt.subplots(figsize=(7, 8))
    plots.silhouette_plot(np.asarray(silhouette_samples(points, labels)), labels, names=names, ax=ax)
    ax.set_title("Silhouettes of unseen classes")
    return figure


def view(points: np.ndarray, labels: np.ndarray, images: np.ndarray) -> Figure:
    """Unseen classes in two dimensions, each with a picture of one of its drawings."""
    figure, ax = plt.subplots(figsize=(7, 6))
    plots.embedding_plot(points, labels, method="tsne", images=images.reshape(-1, *images.shape[2:]) / 255, ax=ax)
    ax.set_title("Unseen classes, t-SNE of the embedding")
    return figure


def episode(points: np.ndarray, labels: np.ndarray, images: np.ndarray) -> Figure:
    """One 20-way 1-shot episode with its answers."""
    way = int(labels.max()) + 1
    drawn = fewshot.sample_episodes(jax.random.key(SEED), labels, way=way, shot=1, queries=QUERIES, num_episodes=1)
    support, query = np.asarray(drawn.support[0]), np.asarray(drawn.query[0]).ravel()
    distances = np.square(points[query][:, None] - points[support[:, 0]]).sum(-1)
    flat = images.reshape(-1, *images.shape[2:]) / 255
    figure, ax = plt.subplots(figsize=(6, 0.75 * way + 0.6))
    plots.episode_plot(flat[support], flat[query], distances.argmin(1), np.repeat(np.arange(way), QUERIES), ax=ax)
    return figure
