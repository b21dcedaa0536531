"""Which loss makes clean clusters of classes it never saw? CIFAR-100, 50 classes seen and 50 not.

    python experiments/cifar100.py                                  # the whole table: all losses, 5 seeds, 3 splits
    python experiments/cifar100.py --losses silhouette nca --seeds 1 --splits unseen0

EfficientNet-Lite0 with ImageNet weights stays as it is; a linear head on its features is trained with each loss on the
seen classes and judged on the others, by measures that nobody trained on. Each loss first tries as many settings on
validation classes. Every run adds its rows to one file: started again, the command goes on with what is missing.
Without CIFAR-100 it says so, and takes scikit-learn's digits and their pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments.comparison import command
from experiments.comparison.settings import Config


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command.main(arguments, script="cifar100.py", about=str(__doc__), default=Config())


if __name__ == "__main__":
    sys.exit(main())
