"""The silhouettes against loops, scikit-learn, R, and cases worked out by hand."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

import clusterjax as cj

RTOL = {np.dtype("float32"): 2e-5, np.dtype("float64"): 1e-10}
VALUES = Path(__file__).parent / "values"
HALF = [(1, 1), (2, 2), (3, 2), (4, 2), (-1, 3), (5, -1), (60.3, 24.5), (1, 0.5), (5, 3), (20, 21)]
TWENTY = np.array([*HALF, *[(-a, -b) for a, b in HALF]])  # the vector of 20 points, in two clusters of 10
TWENTY_LABELS = np.repeat([0, 1], 10)


def clusters(n=60, k=4, d=3, seed=0):
    """Overlapping clusters of unequal size, so that some silhouettes are negative."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k), rng.choice(k, n - k, p=np.arange(1, k + 1) / np.arange(1, k + 1).sum())])
    x = rng.normal(size=(k, d))[labels] + rng.normal(size=(n, d))
    return x.astype(np.float32), labels


@pytest.mark.parametrize("metric", ["euclidean", "squared_euclidean", "cosine", "manhattan", "chebyshev"])
@pytest.mark.parametrize("k", [2, 4, 30])
def test_samples_and_neighbors_agree_with_loops(metric, k):
    x, labels = clusters(k=k)
    expected, neighbors = oracles.silhouette(oracles.distances(x.astype(float), metric), labels)
    assert (expected < 0).any()
    assert (expected > 0).any()
    np.testing.assert_allclose(cj.silhouette_samples(x, labels, metric=metric), expected, atol=2e-5)
    summary = cj.silhouette_summary(x, labels, metric=metric)
    np.testing.assert_array_equal(summary.neighbors, neighbors)
    np.testing.assert_allclose(cj.silhouette_score(x, labels, metric=metric), expected.mean(), atol=2e-6)


@pytest.mark.parametrize("metric", ["euclidean", "squared_euclidean", "manhattan"])
def test_simplified_agrees_with_loops(metric):
    x, labels = clusters()
    expected = oracles.simplified_silhouette(x.astype(float), labels, metric)
    np.testing.assert_allclose(cj.simplified_silhouette_score(x, labels, metric=metric), expected, rtol=1e-5)


def test_the_published_number_and_its_two_neighbours():
    """Three indices that are easily mistaken for each other."""
    np.testing.assert_allclose(cj.silhouette_score(TWENTY, TWENTY_LABELS), 0.19340581656247494, rtol=1e-6)
    squared = cj.silhouette_score(TWENTY, TWENTY_LABELS, metric="squared_euclidean")
    np.testing.assert_allclose(squared, 0.2074150650, rtol=1e-5)
    np.testing.assert_allclose(cj.simplified_silhouette_score(TWENTY, TWENTY_LABELS), 0.3875463102, rtol=1e-6)


def test_b_is_the_nearest_other_cluster_not_the_mean_of_all_others():
    # On a line: own pair at 0 and 1, others at 3 and at 100. For the first point a = 1, b = 3: s = 2/3.
    # With b taken over all other points it would be 51.5, and s = 0.98.
    s = cj.silhouette_samples(jnp.array([[0.0], [1.0], [3.0], [100.0]]), jnp.array([0, 0, 1, 2]))
    np.testing.assert_allclose(s, [2 / 3, 1 / 2, 0, 0], rtol=1e-6)


@pytest.mark.parametrize("name", ["iris", "ruspini", "awkward"])
def test_values_from_r(name):
    values = json.loads((VALUES / f"{name}.json").read_text())
    x = np.array(values["x"])
    for partition, labels in values["partitions"].items():
        summary = cj.silhouette_summary(x, np.array(labels), num_clusters=6)  # of one shape: compiled once
        np.testing.assert_allclose(summary.samples, values["silhouette_samples"][partition], atol=5e-6)
        expected = np.array(values["silhouette_neighbor"][partition])
        # Where two other clusters are equally near, either is right.
        differ = np.asarray(summary.neighbors) != expected
        assert differ.mean() <= 0.01
    assert len(values["partitions"]) == 5


def test_summary_by_cluster():
    x, labels = clusters()
    summary = cj.silhouette_summary(x, labels, num_clusters=6)  # the last two are empty
    s = oracles.silhouette(oracles.distances(x.astype(float)), labels)[0]
    for c in range(4):
        own = s[labels == c]
        assert summary.sizes[c] == len(own)
        got = [float(field[c]) for field in (summary.means, summary.positive, summary.zero, summary.negative)]
        np.testing.assert_allclose(got, [own.mean(), (own > 0).mean(), (own == 0).mean(), (own < 0).mean()], atol=1e-5)
    np.testing.assert_array_equal(summary.sizes[4:], 0)
    assert np.isnan(summary.means[4:]).all()
    np.testing.assert_allclose(summary.score, s.mean(), rtol=1e-5)


def test_micro_and_macro():
    x, labels = clusters()
    s = oracles.silhouette(oracles.distances(x.astype(float)), labels)[0]
    macro = np.mean([s[labels == c].mean() for c in range(4)])
    assert abs(macro - s.mean()) > 1e-3
    np.testing.assert_allclose(cj.silhouette_score(x, labels, average="macro"), macro, rtol=1e-5)


@pytest.mark.parametrize("offset", [0, 1000])
def test_scikit_learn_with_a_mask_and_far_from_the_origin(offset):
    x, labels = clusters(n=300, k=5, d=8)
    x = x + np.float32(offset)
    where = np.arange(300) % 3 > 0
    labels = np.where(np.arange(300) % 7 == 0, -1, labels)
    kept = where & (labels >= 0)
    expected = sklearn.metrics.silhouette_samples(x[kept].astype(float), labels[kept])
    ours = cj.silhouette_samples(np.where(kept[:, None], x, np.nan), labels, where=where, num_clusters=5)
    np.testing.assert_allclose(np.asarray(ours)[kept], np.asarray(expected), atol=2e-5)
    np.testing.assert_array_equal(np.asarray(ours)[~kept], 0)


@pytest.mark.slow
def test_scikit_learn_at_50_000_points():
    x, labels = clusters(n=50_000, k=20, d=16)
    expected = sklearn.metrics.silhouette_samples(x, labels)
    np.testing.assert_allclose(cj.silhouette_samples(x, labels), np.asarray(expected), atol=2e-4)


def test_precomputed_distances_give_the_same():
    x, labels = clusters()
    d = oracles.distances(x.astype(float)).astype(np.float32)
    np.testing.assert_allclose(
        cj.silhouette_samples(d, labels, metric="precomputed"), cj.silhouette_samples(x, labels), atol=1e-5
    )


def test_singletons_and_duplicates_score_zero():
    # Three duplicates in one cluster, three more of the same point in another: a = b = 0. The last is a singleton.
    x = jnp.array([[1.0, 2.0]] * 6 + [[5.0, 5.0]])
    np.testing.assert_array_equal(cj.silhouette_samples(x, jnp.array([0, 0, 0, 1, 1, 1, 2])), 0)


def test_a_perfect_partition_of_duplicates_scores_one_but_for_its_singleton():
    x = jnp.array([[0.0], [0.0], [1.0], [1.0], [7.0]])
    np.testing.assert_array_equal(cj.silhouette_samples(x, jnp.array([0, 0, 1, 1, 2])), [1, 1, 1, 1, 0])


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [-1, -1, 0]])
def test_what_is_not_defined_raises_when_known_and_is_nan_when_traced(labels):
    x, labels = jnp.array([[0.0], [1.0], [3.0]]), jnp.array(labels)
    with pytest.raises(ValueError, match="compares at least 2 clusters"):
        cj.silhouette_score(x, labels)
    assert np.isnan(jax.jit(lambda labels: cj.silhouette_score(x, labels, num_clusters=3))(labels))


def test_soft_agrees_with_loops_and_with_the_hard_one():
    x, labels = clusters(n=25)
    d = oracles.distances(x.astype(float))
    p = np.random.default_rng(1).dirichlet(np.ones(4), size=25).astype(np.float32)
    np.testing.assert_allclose(cj.soft_silhouette_score(x, p), oracles.soft_silhouette(d, p.astype(float)), rtol=1e-4)
    one_hot = np.eye(4, dtype=np.float32)[labels]
    np.testing.assert_allclose(cj.soft_silhouette_score(x, one_hot), cj.silhouette_score(x, labels), atol=1e-6)


def test_soft_gradient_in_the_weights_agrees_with_differences(x64):
    x, _ = clusters(n=12)
    p = np.random.default_rng(1).dirichlet(np.ones(3), size=12)
    direction = np.random.default_rng(2).normal(size=p.shape) * p
    step = 1e-6

    def score(p):
        return float(cj.soft_silhouette_score(x.astype(float), p))

    slope = (score(p + step * direction) - score(p - step * direction)) / (2 * step)
    gradient = jax.grad(lambda p: cj.soft_silhouette_score(x.astype(float), p))(jnp.asarray(p))
    np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "squared_euclidean", "cosine", "manhattan"])
def test_gradient_agrees_with_differences(metric, x64):
    x, labels = clusters(n=30)
    x = x.astype(float)
    direction = np.random.default_rng(2).normal(size=x.shape)

    def score(x):
        return cj.silhouette_score(x, labels, metric=metric)

    step = 1e-6
    slope = (float(score(x + step * direction)) - float(score(x - step * direction))) / (2 * step)
    gradient = jax.grad(score)(jnp.asarray(x))
    np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 4), st.booleans())
def test_any_small_data_agree_with_loops(seed, k, coarse):
    # Of one shape, so that nothing is compiled again; on a coarse grid there are duplicates and ties.
    rng = np.random.default_rng(seed)
    x = (rng.integers(0, 3, (9, 2)) if coarse else rng.normal(size=(9, 2))).astype(np.float32)
    labels = rng.integers(-1, k, 9)
    labels[:3] = [0, 0, 1]
    expected, _ = oracles.silhouette(oracles.distances(x.astype(float)), labels)
    np.testing.assert_allclose(cj.silhouette_samples(x, labels, num_clusters=4), expected, atol=1e-4)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_of_nobody_a_trace_has_no_score(average):
    x = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    for score in (cj.silhouette_score, cj.simplified_silhouette_score):
        of_labels = jax.jit(lambda labels, f=score: f(x, labels, num_clusters=3, average=average))
        assert np.isnan(of_labels(np.full(12, -1)))
        of_mask = jax.jit(lambda where, f=score: f(x, np.arange(12) % 3, where=where, average=average))
        assert np.isnan(of_mask(np.zeros(12, bool)))
        of_weights = jax.jit(lambda weights, f=score: f(x, np.arange(12) % 3, weights=weights, average=average))
        assert np.isnan(of_weights(np.zeros(12, np.float32)))
