"""Sums of distances by cluster against loops and a dense matrix: values, gradients, blocks, memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import distances as oracle

from clusterjax import partition
from clusterjax.distances import mahalanobis, resolve
from clusterjax.indices.silhouette import silhouette_score
from clusterjax.partition import centroids, check_points, count_clusters, distance_sums, members, weights

NAMES = ["euclidean", "squared_euclidean", "cosine", "manhattan", "chebyshev"]
LABELS = jnp.array([0, 2, -1, 1, 5, 2])
WHERE = jnp.array([True, True, True, False, True, True])


def points(n=77, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def one_hot(n=77, k=4):
    labels = np.arange(n) % k
    return jnp.asarray(labels), weights(jnp.asarray(labels), k, None, jnp.dtype(jnp.float32))


def loops(d, w):
    n, k = w.shape
    return [[sum(w[j, c] * d[i, j] for j in range(n) if j != i) for c in range(k)] for i in range(n)]


def dense(x, w, metric="euclidean"):
    """The same in one piece, without a guard but for the diagonal."""
    own = jnp.eye(len(x), dtype=x.dtype)
    difference = x[:, None] - x[None]
    squared = (difference**2).sum(-1)
    length = jnp.sqrt((x**2).sum(1, keepdims=True))
    d = {
        "euclidean": lambda: jnp.sqrt(squared + own),
        "squared_euclidean": lambda: squared,
        "cosine": lambda: 1 - (x / length) @ (x / length).T,
        "manhattan": lambda: jnp.abs(difference).sum(-1),
        "chebyshev": lambda: jnp.abs(difference).max(-1),
    }[metric]()
    return (d * (1 - own)) @ w


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


@pytest.mark.parametrize("metric", NAMES)
def test_sums_against_loops_in_blocks_and_in_one(metric, monkeypatch):
    x = points()
    labels, w = one_hot()
    expected = loops(oracle(x.astype(float), metric), np.asarray(w, float))
    np.testing.assert_allclose(distance_sums(x, w, resolve(metric)), expected, rtol=2e-5)
    monkeypatch.setattr(partition, "BLOCK_ELEMENTS", 64)
    own = members(labels, None, 4)
    np.testing.assert_allclose(distance_sums(x, w, resolve(metric), own), expected, rtol=2e-5)


def far_from_itself(a, b):
    return 1 + jnp.abs(a - b).sum()


@pytest.mark.parametrize("elements", [64, partition.BLOCK_ELEMENTS])
def test_a_point_is_apart_from_itself_whatever_the_metric_says(elements, monkeypatch):
    monkeypatch.setattr(partition, "BLOCK_ELEMENTS", elements)
    x, (labels, w) = points(), one_hot()
    expected = loops(1 + oracle(x.astype(float), "manhattan"), np.asarray(w, float))
    for own in (None, members(labels, None, 4)):
        np.testing.assert_allclose(distance_sums(x, w, resolve(far_from_itself), own), expected, rtol=2e-5)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_small_blocks_are_several(metric, monkeypatch):
    _, w = one_hot()

    def is_cut():
        return "scan[" in str(jax.make_jaxpr(lambda x: distance_sums(x, w, resolve(metric)))(points()))

    assert not is_cut()
    monkeypatch.setattr(partition, "BLOCK_ELEMENTS", 64)
    assert is_cut()


def test_sums_of_mahalanobis_and_of_precomputed_distances():
    x, (_, w) = points(), one_hot()
    scaled = x.astype(float) / [2, 1, 0.5]
    expected = loops(oracle(scaled), np.asarray(w, float))
    metric = mahalanobis(covariance=np.diag([4.0, 1.0, 0.25]))
    np.testing.assert_allclose(distance_sums(x, w, metric), expected, rtol=2e-5)
    d = jnp.asarray(oracle(scaled), jnp.float32)
    np.testing.assert_allclose(distance_sums(d, w, resolve("precomputed")), expected, rtol=2e-5)


@pytest.mark.parametrize("metric", NAMES)
def test_gradients_in_points_and_weights_against_a_dense_matrix(metric, monkeypatch, x64):
    monkeypatch.setattr(partition, "BLOCK_ELEMENTS", 64)
    rng = np.random.default_rng(0)
    x, w, c = (jnp.asarray(rng.uniform(-1, 1, size=shape)) for shape in ((77, 3), (77, 4), (77, 4)))
    w = jnp.abs(w)
    ours = jax.grad(lambda x, w: (c * distance_sums(x, w, resolve(metric))).sum(), (0, 1))(x, w)
    expected = jax.grad(lambda x, w: (c * dense(x, w, metric)).sum(), (0, 1))(x, w)
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours[1], expected[1], rtol=1e-8, atol=1e-10)


def test_gradients_by_membership_and_second_derivatives(monkeypatch, x64):
    monkeypatch.setattr(partition, "BLOCK_ELEMENTS", 64)
    rng = np.random.default_rng(0)
    x, c, v = (jnp.asarray(rng.normal(size=shape)) for shape in ((77, 3), (77, 4), (77, 3)))
    labels, w = one_hot()
    w, own = w.astype(x.dtype), members(labels, None, 4)

    def ours(x):
        return (c * distance_sums(x, w, resolve("euclidean"), own)).sum()

    def expected(x):
        return (c * dense(x, w)).sum()

    def second(f):
        return jax.grad(lambda x: (v * jax.grad(f)(x)).sum())

    np.testing.assert_allclose(jax.grad(ours)(x), jax.grad(expected)(x), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(second(ours)(x), second(expected)(x), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_memory_of_a_gradient_is_far_below_a_matrix(metric):
    n = 20_000

    def score(x, labels):
        return silhouette_score(x, labels, num_clusters=5, metric=metric)

    shapes = jax.ShapeDtypeStruct((n, 8), jnp.float32), jax.ShapeDtypeStruct((n,), jnp.int32)
    analysis = jax.jit(jax.grad(score)).lower(*shapes).compile().memory_analysis()
    assert analysis is not None
    assert analysis.temp_size_in_bytes < n * n * 4 / 20
