"""k-means in blocks is k-means: the same from the same centroids, read from a file piece by piece."""

from __future__ import annotations

import builtins

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from clusterjax.clustering import blocks, kmeans, kmeans_blocks

KEY = jax.random.key(5)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Of 64 rows of 6 features, so that the last is not full."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 64 * 6 * 4)


def points(n=500, d=6, k=4):
    rng = np.random.default_rng(0)
    return (2 * rng.normal(size=(k, d))[rng.integers(k, size=n)] + rng.normal(size=(n, d))).astype(np.float32)


def same(found, expected):
    for name, ours, theirs in zip(expected._fields, found, expected, strict=True):
        assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("max_iterations", [2, 100])
def test_it_is_kmeans_from_the_same_centroids(metric, weighted, max_iterations):
    x, rng = points(), np.random.default_rng(1)
    where = rng.random(len(x)) < 0.8
    x[~where] = np.nan
    options = {"where": where, "metric": metric, "max_iterations": max_iterations}
    options |= {"init": x[where][:4], "weights": rng.integers(0, 4, len(x)) if weighted else None}
    same(kmeans_blocks(KEY, x, 4, **options), kmeans(KEY, x, 4, **options))


def test_far_and_large_numbers_and_empty_clusters_are_those_of_kmeans():
    x = points() + 1000
    start = x[:4].copy()
    start[2:] += [[1e4], [2e4]]  # nobody's nearest
    expected = kmeans(KEY, x, 4, init=start)
    assert expected.num_reseeded >= 2
    same(kmeans_blocks(KEY, x, 4, init=start), expected)
    scaled = kmeans_blocks(KEY, x * np.float32(1e15), 4, init=start * np.float32(1e15))
    assert_array_equal(scaled.labels, expected.labels)


def test_a_file_is_read_in_blocks_and_nothing_else_of_it(tmp_path):
    x = points()
    path = tmp_path / "points.npy"
    np.save(path, x)
    read = []

    class Watched:
        shape = x.shape
        file = np.load(path, mmap_mode="r")

        def __getitem__(self, rows):
            read.append(len(self.file[rows]))
            return self.file[rows]

    found = kmeans_blocks(KEY, Watched(), 4, init=x[:4])
    same(found, kmeans(KEY, x, 4, init=x[:4]))
    sample, *of_passes = read
    assert sample == len(x)
    assert set(of_passes) == {64, len(x) % 64}
    assert len(of_passes) == (int(found.num_iterations) + 1) * -(-len(x) // 64)


def test_a_start_from_a_sample_finds_planted_blobs(monkeypatch):
    monkeypatch.setattr(blocks, "SAMPLE", 100)
    monkeypatch.setattr(blocks, "SAMPLE_EACH", 10)
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(5), [300, 250, 200, 150, 100])
    order = rng.permutation(len(truth))
    x = (20 * rng.normal(size=(5, 6))[truth] + rng.normal(size=(len(truth), 6)))[order].astype(np.float32)
    found = kmeans_blocks(KEY, x, 5)
    assert_array_equal(found.labels, truth[order])
    assert_array_equal(found.labels, kmeans_blocks(KEY, x, 5).labels)
    assert found.num_iterations <= 3


@pytest.mark.parametrize(
    ("value", "metric", "said"),
    [(np.nan, "euclidean", "row 333 is not finite"), (0, "cosine", "row 333 is zero")],
)
def test_a_row_that_cannot_be_clustered_is_named(value, metric, said, monkeypatch):
    monkeypatch.setattr(blocks, "SAMPLE", 8)  # found in the pass, not in the sample
    monkeypatch.setattr(blocks, "SAMPLE_EACH", 2)
    x = points()
    x[333] = value
    with pytest.raises(ValueError, match=said):
        kmeans_blocks(KEY, x, 2, metric=metric, init=x[:2])


def test_what_is_refused():
    x = points()
    with pytest.raises(TypeError, match="shape"):
        kmeans_blocks(KEY, x.tolist(), 4)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="3 points that take part"):
        kmeans_blocks(KEY, x, 4, where=np.arange(500) < 3)
    with pytest.raises(ValueError, match="4 centroids of 6 features"):
        kmeans_blocks(KEY, x, 4, init=x[:3])


def test_progress_says_which_pass_and_nothing_by_itself(capsys, monkeypatch):
    x = points()
    kmeans_blocks(KEY, x, 4, init=x[:4])
    assert capsys.readouterr().err == ""
    kmeans_blocks(KEY, x, 4, init=x[:4], progress=True)
    assert "pass" in capsys.readouterr().err
    original = builtins.__import__

    def without_rich(name, *args, **kwargs):
        if name.startswith("rich"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_rich)
    found = kmeans_blocks(KEY, x, 4, init=x[:4], progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == int(found.num_iterations) + 1
    assert "of the labels changed" in lines[-1]
