"""Calinski-Harabasz, Davies-Bouldin, Xie-Beni: the corners; for values see tests/test_indices.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from clusterjax import (
    calinski_harabasz_score,
    davies_bouldin_score,
    simplified_silhouette_score,
    xie_beni_index,
)


def test_points_at_their_centroids():
    x = np.repeat([[0.1, 0.7], [5.3, 1.9], [0.3, 8.1]], 5, axis=0)
    labels = np.repeat([0, 1, 2], 5)
    assert calinski_harabasz_score(x, labels) == 1
    assert davies_bouldin_score(x, labels) == 0
    for score in (calinski_harabasz_score, davies_bouldin_score):
        assert np.isfinite(jax.grad(score)(jnp.asarray(x), labels)).all()


def test_clusters_with_one_centroid_are_not_compared():
    rng = np.random.default_rng(0)
    x = rng.integers(-8, 9, size=(6, 2)).astype(float)
    x = np.concatenate([x, -x, x[:3], -x[:3], x + 100])  # the first two clusters lie around the origin
    labels = np.repeat([0, 1, 2], [12, 6, 6])
    ours, theirs = davies_bouldin_score(x, labels), sklearn.metrics.davies_bouldin_score(x, labels)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    x, labels = x[:18], labels[:18]
    assert davies_bouldin_score(x, labels) == 0
    assert np.isfinite(jax.grad(davies_bouldin_score)(jnp.asarray(x), labels)).all()


def test_singletons_and_empty_ids():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(20, 3)), np.array([0] * 9 + [2] * 8 + [4, 5, 7])
    packed = np.unique(labels, return_inverse=True)[1]
    for score, theirs in (
        (calinski_harabasz_score, sklearn.metrics.calinski_harabasz_score),
        (davies_bouldin_score, sklearn.metrics.davies_bouldin_score),
    ):
        np.testing.assert_allclose(score(x, labels), theirs(x, packed), rtol=1e-5)


@pytest.mark.parametrize("score", [calinski_harabasz_score, davies_bouldin_score])
def test_the_gradient_is_that_of_differences(x64, score):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 5)
    x, v = rng.normal(size=(15, 3)) + 3 * np.eye(3)[labels], rng.normal(size=(15, 3))
    slope = (score(x + 1e-6 * v, labels) - score(x - 1e-6 * v, labels)) / 2e-6
    np.testing.assert_allclose(
        (jax.jit(jax.grad(lambda x: score(x, labels)))(jnp.asarray(x)) * v).sum(), slope, rtol=1e-6
    )


@pytest.mark.parametrize("score", [calinski_harabasz_score, davies_bouldin_score])
def test_one_cluster_or_singletons_only(score):
    x = np.arange(8.0).reshape(4, 2)
    for labels in ([0, 0, 0, 0], [0, 1, 2, 3]):
        with pytest.raises(ValueError, match="at least 2 clusters, one of them of 2 points or more"):
            score(x, labels)
        assert np.isnan(jax.jit(lambda labels: score(x, labels, num_clusters=4))(np.array(labels)))


def test_xie_beni_against_loops_and_at_its_corners():
    x, labels = np.random.default_rng(0).normal(size=(20, 3)), np.array([0] * 9 + [2] * 8 + [4, 4, -1])
    centroids = {k: x[labels == k].mean(0) for k in (0, 2, 4)}
    within = np.mean([np.sum((x[i] - centroids[labels[i]]) ** 2) for i in range(19)])
    nearest = min(np.sum((centroids[a] - centroids[b]) ** 2) for a in centroids for b in centroids if a != b)
    np.testing.assert_allclose(xie_beni_index(x, labels), within / nearest, rtol=1e-5)
    square = np.array([[1.0, 1], [-1, -1], [1, -1], [-1, 1]])
    assert xie_beni_index(square, np.array([0, 0, 1, 1])) == np.inf
    assert xie_beni_index(square[[0, 0, 1]], np.array([0, 0, 1])) == 0
    assert xie_beni_index(0 * square, np.array([0, 0, 1, 1])) == 0


@pytest.mark.parametrize("offset", [2.0**23, -(2.0**23)])
def test_an_offset_costs_no_digits(offset):
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 3
    x = (rng.integers(0, 6, (60, 2)) + rng.integers(0, 8, (3, 2))[labels]).astype(np.float32)
    for score in (calinski_harabasz_score, davies_bouldin_score, xie_beni_index, simplified_silhouette_score):
        np.testing.assert_allclose(score(x + np.float32(offset), labels), score(x, labels), rtol=1e-6)
