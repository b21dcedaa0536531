"""Which loss makes clean clusters of classes that it was trained on? CIFAR-10, judged on pictures that nobody saw.

    python experiments/cifar10.py

As `cifar100.py`, but all ten classes are seen: the heads learn from the published training half and are judged on the
test half, with their settings chosen on the last tenth of the training half.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments.comparison import command
from experiments.comparison.settings import Config


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    default = Config(dataset="cifar10")
    return command.main(arguments, script="cifar10.py", about=str(__doc__), default=default)


if __name__ == "__main__":
    sys.exit(main())
