"""The label algebra: who takes part, partitions, centroids."""

import jax.numpy as jnp
import numpy as np
import pytest

from clusterjax.distances import resolve
from clusterjax.partition import centroids, members, partition

LABELS = jnp.array([0, 2, -1, 1, 5, 2])
WHERE = jnp.array([True, True, True, False, True, True])
METRIC = resolve("euclidean")


def points(n=77, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("kind", [jnp.int8, jnp.uint8, jnp.int32, jnp.uint32])
def test_members_leave_out_masked_negative_and_out_of_range(kind):
    labels = LABELS.astype(kind)  # unsigned, the negative one is very large
    np.testing.assert_array_equal(members(labels, None, 3), [0, 2, 3, 1, 3, 2])
    np.testing.assert_array_equal(members(labels, WHERE, 3), [0, 2, 3, 3, 3, 2])


def test_labels_of_64_bits_do_not_wrap(x64):
    np.testing.assert_array_equal(members(jnp.array([0, 2**32, -(2**32), 1]), None, 3), [0, 3, 3, 1])


def test_a_partition_is_one_hot_and_zero_where_no_part_is_taken():
    inside = WHERE & (LABELS < 3)
    p = partition(points(6), LABELS, inside, None, METRIC, 3)
    expected = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(p.w, expected)
    np.testing.assert_array_equal(p.sizes, [1, 0, 2])
    weighted = partition(points(6), LABELS, inside, np.array([0, 2, 3, 4, 5, 0.5]), METRIC, 3)
    np.testing.assert_array_equal(weighted.w, expected * np.array([0, 2, 3, 4, 5, 0.5])[:, None])
    np.testing.assert_array_equal(weighted.own, [3, 2, 3, 3, 3, 2])


def test_what_only_a_trace_can_meet_is_nan():
    assert np.isnan(partition(points(6), LABELS, None, None, METRIC, 3).x).all()
    assert np.isnan(partition(points(6), LABELS, None, np.array([1, 1, 1, -1, 1, 1]), METRIC, 6).x).all()
    assert np.isfinite(partition(points(6), LABELS, None, np.array([1, 1, -1, 1, 1, 1]), METRIC, 6).x).all()
    nothing_else = partition(points(2), jnp.array([7, 8]), None, None, METRIC, 3)
    assert nothing_else.sizes.sum() == 2


def test_centroids_are_weighted_means_and_of_an_empty_cluster_the_mean_of_all():
    x = points(6) + 1000
    w = jnp.asarray(np.abs(points(6, 3, seed=1))).at[:, 1].set(0.0)
    expected = np.stack([x.mean(0) if c == 1 else np.average(x, axis=0, weights=w[:, c]) for c in range(3)])
    np.testing.assert_allclose(centroids(x, w), expected, rtol=1e-6)
