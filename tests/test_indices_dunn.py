"""Dunn's index: against loops, with any metric, in one tile and in many; the corners."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import distances

from clusterjax import dunn_index, tiles
from clusterjax.distances import mahalanobis


def loops(d, labels):
    pairs = [(i, j) for i in range(len(labels)) for j in range(i) if labels[i] >= 0 and labels[j] >= 0]
    between = min(d[i, j] for i, j in pairs if labels[i] != labels[j])
    return between / max(d[i, j] for i, j in pairs if labels[i] == labels[j])


def data(features, n=90):
    rng = np.random.default_rng(features)
    labels = rng.integers(-1, 4, size=n)
    return (rng.normal(size=(n, features)) + 2 * labels[:, None]).astype(np.float32), labels


@pytest.mark.parametrize("elements", [2**18, 400])
@pytest.mark.parametrize(
    ("metric", "features"),
    [("euclidean", 3), ("euclidean", 20), ("squared_euclidean", 20), ("cosine", 20), ("manhattan", 3)],
)
def test_values_in_one_tile_and_in_many(metric, features, elements, monkeypatch):
    monkeypatch.setattr(tiles, "TILE_ELEMENTS", elements)
    jax.clear_caches()
    x, labels = data(features)
    d = distances(x.astype(float), metric)
    np.testing.assert_allclose(dunn_index(x, labels, metric=metric), loops(d, labels), rtol=2e-5)
    np.testing.assert_allclose(dunn_index(d, labels, metric="precomputed"), loops(d, labels), rtol=2e-6)
    jax.clear_caches()


def test_metrics_with_a_map_or_of_a_users():
    x, labels = data(12)
    precision = np.diag(np.arange(1.0, 13))
    expected = loops(distances(x @ np.sqrt(precision)), labels)
    np.testing.assert_allclose(dunn_index(x, labels, metric=mahalanobis(precision=precision)), expected, rtol=2e-5)
    ours = dunn_index(x, labels, metric=lambda a, b: jnp.abs(a - b).sum())
    np.testing.assert_allclose(ours, loops(distances(x, "manhattan"), labels), rtol=2e-5)


@pytest.mark.parametrize("shift", [0, 3000])
def test_a_far_cluster_takes_no_digits(shift):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 30)
    x = (rng.normal(size=(90, 20)) + 3 * labels[:, None] + shift * (labels == 2)[:, None]).astype(np.float32)
    np.testing.assert_allclose(dunn_index(x, labels), loops(distances(x.astype(float)), labels), rtol=2e-6)


def test_the_gradient_is_that_of_two_pairs(x64):
    x, labels = data(4, 30)
    x, v = x.astype(float), np.random.default_rng(0).normal(size=x.shape)
    slope = (dunn_index(x + 1e-6 * v, labels) - dunn_index(x - 1e-6 * v, labels)) / 2e-6
    gradient = jax.jit(jax.grad(lambda x: dunn_index(x, labels)))(jnp.asarray(x))
    np.testing.assert_allclose((gradient * v).sum(), slope, rtol=1e-6)
    assert 3 <= (np.abs(gradient).sum(1) > 0).sum() <= 4


def test_duplicates():
    x, labels = np.array([[0.0], [0.0], [3.0], [3.0]]), np.array([0, 0, 1, 1])
    assert dunn_index(x, labels) == np.inf
    assert dunn_index(0 * x, labels) == 0
    assert dunn_index(np.array([[0.0], [1.0], [1.0], [2.0]]), labels) == 0
    assert np.isfinite(jax.grad(dunn_index)(jnp.asarray(0 * x), labels)).all()
