"""What the criteria of a sweep vote for, and what is to be said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike

from clusterjax.distances import is_traced
from clusterjax.indices import INDICES
from clusterjax.selection.rules import max_se
from clusterjax.selection.sweep import SweepResult

# Kaufman and Rousseeuw see no substantial structure below it.
WEAK = 0.25
# How an index chooses: the rules that an entry of `INDICES` may have.
RULES = {"largest": np.nanargmax, "smallest": np.nanargmin}


class Suggestion(NamedTuple):
    """A number of clusters, and why.

    Attributes:
        k: that of most votes, the smallest of equal ones; None where no criterion has a value.
        votes: {criterion: k}, each by its own rule.
        sentence: why, and what speaks against it.
    """

    k: int | None
    votes: dict[str, int]
    sentence: str


def suggest_k(sweep: SweepResult) -> Suggestion:
    """The number of clusters that most criteria choose, each by its own rule.

    `k = argmax_k #{criteria that choose k}`: an index chooses by its rule in `INDICES` (its largest or smallest value),
    the gap by `max_se`. Functions that are not in `INDICES` have no rule, and no vote.

    Args:
        sweep: as `sweep_k` gives it.

    Returns:
        Suggestion. Its sentence names who voted for what, and warns where criteria disagree, where the answer lies at
        an end of the range, where the gap chooses 1, and where the best silhouette is low: below 0.25, or near those of
        shuffled labels, which is no farther above the largest of them than that is above the smallest (of three normal
        numbers, some 2.5 standard deviations above their mean). Labels found in the points are seldom so bad, even of
        points without clusters: whether there are any is for the gap to say. Its k is None where all is NaN.

    Raises:
        TypeError: the sweep is traced.
        ValueError: an index has a rule in `INDICES` that is not known.

    Examples:
        >>> import jax.numpy as jnp
        >>> indices = {"silhouette": jnp.array([0.4, 0.7, jnp.nan])}
        >>> labels = jnp.zeros((3, 5), int)
        >>> suggest_k(SweepResult(jnp.array([2, 3, 4]), labels, None, None, indices, None, {})).k
        3

    Source: Charrad et al. (2014), whose majority vote this is; the word on silhouettes: Kaufman and Rousseeuw, Finding
    groups in data (1990).
    """
    if is_traced(*jax.tree.leaves(sweep.indices), sweep.ks):
        raise TypeError("the sweep must be known before a trace: call suggest_k outside jit and vmap")
    ks = np.asarray(sweep.ks)
    votes: dict[str, int] = {}
    for name, given in sweep.indices.items():
        values = np.asarray(given)
        if name in INDICES and not np.isnan(values).all():
            votes[name] = int(ks[_rule(name)(values)])
    if sweep.gap is not None:
        gaps = np.asarray(sweep.gap.gap)
        known = int((~np.isnan(gaps)).sum())
        # with as many clusters as points and more it is not defined: the last ones may be unknown, none before them
        if known and not np.isnan(gaps[:known]).any():
            errors = np.asarray(sweep.gap.standard_error)[:known]
            votes["gap"] = int(np.asarray(sweep.gap.ks)[max_se(gaps[:known], errors) - 1])
    if not votes:
        return Suggestion(None, {}, "No answer: no criterion has a value anywhere.")
    counts = Counter(votes.values())
    k = min(counts, key=lambda k: (-counts[k], k))
    return Suggestion(k, votes, " ".join(_why(k, votes, sweep, ks)))


def _rule(name: str) -> Callable[[np.ndarray], np.intp]:
    """How an index chooses."""
    rule = INDICES[name].rule
    if rule not in RULES:
        raise ValueError(f"the rule of {name} in INDICES must be one of {', '.join(map(repr, RULES))}, not {rule!r}")
    return RULES[rule]


def _why(k: int, votes: dict[str, int], sweep: SweepResult, ks: np.ndarray) -> Iterator[str]:
    """The sentences of a suggestion."""
    clusters = f"{k} cluster{'s' if k > 1 else ''}"
    agreed = [name for name, vote in votes.items() if vote == k]
    yield f"{clusters}: {_listed(agreed)} say{'s' if len(agreed) == 1 else ''} so."
    others = [f"{name} {vote}" for name, vote in votes.items() if vote != k]
    if others:
        tied = max(Counter(vote for vote in votes.values() if vote != k).values()) == len(agreed)
        yield f"Criteria disagree: {_listed(others)}{', as many, of which the smallest is taken' if tied else ''}."
    if k in (ks[0], ks[-1]) and len(ks) > 1 and k > 1:
        end = "smallest" if k == ks[0] else "largest"
        if not (k == 2 and end == "smallest"):
            yield f"It is the {end} k that was tried: try {'smaller' if end == 'smallest' else 'larger'} ones too."
    if votes.get("gap") == 1:
        yield "The gap chooses 1: data without clusters would look as clustered."
    best = np.nanmax(sweep.indices["silhouette"]) if "silhouette" in votes else 1.0
    if sweep.shuffled is not None and _is_near(best, sweep.shuffled):
        yield (
            f"The best silhouette is {best:.3f}, near the {np.max(sweep.shuffled):.3f} of shuffled labels: "
            "nothing speaks for clusters."
        )
    elif best < WEAK:
        yield f"The best silhouette is {best:.2f}: below {WEAK} no substantial structure is seen in it."


def _is_near(silhouette: float, shuffled: ArrayLike) -> bool:
    """Whether a silhouette is among those of shuffled labels, or above them by no more than they differ."""
    return bool(silhouette <= np.max(shuffled) + np.ptp(shuffled))


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
