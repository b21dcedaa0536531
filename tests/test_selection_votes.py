"""What the criteria of a sweep vote for, and what is said of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clusterjax import INDICES
from clusterjax.selection import GapResult, SweepResult, suggest_k, sweep_k


def result(silhouette, gap=None, ks=(2, 3, 4, 5), shuffled=(-0.03, -0.02, -0.01), **more):
    indices = {"silhouette": np.array(silhouette), **{name: np.array(v) for name, v in more.items()}}
    if gap is not None:
        zero = np.zeros(len(gap))
        gap = GapResult(*map(jnp.asarray, (np.array([1, *ks]), zero, zero, np.array(gap), zero + 0.01, zero)))
    labels = jnp.zeros((len(ks), 3), int)
    return SweepResult(jnp.asarray(ks), labels, None, None, jax.tree.map(jnp.asarray, indices), gap, {}, shuffled)


def test_what_a_suggestion_says():
    plain = suggest_k(result([0.3, 0.6, 0.5, np.nan]))
    assert plain == (3, {"silhouette": 3}, "3 clusters: silhouette says so.")
    most = suggest_k(result([0.3, 0.6, 0.5, 0.4], [0.1, 0.3, 0.5, 0.9, 0.2], simplified_silhouette=[0, 0.8, 0.5, 0.4]))
    assert most.k == 3
    assert "Criteria disagree: gap 4." in most.sentence
    tied = suggest_k(result([0.3, 0.4, 0.6, 0.5], [0.1, 0.3, 0.5, 0.4, 0.2]))
    assert (tied.k, tied.votes) == (3, {"silhouette": 4, "gap": 3})
    assert "silhouette 4, as many, of which the smallest is taken" in tied.sentence
    assert "largest k that was tried: try larger" in suggest_k(result([0.3, 0.4, 0.5, 0.6])).sentence
    assert "smallest k that was tried: try smaller" in suggest_k(result([0.6, 0.5], ks=(7, 8))).sentence
    assert "tried" not in suggest_k(result([0.6, 0.5, 0.4, 0.3])).sentence  # there is none below 2 to try
    none = suggest_k(result([0.008, -0.03, -0.02, -0.01], [0.5, 0.3, 0.2, 0.1, 0.1]))
    assert none.k == 1
    assert "gap chooses 1" in none.sentence
    assert "is 0.008, near the -0.010 of shuffled labels: nothing speaks for clusters" in none.sentence
    for silhouettes, shuffled in (
        ([0.2, 0.1], (-0.1, -0.09, -0.08)),
        ([0.02, 0.01], (-0.01, -0.001, 0)),
        ([0.1, 0], None),
    ):
        low = suggest_k(result(silhouettes, ks=(2, 3), shuffled=shuffled)).sentence
        assert "no substantial structure" in low
        assert "shuffled" not in low
    assert suggest_k(result([np.nan] * 4)).k is None


def test_a_traced_sweep_is_refused():
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda s: suggest_k(SweepResult(s, s, s, s, {"silhouette": s}, None, {})).k)(np.arange(3.0))


def test_an_unknown_rule_is_refused(monkeypatch):
    index = INDICES["silhouette"]
    monkeypatch.setitem(INDICES, "silhouette", index._replace(rule="smallest"))
    assert suggest_k(result([0.3, 0.6, 0.2, 0.4])).k == 4
    monkeypatch.setitem(INDICES, "silhouette", index._replace(rule="bend"))
    with pytest.raises(
        ValueError, match="rule of silhouette in INDICES must be one of 'largest', 'smallest', not 'bend'"
    ):
        suggest_k(result([0.3, 0.6, 0.2, 0.4]))


def test_labels_that_know_nothing_of_the_points_are_told_from_those_that_do():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(60, 6)).astype(np.float32)
    method = {k: rng.permutation(np.arange(60) % k) for k in (2, 3)}.__getitem__
    none = suggest_k(sweep_k(jax.random.key(0), x, ks=(2, 3), method=method)).sentence
    assert "nothing speaks for clusters" in none
    some = suggest_k(sweep_k(jax.random.key(0), x, ks=(2, 3), method=lambda k: (x[:, 0] * k).astype(int))).sentence
    assert "shuffled" not in some


def test_a_gap_that_is_not_defined_at_the_end_votes_by_what_comes_before():
    found = suggest_k(result([0.3, 0.6, 0.5, 0.4], [0.1, 0.3, 0.5, 0.4, np.nan]))
    assert found.votes["gap"] == 3
    assert "gap" not in suggest_k(result([0.3, 0.6, 0.5, 0.4], [0.1, np.nan, 0.5, 0.4, 0.2])).votes
    assert "gap" not in suggest_k(result([0.3, 0.6, 0.5, 0.4], [np.nan] * 5)).votes


def test_a_labeling_of_nobody_is_not_chosen():
    x = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    found = sweep_k(jax.random.key(0), x, ks=(2, 3), method=lambda k: np.full(12, -1) if k == 2 else np.arange(12) % 3)
    assert np.isnan(found.indices["silhouette"][0])
    assert suggest_k(found).k == 3
