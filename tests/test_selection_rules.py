"""How curves are read, against R's numbers, rules written out, and curves whose bend is known."""

import jax
import numpy as np
import pytest

from clusterjax.selection import elbow, max_se

RULES = ("globalmax", "firstmax", "tibshirani", "firstSEmax", "globalSEmax")
F, S = np.array([2, 3, 5, 4, 7, 8, 5, 4]), np.array([1, 1, 2, 1, 1, 3, 1, 1]) / 2


def by_definition(f, s, rule):
    """Each rule as it is said, with k from 1."""
    f, s = dict(enumerate(f, 1)), dict(enumerate(s, 1))
    last = len(f)
    first = next((k for k in range(1, last) if f[k + 1] <= f[k]), last)
    largest = min(k for k in f if f[k] == max(f.values()))
    m = largest if rule.startswith("global") else first
    if rule == "tibshirani":
        return next((k for k in range(1, last) if f[k] >= f[k + 1] - s[k + 1]), last)
    if rule in ("firstmax", "globalmax"):
        return m
    return next(k for k in range(1, m + 1) if f[k] >= f[m] - s[m])


def test_the_example_of_r():
    assert [max_se(F, S, rule=rule) for rule in RULES] == [6, 3, 3, 3, 5]


@pytest.mark.parametrize("rule", RULES)
def test_any_curve_as_the_rule_is_said(rule):
    rng = np.random.default_rng(0)
    for _ in range(200):
        f = rng.integers(0, 6, rng.integers(1, 9))  # small integers: plateaus and ties are many
        s = rng.integers(0, 3, len(f)) / 2
        assert max_se(f, s, rule=rule) == by_definition(f, s, rule), (f, s)


@pytest.mark.parametrize("rule", RULES)
def test_ends_and_plateaus(rule):
    assert max_se([7.0], [1.0], rule=rule) == 1
    assert max_se([4.0, 4.0, 4.0], [0.0, 0.0, 0.0], rule=rule) == 1
    assert max_se([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], rule=rule) == 3
    assert max_se([1.0, 2.0, np.inf], [0.0, 0.0, 0.0], rule=rule) == 3


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="place 2 is NaN"):
        max_se([1.0, np.nan, 2.0], [0, 0, 0])
    with pytest.raises(ValueError, match="place 3 is NaN"):
        max_se([1.0, 1.0, 2.0], [0, 0, np.nan])
    with pytest.raises(ValueError, match="0 for 0"):
        max_se([], [])
    with pytest.raises(ValueError, match="2 for 3"):
        max_se([1, 2, 3], [0, 0])
    with pytest.raises(ValueError, match="at least 0"):
        max_se([1, 2], [0, -1])
    with pytest.raises(ValueError, match="one-dimensional"):
        max_se([[1, 2]], [[0, 0]])
    with pytest.raises(ValueError, match="rule must be one of"):
        max_se([1, 2], [0, 0], rule="first")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="before a trace"):
        jax.jit(lambda f: max_se(f, f))(np.arange(3.0))


KS = np.arange(1, 11)
BENT = np.where(KS <= 4, 100 - 25 * (KS - 1), 25 - 4 * (KS - 4)).astype(float)  # a corner at 4, falling and convex


@pytest.mark.parametrize("method", ["knee", "chord"])
@pytest.mark.parametrize(("mirror", "flip"), [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e9])
def test_a_corner_is_found_whichever_way_the_curve_runs(method, mirror, flip, scale):
    values = BENT[::-1] if mirror else BENT
    values = scale * (-values if flip else values)
    found = elbow(KS, values, method=method)
    assert found.k == (7 if mirror else 4)
    assert f"k = {found.k}" in found.sentence
    assert ("rises" in found.sentence) == (mirror != flip)


@pytest.mark.parametrize("method", ["knee", "chord"])
def test_uneven_ks(method):
    ks = np.array([2, 3, 5, 8, 12, 20, 40])
    # in units of both ranges the slope of 1 / k^2 is -1 at k^3 = 2 * 38 / 0.2494, k = 6.7; 8 is higher above the chord
    assert elbow(ks, 1 / ks**2, method=method).k == 8


@pytest.mark.parametrize("method", ["knee", "chord"])
def test_no_elbow_is_an_answer(method):
    for values, why in [
        (3.0 * KS, "straight"),
        (-3.0 * KS + 0.5 * (-1.0) ** KS, "straight"),
        (0 * KS, "ends where it began"),
        (np.where(KS == 3, np.nan, BENT), "k = 3 is not finite"),
    ]:
        found = elbow(KS, values, method=method)
        assert found.k is None
        assert found.sentence.startswith("no elbow")
        assert why in found.sentence
    assert "2 values are too few" in elbow([1, 2], [3, 4], method=method).sentence


def test_kneedle_takes_the_first_knee_and_the_chord_the_farthest_point():
    values = np.array([0.0, 3, 3.1, 3.2, 3.3, 3.4, 9, 9.5, 9.8, 10])
    assert elbow(KS, values).k == 2
    assert elbow(KS, values, method="chord").k == 7


def test_curves_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="must increase"):
        elbow([1, 3, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="one value for each"):
        elbow([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="method must be"):
        elbow(KS, BENT, method="angle")  # type: ignore[arg-type]
