"""Retrieval: against loops, in one block and in many; ties, noise, galleries apart; against pytorch-metric-learning."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterjax.distances import mahalanobis
from clusterjax.retrieval import (
    RetrievalSummary,
    knn_accuracy,
    map_at_r,
    mean_reciprocal_rank,
    precision_at_1,
    r_precision,
    ranking,
    recall_at_k,
    retrieval_summary,
)

K = 3


@pytest.fixture
def small_blocks(monkeypatch):
    """Eight queries at a time."""
    monkeypatch.setattr(ranking, "BLOCK_ELEMENTS", 100)
    jax.clear_caches()
    yield
    jax.clear_caches()


def data(features, n=250, classes=40):
    rng = np.random.default_rng(features)
    labels = rng.integers(-1, classes, size=n)
    labels[labels == 2] = 3  # an id that nobody has
    return (rng.normal(size=(n, features)) + 0.5 * labels[:, None]).astype(np.float32), labels


def alone(x, labels, **options):
    """Each measure by its own function."""
    bounded = {"max_class_size": options.pop("max_class_size")} if "max_class_size" in options else {}
    return RetrievalSummary(
        precision_at_1(x, labels, **bounded, **options),
        recall_at_k(x, labels, k=K, **bounded, **options),
        r_precision(x, labels, **bounded, **options),
        map_at_r(x, labels, **bounded, **options),
        mean_reciprocal_rank(x, labels, **bounded, **options),
        knn_accuracy(x, labels, k=K, **options),
        retrieval_summary(x, labels, k=K, **bounded, **options).queries,
    )


def check(ours, d, labels, **options):
    expected = oracles.retrieval(d, labels, k=K, **options)
    for name, value in zip(ours._fields, ours, strict=True):
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, err_msg=name)


summary = partial(retrieval_summary, k=K)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("features", [3, 20])
@pytest.mark.parametrize("metric", ["euclidean", "squared_euclidean", "cosine", "manhattan", "chebyshev"])
def test_values_in_many_blocks(metric, features):
    x, labels = data(features)
    d = oracles.distances(x.astype(float), metric)
    check(summary(x, labels, metric=metric), d, labels)
    if metric == "euclidean":
        check(alone(x, labels), d, labels)
        check(alone(d, labels, metric="precomputed"), d, labels)


def test_metrics_with_a_map_or_of_a_users():
    x, labels = data(12)
    d = oracles.distances(x.astype(float) @ np.sqrt(np.diag(np.arange(1.0, 13))))
    check(summary(x, labels, metric=mahalanobis(precision=np.diag(np.arange(1.0, 13)))), d, labels)
    # of a point to itself nothing is asked, not even that it is a number
    ours = summary(x, labels, metric=lambda a, b: jnp.where((a == b).all(), jnp.nan, jnp.abs(a - b).sum()))
    check(ours, oracles.distances(x.astype(float), "manhattan"), labels)


@pytest.mark.parametrize("features", [2, 12])
def test_directions_without_length(features):
    x, labels = data(features)
    x[labels == 0] = 0
    d = oracles.distances(np.where(x == 0, 1e-300, x).astype(float), "cosine")
    zero = (x == 0).all(1)
    d[zero[:, None] | zero[None, :]] = 1
    check(summary(x, labels, metric="cosine"), d, labels)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(64, 3, 4), (60, 7, 3), (24, 24, 1), (40, 10, 4)]))
def test_the_smallest_are_those_of_a_stable_sort(seed, shape):
    columns, k, group = shape
    d = np.random.default_rng(seed).integers(0, 9, size=(5, columns)).astype(np.float32)
    d[:, columns // 2 :][d[:, columns // 2 :] == 8] = np.inf
    ours = jax.jit(ranking.smallest, static_argnums=(1, 2))(d, k, group)
    np.testing.assert_array_equal(ours, np.argsort(d, 1, stable=True)[:, :k])


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("metric", ["euclidean", "precomputed"])
def test_ties_masks_singletons_and_noise(metric):
    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 30))
    def check_one(seed, side, classes):
        rng = np.random.default_rng(seed)
        # on a grid, where points lie on each other and distances are equal
        x = rng.integers(0, side + 1, size=(81, 2)).astype(np.float32)
        labels, where = rng.integers(-1, classes, size=81), rng.random(81) < 0.8
        labels[:2], where[:2] = 0, True
        d, kept = oracles.distances(x, "squared_euclidean"), np.where(where, labels, -1)
        spoilt = np.where(where[:, None], d if metric == "precomputed" else x, np.nan).astype(np.float32)
        ours = summary(spoilt, labels, where=where, metric=metric, num_clusters=30, max_class_size=81)
        check(ours, d, kept)

    check_one()


@pytest.mark.usefixtures("small_blocks")
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_a_gallery_apart(seed, classes):
    rng = np.random.default_rng(seed)
    x, gallery = (rng.integers(0, 4, size=(n, 2)).astype(np.float32) for n in (30, 83))
    # classes that only one side has, and noise on both
    labels, there = rng.integers(-1, classes, size=30), rng.integers(-1, classes + 5, size=83)
    labels[0] = there[0] = 0
    d = np.square(x[:, None] - gallery[None]).sum(-1)
    options = {"gallery": gallery, "gallery_labels": there, "num_clusters": 30, "max_class_size": 83}
    check(summary(x, labels, **options), d, labels, gallery_labels=there)


@pytest.mark.parametrize("features", [3, 20])
@pytest.mark.parametrize("measures", [summary, alone], ids=["together", "alone"])
def test_a_gallery_far_from_the_origin(features, measures):
    x, labels = data(features)
    x += 1000
    d = oracles.distances(x.astype(float))[:100, 100:]
    options = {"gallery": x[100:], "gallery_labels": labels[100:]}
    check(measures(x[:100], labels[:100], **options), d, labels[:100], gallery_labels=labels[100:])


def test_traced_labels():
    x, labels = data(12)
    expected = summary(x, labels)
    for options in ({}, {"max_class_size": 30}):
        ours = jax.jit(partial(summary, num_clusters=40, **options))(x, labels)
        np.testing.assert_allclose(jnp.stack(ours), jnp.stack(expected), rtol=1e-6)
    too_large = jax.jit(partial(summary, num_clusters=40, max_class_size=5))(x, labels)
    assert np.isnan(jnp.stack(too_large)).all()
    nobody = jax.jit(partial(summary, num_clusters=40, max_class_size=30))(x, labels * 0 - 1)
    assert np.isnan(jnp.stack(nobody[:-1])).all()
    assert nobody.queries == 0


def test_classes_of_about_the_same_size_share_a_program():
    from test_contract import count_compilations

    x, labels = data(12)
    labels = np.arange(250) // 19
    map_at_r(x, labels, num_clusters=14)
    with count_compilations() as compiled:
        map_at_r(x, np.where(np.arange(250) % 20 == 0, -1, labels), num_clusters=14)
    assert compiled == []


def test_infinite_distances_are_distances():
    d = np.array([[0, np.inf, 1], [np.inf, 0, np.inf], [1, np.inf, 0.0]])
    labels = np.array([0, 0, 1])
    assert mean_reciprocal_rank(d, labels, metric="precomputed") == 0.75
    assert precision_at_1(np.pad(d, (1, 0)), np.array([-1, 0, 0, 1]), metric="precomputed") == 0.5


def test_not_a_number():
    d = np.array([[np.nan, 2, 1], [2, np.nan, 3], [1, 3, np.nan]], np.float32)
    labels = np.array([0, 0, 1])
    ours = jax.jit(partial(summary, num_clusters=2, metric="precomputed"))
    assert ours(d, labels).mean_reciprocal_rank == 0.75  # to itself a point is not looked at
    d[0, 1] = np.nan
    assert np.isnan(ours(d, labels).mean_reciprocal_rank)
    x = np.eye(12, dtype=np.float32)
    x[3, 3] = np.inf
    assert np.isnan(precision_at_1(x, np.arange(12) % 3))


@pytest.mark.usefixtures("unchecked")
def test_what_is_refused():
    x, labels = data(12)
    gallery: dict[str, Any] = {"gallery": x, "gallery_labels": labels}
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"k": 0}, "k must be at least 1"),
        ({"gallery": x}, "pass both"),
        ({**gallery, "gallery": x[:-1]}, "must be of shape"),
        ({**gallery, "gallery": x[:, :-1]}, "as many features"),
        ({**gallery, "gallery_labels": labels * 0 - 1}, "another point of the same class"),
    )
    for options, message in refused:
        with pytest.raises(ValueError, match=message):
            recall_at_k(x, labels, **options)
    with pytest.raises(ValueError, match="cannot be 'precomputed'"):
        precision_at_1(np.zeros((250, 250)), labels, metric="precomputed", **gallery)
    with pytest.raises(ValueError, match="no point has one: there are 250 points in 250 classes"):
        precision_at_1(x, np.arange(250))


@pytest.mark.parametrize("apart", [False, True])
def test_pytorch_metric_learning(apart):
    reason = "its numbers are compared where it is installed"
    accuracy_calculator = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator", reason=reason)
    pytest.importorskip("faiss", reason=reason)
    torch = pytest.importorskip("torch", reason=reason)
    names = {
        "precision_at_1": "precision_at_1",
        "r_precision": "r_precision",
        "map_at_r": "mean_average_precision_at_r",
        "mean_reciprocal_rank": "mean_reciprocal_rank",
    }
    x, labels = data(12)
    x, labels = x[labels >= 0], labels[labels >= 0]
    theirs = accuracy_calculator.AccuracyCalculator(include=tuple(names.values()), k=len(x) - 1 - 99 * apart)
    given = [torch.tensor(a) for a in (x, labels)]
    if apart:
        expected = theirs.get_accuracy(*(a[:99] for a in given), *(a[99:] for a in given))
        ours = summary(x[:99], labels[:99], gallery=x[99:], gallery_labels=labels[99:])
    else:
        expected, ours = theirs.get_accuracy(*given), summary(x, labels)
    for name, other in names.items():
        np.testing.assert_allclose(getattr(ours, name), expected[other], rtol=1e-5, err_msg=name)
