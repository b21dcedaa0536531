"""Few-shot evaluation: how well do the means of a few drawings recognise more drawings of unseen classes?

An episode draws `way` classes, and `shot + queries` drawings of each. The mean of a class's first `shot` drawings is
its prototype; every query goes to the nearest prototype. Embed each drawing once, then evaluate thousands of episodes
in one compiled call.
"""

from __future__ import annotations

from clusterjax.fewshot.episodes import Episodes, sample_episodes
from clusterjax.fewshot.evaluation import EpisodeResult, PairedDifference, evaluate, paired_difference, prototypes

__all__ = [
    "EpisodeResult",
    "Episodes",
    "PairedDifference",
    "evaluate",
    "paired_difference",
    "prototypes",
    "sample_episodes",
]
