"""What a table of the comparison depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from experiments.settings import Training

COMPARED = (
    "silhouette",
    "silhouette_ratio",
    "experiments.variants:silhouette_and_nca",
    "experiments.variants:silhouette_and_softmax",
    "simplified_silhouette",
    "davies_bouldin",
    "calinski_harabasz",
    "dunn",
    "prototypical",
    "nca",
    "contrastive",
    "triplet",
    "supervised_contrastive",
    "ntxent",
    "multi_similarity",
    "softmax",
    "normalized_softmax",
    "proxy_anchor",
    "cosine_corel",
    "gaussian_corel",
)
# Three of the five where there are five: sunflowers and orchids are unseen in the last of them, and that is hard.
SPLITS = {"cifar100": ("unseen0", "unseen1", "unseen3")}


@dataclass(frozen=True)
class Config(Training):
    """What a table depends on."""

    dataset: Literal["auto", "cifar100", "cifar10", "digits", "speakers"] = "auto"
    """auto takes CIFAR-100, and digits where there is none, and says so; the others are insisted on."""
    data_dir: Path | None = None
    """Folder with cifar100/<version>/ as TensorFlow Datasets prepared it. Default: $TFDS_DATA_DIR, then
    ~/tensorflow_datasets; where they hold none it is fetched from its authors, once."""
    out: Path | None = None
    """Folder of the results. Default: runs/comparison/<dataset>-<encoder>-dim<dim>, and what else all runs share that
    is no default."""
    losses: tuple[str, ...] = field(default=COMPARED)
    """Which losses to compare: those of clusterjax.losses without their _loss, indices, or module:function. The
    references are always there."""
    seeds: int = 5
    """Runs of each loss, with other batches and other first weights."""
    splits: tuple[str, ...] = ()
    """Which classes are unseen, by the names of the committed lists. Default: three of CIFAR-100, all of the others."""
    trials: int = 4
    """Batch shapes, lengths and options of its own that each loss tries on the validation classes of each split, every
    one at three rates. 0 takes the settings of the command line."""
    side: int = 96
    """Pixels that a picture is enlarged to before EfficientNet-Lite0 looks at it."""
    stage: Literal["stage3", "stage5", "stage7", "head"] = "stage7"
    """Which of its maps, averaged, a head is trained on. The last before its own classifier tells unseen classes apart
    better than the classifier's."""
    test_images: int = 100
    """Examples of each class that are judged."""

    # of one run, and not of the table: --losses and --seeds say which there are
    loss: tyro.conf.Suppress[str] = "silhouette"
    seed: tyro.conf.Suppress[int] = 0
    encoder: Literal["head", "conv4", "resnet12", "cifar_resnet", "densenet", "efficientnet-lite0"] = "head"
    """What is trained: a linear head on features that stay as they are, a network from its first layer on, or all of
    EfficientNet-Lite0, from its ImageNet weights on (for a GPU)."""
    dim: int | None = 16
    """Length of the embedding."""
    learning_rate: float = Training.learning_rate
    """Adam's rate at the start, where --trials 0 tries none."""
    steps: int = 500
    """Training steps."""
    classes: int = 40
    """Classes in a batch, or all where there are fewer."""
    drawings: int = 8
    """Examples of each class in a batch; with fewer classes more, so that a batch has as many."""
