"""Few-shot recognition of characters never seen: train an encoder with the silhouette loss, judge it by episodes.

    python experiments/omniglot.py                                       # the quick run, under 10 minutes on two cores
    python experiments/omniglot.py --config paper --loss prototypical    # the long one

A run lives in one folder. Started again with the same settings it goes on where it was, and if it was done it prints
its table. Named settings, their duration and what they score: experiments/episodes/settings.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments.episodes import command


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command.main(arguments, str(__doc__))


if __name__ == "__main__":
    sys.exit(main())
