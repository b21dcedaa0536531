"""A stand-in for CIFAR that needs no download: the 1 797 small grey digits that come with scikit-learn.

read() -> Pictures(images [1797, 8, 8, 1], labels, training, names)
"""

from __future__ import annotations

import numpy as np

from experiments.data.pictures import Pictures


def read() -> Pictures:
    """All of them; 255 is full ink."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    grey = np.rint(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)  # 0 to 16 in the files
    return Pictures(grey, labels.astype(np.int32), np.ones(len(labels), bool), tuple(map(str, range(10))))
