"""Sums of Manhattan distances from sorted features, against loops, a dense matrix and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from oracles import distances

from clusterjax import by_cluster, by_feature, silhouette_samples, silhouette_score, tiles
from clusterjax.by_feature import manhattan_sums
from clusterjax.distances import resolve
from clusterjax.partition import partition


def sums(x, w):
    return manhattan_sums(jnp.asarray(x), jnp.asarray(w))


def dense(x, w):
    """Each pair, with the sign of 0 for the slope at 0."""
    difference = x[:, None] - x[None]
    return (difference * jnp.sign(difference)).sum(-1) @ w


def soft(n, k, seed=0):
    """Weights of which a third are 0, and none of a cluster in the middle."""
    w = np.random.default_rng(seed).uniform(-1, 2, size=(n, k)).clip(0)
    w[:, k // 2] = 0
    return w


# ends of a block, and of a block of blocks
@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 100, 1024, 1057])
@pytest.mark.parametrize("held", [2**22, 1500])
def test_values_against_a_matrix(n, held, monkeypatch):
    monkeypatch.setattr(by_feature, "HELD", held)
    x = np.random.default_rng(n).normal(size=(n, 3)) + 100
    w = soft(n, 5)
    expected = distances(x, "manhattan") @ w
    ours = sums(x.astype(np.float32), w.astype(np.float32))
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4 * expected.mean())


def test_gradients_and_both_modes_where_values_are_equal(x64):
    rng = np.random.default_rng(0)
    x = jnp.asarray(np.concatenate([rng.integers(0, 4, size=(70, 3)), rng.normal(size=(30, 3))]), float)
    w, c, v = jnp.asarray(soft(100, 4)), rng.normal(size=(100, 4)), jnp.asarray(rng.normal(size=(100, 3)))
    ours, expected = (jax.grad(lambda x, w, f=f: (c * f(x, w)).sum(), (0, 1))(x, w) for f in (sums, dense))
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours[1], expected[1], rtol=1e-9, atol=1e-9)
    forward = jax.jvp(lambda x: sums(x, w), (x,), (v,))[1]
    np.testing.assert_allclose((c * forward).sum(), (ours[0] * v).sum(), rtol=1e-9)


def test_what_coincides_is_at_distance_0_to_the_last_bit():
    rng = np.random.default_rng(0)
    here, there = rng.normal(size=(1, 7)), rng.normal(size=(600, 7))
    x = np.concatenate([np.repeat(here, 500, axis=0), there]).astype(np.float32)
    labels = np.concatenate([np.arange(500) % 2, np.full(600, 2)])
    found = np.asarray(sums(x, jax.nn.one_hot(labels, 3)))
    assert (found[:500, :2] == 0).all()
    assert (found[500:] > 0).all()
    gradient = jax.grad(lambda x: sums(x, jax.nn.one_hot(labels, 3))[:500, :2].sum())(jnp.asarray(x))
    assert (np.asarray(gradient) == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_hidden(bad):
    x = np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)
    x[4, 1] = bad
    found = np.asarray(sums(x, jax.nn.one_hot(np.arange(90) % 3, 3)))
    assert not np.isfinite(found[4]).any()
    assert not np.isfinite(found[:, 4 % 3]).any()


def test_a_far_cluster_takes_nothing_from_the_near_ones():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    x = (0.1 * rng.normal(size=(120, 5)) + np.array([0, 1, 1e5])[labels, None]).astype(np.float32)
    expected = distances(x.astype(float), "manhattan") @ np.eye(3)[labels]
    np.testing.assert_allclose(sums(x, jax.nn.one_hot(labels, 3)), expected, rtol=2e-5)


# ---------------------------------------------------------------------------------------------------------------------
# Where points are many for their clusters


@pytest.fixture
def many():
    """So many that no pair is formed."""
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 5, size=2500)
    return (rng.normal(size=(2500, 4)) + labels[:, None]).astype(np.float32), labels


def test_it_is_the_silhouette_and_no_pair_is_formed(many, monkeypatch):
    x, labels = many
    part = labels >= 0
    expected = sklearn.metrics.silhouette_samples(x[part].astype(float), labels[part], metric="manhattan")
    expected = np.asarray(expected)
    monkeypatch.setattr(tiles, "over_pairs", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(by_cluster, "over_pairs", lambda *_, **__: 1 / 0)
    np.testing.assert_allclose(silhouette_samples(x, labels, metric="manhattan")[part], expected, atol=2e-6)


def test_every_transformation_agrees_with_all_pairs(many, monkeypatch):
    x, labels = many
    batch = np.stack([x, x[::-1]])

    def results():
        jax.clear_caches()  # the rule is no argument

        def score(x):
            return silhouette_score(x, labels, num_clusters=5, metric="manhattan")

        return score(x), jax.jit(jax.vmap(score))(batch), jax.grad(score)(x), jax.jvp(score, (x,), (x**2,))[1]

    ours = results()
    monkeypatch.setattr(by_cluster, "MANY_POINTS", len(x))
    for found, expected in zip(ours, results(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    jax.clear_caches()


def test_several_labelings_at_once(many):
    x, labels = many
    metric = resolve("manhattan")
    p = partition(x, np.maximum(labels, 0), None, None, metric, 5)
    w = jnp.concatenate([jax.nn.one_hot(np.arange(len(x)) % k, k) for k in (2, 3)], axis=1)
    found = by_cluster.distance_sums_side_by_side(p, w)
    expected = distances(x.astype(float), "manhattan") @ np.asarray(w)
    np.testing.assert_allclose(found, expected, rtol=2e-5)
