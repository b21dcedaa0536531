"""Labelings from elsewhere against scikit-learn and SciPy, matching against all permutations, noise against loops."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN, HDBSCAN, AgglomerativeClustering
from test_contract import count_compilations

import clusterjax
from clusterjax.clustering import (
    agglomerative,
    canonical_labels,
    coverage,
    density,
    match_labels,
    noise,
    noise_as_cluster,
    noise_as_singletons,
    noise_to_nearest,
)

IRIS = np.array(json.loads((Path(__file__).parent / "values/iris.json").read_text())["x"])
COPY: dict[str, Any] = {"copy": True}  # left out, it warns
few_labels = st.lists(st.integers(-1, 3), min_size=1, max_size=12)


def same_clusters(ours, theirs):
    """Equal up to renumbering, noise apart."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert_array_equal(ours < 0, theirs < 0)
    pairs = set(zip(ours.tolist(), theirs.tolist(), strict=True))
    assert len(pairs) == len(set(ours.tolist())) == len(set(theirs.tolist()))


def blobs(n=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return 3 * rng.normal(size=(4, d))[rng.integers(4, size=n)] + rng.normal(size=(n, d))


def rings(n=150):
    """A small one inside a large one, whose centroids coincide, and noise."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, n)
    labels = np.arange(n) % 2
    x = (1 + 3 * labels[:, None]) * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * rng.normal(size=(n, 2))
    return x.astype(np.float32), np.where(rng.uniform(size=n) < 0.3, -1, labels)


# ---------------------------------------------------------------------------------------------------------------------
# Ids


@settings(max_examples=50, deadline=None)
@given(few_labels)
def test_canonical_labels_by_a_loop(labels):
    ids = sorted({a for a in labels if a >= 0}, key=lambda a: (-labels.count(a), labels.index(a)))
    assert canonical_labels(labels).tolist() == [ids.index(a) if a >= 0 else -1 for a in labels]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), min_size=1, max_size=12))
def test_no_other_numbering_agrees_at_more_points(pairs):
    old, new = np.array(pairs).T
    matched = match_labels(old, new)
    same_clusters(matched, new)
    agree = int(((matched == old) & (old >= 0)).sum())
    renumbered = (np.append(p, -1)[new] for p in itertools.permutations(range(8), 4))
    assert agree == max(int(((other == old) & (old >= 0)).sum()) for other in renumbered)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), min_size=1, max_size=12), st.permutations(range(4)))
def test_how_the_second_was_numbered_makes_no_difference(pairs, permutation):
    old, new = np.array(pairs).T
    assert_array_equal(match_labels(old, np.append(permutation, -1)[new]), match_labels(old, new))


def test_an_id_goes_to_nobody_who_shares_no_point_with_it():
    #                      3 vanished; 9 and 8 have no partner, and 8 is the larger of the two
    old, new = [0, 0, 3, 3, 3, 1, 1, -1, -1, -1], [5, 5, 4, 4, 5, 4, 4, 8, 8, 9]
    # 5 agrees with 0 at 2 points, with 3 at 1; 4 with 3 at 2, with 1 at 2
    matched = match_labels(old, new)
    assert matched.tolist() == [0, 0, matched[2], matched[2], 0, matched[2], matched[2], 4, 4, 5]
    assert matched[2] in (1, 3)


def test_what_is_masked_says_nothing_of_ids():
    old, new = [0, 1, 1, 1, 1], [1, 0, 1, 1, 1]
    assert match_labels(old, new).tolist() == [1, 2, 1, 1, 1]
    assert match_labels(old, new, where=[True, True, False, False, False]).tolist() == [0, 1, -1, -1, -1]
    assert canonical_labels([0, 1, 1], where=[True, False, False]).tolist() == [0, -1, -1]


def test_a_labeling_without_clusters_matches_any():
    assert match_labels([-1, -1], [-1, 0]).tolist() == [-1, 0]
    assert match_labels([2, 0], [-1, -1]).tolist() == [-1, -1]
    assert match_labels([], []).tolist() == []


def test_many_clusters_come_back_from_a_shuffle():
    rng = np.random.default_rng(0)
    old = rng.integers(0, 500, 3000)
    assert_array_equal(match_labels(old, rng.permutation(500)[old]), old)


@pytest.mark.usefixtures("unchecked")
def test_bad_labels_get_a_sentence():
    with pytest.raises(ValueError, match="old and new must label the same points: 2 and 3"):
        match_labels([0, 1], [0, 1, 1])
    with pytest.raises(TypeError, match="labels must be integers"):
        canonical_labels([0.5, 1.0])
    with pytest.raises(TypeError, match="must be known here, not traced"):
        jax.jit(canonical_labels)(jnp.array([0, 1]))


# ---------------------------------------------------------------------------------------------------------------------
# Methods as functions of a parameter


@pytest.mark.parametrize("linkage", ["ward", "complete", "average", "single"])
def test_every_cut_is_scikit_learns(linkage):
    x = blobs()
    cut = agglomerative(x, linkage=linkage)
    for k in (1, 2, 3, 7, 30, 59, 60):
        theirs = AgglomerativeClustering(n_clusters=k, linkage=linkage).fit_predict(x)
        same_clusters(cut(k), theirs)
        assert_array_equal(cut(k), canonical_labels(theirs))


@pytest.mark.parametrize("linkage", ["ward", "complete", "average"])
def test_ties_and_duplicates_of_iris_are_cut_as_scikit_learn_cuts_them(linkage):
    cut = agglomerative(IRIS, linkage=linkage)
    for k in range(2, 12):
        same_clusters(cut(k), AgglomerativeClustering(n_clusters=k, linkage=linkage).fit_predict(IRIS))


@pytest.mark.parametrize("linkage", ["ward", "complete", "average", "single"])
def test_ties_leave_exactly_as_many_clusters_as_asked_for(linkage):
    cut = agglomerative(np.arange(12.0)[:, None] // 2, linkage=linkage)  # a grid, each place taken twice
    for k in range(1, 13):
        assert_array_equal(np.unique(cut(k)), np.arange(k))


def test_a_cut_is_a_merger_of_the_next():
    cut = agglomerative(blobs(), linkage="average")
    for k in range(1, 60):
        assert len(set(zip(cut(k).tolist(), cut(k + 1).tolist(), strict=True))) == k + 1


METRICS: dict[str, Any] = {
    "cosine": {"metric": "cosine"},
    "manhattan": {"metric": "cityblock"},
    "chebyshev": {"metric": "chebyshev"},
    "squared_euclidean": {"metric": "sqeuclidean"},
}


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_of_trees_and_densities_are_scipys(metric):
    x = blobs()
    distances = cdist(x, x, **METRICS[metric])
    np.fill_diagonal(distances, 0)
    theirs = AgglomerativeClustering(n_clusters=5, linkage="average", metric="precomputed").fit_predict(distances)
    same_clusters(agglomerative(x, linkage="average", metric=metric)(5), theirs)
    same_clusters(agglomerative(distances, linkage="average", metric="precomputed")(5), theirs)
    same_clusters(density(x, metric=metric)(4), HDBSCAN(4, metric="precomputed", **COPY).fit_predict(distances))
    eps = float(np.quantile(distances, 0.08))
    ours = density(x, method="dbscan", metric=metric)(eps)
    same_clusters(ours, DBSCAN(eps=eps, metric="precomputed").fit_predict(distances))
    assert 1 < len(set(ours.tolist())) < 60


def l3(a, b):
    return (jnp.abs(a - b) ** 3).sum() ** (1 / 3)


def test_a_metric_of_ones_own():
    x = blobs()
    distances = cdist(x, x, "minkowski", p=3)
    theirs = AgglomerativeClustering(n_clusters=5, linkage="complete", metric="precomputed").fit_predict(distances)
    same_clusters(agglomerative(x, linkage="complete", metric=l3)(5), theirs)
    same_clusters(density(x, metric=l3)(4), HDBSCAN(4, metric="precomputed", **COPY).fit_predict(distances))


def test_ward_of_mahalanobis_is_ward_of_whitened_points():
    x, scale = blobs(), np.array([1.0, 4.0, 0.25])
    metric = clusterjax.distances.mahalanobis(covariance=np.diag(1 / scale**2))
    theirs = AgglomerativeClustering(n_clusters=5).fit_predict(x * scale)
    same_clusters(agglomerative(x, metric=metric)(5), theirs)


def test_a_zero_vector_has_a_cosine():
    x = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [0.0, 0.0]])
    assert agglomerative(x, linkage="average", metric="cosine")(3).tolist() == [0, 0, 1, 1, 2]
    assert density(x, method="dbscan", metric="cosine", min_samples=2)(0.1).tolist() == [0, 0, 1, 1, -1]


@pytest.mark.parametrize("min_samples", [None, 3])
def test_density_is_scikit_learns(min_samples):
    x = blobs(120, 2)
    by_size = density(x, min_samples=min_samples)
    by_radius = density(x, method="dbscan", min_samples=min_samples)
    for size, eps in ((4, 0.4), (8, 0.7)):
        theirs = HDBSCAN(size, min_samples, **COPY).fit_predict(x)
        assert_array_equal(by_size(size), canonical_labels(theirs))
        assert -1 in theirs
        theirs = DBSCAN(eps=eps, min_samples=min_samples or 5).fit_predict(x)
        assert_array_equal(by_radius(eps), canonical_labels(theirs))
        assert -1 in theirs


@pytest.mark.parametrize("make", [agglomerative, density], ids=["tree", "density"])
@pytest.mark.parametrize("metric", ["euclidean", "precomputed"])
def test_masked_points_are_not_there(make, metric):
    x = blobs()
    kept = np.arange(60) % 4 != 1
    given = x if metric == "euclidean" else cdist(x, x)
    alone = make(given[kept] if metric == "euclidean" else given[kept][:, kept], metric=metric)(4)
    given[~kept] = np.nan
    ours = make(given, metric=metric, where=kept)(4)
    assert (ours[~kept] == -1).all()
    assert_array_equal(ours[kept], alone)


@pytest.mark.usefixtures("unchecked")
def test_bad_input_of_methods_gets_a_sentence():
    x = blobs()
    with pytest.raises(ValueError, match="there are 60 points: num_clusters must be at most that, not 61"):
        agglomerative(x)(61)
    with pytest.raises(ValueError, match="linkage must be one of 'ward'"):
        agglomerative(x, linkage="centroid")  # type: ignore[arg-type]
    for metric in ("cosine", "manhattan", "squared_euclidean", l3):
        with pytest.raises(ValueError, match='linkage="ward" is defined for Euclidean distances'):
            agglomerative(x, metric=metric)
    with pytest.raises(ValueError, match="method must be one of 'hdbscan', 'dbscan'"):
        density(x, method="optics")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="min_cluster_size must be at least 2"):
        density(x)(1)
    with pytest.raises(ValueError, match="eps must be positive"):
        density(x, method="dbscan")(0.0)
    for make in (agglomerative, density):
        with pytest.raises(ValueError, match="NaN or infinite"):
            make(np.where(np.arange(60)[:, None] == 3, np.nan, x))
        with pytest.raises(ValueError, match="there are no points"):
            make(x, where=np.zeros(60, bool))
        with pytest.raises(TypeError, match="not traced"):
            jax.jit(lambda x, make=make: make(x)(3))(x)


def test_without_scikit_learn_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(ImportError, match="density needs scikit-learn: pip install"):
        density(blobs())


# ---------------------------------------------------------------------------------------------------------------------
# Noise


def test_coverage():
    assert coverage([0, 2, -1, 1, -5]) == np.float32(0.6)
    assert coverage([0, -1, -1, 1], where=[True, True, False, False]) == 0.5
    assert jax.jit(coverage)(jnp.array([0, -1])) == 0.5
    assert np.isnan(jax.jit(lambda labels, where: coverage(labels, where=where))(jnp.array([0]), jnp.array([False])))
    with pytest.raises(ValueError, match="there are no points"):
        coverage([0, 1], where=[False, False])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-2, 3), st.booleans()), min_size=9, max_size=9))
def test_noise_gets_ids_of_its_own(pairs):
    labels, where = (list(column) for column in zip(*pairs, strict=True))
    expected, free = [], 5
    for label, present in pairs:
        expected.append(-1 if not present else free if label < 0 else label)
        free += present and label < 0
    assert noise_as_singletons(labels, num_clusters=5, where=where).tolist() == expected
    one = [min(label, 5) for label in expected]
    assert noise_as_cluster(labels, num_clusters=5, where=where).tolist() == one


def test_the_next_id_is_found_where_labels_are_known():
    assert noise_as_cluster([-1, -1]).tolist() == [0, 0]
    assert noise_as_singletons([-1, 0, -1]).tolist() == [1, 0, 2]
    traced = jax.jit(noise_as_singletons, static_argnames="num_clusters")
    assert traced(jnp.array([-1, 0, -1]), num_clusters=4).tolist() == [4, 0, 5]
    with pytest.raises(ValueError, match="pass num_clusters="):
        jax.jit(noise_as_cluster)(jnp.array([0]))


def nearest_by_loops(x, labels, taking_part, distance):
    result = [int(a) if t else -1 for a, t in zip(labels, taking_part, strict=True)]
    candidates = [j for j in range(len(x)) if labels[j] >= 0 and taking_part[j]]
    for i in range(len(x)):
        if labels[i] < 0 and taking_part[i]:
            result[i] = int(labels[min(candidates, key=lambda j: distance(x[i], x[j]))])
    return result


DISTANCES = {
    "euclidean": lambda a, b: ((a - b) ** 2).sum(),
    "cosine": lambda a, b: 1 - a @ b / np.sqrt((a @ a) * (b @ b)),
    "manhattan": lambda a, b: np.abs(a - b).sum(),
    l3: lambda a, b: (np.abs(a - b) ** 3).sum(),
}


@pytest.mark.parametrize("metric", DISTANCES, ids=["euclidean", "cosine", "manhattan", "own"])
def test_noise_goes_where_the_nearest_point_is(metric, monkeypatch):
    x, labels = rings(80)
    x, labels = np.concatenate([x, x]), np.concatenate([labels, np.where(labels < 0, -1, 1 - labels)])  # ties
    kept = np.arange(160) % 7 != 3
    expected = nearest_by_loops(x.astype(float), labels, kept, DISTANCES[metric])
    spoilt = np.where(kept[:, None], x, np.nan)
    monkeypatch.setattr(noise, "TILE_ELEMENTS", 200)  # several blocks either way
    nearest = jax.jit(lambda x, labels: noise_to_nearest(x, labels, where=kept, metric=metric))
    assert nearest(spoilt, labels).tolist() == expected


def test_noise_on_a_ring_stays_on_it():
    x, labels = rings()
    truth = np.arange(150) % 2
    assert_array_equal(noise_to_nearest(x, labels), truth)
    assert_array_equal(noise_to_nearest(cdist(x, x), labels, metric="precomputed"), truth)


def test_corners_of_the_nearest():
    x = np.array([[0.0], [2.0], [1.0], [np.nan], [9.0], [np.nan]], np.float32)
    labels = np.array([1, 0, -1, -1, -1, 2])
    # a tie goes to the first, NaN is near to none, and what is placed draws nobody
    assert noise_to_nearest(x, labels).tolist() == [1, 0, 1, -1, 0, 2]
    assert noise_to_nearest(x, np.full(6, -1)).tolist() == [-1] * 6
    assert noise_to_nearest(x, np.arange(6)).tolist() == list(range(6))
    assert noise_to_nearest(x[:0], labels[:0]).tolist() == []


def test_the_nearest_under_vmap_and_in_double_precision():
    x, labels = rings()
    other = np.roll(labels, 1)
    both = jax.vmap(noise_to_nearest, in_axes=(None, 0))(jnp.asarray(x), jnp.stack([labels, other]))
    assert_array_equal(both[0], noise_to_nearest(x, labels))
    assert_array_equal(both[1], noise_to_nearest(x, other))
    with jax.enable_x64(True):
        assert_array_equal(noise_to_nearest(x.astype(float), labels), both[0])


def test_another_share_of_noise_compiles_nothing():
    x, labels = rings()
    noise_to_nearest(x, labels)
    with count_compilations() as compiled:
        noise_to_nearest(x, np.where(np.arange(150) < 100, -1, labels))
    assert compiled == []


def test_ids_of_any_size():
    large = [10**9, 5, 5, -1]
    assert_array_equal(canonical_labels(large), [1, 0, 0, -1])
    assert_array_equal(match_labels(large, [0, 1, 1, 1]), [10**9, 5, 5, 5])
