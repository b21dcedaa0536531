"""Sums of distances by cluster against loops and a dense matrix: values, derivatives of both modes, blocks, memory."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from oracles import distances as oracle

from clusterjax import by_cluster, fewshot, losses, tiles
from clusterjax.distances import mahalanobis, pairwise_distances, resolve
from clusterjax.indices.silhouette import (
    silhouette_samples,
    silhouette_score,
    silhouette_summary,
    simplified_silhouette_score,
)
from clusterjax.partition import Partition, centred, members, partition

NAMES = ["euclidean", "squared_euclidean", "cosine", "manhattan", "chebyshev"]


def points(n=77, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def one_hot(n=77, k=4):
    labels = np.arange(n) % k
    return jnp.asarray(labels), jax.nn.one_hot(labels, k, dtype=jnp.float32)


def distance_sums(x, w, metric, own=None):
    return by_cluster.distance_sums(Partition(jnp.asarray(x), jnp.asarray(w), own, None, metric))


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


@pytest.mark.parametrize("elements", [64, 100, 900])  # 11 blocks of 7, 9 of 9 and 3 of 26, some with less to hold
@pytest.mark.parametrize("metric", NAMES)
def test_sums_against_loops_in_blocks_and_in_one(metric, elements, monkeypatch):
    x = points()
    labels, w = one_hot()
    expected = loops(oracle(x.astype(float), metric), np.asarray(w, float))
    np.testing.assert_allclose(distance_sums(x, w, resolve(metric)), expected, rtol=2e-5)
    own = members(labels, None, 4)
    np.testing.assert_allclose(distance_sums(x, w, resolve(metric), own), expected, rtol=2e-5)
    monkeypatch.setattr(tiles, "TILE_ELEMENTS", elements)
    np.testing.assert_allclose(distance_sums(x, w, resolve(metric)), expected, rtol=2e-5)
    np.testing.assert_allclose(distance_sums(x, w, resolve(metric), own), expected, rtol=2e-5)


def far_from_itself(a, b):
    return 1 + jnp.abs(a - b).sum()


@pytest.mark.parametrize("elements", [64, tiles.TILE_ELEMENTS])
def test_a_point_is_apart_from_itself_whatever_the_metric_says(elements, monkeypatch):
    monkeypatch.setattr(tiles, "TILE_ELEMENTS", elements)
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
    monkeypatch.setattr(tiles, "TILE_ELEMENTS", 64)
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
    monkeypatch.setattr(tiles, "TILE_ELEMENTS", 64)
    rng = np.random.default_rng(0)
    x, w, c = (jnp.asarray(rng.uniform(-1, 1, size=shape)) for shape in ((77, 3), (77, 4), (77, 4)))
    w = jnp.abs(w)
    ours = jax.grad(lambda x, w: (c * distance_sums(x, w, resolve(metric))).sum(), (0, 1))(x, w)
    expected = jax.grad(lambda x, w: (c * dense(x, w, metric)).sum(), (0, 1))(x, w)
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours[1], expected[1], rtol=1e-8, atol=1e-10)


def test_gradients_by_membership_and_second_derivatives(monkeypatch, x64):
    monkeypatch.setattr(tiles, "TILE_ELEMENTS", 64)
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


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("metric", "features"),
    [("euclidean", 3), ("euclidean", 12), ("manhattan", 3), (far_from_itself, 3), ("mahalanobis", 12)],
)
def test_only_what_is_asked_for_is_the_same(metric, features, weighted, monkeypatch):
    """Sums and their derivatives: a mask and weights of 0, clusters of many sizes, none asked for."""
    metric = mahalanobis(covariance=np.diag(np.arange(1.0, 1 + features))) if metric == "mahalanobis" else metric
    monkeypatch.setattr(tiles, "TILE_ELEMENTS", 64)
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(77, features)))
    labels, asked = rng.integers(0, 9, 77) ** 2 // 8, np.minimum(rng.integers(0, 13, (77, 3)), 9)
    where, c = rng.random(77) < 0.8, rng.normal(size=(77, 3))
    mass = jnp.asarray(rng.integers(0, 4, 77).astype(float)) if weighted else None

    def total(x, mass, all_of_them):
        p = partition(x, labels, where, mass, resolve(metric), 9)
        if not all_of_them:
            sums = by_cluster.distance_sums_to(p, jnp.asarray(asked))
        else:
            sums = jnp.take_along_axis(jnp.pad(by_cluster.distance_sums(p), ((0, 0), (0, 1))), asked, axis=1)
        return (c * sums).sum(), sums

    by = (0, 1) if weighted else 0
    ours, expected = (jax.jit(jax.grad(partial(total, all_of_them=a), by, has_aux=True)) for a in (False, True))
    for a, b in zip(jax.tree.leaves(ours(x, mass)), jax.tree.leaves(expected(x, mass)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("features", [3, 12])
def test_a_silhouette_is_differentiated_by_few_pairs_as_by_all(features, monkeypatch):
    """In points, weights and a metric's own numbers; and of few features in both modes, twice, and mapped."""
    monkeypatch.setattr(tiles, "TILE_ELEMENTS", 64)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 9, 77)
    x = jnp.asarray(rng.normal(size=(2, 77, features)) + rng.normal(size=(9, features))[labels])
    weights, v = jnp.asarray(rng.uniform(0.5, 2, 77)), jnp.asarray(rng.normal(size=x.shape[1:]))
    root = jnp.asarray(rng.normal(size=(features, features)) / features + np.eye(features))

    def derivatives():
        def f(x, weights, root):  # another one each time, which no cache knows
            metric = mahalanobis(covariance=root @ root.T)
            return silhouette_score(x, labels, weights=weights, metric=metric, num_clusters=9)

        slopes = jax.jit(jax.value_and_grad(f, (0, 1, 2)))(x[0], weights, root)
        if features > 3:
            return slopes
        forward = jax.jit(lambda x: jax.jvp(lambda x: f(x, weights, root), (x,), (v,)))(x[0])
        twice = jax.jit(jax.grad(lambda x: (v * jax.grad(f)(x, weights, root)).sum()))(x[0])
        return slopes, forward, twice, jax.jit(jax.vmap(jax.grad(f), (0, None, None)))(x, weights, root)

    few = derivatives()
    monkeypatch.setattr(by_cluster, "MANY_BLOCKS", 10_000)
    jax.clear_caches()
    for a, b in zip(jax.tree.leaves(few), jax.tree.leaves(derivatives()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("shift", [0, 3000])
def test_few_pairs_keep_the_digits_of_near_clusters(shift, monkeypatch):
    monkeypatch.setattr(tiles, "TILE_ELEMENTS", 64)
    labels = np.arange(90) % 9
    x = np.asarray(points(90, 20)) + shift * (labels == 4)[:, None]

    def slope(x):
        return jax.jit(jax.grad(lambda x: silhouette_samples(x, labels, num_clusters=9)[labels != 4].sum()))(x)

    ours = slope(jnp.asarray(x, jnp.float32))
    with jax.enable_x64(True):
        expected = slope(jnp.asarray(x, jnp.float64))
    np.testing.assert_allclose(ours[labels != 4], expected[labels != 4], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_memory_of_a_gradient_is_far_below_a_matrix(metric):
    n = 20_000

    def score(x, labels):
        return silhouette_score(x, labels, num_clusters=5, metric=metric)

    shapes = jax.ShapeDtypeStruct((n, 8), jnp.float32), jax.ShapeDtypeStruct((n,), jnp.int32)
    analysis = jax.jit(jax.grad(score)).lower(*shapes).compile().memory_analysis()
    assert analysis is not None
    assert analysis.temp_size_in_bytes < n * n * 4 / 20


# ---------------------------------------------------------------------------------------------------------------------
# Forward mode, several devices, and data that take the digits away


@pytest.fixture
def cut(monkeypatch):
    """In many tiles; one is what all other tests have."""
    monkeypatch.setattr(tiles, "TILE_ELEMENTS", 100)
    jax.clear_caches()  # the size of a tile is no argument
    yield
    jax.clear_caches()


@pytest.fixture(params=["one tile", "many"])
def tiled(request):
    """In one piece, and in many."""
    if request.param == "many":
        request.getfixturevalue("cut")


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize(
    ("metric", "features"),
    [("euclidean", 3), ("euclidean", 12), ("chebyshev", 12), (mahalanobis(precision=np.eye(12)), 12)],
)
def test_forward_mode_agrees_with_reverse_mode(metric, features):
    x, v, labels = points(60, features), points(60, features, seed=1), np.arange(60) % 3

    def score(x):
        return silhouette_score(x, labels, metric=metric)

    forward = jax.jvp(score, (x,), (v,))[1]
    np.testing.assert_allclose(forward, (jax.grad(score)(x) * v).sum(), rtol=1e-4, atol=1e-7)


def near_and_far(shift, features):
    """Two clusters a step apart, and a third far away."""
    rng = np.random.default_rng(0)
    near, step = 0.1 * rng.normal(size=(50, features)), np.eye(features)[0]
    labels = np.repeat([0, 1, 2], 50)
    return np.concatenate([near, near + step, near + shift * step]).astype(np.float32), labels


@pytest.mark.usefixtures("tiled")
@pytest.mark.parametrize("features", [2, 20])
def test_a_far_cluster_takes_nothing_from_the_near_ones(features):
    x, labels = near_and_far(10000, features)
    exact = x.astype(float)  # what was rounded in the data is not ours
    expected = sklearn.metrics.silhouette_score(exact, labels)
    np.testing.assert_allclose(silhouette_score(x, labels), expected, rtol=2e-6)
    # points after a map, and centroids, are rounded where they lie, far out
    metric = mahalanobis(precision=np.eye(features))
    np.testing.assert_allclose(silhouette_score(x, labels, metric=metric), expected, rtol=2e-5)
    squared = sklearn.metrics.silhouette_score(exact, labels, metric="sqeuclidean")
    np.testing.assert_allclose(silhouette_score(x, labels, metric="squared_euclidean"), squared, rtol=2e-5)
    near, of_near = x[:100], labels[:100]
    ours, alone = (jax.grad(silhouette_score)(a, b) for a, b in ((x, labels), (near, of_near)))
    np.testing.assert_allclose(150 * ours[:100], 100 * alone, rtol=2e-2, atol=2e-4)


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("shift", [5, 7])  # at both sides of the edge of what counts as compact
def test_compact_points_are_measured_from_their_mean(shift):
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    x = (rng.normal(size=(300, 20)) + shift * np.eye(20)[labels] * 5).astype(np.float32)
    p = partition(x, labels, None, None, resolve("euclidean"), 3)
    assert bool(by_cluster._is_compact(p._replace(x=centred(p.x, p.w)))) == (shift < 7)
    expected = sklearn.metrics.silhouette_samples(x.astype(float), labels)
    np.testing.assert_allclose(silhouette_samples(x, labels), np.asarray(expected), atol=2e-6)
    with jax.enable_x64(True):
        exact = jax.grad(silhouette_score)(x.astype(float), labels)
    np.testing.assert_allclose(jax.grad(silhouette_score)(x, labels), exact, atol=2e-6 * np.abs(exact).max() + 1e-7)


def test_what_is_never_compact():
    x, labels = points(30, 20), np.arange(30) % 3
    for of in (np.where(labels[:, None] == 1, x[:1], x), np.where(np.arange(30)[:, None] == 5, np.nan, x)):
        p = partition(of, labels, None, None, resolve("euclidean"), 3)  # duplicates, NaN
        assert not by_cluster._is_compact(p._replace(x=centred(p.x, p.w)))
    single = np.where(np.arange(30) == 7, 3, labels)
    p = partition(x, single, None, None, resolve("euclidean"), 4)
    assert not by_cluster._is_compact(p._replace(x=centred(p.x, p.w)))


@pytest.mark.parametrize("features", [2, 20])
@pytest.mark.parametrize("shift", [3000, 10000])
def test_a_far_cluster_takes_nothing_from_losses_and_episodes(shift, features):
    x, labels = near_and_far(shift, features)
    rows = np.arange(150) % 50 < 5  # enough to see it, and few enough for loops
    x, labels = x[rows], labels[rows]
    # at a shift of 40 every digit is there, and a third class is already out of reach
    close, _ = near_and_far(40, features)
    for loss in (losses.prototypical_loss, losses.nca_loss):
        np.testing.assert_allclose(loss(x, labels), loss(close[rows], labels), rtol=1e-3)
    task: dict[str, Any] = {"way": 3, "shot": 1, "queries": 4, "num_episodes": 50}
    ours, expected = (fewshot.evaluate(jax.random.key(0), a, labels, **task) for a in (x, close[rows]))
    np.testing.assert_array_equal(ours.accuracy, expected.accuracy)


@pytest.mark.parametrize("metric", NAMES)
@pytest.mark.parametrize("features", [3, 20])
@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_scale_changes_nothing(scale, features, metric):
    x, labels = points(60, features), np.arange(60) % 3
    for score in (silhouette_score, simplified_silhouette_score):
        ours = score((x * np.float64(scale)).astype(np.float32), labels, metric=metric)
        np.testing.assert_allclose(ours, score(x, labels, metric=metric), rtol=2e-5, atol=2e-7)


def test_near_directions_keep_their_digits():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 30)
    x = (rng.normal(size=(60, 3)) + labels[:, None] + 1000).astype(np.float32)
    expected = sklearn.metrics.silhouette_score(x.astype(float), labels, metric="cosine")
    np.testing.assert_allclose(silhouette_score(x, labels, metric="cosine"), expected, rtol=2e-3)


def test_an_offset_costs_mahalanobis_no_digits():
    rng = np.random.default_rng(0)
    labels, root = np.arange(60) % 3, np.linalg.qr(rng.normal(size=(12, 12)))[0]
    precision = root @ np.diag(np.logspace(0, 3, 12)) @ root.T
    x = np.round(rng.normal(size=(60, 12)) * 64) / 64  # on a grid, which the offset leaves where it is
    scores = [
        silhouette_score((x + offset).astype(np.float32), labels, metric=mahalanobis(precision=precision))
        for offset in (0, 2.0**16)
    ]
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-4)


@pytest.mark.parametrize("features", [3, 50])
@pytest.mark.parametrize("metric", NAMES)
def test_pairwise_distances_are_symmetric_to_the_last_bit(metric, features):
    d = np.asarray(pairwise_distances(points(50, features), metric=metric))
    np.testing.assert_array_equal(d, d.T)


def test_different_points_of_a_line_are_apart():
    x = np.random.default_rng(0).normal(size=(2000, 1)).astype(np.float32)
    same = x == x.T
    assert ((np.asarray(pairwise_distances(x)) == 0) == same).all()


def test_an_infinite_distance_spoils_no_other_cluster():
    d = oracle(points(9).astype(float)).astype(np.float32)
    labels = np.arange(9) % 3
    d[0, 1] = d[1, 0] = np.inf
    sums = np.asarray(
        distance_sums(
            jnp.asarray(d),
            jax.nn.one_hot(labels, 3),
            resolve("precomputed"),
            members(labels, None, 3),
        )
    )
    assert np.isinf(sums[0, 1])
    assert np.isinf(sums[1, 0])
    assert np.isfinite(np.delete(sums.ravel(), [1, 3])).all()


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan", far_from_itself])
def test_weights_are_repetitions(metric):
    x, labels = points(40, 12), np.arange(40) % 3
    times = np.random.default_rng(1).integers(0, 4, 40)
    again, of_again = np.repeat(x, times, axis=0), np.repeat(labels, times)
    if metric is far_from_itself:  # copies of a point would be at distance 1, not 0
        times = np.minimum(times, 1)
        again, of_again = x[times > 0], labels[times > 0]
    for score in (silhouette_score, partial(simplified_silhouette_score, average="macro")):
        ours = score(x, labels, weights=times, metric=metric)
        np.testing.assert_allclose(ours, score(again, of_again, metric=metric), rtol=1e-5, atol=1e-6)


def test_weights_are_repetitions_by_cluster_and_of_precomputed_distances():
    x, labels = points(40), np.arange(40) % 3
    times = np.random.default_rng(1).integers(0, 4, 40)
    ours = silhouette_summary(x, labels, weights=times)
    expected = silhouette_summary(np.repeat(x, times, axis=0), np.repeat(labels, times))
    np.testing.assert_allclose(np.repeat(ours.samples, times), expected.samples, atol=1e-6)
    for a, b in zip(ours[3:], expected[3:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    d = oracle(x.astype(float)).astype(np.float32)
    score = silhouette_score(d, labels, weights=times, metric="precomputed")
    np.testing.assert_allclose(score, expected.score, rtol=1e-5)
    with pytest.raises(ValueError, match="compares at least 2 clusters"):
        silhouette_score(x, labels, weights=labels == 0)


def test_tiles_are_larger_on_an_accelerator(monkeypatch):
    assert tiles.num_blocks(3000) == 7
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert tiles.num_blocks(3000) == tiles.num_blocks(3000, width=1) == 1
    assert tiles.num_blocks(3000, width=64) == 7
