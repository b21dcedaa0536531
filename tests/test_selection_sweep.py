"""A sweep: its fields against calls one by one, undefined indices, other methods, and what it will cost."""

import importlib.util
import sys
from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster.hierarchy import fcluster, linkage

from clusterjax import by_cluster, silhouette_score, tiles
from clusterjax.distances import resolve
from clusterjax.partition import partition
from clusterjax.selection import GapResult, SweepResult, silhouettes, suggest_k, sweep, sweep_k

KS = range(1, 7)


def blobs(k=3, seed=0):
    """Sixty points in six dimensions, in clusters that no k-means can miss."""
    rng = np.random.default_rng(seed)
    return (12 * np.eye(6)[np.arange(k).repeat(60 // k)] + rng.normal(size=(60, 6))).astype(np.float32)


# One program for all tests of k-means: their data have one shape.
of_sixty = partial(sweep_k, jax.random.key(0), ks=KS, num_restarts=2, where=np.ones(60, bool))


def test_every_field_is_what_single_calls_give():
    x = blobs()
    found = of_sixty(x, indices=("silhouette", "simplified_silhouette"))
    assert_array_equal(found.ks, KS)
    assert found.labels.shape == (6, 60)
    assert found.centroids is not None
    assert found.centroids.shape == (6, 6, 6)
    assert found.gap is None
    for k, labels, centroids, inertia in zip(KS, *map(np.asarray, found[1:4]), strict=True):
        assert set(labels) == set(range(k))
        assert np.isnan(centroids[k:]).all()
        means = np.stack([x[labels == r].mean(0) for r in range(k)])
        assert_allclose(centroids[:k], means, atol=0.1)  # as far as the last shift of centroids may be
        assert_allclose(inertia, ((x - centroids[labels]) ** 2).sum(), rtol=1e-4)
    silhouettes = [sklearn.metrics.silhouette_score(x, labels) for labels in np.asarray(found.labels[1:])]
    assert_allclose(found.indices["silhouette"], [np.nan, *silhouettes], atol=1e-6)
    assert list(found.indices) == ["silhouette", "simplified_silhouette"]
    for name, values in found.indices.items():
        assert np.isnan(values[0])
        assert not np.isnan(values[1:]).any()
        assert list(found.reasons[name]) == [1]
        assert "at least 2 clusters" in found.reasons[name][1]


def test_nothing_is_compiled_twice_and_the_key_decides():
    x = blobs()
    first = of_sixty(x)
    compiled = []

    def listen(event, *_, **__):
        compiled.append(event) if event.endswith("backend_compile_duration") else None

    jax.monitoring.register_event_duration_secs_listener(listen)
    again, other = of_sixty(x), of_sixty(x + 1)
    jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        assert_array_equal(a, b)
    assert_allclose(first.indices["silhouette"][2], other.indices["silhouette"][2], atol=1e-5)
    assert_array_equal(of_sixty(x, ks=[3]).labels[0], first.labels[2])  # whatever else is tried


def test_masked_is_removed():
    x = blobs()
    kept = np.arange(60) % 5 != 2
    spoilt = np.where(kept[:, None], x, np.nan).astype(np.float32)
    cut = partial(cut_tree, x, kept)
    ours = sweep_k(jax.random.key(0), spoilt, ks=KS, method=cut, where=kept)
    theirs = sweep_k(jax.random.key(0), x[kept], ks=KS, method=lambda k: cut(k)[kept])
    assert_array_equal(ours.labels[:, kept], theirs.labels)
    assert_array_equal(ours.labels[:, ~kept], -1)
    assert_allclose(ours.indices["silhouette"], theirs.indices["silhouette"], atol=1e-6)
    found = of_sixty(spoilt, where=kept)
    assert_array_equal(found.labels[:, ~kept], -1)
    assert suggest_k(found).k == 3


def test_double_precision_and_a_trace_change_nothing():
    x, key = blobs(), jax.random.key(0)
    call = partial(sweep_k, ks=(2, 3), num_restarts=1, gap_references=2)
    expected = call(key, x)
    with jax.enable_x64(True):
        double = call(jax.random.key(0), x.astype(np.float64))
    for a, b in zip(jax.tree.leaves(double), jax.tree.leaves(expected), strict=True):
        assert a.dtype == (np.float64 if b.dtype == np.float32 else b.dtype)
        assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    batch = jnp.stack([x[::-1], x])
    traced = jax.jit(jax.vmap(lambda x: call(key, x)))(batch)
    for a, b in zip(jax.tree.leaves(traced), jax.tree.leaves(expected), strict=True):
        assert_allclose(a[1], b, rtol=1e-4, atol=1e-5)


def test_points_that_some_labelings_leave_out():
    x = blobs()
    noise = {2: np.arange(60) % 7 == 0, 3: np.arange(60) % 5 == 0}
    labels = {k: np.where(noise[k], -1, np.arange(60) % k) for k in noise}
    found = sweep_k(jax.random.key(0), x, ks=[2, 3], method=lambda k: labels[k])
    assert_allclose(found.indices["silhouette"], [silhouette_score(x, labels[k]) for k in (2, 3)], atol=1e-6)


@pytest.mark.parametrize(
    ("method", "metric"), [("kmeans", "euclidean"), (lambda k: np.arange(60) // 7 % k, "manhattan")]
)
def test_weights_are_repeated_points(method, metric):
    x, times = blobs(seed=2), np.arange(60) % 4
    again = np.repeat(np.arange(60), times)
    names = ("silhouette", "simplified_silhouette")
    call = partial(sweep_k, jax.random.key(0), ks=(2, 3), num_restarts=2, metric=metric, indices=names)
    found = call(x, weights=times, method=method)
    labels = np.asarray(found.labels)
    theirs = call(x[again], method=lambda k: labels[k - 2, again])
    for name in names:
        assert_allclose(found.indices[name], theirs.indices[name], atol=1e-5)
    if method == "kmeans":
        assert found.centroids is not None
        squared = ((x - np.asarray(found.centroids)[1][labels[1]]) ** 2).sum(1)
        assert_allclose(np.asarray(found.inertia)[1], (times * squared).sum(), rtol=1e-4)


def test_masked_is_removed_with_weights_too():
    x, times, kept = blobs(), np.arange(60) % 4, np.arange(60) % 5 != 2
    spoilt = np.where(kept[:, None], x, np.nan).astype(np.float32)
    call = partial(sweep_k, jax.random.key(0), ks=(2, 3), num_restarts=2)
    masked, removed = call(spoilt, weights=times, where=kept), call(x[kept], weights=times[kept])
    assert_array_equal(masked.labels[:, kept], removed.labels)
    assert_allclose(masked.indices["silhouette"], removed.indices["silhouette"], atol=1e-6)
    assert masked.shuffled is not None
    assert removed.shuffled is not None
    assert_allclose(masked.shuffled, removed.shuffled, atol=1e-6)


def test_shuffled_labels_are_those_of_the_best_k_elsewhere():
    rng = np.random.default_rng(0)
    x, kept = blobs(), np.arange(60) % 5 != 2
    found = of_sixty(x, where=kept)
    assert found.shuffled is not None
    labels, three = np.asarray(found.labels[2])[kept], []
    for _ in range(200):
        three.append(sklearn.metrics.silhouette_score(x[kept], rng.permutation(labels)))
    assert len(set(np.asarray(found.shuffled).tolist())) == 3
    assert (np.abs(np.asarray(found.shuffled) - np.mean(three)) < 4 * np.std(three)).all()
    other = of_sixty(x, where=kept, indices=("simplified_silhouette",))
    assert other.shuffled is None


def cut_tree(x, kept, k):
    """Ward's clusters of the rows that are kept, 0 for the others."""
    labels = np.zeros(len(x), int)
    labels[kept] = fcluster(linkage(x[kept], "ward"), k, "maxclust") - 1
    return labels


@pytest.mark.parametrize("metric", ["manhattan", "cosine", "precomputed", "euclidean"])
def test_a_method_of_ones_own_any_metric_and_any_index(metric):
    x = blobs(seed=1)
    given = np.abs(x[:, None] - x[None]).sum(2) if metric == "precomputed" else x

    def smallest(x, labels, *, num_clusters, where):
        return jnp.bincount(labels, length=num_clusters)[:2].min()

    found = sweep_k(
        jax.random.key(0), given, ks=[4, 2, 3], method=partial(cut_tree, x, np.ones(60, bool)), metric=metric,
        indices=("silhouette", smallest),
    )  # fmt: skip
    assert found.ks.tolist() == [2, 3, 4]
    assert found.centroids is None
    assert found.inertia is None
    theirs = [sklearn.metrics.silhouette_score(given, labels, metric=metric) for labels in np.asarray(found.labels)]
    assert_allclose(found.indices["silhouette"], theirs, atol=1e-6)
    counts = [np.sort(np.bincount(labels)[:2])[0] for labels in np.asarray(found.labels)]
    assert_array_equal(found.indices["smallest"], counts)
    assert found.reasons == {}
    assert list(suggest_k(found).votes) == ["silhouette"]


def test_planted_clusters_are_found_by_silhouette_and_gap():
    for k in (2, 3):
        found = of_sixty(blobs(k), gap_references=10)
        suggestion = suggest_k(found)
        assert suggestion.votes == {"silhouette": k, "gap": k}
        assert suggestion.k == k
        assert f"{k} clusters: silhouette and gap say so." in suggestion.sentence
        assert found.gap is not None
        assert found.gap.ks.tolist() == [1, 2, 3, 4, 5, 6]


def test_distances_side_by_side_are_those_of_each_labeling(monkeypatch):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(77, 12)) + 3e3 * (np.arange(77) < 20)[:, None]).astype(np.float32)  # one cluster far away
    labelings = [np.where(np.arange(77) < 20, 0, 1 + rng.integers(k - 1, size=77)) for k in (2, 5)]
    kept = jnp.asarray(np.arange(77) % 7 != 3)
    for metric in ("euclidean", "manhattan"):
        parts = [
            partition(x, labels.astype(np.int32), kept, None, resolve(metric), k)
            for labels, k in zip(labelings, (2, 5), strict=True)
        ]
        each = np.concatenate([jax.jit(by_cluster.distance_sums)(p) for p in parts], 1)
        w = jnp.concatenate([p.w for p in parts], 1)
        for elements in (64 * 144, 2**18):
            monkeypatch.setattr(tiles, "TILE_ELEMENTS", elements)
            together = jax.jit(lambda p, w: by_cluster.distance_sums_side_by_side(p, w))(parts[-1], w)
            # to centre data with so far a cluster rounds by some 4e-5 of the near distances, either way
            assert_allclose(np.asarray(together)[kept], each[np.asarray(kept)], rtol=1e-4)


@pytest.mark.parametrize("ks", [(2, 3), (150, 200)])
def test_both_ways_to_the_silhouettes_agree(ks):
    x = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    assert silhouettes._is_apart(resolve("euclidean"), 2, ks) == (ks[0] == 150)
    found = sweep_k(jax.random.key(0), x, ks=ks, method=lambda k: np.arange(300) % k)
    each = [silhouette_score(x, np.arange(300) % k) for k in ks]
    assert_allclose(found.indices["silhouette"], each, atol=1e-6)


def test_the_cost_is_said_beforehand(capsys):
    method = partial(cut_tree, blobs(), np.ones(60, bool))
    call = partial(sweep_k, jax.random.key(0), blobs(), ks=(2, 3), method=method)
    call()
    assert capsys.readouterr() == ("", "")
    call(progress=True)
    said = capsys.readouterr().err
    assert "2 numbers of clusters, 2 to 3: 60 points of 6 features, 3.6e+03 pairs" in said
    assert "clustering" in said
    assert sweep._is_long((19_000, 512), tuple(range(150, 251, 10)), {"silhouette": None}, 10, 0)
    assert not sweep._is_long((2_000, 16), tuple(range(2, 21)), {"silhouette": None}, 10, 0)


def test_a_data_frame_where_there_is_pandas(monkeypatch):
    ks, values = jnp.array([2, 3]), jnp.array([0.3, 0.6])
    zero = jnp.zeros(3)
    gap = GapResult(jnp.arange(1, 4), zero, zero, jnp.array([0.1, 0.3, 0.5]), zero, zero)
    with_gap = SweepResult(ks, jnp.zeros((2, 3), int), None, None, {"silhouette": values}, gap, {})
    if importlib.util.find_spec("pandas") is None:
        with pytest.raises(ImportError, match="pip install pandas"):
            with_gap.to_pandas()
    stand_in: Any = SimpleNamespace(
        DataFrame=lambda columns, index: (columns, index), Index=lambda ks, name: (name, ks)
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "pandas", stand_in)
    columns, (name, ks) = with_gap.to_pandas()
    assert name == "k"
    assert_array_equal(ks, [2, 3])
    assert list(columns) == ["gap", "gap_standard_error", "silhouette"]
    assert_allclose(columns["gap"], [0.3, 0.5], atol=1e-6)


def unweighted(x, labels, *, num_clusters, where):
    return jnp.float32(0)


def test_what_cannot_be_swept_is_refused():
    x = blobs()
    call = partial(sweep_k, jax.random.key(0), x)
    with pytest.raises(ValueError, match="unknown index 'dunno'"):
        call(indices=("dunno",))
    with pytest.raises(ValueError, match="61 clusters are more than the 60 points"):
        call(ks=[2, 61])
    with pytest.raises(ValueError, match="each number of clusters once"):
        call(ks=[2, 2])
    with pytest.raises(ValueError, match="at least one"):
        call(ks=[])
    with pytest.raises(ValueError, match="pass labels by method="):
        call(metric="manhattan")
    with pytest.raises(ValueError, match="leave gap_references out"):
        call(method=lambda k: np.arange(60) % k, gap_references=3)
    with pytest.raises(ValueError, match="k = 2 must be one for each of 60 points"):
        call(ks=[2], method=lambda k: np.arange(30) % k)
    with pytest.raises(ValueError, match="3 clusters are more than the 2 points"):
        call(ks=[3], weights=np.arange(60) < 2)
    with pytest.raises(ValueError, match="unweighted takes no weights"):
        call(ks=[2], weights=np.ones(60), indices=[unweighted])
    with pytest.raises(ValueError, match="the gap counts each point once"):
        call(ks=[2], weights=np.ones(60), gap_references=3)
    with pytest.raises(ValueError, match="a function of k, not 'ward'"):
        call(method="ward")
