"""Bootstrap stability: its arithmetic pair by pair, its numbers against a loop over scikit-learn, planted clusters."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans

from clusterjax.selection import bootstrap, bootstrap_instability, cluster_stability


def blobs(apart, seed=0):
    """Sixty points in two dimensions around three corners, 25, 20 and 15 of them."""
    rng = np.random.default_rng(seed)
    corners = apart * np.array([[0, 0], [1, 0], [0, 1]])
    return (corners[np.repeat([0, 1, 2], [25, 20, 15])] + rng.normal(size=(60, 2))).astype(np.float32)


# One program each for the tests below.
instability = partial(bootstrap_instability, ks=(2, 3, 4), num_bootstraps=40, num_restarts=3)
stability = partial(cluster_stability, num_clusters=3, num_bootstraps=40, num_restarts=3)
ALL = np.ones(60, bool)


def disagreement(a, b):
    """Over all ordered pairs, one by one."""
    return np.mean([(p == q) != (r == s) for p, r in zip(a, b, strict=True) for q, s in zip(a, b, strict=True)])


def best_jaccard(a, b, r):
    """Of cluster r of one labeling to the clusters of another, as sets."""
    own = set(np.flatnonzero(a == r))
    others = [set(np.flatnonzero(b == s)) for s in np.unique(b)]
    return max(len(own & other) / len(own | other) for other in others)


labelings = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), min_size=1, max_size=12)


@settings(deadline=None, max_examples=50)
@given(labelings)
def test_agreement_is_that_of_pairs_and_of_sets(points):
    a, b, kept = map(np.array, zip((0, 0, True), *points, strict=True))
    table = bootstrap._table(jnp.asarray(np.where(kept, a, -1)), jnp.asarray(np.where(kept, b, -1)), 4, jnp.float32)
    assert_allclose(bootstrap._disagreement(table), disagreement(a[kept], b[kept]), atol=1e-6)
    ours = bootstrap._best_jaccard(table)
    for r in range(4):
        assert_allclose(ours[r], best_jaccard(a[kept], b[kept], r) if r in a[kept] else 0, rtol=1e-6)
    assert bootstrap._disagreement(bootstrap._table(jnp.asarray(a), jnp.asarray(3 - a), 4, jnp.float32)) == 0


def test_as_many_draws_as_points_that_take_part():
    kept = np.arange(60) % 7 != 0
    keys = jax.random.split(jax.random.key(0), 400)
    drawn = np.asarray(jax.vmap(bootstrap._drawn, (0, None))(keys, jnp.asarray(kept)))
    assert_array_equal(drawn[:, ~kept], 0)
    assert_array_equal(drawn.sum(1), kept.sum())
    removed = np.asarray(jax.vmap(bootstrap._drawn, (0, None))(keys, jnp.ones(kept.sum(), bool)))
    assert_array_equal(drawn[:, kept], removed)
    # a count is binomial: mean 1, variance 1 - 1 / n; 5 standard errors
    assert_allclose(removed.mean(0), 1, atol=5 / 400**0.5)
    assert_allclose(removed.var(), 1 - 1 / kept.sum(), atol=0.05)


def loop(x, num_bootstraps, seed=0):
    """The same by scikit-learn, for k = 3: disagreements of pairs, and similarities to the clusters of all points."""
    rng = np.random.default_rng(seed)

    def fit(rows) -> Any:
        return KMeans(3, n_init=20, random_state=int(rng.integers(2**31))).fit(x[rows])  # pyright: ignore[reportArgumentType]

    own = fit(np.arange(len(x))).labels_
    order = np.argsort(-np.bincount(own))
    pairs, similarities = [], []
    for _ in range(num_bootstraps):
        first, second = (rng.integers(len(x), size=len(x)) for _ in range(2))
        pairs.append(disagreement(fit(first).predict(x), fit(second).predict(x)))
        rows = np.unique(first)
        labels = fit(rows).labels_
        similarities.append([best_jaccard(own[rows], labels, r) for r in order])
    return np.array(pairs), np.array(similarities)


def test_a_loop_over_scikit_learn_has_these_numbers():
    x = blobs(1.5)
    pairs, similarities = loop(x, 40)
    assert (similarities.mean(0) < 0.9).all()
    ours = instability(jax.random.key(0), x, where=ALL, num_restarts=20)
    error = (pairs.var() / 20) ** 0.5  # of the difference of two means of 40
    assert 0.02 < pairs.mean() < 0.4
    assert abs(float(ours.instability[1]) - pairs.mean()) < 4 * error
    assert_allclose(ours.instability, np.mean(ours.bootstraps, 1), rtol=1e-5)
    found = stability(jax.random.key(0), x, where=ALL, num_restarts=20)
    assert (np.abs(np.asarray(found.jaccard) - similarities.mean(0)) < 4 * (similarities.var(0) / 20) ** 0.5).all()
    assert_allclose(found.jaccard, np.mean(found.bootstraps, 0), rtol=1e-5)
    assert_allclose(found.dissolved, (np.asarray(found.bootstraps) <= 0.5).mean(0), rtol=1e-6)
    assert_allclose(found.recovered, (np.asarray(found.bootstraps) > 0.75).mean(0), rtol=1e-6)


def test_planted_clusters_come_again_and_those_of_uniform_data_do_not():
    x = blobs(12)
    found = instability(jax.random.key(0), x, where=ALL)
    assert found.k == 3
    assert found.bootstraps.shape == (3, 40)
    assert found.instability[1] == 0
    assert (np.asarray(found.instability)[[0, 2]] > 0.02).all()
    own = stability(jax.random.key(0), x, where=ALL)
    assert_array_equal(own.labels, np.repeat([0, 1, 2], [25, 20, 15]))
    assert_array_equal(own.bootstraps, np.ones((40, 3)))
    assert_array_equal(own.dissolved, np.zeros(3))
    squares = [np.random.default_rng(seed).uniform(size=(60, 2)).astype(np.float32) for seed in range(3)]
    none = [stability(jax.random.key(0), square, where=ALL) for square in squares]
    assert np.mean([one.jaccard for one in none]) < 0.8
    assert np.mean([one.recovered for one in none]) < 0.7
    assert all((instability(jax.random.key(0), square, where=ALL).instability > 0.05).all() for square in squares)
    assert_allclose(cluster_stability(jax.random.key(0), x, 1, num_bootstraps=3).jaccard, [1])


def test_masked_is_removed_and_nan_is_not_hidden():
    x, kept = blobs(2.5), np.arange(60) % 6 != 1
    spoilt = np.where(kept[:, None], x, np.nan).astype(np.float32)
    for function in (instability, stability):
        ours, theirs = function(jax.random.key(0), spoilt, where=kept), function(jax.random.key(0), x[kept])
        for a, b in zip(ours, theirs, strict=True):
            assert_allclose(np.asarray(a)[kept] if np.shape(a) == (60,) else a, b, atol=1e-5)
    assert_array_equal(stability(jax.random.key(0), spoilt, where=kept).labels[~kept], -1)
    nothing = instability(jax.random.key(0), spoilt, where=ALL)
    assert np.isnan(nothing.bootstraps).all()
    assert np.isnan(nothing.instability).all()
    assert nothing.k == 1
    nothing = stability(jax.random.key(0), spoilt, where=ALL)
    for a in nothing[1:]:
        assert np.isnan(a).all()


def test_too_small_a_sample_is_left_out():
    found = cluster_stability(jax.random.key(0), np.arange(4.0)[:, None], 3, num_bootstraps=40)
    some = np.isnan(found.bootstraps).any(1)
    assert 0 < some.sum() < 40
    assert_allclose(found.jaccard, np.asarray(found.bootstraps)[~some].mean(0), rtol=1e-6)
    assert not np.isnan(found.dissolved).any()


def test_the_key_decides_and_nothing_is_compiled_twice():
    x = blobs(2.5)
    programs: Any = ((instability, bootstrap._instabilities), (stability, bootstrap._similarities))
    for function, compiled in programs:
        first = function(jax.random.key(0), x, where=ALL)
        before = compiled._cache_size()
        again, other = (function(jax.random.key(seed), x, where=ALL, num_restarts=3 + seed) for seed in (0, 1))
        assert compiled._cache_size() == before
        for a, b in zip(first, again, strict=True):
            assert_array_equal(a, b)
        assert not np.array_equal(first.bootstraps, other.bootstraps)
        traced = jax.eval_shape(function, jax.random.key(0), x)
        assert [(a.shape, a.dtype) for a in traced] == [(a.shape, a.dtype) for a in first]


def test_double_precision_changes_nothing():
    x = blobs(2.5)
    functions: Any = (partial(instability, ks=(3,)), stability)
    for function in functions:
        expected = function(jax.random.key(0), x, where=ALL)
        with jax.enable_x64(True):
            double = function(jax.random.key(0), x.astype(np.float64), where=ALL)
        for a, b in zip(double, expected, strict=True):
            assert a.dtype == (np.float64 if b.dtype == np.float32 else b.dtype)
            assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_directions():
    rng = np.random.default_rng(0)
    x = (np.eye(3)[np.arange(60) % 3] + 0.1 * rng.normal(size=(60, 3))) * rng.uniform(1, 9, (60, 1))
    assert instability(jax.random.key(0), x.astype(np.float32), metric="cosine").k == 3
    assert_array_equal(stability(jax.random.key(0), x.astype(np.float32), metric="cosine").jaccard, np.ones(3))


def test_what_cannot_be_is_refused():
    x = blobs(2.5)
    functions: Any = (bootstrap_instability, partial(cluster_stability, num_clusters=2))
    for function in functions:
        with pytest.raises(ValueError, match="metric must be one of"):
            function(jax.random.key(0), x, metric="manhattan")
        with pytest.raises(ValueError, match="num_bootstraps must be at least 1"):
            function(jax.random.key(0), x, num_bootstraps=0)
    with pytest.raises(ValueError, match="each of ks must be at least 2"):
        bootstrap_instability(jax.random.key(0), x, ks=(1, 2))
    with pytest.raises(ValueError, match="61 clusters are more than the 60 points"):
        bootstrap_instability(jax.random.key(0), x, ks=(2, 61))
    with pytest.raises(ValueError, match="3 clusters are more than the 2 points"):
        cluster_stability(jax.random.key(0), x, 3, where=np.arange(60) < 2)
