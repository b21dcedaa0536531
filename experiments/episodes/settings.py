"""The settings of `experiments/omniglot.py`, and the named ones that are committed.

quick
: `python experiments/omniglot.py`. Trains on the training classes and keeps the weights that do best on the validation
  classes. Under 10 minutes on two CPU cores.

paper
: `python experiments/omniglot.py --config paper`. Trains on training and validation classes together, as Snell et al.
  (2017) do for the numbers they print, for a number of steps fixed beforehand; the last weights are used. About half
  an hour on two CPU cores, evaluation included.

What they score is in README, in a table made from `experiments/results/omniglot.jsonl`, with the minutes of each run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.settings import Training


@dataclass(frozen=True)
class Config(Training):
    """Everything that a run depends on. The same settings in the same folder go on with the same run."""

    dataset: Literal["auto", "omniglot", "glyphs"] = "auto"
    """omniglot insists on Omniglot; auto takes glyphs, letters drawn from fonts, where there is none, and says so."""
    split: Literal["vinyals", "lake"] = "vinyals"
    """Which characters are never seen in training. lake keeps whole alphabets apart and is the harder one."""
    data_dir: Path | None = None
    """Folder with omniglot/<version>/ as TensorFlow Datasets prepared it. Default: $TFDS_DATA_DIR, then
    ~/tensorflow_datasets; where they hold none it is fetched from its authors, once."""
    out: Path | None = None
    """Folder of this run. Default: runs/omniglot/<dataset>-<split>-<loss>-seed<seed>-<config>, and what differs from
    that config."""
    overwrite: bool = False
    """Start anew in a folder that holds another run; what it holds is deleted."""
    encoder: Literal["conv4", "resnet12", "pixels"] = "conv4"
    """resnet12 is larger and far slower; pixels are the images themselves: a floor, not trained."""
    train_on: Literal["train", "train+validation"] = "train"
    """With train the best weights on the validation classes are kept; with train+validation the last."""
    episodes: int = 10_000
    """Test episodes of each kind."""


CONFIGS = {
    "quick": Config(),
    "paper": Config(dataset="omniglot", steps=3000, train_on="train+validation"),
}
