"""How a curve over the number of clusters is read: rules of one standard error, and the elbow."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from clusterjax.arguments import as_array, check_option
from clusterjax.distances import is_traced

Rule: TypeAlias = Literal["tibshirani", "firstSEmax", "globalSEmax", "firstmax", "globalmax"]
Turn: TypeAlias = Literal["knee", "chord"]


class Elbow(NamedTuple):
    """Where a curve bends.

    Attributes:
        k: the number of clusters there; None where there is no elbow.
        sentence: what was found, or why nothing was.
    """

    k: int | None
    sentence: str


def max_se(values: ArrayLike, errors: ArrayLike, *, rule: Rule = "tibshirani") -> int:
    """Where a curve is largest, as far as its standard errors can tell.

    With f the values, s the errors and K their number:

    - "tibshirani": `min {k: f(k) >= f(k + 1) - s(k + 1)}`, or K;
    - "firstmax": m, the first k with `f(k + 1) <= f(k)`, or K; "globalmax": the first k where f is largest;
    - "firstSEmax", "globalSEmax": with m that of "firstmax" or "globalmax", `min {k <= m: f(k) >= f(m) - s(m)}`.

    Args:
        values: [K], such as the gap for 1 .. K clusters.
        errors: [K], their standard errors, at least 0.
        rule: one of the five; "tibshirani" is that of the gap statistic's paper, R's default is "firstSEmax".

    Returns:
        k, counted from 1: the place of the value, and so the number of clusters where the values begin with that of one
        cluster. The first of equal values; 1 of one value. Infinite values are compared as they are.

    Raises:
        ValueError: no values, as many errors as values are not there, a NaN among either, a negative error, another
            rule.
        TypeError: they are no real numbers, or traced: the answer is a Python integer.

    Examples:
        >>> values, errors = [2, 3, 5, 4, 7, 8, 5, 4], [0.5, 0.5, 1, 0.5, 0.5, 1.5, 0.5, 0.5]
        >>> max_se(values, errors), max_se(values, errors, rule="globalSEmax"), max_se(values, errors, rule="globalmax")
        (3, 5, 6)

    Source: Tibshirani, Walther, Hastie, Estimating the number of clusters in a data set via the gap statistic (2001);
    R's `cluster::maxSE`, whose "Tibs2001SEmax" is "tibshirani" here.
    """
    check_option("rule", rule, Rule)
    f, s = _curve(values, "values"), _curve(errors, "errors")
    if not len(f) or len(f) != len(s):
        raise ValueError(f"there must be one error for each value, and one value or more: {len(s)} for {len(f)}")
    if (s < 0).any():
        raise ValueError("errors must be at least 0")
    if np.isnan(f).any() or np.isnan(s).any():
        place = int((np.isnan(f) | np.isnan(s)).argmax()) + 1
        raise ValueError(f"the value or error at place {place} is NaN: leave out what is not defined")
    if rule == "tibshirani":
        return _first(f[:-1] >= f[1:] - s[1:])
    m = int(f.argmax()) + 1 if rule.startswith("global") else _first(f[1:] <= f[:-1])
    return m if rule.endswith("tmax") or rule == "globalmax" else _first(f[: m - 1] >= f[m - 1] - s[m - 1])


def _first(holds: np.ndarray) -> int:
    """The first place, counted from 1, where something holds; the one after the last where it never does."""
    return int(holds.argmax() if holds.any() else len(holds)) + 1


def elbow(ks: ArrayLike, values: ArrayLike, *, method: Turn = "knee") -> Elbow:
    """Where a curve over the number of clusters bends most: to look at, not to decide by.

    On data without any clusters the within-cluster sum of squares falls like a power of 1/k, and has an elbow: where it
    lies is an accident of the range of k. Use an index with a reference, such as the gap, to decide.

    Both axes are scaled to [0, 1] and the curve is turned so that it rises and is concave, whichever way it ran.

    - "knee" (Kneedle): with `D(k) = y - x` on the turned curve, the first local maximum of D after which D falls by
      more than the mean step of x, before it rises to the next one.
    - "chord": the point farthest from the line through the curve's ends, if it lies farther than the mean step of x.

    Args:
        ks: [m], increasing numbers of clusters.
        values: [m], the curve, such as the inertia.
        method: "knee" or "chord".

    Returns:
        Elbow. Its k is None, with the reason in its sentence, for fewer than 3 values, values that are not finite (NaN
        among them), a curve that ends where it began, and one that is straight.

    Raises:
        ValueError: not as many values as numbers of clusters, or these do not increase; another method.
        TypeError: they are no real numbers, or traced.

    Examples:
        >>> elbow([1, 2, 3, 4, 5, 6], [100, 60, 20, 17, 14, 12])
        Elbow(k=3, sentence='the curve falls and bends at k = 3')
        >>> elbow([1, 2, 3, 4], [40, 30, 20, 10]).sentence
        'no elbow: the curve is straight, to within one step'

    Source: Satopaa, Albrecht, Irwin, Raghavan, Finding a "kneedle" in a haystack (2011); the warning: Schubert, Stop
    using the elbow criterion for k-means (arXiv 2212.12189).
    """
    check_option("method", method, Turn)
    x, y = _curve(ks, "ks"), _curve(values, "values")
    if len(x) != len(y) or (np.diff(x) <= 0).any():
        raise ValueError("there must be one value for each number of clusters, and these must increase")
    if len(x) < 3:
        return Elbow(None, f"no elbow: {len(x)} values are too few for a bend")
    if not np.isfinite(y).all():
        return Elbow(None, f"no elbow: the value at k = {x[~np.isfinite(y)][0]:g} is not finite")
    if y[0] == y[-1]:
        return Elbow(None, "no elbow: the curve ends where it began, so it has no direction to bend from")
    across, up = (x - x[0]) / (x[-1] - x[0]), (y - y.min()) / (y.max() - y.min())
    rising, bend = y[-1] > y[0], up - up[0] - (up[-1] - up[0]) * across
    concave = bend.sum() > 0
    # the bend of a rising convex or a falling concave curve is at its other end: it is read backwards
    backwards = rising != concave
    step = 1 / (len(x) - 1)
    if method == "chord":
        at = int(np.abs(bend).argmax())
        found = at if abs(bend[at]) > step else None
    else:
        turned = (up if concave else 1 - up)[:: -1 if backwards else 1]
        along = 1 - across[::-1] if backwards else across
        place = _kneedle(turned - along, step)
        found = place if place is None or not backwards else len(x) - 1 - place
    if found is None:
        return Elbow(None, "no elbow: the curve is straight, to within one step")
    return Elbow(int(x[found]), f"the curve {'rises' if rising else 'falls'} and bends at k = {x[found]:g}")


def _kneedle(difference: np.ndarray, step: float) -> int | None:
    """The first local maximum after which the difference falls by more than a step before it rises again."""
    inner = np.arange(1, len(difference) - 1)
    is_top = (difference[inner] >= difference[inner - 1]) & (difference[inner] > difference[inner + 1])
    tops = [*inner[is_top], len(difference)]
    for top, following in pairwise(tops):
        if (difference[top:following] < difference[top] - step).any():
            return int(top)
    return None


def _curve(values: ArrayLike, name: str) -> np.ndarray:
    """Known numbers [m], in double precision.

    Raises:
        TypeError: they are no real numbers, or traced.
        ValueError: they are not one-dimensional.
    """
    if is_traced(values):
        raise TypeError(f"{name} must be known before a trace: call this outside jit and vmap")
    array = np.asarray(as_array(values, name), float)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, not of shape {array.shape}")
    return array
