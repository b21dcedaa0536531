"""k-medoids against R's `pam` and against a loop over all swaps; CLARA against what it is made of."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from test_contract import count_compilations

from clusterjax.clustering import clara, kmedoids, pam

KEY = jax.random.key(3)
# R's cluster::pam(x, k), medoids counted from 0
PAM = {
    ("iris", 2): ([7, 126], 0.862202590512882),
    ("iris", 3): ([7, 78, 112], 0.65420769921514),
    ("iris", 4): ([7, 126, 99, 120], 0.571086067984093),
    ("ruspini", 2): ([16, 41], 31.9440561494844),
    ("ruspini", 3): ([16, 31, 51], 21.5929301385088),
    ("ruspini", 4): ([9, 31, 51, 69], 11.4863748145773),
    ("awkward", 2): ([50, 71], 2.62027387015762),
    ("awkward", 3): ([50, 71, 89], 1.81446905889138),
    ("awkward", 4): ([50, 71, 90, 99], 1.52197551884106),
}


def values(name):
    return np.array(json.loads((Path(__file__).parent / f"values/{name}.json").read_text())["x"], float)


def points(n=30, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return (2 * rng.normal(size=(4, d))[rng.integers(4, size=n)] + rng.normal(size=(n, d))).astype(np.float32)


def dissimilarities(seed, n=30):
    """No metric: the triangle inequality fails."""
    d = np.random.default_rng(seed).uniform(size=(n, n)) ** 3
    return np.triu(d, 1) + np.triu(d, 1).T


def cost(d, mass, medoids):
    return (mass * d[:, list(medoids)].min(1)).sum()


def pam_by_loops(d, k, mass: Any = None, medoids=()):
    """BUILD, then the best of all swaps until none helps; medoids and objective."""
    mass = np.ones(len(d)) if mass is None else mass
    medoids = list(medoids)
    while len(medoids) < k:
        medoids.append(min(set(range(len(d))) - set(medoids), key=lambda c: cost(d, mass, [*medoids, c])))
    while True:
        swaps = [[*(set(medoids) - {m}), c] for c in range(len(d)) if c not in medoids for m in sorted(medoids)]
        best = min(swaps, key=lambda s: cost(d, mass, s), default=medoids)
        if cost(d, mass, best) >= cost(d, mass, medoids) - 1e-12:
            return sorted(medoids), cost(d, mass, medoids) / mass.sum()
        medoids = best


def consistent(result, d, where=None):
    """What a result says of itself, checked against the distances [n, n]."""
    labels, medoids = np.asarray(result.labels), np.asarray(result.medoids)
    kept = np.full(len(d), True) if where is None else where
    k = len(medoids)
    assert (labels[~kept] == -1).all()
    assert kept[medoids].all()
    assert_array_equal(labels[medoids], np.arange(k))
    assert len(set(medoids.tolist())) == k
    to_own, to_all = d[np.arange(len(d)), medoids[labels]][kept], d[:, medoids][kept]
    assert_allclose(to_own, to_all.min(1), rtol=1e-5, atol=1e-6)
    assert_allclose(result.objective, to_own.mean(), rtol=1e-5)
    sizes = np.bincount(labels[kept], minlength=k)
    assert [(-s, m) for s, m in zip(sizes, medoids, strict=True)] == sorted(zip(-sizes, medoids, strict=True))


@pytest.mark.parametrize("k", [2, 3, 4])
def test_r_pam(k):
    for name in ("iris", "ruspini", "awkward"):
        x = values(name)
        n = len(x)
        padded = np.zeros((150, 4), np.float32)  # of one shape, so that little is compiled
        padded[:n, : x.shape[1]] = x
        medoids, objective = PAM[name, k]
        result = kmedoids(padded, k, where=np.arange(150) < n)
        assert sorted(result.medoids.tolist()) == sorted(medoids)
        assert_allclose(result.objective, objective, rtol=1e-6)
        assert result.converged
        consistent(result._replace(labels=result.labels[:n]), cdist(x, x))


@pytest.mark.usefixtures("x64")
def test_r_pam_in_double_precision():
    result = kmedoids(values("iris"), 3)
    assert sorted(result.medoids.tolist()) == PAM["iris", 3][0]
    assert_allclose(result.objective, PAM["iris", 3][1], rtol=1e-13)
    assert result.objective.dtype == np.float64


@pytest.mark.parametrize(("k", "metric"), [(4, "euclidean"), (1, "precomputed"), (4, "precomputed"), (4, "cosine")])
def test_each_swap_is_the_best_of_all(k, metric):
    for seed in range(6):
        x = dissimilarities(seed) if metric == "precomputed" else points(seed=seed)
        d = {"euclidean": cdist(x, x), "cosine": cdist(x, x, "cosine"), "precomputed": x}[metric]
        result = kmedoids(x, k, metric=metric)
        assert_allclose(result.objective, pam_by_loops(d, k)[1], rtol=1e-5)  # of two points either is a medoid
        consistent(result, d)


def test_swaps_are_made_and_counted():
    d, rows = dissimilarities(1), [0, 1, 2, 3]
    first = kmedoids(d, 4, metric="precomputed", init=rows, max_iterations=1)
    assert first.num_iterations == 1
    assert not first.converged
    done = kmedoids(d, 4, metric="precomputed", init=rows)
    assert done.num_iterations > 2
    assert done.converged
    assert cost(d, 1, rows) > 30 * first.objective > 30 * done.objective
    assert sorted(done.medoids.tolist()) == pam_by_loops(d, 4, medoids=rows)[0]
    again = kmedoids(d, 4, metric="precomputed", init=done.medoids)
    assert again.num_iterations == 0
    assert again.converged
    assert_array_equal(again.medoids, done.medoids)


def test_well_apart_it_is_the_best_of_all_sets():
    x = points() + 20 * np.eye(4, 3, dtype=np.float32)[np.arange(30) % 4]
    d = cdist(x, x)
    best = min(cost(d, 1, medoids) for medoids in itertools.combinations(range(30), 4))
    assert_allclose(30 * kmedoids(x, 4).objective, best, rtol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "precomputed"])
def test_masked_is_removed_whatever_the_row_holds(metric):
    x, kept = points(), np.arange(30) % 3 != 1
    d = cdist(x, x).astype(np.float32)
    medoids, objective = pam_by_loops(d[kept][:, kept], 4)
    spoilt = np.where(kept[:, None], x if metric == "euclidean" else d, np.nan)
    spoilt = np.where(kept, spoilt, np.nan) if metric == "precomputed" else spoilt
    ours = kmedoids(spoilt, 4, metric=metric, where=kept)
    assert_array_equal(np.sort(ours.medoids), np.flatnonzero(kept)[medoids])
    assert_allclose(ours.objective, objective, rtol=1e-5)
    consistent(ours, d, kept)


def test_a_weight_is_so_many_points():
    x, times = points(), np.random.default_rng(0).integers(0, 4, 30)
    ours = kmedoids(x, 4, weights=times)
    repeated = np.repeat(np.arange(30), times)
    medoids, objective = pam_by_loops(cdist(x, x)[repeated][:, repeated], 4)
    assert set(ours.medoids.tolist()) == set(repeated[medoids].tolist())
    assert_allclose(ours.objective, objective, rtol=1e-5)
    assert_array_equal(np.asarray(ours.labels) < 0, times == 0)
    sizes = np.bincount(np.repeat(ours.labels, times))
    assert (np.diff(sizes) <= 0).all()


def test_as_many_medoids_as_points_and_more_than_places():
    x = points()
    result = kmedoids(x[:6], 6)
    assert_array_equal(result.labels, np.arange(6))
    assert result.objective == 0
    x[:] = x[:1]
    x[5] += 1
    result = kmedoids(x, 4)
    assert np.bincount(result.labels).tolist() == [27, 1, 1, 1]
    consistent(result, cdist(x, x))


def test_in_another_order_it_is_the_same():
    x, order = points(), np.random.default_rng(1).permutation(30)
    ours, other = kmedoids(x, 4), kmedoids(x[order], 4)
    assert set(order[other.medoids].tolist()) == set(ours.medoids.tolist())


def test_several_blocks_of_candidates(monkeypatch):
    d, rows = dissimilarities(2), [0, 1, 2, 3]
    monkeypatch.setattr(pam, "TILE_ELEMENTS", 30 * 9)  # a last block of fewer
    swaps = jax.jit(lambda d: kmedoids(d, 4, metric="precomputed", init=rows))(d)
    assert sorted(swaps.medoids.tolist()) == pam_by_loops(d, 4, medoids=rows)[0]
    for f in (lambda columns: columns.sum(0), lambda columns: columns[:3]):
        assert_array_equal(pam._by_candidates(f, jnp.asarray(d)), f(jnp.asarray(d)))


def test_vmap_is_a_loop():
    batch = np.stack([points(seed=s) for s in range(3)])
    where = np.arange(30) < np.array([30, 25, 20])[:, None]
    together = jax.vmap(lambda x, w: kmedoids(x, 4, where=w))(batch, where)
    for i in range(3):
        alone = kmedoids(batch[i], 4, where=where[i])
        for a, b in zip(together, alone, strict=True):
            assert_allclose(a[i], b, rtol=1e-6)


def test_a_second_call_compiles_nothing():
    kmedoids(points(), 4, where=np.arange(30) > 2)
    with count_compilations() as compiled:
        kmedoids(points(seed=1), 4, where=np.arange(30) > 9, max_iterations=5)
    assert compiled == []


def test_undefined_is_nan_where_it_is_traced():
    few = jax.jit(lambda x, where: kmedoids(x, 4, where=where))(points(), np.arange(30) < 3)
    assert np.isnan(few.objective)
    assert not few.converged
    x = points()
    x[4, 1] = np.nan
    spoilt = kmedoids(x, 4)
    assert np.isnan(spoilt.objective)
    assert not spoilt.converged


@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_a_sentence():
    x = points()
    for make in (kmedoids, lambda *a, **o: clara(KEY, *a, **o)):
        with pytest.raises(ValueError, match="there are 30 points: num_clusters must be at most that, not 31"):
            make(x, 31)
        with pytest.raises(ValueError, match="there are 3 points: num_clusters must be at most that, not 4"):
            make(x, 4, where=np.arange(30) < 3)
        with pytest.raises(ValueError, match="there are 0 points"):
            make(x[:0], 1)
        with pytest.raises(ValueError, match="two-dimensional"):
            make(x[:, 0], 2)
        with pytest.raises(ValueError, match="unknown metric"):
            make(x, 2, metric="taxicab")
    with pytest.raises(ValueError, match="init must be 'build' or 2 rows of the data, not 'random'"):
        kmedoids(x, 2, init="random")
    with pytest.raises(ValueError, match="init must be 'build' or num_clusters=2 rows"):
        kmedoids(x, 2, init=[1, 2, 3])
    for rows in ([1, 1], [0, 30], [-1, 2], [5, 6]):
        with pytest.raises(ValueError, match="init must be 2 different rows of the data that take part"):
            kmedoids(x, 2, init=rows, where=np.arange(30) != 5)
    with pytest.raises(ValueError, match="there are 2 points"):
        kmedoids(x, 3, weights=np.arange(30) < 2)
    with pytest.raises(ValueError, match="zero diagonal"):
        kmedoids(np.ones((4, 4)), 2, metric="precomputed")
    with pytest.raises(ValueError, match="pass precomputed ones to kmedoids"):
        clara(KEY, np.zeros((4, 4)), 2, metric="precomputed")
    with pytest.raises(ValueError, match="sample_size must be at least num_clusters=4"):
        clara(KEY, x, 4, sample_size=3)


# ---------------------------------------------------------------------------------------------------------------------
# CLARA


def test_samples_of_many_points():
    x, kept = points(500), np.arange(500) % 5 != 2
    spoilt = np.where(kept[:, None], x, np.nan)
    results = {s: clara(KEY, spoilt, 4, num_samples=s, sample_size=20, where=kept) for s in (1, 2, 4, 16)}
    objectives = [float(result.objective) for result in results.values()]
    assert sorted(objectives, reverse=True) == objectives
    assert objectives[-1] < objectives[0]
    for result in results.values():
        consistent(result, cdist(x, x), kept)
    best = kmedoids(x, 4, where=kept).objective
    assert best * (1 - 1e-6) <= objectives[-1] < 1.1 * best
    assert_array_equal(clara(KEY, spoilt, 4, num_samples=2, sample_size=20, where=kept).labels, results[2].labels)
    other = clara(jax.random.key(4), spoilt, 4, num_samples=2, sample_size=20, where=kept)
    assert other.objective != objectives[1]


def test_a_later_sample_holds_the_best_medoids_so_far():
    x = points(500)
    one = clara(KEY, x, 4, num_samples=1, sample_size=4)  # a sample of k points has no other medoids
    many = clara(KEY, x, 4, num_samples=6, sample_size=4)
    assert_array_equal(one.medoids, many.medoids)


def test_a_sample_of_all_points_is_kmedoids():
    x, kept = points(100), np.arange(100) % 4 == 0  # 25 points, fewer than the 48 of a sample
    d = cdist(x, x)
    ours = clara(KEY, np.where(kept[:, None], x, np.nan), 4, where=kept)
    medoids, objective = pam_by_loops(d[kept][:, kept], 4)
    assert_array_equal(np.sort(ours.medoids), np.flatnonzero(kept)[medoids])
    assert_allclose(ours.objective, objective, rtol=1e-5)
    consistent(ours, d, kept)


def test_samples_under_vmap_and_in_double_precision():
    x, keys = points(60), jax.random.split(KEY, 2)
    together = jax.vmap(lambda key: clara(key, x, 4, sample_size=20))(keys)
    with jax.enable_x64(True):  # the same samples
        for i in range(2):
            alone = clara(keys[i], x.astype(float), 4, sample_size=20)
            assert_array_equal(together.medoids[i], alone.medoids)
            assert_array_equal(together.labels[i], alone.labels)
            assert_allclose(together.objective[i], alone.objective, rtol=1e-5)
