"""k-means against scikit-learn's Lloyd from equal centroids, and against what a k-means is."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans

from clusterjax.clustering import assignment, cloud, kmeans
from clusterjax.clustering.kmeans import fit
from clusterjax.clustering.seeding import draw

KEY = jax.random.key(3)


def blobs(seed=0, n=400, d=12, k=5, spread=1.0, dtype: Any = np.float32):
    rng = np.random.default_rng(seed)
    return (1.5 * rng.normal(size=(k, d))[rng.integers(k, size=n)] + spread * rng.normal(size=(n, d))).astype(dtype)


def peer(x, k, weights=None, **options: Any) -> Any:
    """scikit-learn's k-means."""
    return KMeans(k, algorithm="lloyd", **{"n_init": 1, **options}).fit(x, sample_weight=weights)


def numbered(labels, x, weights=None):
    """Labels by size, ties by coordinates: too dumb to be wrong."""
    weights = np.ones(len(x)) if weights is None else weights
    clusters = sorted(
        set(labels.tolist()),
        key=lambda c: (-weights[labels == c].sum(), *np.average(x[labels == c], 0, weights[labels == c])),
    )
    return np.array([clusters.index(c) for c in labels.tolist()])


def inertia(x, labels, weights=None):
    x, labels = np.asarray(x, float), np.asarray(labels)
    weights = np.ones(len(x)) if weights is None else np.asarray(weights, float)
    total = 0.0
    for c in set(labels.tolist()):
        of = labels == c
        total += (weights[of] * ((x[of] - np.average(x[of], 0, weights[of])) ** 2).sum(1)).sum()
    return total


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("d", "k", "seed", "far"), [(2, 3, 0, 0), (2, 8, 1, 0), (12, 5, 2, 0), (12, 8, 3, 2), (2, 8, 4, 3)]
)
def test_lloyd_is_that_of_scikit_learn(d, k, seed, far, weighted):
    rng = np.random.default_rng(seed)
    x = blobs(seed, d=d, k=k, dtype=np.float64)
    weights = rng.integers(1, 5, len(x)).astype(float) if weighted else None
    start = x[rng.choice(len(x), k, replace=False)]
    start[:far] += 100 * (1 + np.arange(far))[:, None]  # these lose their points at once
    theirs = peer(x, k, weights, init=start)
    given = np.ones(len(x)) if weights is None else weights
    ours = kmeans(KEY, x, k, init=start, weights=given, max_clusters=8)
    assert_array_equal(ours.labels, numbered(theirs.labels_, x, weights))
    assert_allclose(ours.inertia, theirs.inertia_, rtol=1e-10)
    assert int(ours.num_iterations) == theirs.n_iter_
    assert bool(ours.converged)
    assert int(ours.num_reseeded) >= far
    order = np.lexsort(theirs.cluster_centers_.T)
    assert_allclose(np.sort(ours.centroids[:k], 0), np.sort(theirs.cluster_centers_[order], 0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("iterations", [1, 3])
def test_a_stop_before_the_end_gives_labels_of_the_last_centroids(iterations):
    x = blobs(k=9, spread=2.0)
    theirs = peer(x, 9, init=x[:9], max_iter=iterations, tol=0)
    ours = kmeans(KEY, x, 9, init=x[:9], max_iterations=iterations, tolerance=0)
    assert not ours.converged
    assert int(ours.num_iterations) == iterations
    assert_allclose(ours.inertia, theirs.inertia_, rtol=1e-5)
    d2 = ((x[:, None] - np.asarray(ours.centroids)) ** 2).sum(-1)
    assert_allclose(np.take_along_axis(d2, np.asarray(ours.labels)[:, None], 1)[:, 0], d2.min(1), rtol=1e-4)


def test_blocks_change_nothing(monkeypatch):
    x = blobs()
    whole = kmeans(KEY, x, 5, weights=np.ones(len(x)))
    monkeypatch.setattr(cloud, "TILE_ELEMENTS", 0)
    monkeypatch.setattr(cloud, "LEAST_BLOCK", 64)
    in_blocks = jax.jit(lambda x: fit(KEY, x, 5, 5))(x)
    assert_array_equal(in_blocks.labels, whole.labels)
    assert_allclose(in_blocks.centroids, whole.centroids, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("k", [1, 79, 80, 97, 100, 121])
@pytest.mark.parametrize("d", [2, 12])
def test_the_nearest_of_many_is_the_first_of_equal_ones_and_live(k, d):
    rng = np.random.default_rng(k)
    x = rng.integers(-2, 3, (300, d)).astype(np.float32)  # products of small integers are exact, and ties are many
    centroids = rng.integers(-2, 3, (k, d)).astype(np.float32)
    live = rng.random(k) < 0.7
    live[-1] = True
    given = jnp.asarray(np.c_[x, np.ones(len(x), np.float32)])
    found = assignment.nearest(given, jnp.asarray(centroids), jnp.asarray(live))
    d2 = ((x[:, None] - centroids) ** 2).sum(-1) + np.where(live, 0, np.inf)
    assert_array_equal(found, d2.argmin(1))


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_restarts_find_planted_blobs_and_never_do_worse(init):
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(6), [30, 40, 50, 60, 70, 80])
    x = (20 * rng.normal(size=(6, 4))[truth] + rng.normal(size=(len(truth), 4))).astype(np.float32)
    found = [kmeans(KEY, x, 6, init=init, num_restarts=r) for r in (1, 10)]
    assert found[1].inertia <= found[0].inertia
    assert_array_equal(found[1].labels, 5 - truth)  # the largest first
    assert_allclose(found[1].inertia, inertia(x, truth), rtol=1e-4)


def test_greedy_seeding_is_as_good_as_that_of_scikit_learn():
    x = blobs(k=12)
    ours = [float(kmeans(jax.random.key(s), x, 12, max_iterations=1).inertia) for s in range(8)]
    theirs = [peer(x, 12, max_iter=1, random_state=s).inertia_ for s in range(8)]
    at_random = [float(kmeans(jax.random.key(s), x, 12, init="random", max_iterations=1).inertia) for s in range(8)]
    assert np.mean(ours) < 1.05 * np.mean(theirs)
    assert np.mean(ours) < np.mean(at_random)


def test_the_same_key_gives_the_same_bits_and_another_one_other_starts():
    x = blobs(spread=3.0)
    a, b = kmeans(KEY, x, 7), kmeans(KEY, x, 7)
    for one, two in zip(a, b, strict=True):
        assert_array_equal(one, two)
    assert any(kmeans(jax.random.key(s), x, 7).inertia != a.inertia for s in range(4))


@pytest.mark.parametrize(("init", "metric"), [("k-means++", "cosine"), ("random", "euclidean")])
def test_masked_is_removed_whatever_the_row_holds(init, metric):
    x = blobs()
    weights = np.random.default_rng(1).exponential(size=len(x)).astype(np.float32)
    kept = np.arange(len(x)) % 5 != 2
    spoilt = np.where(kept[:, None], x, np.nan)
    options: dict[str, Any] = {"init": init, "metric": metric, "num_restarts": 2}
    ours = kmeans(KEY, spoilt, 5, where=kept, weights=weights, **options)
    removed = kmeans(KEY, x[kept], 5, weights=weights[kept], **options)
    assert_array_equal(ours.labels[kept], removed.labels)
    assert_array_equal(ours.labels[~kept], -1)
    assert_allclose(ours.centroids, removed.centroids, rtol=1e-4, atol=1e-5)
    assert_allclose(ours.inertia, removed.inertia, rtol=1e-5)


def test_weights_count_points_and_those_of_weight_zero_are_only_labelled():
    x = blobs(n=60)
    times = np.random.default_rng(2).integers(0, 4, len(x))
    start = x[times > 0][:4]
    weighted = kmeans(KEY, x, 4, init=start, weights=times, tolerance=0)
    repeated = kmeans(KEY, np.repeat(x, times, 0), 4, init=start, tolerance=0)
    assert_array_equal(np.repeat(weighted.labels, times), repeated.labels)
    assert_allclose(weighted.inertia, repeated.inertia, rtol=1e-5)
    nearest = ((x[:, None] - np.asarray(weighted.centroids)) ** 2).sum(-1).argmin(1)
    assert_array_equal(weighted.labels, nearest)


@pytest.mark.parametrize("init", ["k-means++", "given"])
def test_a_traced_k_is_that_k(init):
    x = blobs()
    for k in (4,):
        start: Any = x[:6] if init == "given" else init
        alone = kmeans(KEY, x, k, init=x[:k] if init == "given" else init)
        traced = jax.jit(lambda k, start=start: kmeans(KEY, x, k, init=start, max_clusters=6))(k)
        assert_array_equal(traced.labels, alone.labels)
        assert_allclose(traced.centroids[:k], alone.centroids, rtol=1e-5, atol=1e-6)
        assert np.isnan(traced.centroids[k:]).all()
        assert_allclose(traced.inertia, alone.inertia, rtol=1e-5)


def test_map_and_vmap_over_keys_points_and_k():
    xs = jnp.stack([blobs(s, n=80, d=3) for s in range(3)])
    keys, ks = jax.random.split(KEY, 3), jnp.array([2, 4, 3])
    alone = [kmeans(key, x, k, num_restarts=2, max_clusters=4) for key, x, k in zip(keys, xs, ks.tolist(), strict=True)]

    def each(key: jax.Array, x: jax.Array, k: jax.Array):
        return fit(key, x, k, 4, num_restarts=2)

    many = jax.jit(jax.vmap(each))(keys, xs, ks)
    mapped = jax.jit(lambda *all_of: jax.lax.map(lambda of: each(of[0], of[1], of[2]), all_of))(keys, xs, ks)
    for result in (many, mapped):
        for i, one in enumerate(alone):
            assert_array_equal(result.labels[i], one.labels)
            assert_allclose(result.inertia[i], one.inertia, rtol=1e-5)
            assert result.num_iterations[i] == one.num_iterations


def test_an_offset_costs_nothing():
    x = np.round(blobs(d=16) * 64) / 64  # so that float32 holds the offset data exactly
    near, far = kmeans(KEY, x, 5), kmeans(KEY, x + np.float32(10_000), 5)
    assert_array_equal(near.labels, far.labels)
    assert_allclose(far.inertia, near.inertia, rtol=1e-4)
    assert_allclose(far.centroids, np.asarray(near.centroids) + 10_000, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_very_small_and_very_large_data(scale):
    x = blobs()
    ours = kmeans(KEY, x * np.float32(scale), 5)
    assert_array_equal(ours.labels, kmeans(KEY, x, 5).labels)


@pytest.mark.parametrize("d", [2, 12])
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_more_clusters_than_different_points(init, d):
    places = np.random.default_rng(0).normal(size=(3, d)).astype(np.float32)
    x = places[np.repeat(np.arange(3), [5, 4, 3])]
    ours = kmeans(KEY, x, 6, init=init)
    assert_array_equal(ours.labels, np.repeat(np.arange(3), [5, 4, 3]))
    assert np.isfinite(ours.centroids).all()
    assert_allclose(ours.centroids[3:], np.tile(places[0], (3, 1)), atol=1e-6)
    assert_allclose(ours.inertia, 0, atol=1e-10)


def test_spherical_is_lloyd_on_the_sphere():
    x = blobs(n=200, d=6, k=4)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    centroids = unit[:4]
    labels = np.full(len(x), -1)
    for _ in range(100):
        old, labels = labels, (unit @ centroids.T).argmax(1)
        if (labels == old).all():
            break
        centroids = np.stack([unit[labels == c].sum(0) for c in range(4)])
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    ours = kmeans(
        KEY, x * np.linspace(1, 9, 200, dtype=np.float32)[:, None], 4, init=3 * x[:4], metric="cosine", tolerance=0
    )
    assert_array_equal(ours.labels, numbered(labels, unit))
    assert_allclose(ours.inertia, (1 - (unit @ centroids.T).max(1)).sum(), rtol=1e-4)
    assert_allclose(np.linalg.norm(ours.centroids, axis=1), 1, rtol=1e-5)


def test_zero_rows_have_no_direction():
    x = blobs(n=50, d=3)
    x[7] = 0
    with pytest.raises(ValueError, match="row 7 is zero"):
        kmeans(KEY, x, 3, metric="cosine")
    traced = jax.jit(lambda x: kmeans(KEY, x, 3, metric="cosine"))(x)
    without = kmeans(KEY, x, 3, metric="cosine", where=np.arange(50) != 7)
    assert_allclose(traced.centroids, without.centroids, rtol=1e-4, atol=1e-5)
    assert traced.labels[7] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_nan_that_takes_part_is_never_hidden(value):
    x = blobs()
    x[3, 1] = value
    ours = kmeans(KEY, x, 5)
    assert np.isnan(ours.inertia)
    assert np.isnan(ours.centroids).all()
    assert_array_equal(ours.labels, -1)
    assert not ours.converged


def test_what_a_trace_hides_is_nan():
    x = blobs(n=20)
    few = np.arange(20) < 3
    traced = jax.jit(lambda k, where, weights: kmeans(KEY, x, k, where=where, weights=weights, max_clusters=5))
    ones = np.ones(20, np.float32)
    one, negative = traced(4, few, ones), traced(4, ~few, np.where(few, 1, -ones))
    none, many = traced(0, ~few, ones), traced(6, ~few, ones)
    assert np.isfinite(traced(5, ~few, ones).inertia)
    for ours in (one, negative, none, many):
        assert np.isnan(ours.inertia)
        assert np.isnan(ours.centroids).all()
        assert_array_equal(ours.labels, -1)


def test_equal_sizes_are_numbered_by_coordinates():
    places = np.array([[3, 1, 5], [3, 1, 2], [0, 9, 9], [3, 0, 7]], np.float32)
    ours = kmeans(KEY, np.repeat(places, 4, 0), 4)
    assert_array_equal(ours.centroids, places[[2, 3, 1, 0]])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"num_clusters": 21}, ValueError, "num_clusters=21 is more than the 20 points that take part"),
        ({"where": np.arange(20) < 2}, ValueError, "more than the 2 points"),
        ({"weights": np.arange(20) < 2}, ValueError, "more than the 2 points"),
        ({"weights": -np.ones(20)}, ValueError, "at least 0"),
        ({"num_clusters": 0}, ValueError, "at least 1"),
        ({"num_clusters": 2.5}, TypeError, "must be an integer"),
        ({"max_clusters": 2}, ValueError, "raise max_clusters"),
        ({"init": "k-medians"}, ValueError, "init must be one of"),
        ({"init": np.ones((3, 5))}, ValueError, "3 centroids of 12 features"),
        ({"metric": "manhattan"}, ValueError, "metric must be one of"),
        ({"num_restarts": 0}, ValueError, "num_restarts"),
        ({"max_iterations": 0}, ValueError, "max_iterations"),
        ({"tolerance": -1}, ValueError, "tolerance"),
        ({"x": np.ones(20)}, ValueError, "two-dimensional"),
    ],
)
def test_bad_input_gets_a_sentence(change, error, message):
    given: dict[str, Any] = {"x": blobs(n=20), "num_clusters": 3, **change}
    with pytest.raises(error, match=message):
        kmeans(KEY, given.pop("x"), given.pop("num_clusters"), **given)


def test_a_traced_k_needs_a_maximum():
    with pytest.raises(TypeError, match="max_clusters="):
        jax.jit(lambda k: kmeans(KEY, blobs(n=20), k))(3)


def test_a_second_call_compiles_nothing_whatever_k():
    compiled = []
    kmeans(KEY, blobs(n=30), 3, max_clusters=5)

    def listen(event, *_, **__):
        compiled.extend([event] if event.endswith("backend_compile_duration") else [])

    jax.monitoring.register_event_duration_secs_listener(listen)
    kmeans(KEY, blobs(1, n=30), 4, max_clusters=5, max_iterations=7, tolerance=0.1)
    jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []


@pytest.mark.parametrize("n", [1, 2, 3, 45, 1000])
def test_seeds_are_drawn_by_mass(n):
    rng = np.random.default_rng(n)
    uniform = np.concatenate([rng.uniform(size=500), [0, 1 - 2.0**-24]]).astype(np.float32)
    for mass in (rng.uniform(size=n), rng.lognormal(sigma=9, size=n) * (rng.uniform(size=n) < 0.3), np.eye(n)[-1]):
        mass = mass.astype(np.float32) if mass.any() else np.ones(n, np.float32)
        drawn = np.asarray(draw(jnp.asarray(uniform), jnp.asarray(mass), jnp.ones(n)))
        assert (mass[drawn] > 0).all()
        upto = np.cumsum(mass.astype(np.float64)) / mass.sum(dtype=np.float64)
        assert (upto[drawn] >= uniform - 1e-6).all()
        assert (np.append(0, upto)[drawn] <= uniform + 1e-6).all()
    nothing = draw(jnp.asarray(uniform), jnp.zeros(n), jnp.eye(n)[n // 2])
    assert_array_equal(nothing, n // 2)
