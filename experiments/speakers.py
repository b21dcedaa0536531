"""Nothing of this is about pictures: who speaks? Nine men and two Japanese vowels, four of the men never heard before.

    pip install 'clusterjax[speech]'
    python experiments/speakers.py

As `cifar100.py`, on the coefficients of the spectrum themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments.comparison import command
from experiments.comparison.settings import Config


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    default = Config(dataset="speakers", dim=8, steps=200)
    return command.main(arguments, script="speakers.py", about=str(__doc__), default=default)


if __name__ == "__main__":
    sys.exit(main())
