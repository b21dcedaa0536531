"""What the criteria of a sweep vote for, and what is said of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clusterjax.selection import GapResult, SweepResult, suggest_k


def result(silhouette, gap=None, ks=(2, 3, 4, 5), **more):
    indices = {"silhouette": np.array(silhouette), **{name: np.array(v) for name, v in more.items()}}
    if gap is not None:
        zero = np.zeros(len(gap))
        gap = GapResult(*map(jnp.asarray, (np.array([1, *ks]), zero, zero, np.array(gap), zero + 0.01, zero)))
    labels = jnp.zeros((len(ks), 3), int)
    return SweepResult(jnp.asarray(ks), labels, None, None, jax.tree.map(jnp.asarray, indices), gap, {})


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
    none = suggest_k(result([0.05, 0.03, 0.02, 0.01], [0.5, 0.3, 0.2, 0.1, 0.1]))
    assert none.k == 1
    assert "gap chooses 1" in none.sentence
    assert "nothing speaks for clusters" in none.sentence
    assert "no substantial structure" in suggest_k(result([0.2, 0.1, 0.1, 0.1])).sentence
    assert suggest_k(result([np.nan] * 4)).k is None


def test_a_traced_sweep_is_refused():
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda s: suggest_k(SweepResult(s, s, s, s, {"silhouette": s}, None, {})).k)(np.arange(3.0))
