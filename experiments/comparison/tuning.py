"""The settings that each loss tries: as many for every loss, drawn from lists that are written down here."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from experiments.comparison.settings import Config

# What every loss may choose: its rate, the classes in a batch (all, a half or a quarter, with more examples of each),
# and whether embeddings have length 1.
RATES = (1e-3, 3e-3, 1e-2)
PARTS = (1, 2, 4)
LENGTHS = (False, True)
# What a loss has of its own; None leaves it at its default.
OWN: dict[str, dict[str, Sequence]] = {
    "silhouette": {"temperature": (None, 0.1, 0.3), "metric": (None, "cosine")},
    "silhouette_ratio": {"power": (5.0, 10.0, 20.0), "metric": (None, "cosine")},
    "experiments.variants:silhouette_and_nca": {"temperature": (0.3, 1.0, 3.0)},
    "dunn": {"temperature": (0.03, 0.1, 0.3)},
    "nca": {"temperature": (0.1, 0.3, 1.0, 3.0)},
    "contrastive": {"neg_margin": (0.5, 1.0, 2.0)},
    "triplet": {"margin": (0.1, 0.3, 1.0), "mining": ("all", "semihard", "hard")},
    "supervised_contrastive": {"temperature": (0.05, 0.1, 0.3)},
    "ntxent": {"temperature": (0.05, 0.1, 0.3)},
    "multi_similarity": {"alpha": (1.0, 2.0, 4.0)},
    "normalized_softmax": {"temperature": (0.05, 0.1, 0.2)},
    "proxy_anchor": {"margin": (0.0, 0.1, 0.3), "alpha": (16.0, 32.0)},
    "cosine_corel": {"attraction": (0.3, 0.5, 0.7)},
    "gaussian_corel": {"gamma": (0.1, 0.5, 2.0), "attraction": (0.3, 0.5, 0.7)},
}


def fitted(config: Config, num_classes: int, size: int) -> Config:
    """The batch with as many classes as there are at most, and as many examples as were asked for, or as there are."""
    classes = min(config.classes, num_classes)
    return replace(config, classes=classes, drawings=min(config.classes * config.drawings // classes, size))


def candidates(config: Config, num_classes: int, size: int) -> list[Config]:
    """The settings to try: those given, and as many others, drawn at random, as make `trials`; each at every rate.

    Args:
        config: with the loss.
        num_classes: to learn from.
        size: examples of each class.
    """
    given = fitted(config, num_classes, size)
    if config.trials == 0:
        return [given]
    own = OWN.get(config.loss, {})
    parts = sorted({max(given.classes // part, 2) for part in PARTS}, reverse=True)
    every = []
    for classes, unit, options in product(parts, LENGTHS, product(*own.values())):
        chosen = fitted(replace(config, normalize=unit, **dict(zip(own, options, strict=True))), classes, size)
        every += [chosen] if chosen != given else []
    # by the name of the loss and nothing else, so that neither seed nor split has other ones
    order = np.random.default_rng(zlib.crc32(config.loss.encode())).permutation(len(every))
    tried = [given, *(every[i] for i in order)][: config.trials]
    return [replace(one, learning_rate=rate) for one in tried for rate in RATES]
