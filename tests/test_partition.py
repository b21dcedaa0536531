"""The label algebra: who takes part, how many clusters, what is refused, centroids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clusterjax.distances import resolve
from clusterjax.partition import centroids, check_points, count_clusters, members, weights

LABELS = jnp.array([0, 2, -1, 1, 5, 2])
WHERE = jnp.array([True, True, True, False, True, True])


def points(n=77, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_members_and_weights_leave_out_masked_negative_and_out_of_range():
    np.testing.assert_array_equal(members(LABELS, None, 3), [0, 2, 3, 1, 3, 2])
    np.testing.assert_array_equal(members(LABELS, WHERE, 3), [0, 2, 3, 3, 3, 2])
    expected = [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal(weights(LABELS, 3, WHERE, jnp.dtype(jnp.float32)), expected)


def test_clusters_are_counted_among_who_takes_part():
    assert count_clusters(LABELS, None, None) == 6
    assert count_clusters(LABELS, 9, None) == 9
    assert count_clusters(jnp.array([0, 1, 7]), None, jnp.array([True, True, False])) == 2
    assert count_clusters(jnp.array([-1, -1]), None, None) == 1


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("labels", "k", "where", "error", "sentence"),
    [
        (jnp.array([0.0, 1.0]), None, None, TypeError, "labels must be integers"),
        (jnp.array([[0, 1]]), None, None, ValueError, "labels must be one-dimensional"),
        (jnp.array([0, 1]), None, jnp.array([0, 1]), TypeError, "where must be boolean"),
        (jnp.array([0, 1]), None, jnp.array([True]), ValueError, "where must have the shape of labels"),
        (jnp.array([0, 1]), 0, None, ValueError, "num_clusters must be at least 1"),
        (jnp.array([0, 2]), 2, None, ValueError, "label 2 is out of range"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, k, where, error, sentence):
    with pytest.raises(error, match=sentence):
        count_clusters(labels, k, where)


def test_traced_labels_need_their_number_of_clusters():
    with pytest.raises(ValueError, match="pass num_clusters="):
        jax.jit(lambda labels: count_clusters(labels, None, None))(LABELS)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("x", "metric", "sentence"),
    [
        (np.zeros(4), "euclidean", "must be two-dimensional"),
        (np.zeros((3, 2)), "euclidean", "4 labels for 3 points"),
        (np.zeros((4, 2)), "precomputed", "must be a square matrix"),
        (np.eye(4), "precomputed", "zero diagonal"),
    ],
)
def test_data_that_do_not_fit_are_refused(x, metric, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_points(x, 4, resolve(metric))


def test_centroids_are_weighted_means_and_of_an_empty_cluster_the_mean_of_all():
    x = points(6) + 1000
    w = jnp.asarray(np.abs(points(6, 3, seed=1))).at[:, 1].set(0.0)
    expected = np.stack([x.mean(0) if c == 1 else np.average(x, axis=0, weights=w[:, c]) for c in range(3)])
    np.testing.assert_allclose(centroids(x, w), expected, rtol=1e-6)
