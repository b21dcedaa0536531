"""Assignment by bounds against all distances, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from clusterjax.clustering import cloud, hamerly, lloyd
from clusterjax.clustering.kmeans import fit

KEY = jax.random.key(0)
N, D, K, SIZE = 900, 9, 48, 90


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(cloud, "TILE_ELEMENTS", 0)
    monkeypatch.setattr(cloud, "LEAST_BLOCK", SIZE)


def blocks_of(x: np.ndarray, present: np.ndarray | None = None) -> cloud.Blocks:
    present = np.ones(len(x), bool) if present is None else present
    rows, kept = jnp.asarray(np.where(present[:, None], x, 0)), jnp.asarray(present)
    points = cloud.Cloud(rows, kept.astype(rows.dtype), kept, jnp.zeros((1, x.shape[1]), rows.dtype))
    return cloud.in_blocks(points, K, alike=True)


def data(kind: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, D))
    if kind == "blobs":
        x += 5 * rng.normal(size=(K, D))[rng.integers(K, size=N)]
    elif kind == "lattice":  # products of small integers are exact, and ties are many
        x = rng.integers(-1, 2, (N, D))
    elif kind == "far":
        x[: N // 3] += 1e4
    elif kind == "duplicates":
        x = x[rng.integers(60, size=N)]
    return x.astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["noise", "blobs", "lattice", "far", "duplicates"]),
    seed=st.integers(0, 99),
    steps=st.lists(st.floats(0, 1), min_size=2, max_size=5),
)
def test_bounds_hold_and_labels_are_those_of_all_distances(kind, seed, steps):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloud, "TILE_ELEMENTS", 0)
        patch.setattr(cloud, "LEAST_BLOCK", SIZE)
        rng = np.random.default_rng(seed)
        x = data(kind, seed)
        present = rng.random(N) < 0.9
        blocks = blocks_of(x, present)
        live = jnp.arange(K) < rng.integers(2, K + 1)
        centroids = x[rng.choice(N, K, replace=False)]
        bounds = hamerly.nothing_known(blocks, jnp.asarray(centroids))
        bounds = bounds._replace(everywhere=jnp.asarray(True))
        for step in steps:
            bounds, sums = assign(blocks, bounds, jnp.asarray(centroids), live)
            own = np.asarray(bounds.known.labels).reshape(-1)[:N]
            assert_allclose(sums[:, -1], np.bincount(own[present], minlength=K))
            distances = np.sqrt(((x[:, None].astype(float) - centroids) ** 2).sum(-1)) + np.where(live, 0, np.inf)
            upper, lower = (np.asarray(of).reshape(-1)[:N] for of in bounds.known[1:])
            to_own = np.take_along_axis(distances, own[:, None], 1)[:, 0]
            if kind == "lattice" and (centroids == np.round(centroids)).all():
                assert_array_equal(own[present], distances.argmin(1)[present])
            noise = 1e-6 * ((x.astype(float) ** 2).sum(1) + (centroids[live] ** 2).sum(1).max())
            assert (to_own**2 <= distances.min(1) ** 2 + noise)[present].all()
            assert (to_own <= upper)[present].all()
            np.put_along_axis(distances, own[:, None], np.inf, 1)
            assert (distances.min(1) >= lower)[present].all()
            far = rng.random((K, 1)) < 0.1
            way = step**3 * rng.normal(size=(K, D)) * np.where(far, 3, 0.1)
            centroids = (centroids + way).astype(np.float32)
            bounds = bounds._replace(everywhere=jnp.asarray(True))


assign = jax.jit(hamerly.assign_by_bounds)


def test_only_points_in_doubt_are_compared_again(small_blocks):
    blocks, live = blocks_of(data("blobs", 0)), jnp.ones(K, bool)
    centroids = blocks.x.reshape(-1, D + 1)[:K, :-1]
    bounds = hamerly.nothing_known(blocks, centroids)
    kept = []
    for _ in range(4):
        bounds, _ = assign(blocks, bounds, centroids, live)
        kept.append(bool(bounds.everywhere))
    # nothing is known at first; then no centroid moves, and what is known of the first block is enough
    assert kept == [False, True, True, True]
    bounds, _ = assign(blocks, bounds, centroids + 100 * jax.random.normal(KEY, centroids.shape), live)
    assert not bounds.everywhere


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("kind", ["noise", "blobs", "lattice", "duplicates"])
def test_kmeans_is_the_same_by_bounds(small_blocks, monkeypatch, kind, metric):
    x = data(kind, 1)
    x = jnp.asarray(np.where((x == 0).all(1, keepdims=True), 1, x))
    where, weights = jnp.arange(N) % 7 > 0, jnp.asarray(np.random.default_rng(0).integers(0, 4, N))

    def run():
        # a function of its own each time: nothing compiled is kept
        program = jax.jit(lambda k: fit(KEY, x, k, K, where=where, weights=weights, metric=metric))
        return program(K - 10)

    by_bounds = run()
    monkeypatch.setattr(lloyd, "pays", lambda *_: False)
    for one, other in zip(by_bounds, run(), strict=True):
        assert_array_equal(one, other)
    assert by_bounds.num_iterations > 2
