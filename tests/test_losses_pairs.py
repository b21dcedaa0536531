"""Losses on all pairs of a batch against loops over pairs and triplets."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_oracles import (
    circle_by_loops,
    contrastive_by_loops,
    multi_similarity_by_loops,
    ntxent_by_loops,
    supervised_contrastive_by_loops,
    triplets_by_loops,
)
from numpy.testing import assert_allclose, assert_array_equal

from clusterjax.losses.pairs import contrastive_loss, nca_loss
from clusterjax.losses.similarities import (
    circle_loss,
    multi_similarity_loss,
    ntxent_loss,
    supervised_contrastive_loss,
)
from clusterjax.losses.triplets import triplet_loss

DISTANCES = {
    "squared_euclidean": lambda a, b: np.sum((a - b) ** 2),
    "euclidean": lambda a, b: np.sqrt(np.sum((a - b) ** 2)),
    "manhattan": lambda a, b: np.sum(np.abs(a - b)),
}


def nca_by_loops(x, labels, distance, temperature) -> float:
    terms = []
    for i in range(len(x)):
        if labels[i] < 0:
            continue
        partners = others = 0.0
        for j in range(len(x)):
            if j != i and labels[j] >= 0:
                likeness = np.exp(-distance(x[i], x[j]) / temperature)
                others += likeness
                partners += likeness if labels[j] == labels[i] else 0
        if partners > 0:
            terms.append(-np.log(partners / others))
    return float(np.mean(terms)) if terms else 0.0


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    lowest=st.sampled_from([-1, 0]),
    highest=st.sampled_from([0, 2, 5, 11]),
    metric=st.sampled_from(sorted(DISTANCES)),
    temperature=st.sampled_from([0.3, 1.0, 5.0]),
)
def test_agrees_with_loops(seed, lowest, highest, metric, temperature):
    rng = np.random.default_rng(seed)
    x, labels, where = rng.normal(size=(12, 2)), rng.integers(lowest, highest + 1, 12), rng.random(12) < 0.8
    x[~where] = np.nan
    loss = nca_loss(x, labels, num_clusters=14, where=where, metric=metric, temperature=temperature)
    expected = nca_by_loops(x, np.where(where, labels, -1), DISTANCES[metric], temperature)
    assert_allclose(loss, expected, rtol=2e-5, atol=2e-6)


def test_precomputed_distances_give_the_same():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(9, 2)), np.arange(9) % 3
    distances = np.sum((x[:, None] - x) ** 2, -1)
    assert_allclose(nca_loss(distances, labels, metric="precomputed"), nca_loss(x, labels), rtol=1e-5)


def test_gradient_is_that_of_finite_differences():
    rng = np.random.default_rng(1)
    x, labels, direction = rng.normal(size=(10, 3)), np.array([0, 0, 1, 1, 2, 2, 2, 3, -1, 0]), rng.normal(size=(10, 3))
    slope = np.sum(jax.grad(nca_loss)(x, labels) * direction)
    ahead, behind = (nca_by_loops(x + h * direction, labels, DISTANCES["squared_euclidean"], 1) for h in (1e-6, -1e-6))
    assert_allclose(slope, (ahead - behind) / 2e-6, rtol=1e-4)


@pytest.mark.parametrize("metric", sorted(DISTANCES))
def test_duplicates_and_far_points_have_finite_gradients(metric):
    # all equal; two piles a thousand apart, where every plain exponential would be 0 / 0
    for x in (np.zeros((6, 2)), np.repeat([[0.0, 0.0], [1000.0, 0.0]], 3, axis=0)):
        for labels in (np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 0, 1])):
            loss, gradient = jax.value_and_grad(nca_loss)(x, labels, metric=metric)
            assert_allclose(loss, nca_of_piles(x, labels, DISTANCES[metric]), rtol=1e-5, atol=1e-6)
            assert np.isfinite(gradient).all()


def nca_of_piles(x, labels, distance) -> float:
    """The same by logs, since the exponentials of loops underflow here."""
    terms = []
    for i in range(len(x)):
        d = [(distance(x[i], x[j]), labels[i] == labels[j]) for j in range(len(x)) if j != i]
        terms.append(np.logaddexp.reduce([-a for a, _ in d]) - np.logaddexp.reduce([-a for a, same in d if same]))
    return float(np.mean(terms))


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [-1, -1, -1, -1], [0, -1, 1, -1]])
def test_nothing_to_compare_is_zero_with_zero_gradient(labels):
    loss, gradient = jax.value_and_grad(nca_loss)(jnp.arange(8.0).reshape(4, 2), np.array(labels))
    assert loss == 0
    assert_array_equal(gradient, np.zeros((4, 2)))


def test_masked_rows_get_no_gradient_and_nan_stays_nan():
    x, labels, where = np.ones((5, 2)), np.array([0, 0, 1, 1, 1]), np.array([True, True, True, True, False])
    x[4] = np.nan
    gradient = jax.grad(nca_loss)(x, labels, where=where)
    assert np.isfinite(gradient).all()
    assert_array_equal(gradient[4], 0)
    assert np.isnan(nca_loss(x, labels))


def test_bad_temperature_is_refused():
    with pytest.raises(ValueError, match=r"temperature must be positive, not 0.0"):
        nca_loss(np.ones((4, 2)), np.array([0, 0, 1, 1]), temperature=0.0)


LOSSES = {
    "contrastive": (contrastive_loss, contrastive_by_loops, {"pos_margin": 0.5, "neg_margin": 1.75}),
    "all triplets": (triplet_loss, triplets_by_loops, {"mining": "all", "margin": 0.25}),
    "semi-hard triplets": (triplet_loss, triplets_by_loops, {"mining": "semihard", "margin": 1.0}),
    "hard triplets": (triplet_loss, triplets_by_loops, {"mining": "hard", "margin": 0.25}),
    "NT-Xent": (ntxent_loss, ntxent_by_loops, {"temperature": 0.3}),
    "supervised contrastive": (supervised_contrastive_loss, supervised_contrastive_by_loops, {"temperature": 0.3}),
    "multi-similarity": (multi_similarity_loss, multi_similarity_by_loops, {"alpha": 3.0, "beta": 9.0, "base": 0.25}),
    "circle": (circle_loss, circle_by_loops, {"margin": 0.25, "gamma": 12.0}),
}
each = pytest.mark.parametrize("name", LOSSES)


@each
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), lowest=st.sampled_from([-1, 0]), highest=st.sampled_from([0, 2, 5, 11]))
def test_each_agrees_with_loops(name, seed, lowest, highest):
    ours, by_loops, options = LOSSES[name]
    rng = np.random.default_rng(seed)
    x, labels, where = rng.normal(size=(12, 2)), rng.integers(lowest, highest + 1, 12), rng.random(12) < 0.8
    x[~where] = np.nan
    expected = by_loops(x, np.where(where, labels, -1), **options)
    assert_allclose(ours(x, labels, num_clusters=14, where=where, **options), expected, rtol=2e-5, atol=2e-6)


@each
def test_each_gradient_is_that_of_finite_differences(name):
    ours, by_loops, options = LOSSES[name]
    if ours is circle_loss:
        pytest.skip("its weights are held fixed in the gradient: tests/test_losses_peers.py")
    rng = np.random.default_rng(1)
    x, labels, direction = rng.normal(size=(10, 3)), np.array([0, 0, 1, 1, 2, 2, 2, 3, -1, 0]), rng.normal(size=(10, 3))
    slope = np.sum(jax.grad(partial(ours, **options))(x, labels) * direction)
    ahead, behind = (by_loops(x + h * direction, labels, **options) for h in (1e-6, -1e-6))
    assert_allclose(slope, (ahead - behind) / 2e-6, rtol=1e-4)


@each
@pytest.mark.parametrize("labels", [[-1, -1, -1, -1], [0, -1, -1, -1]])
def test_without_pairs_each_is_zero_with_zero_gradient(name, labels):
    ours, _, options = LOSSES[name]
    loss, gradient = jax.value_and_grad(partial(ours, **options))(jnp.arange(8.0).reshape(4, 2), np.array(labels))
    assert loss == 0
    assert_array_equal(gradient, np.zeros((4, 2)))


@pytest.mark.parametrize("name", ["all triplets", "hard triplets", "NT-Xent", "circle"])
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 0, 0, 0]], ids=["no partners", "no rivals"])
def test_who_needs_both_is_zero_with_zero_gradient_without_one(name, labels):
    ours, _, options = LOSSES[name]
    loss, gradient = jax.value_and_grad(partial(ours, **options))(jnp.arange(8.0).reshape(4, 2), np.array(labels))
    assert loss == 0
    assert_array_equal(gradient, np.zeros((4, 2)))


@each
def test_nan_is_never_lost_where_nothing_else_counts(name):
    # every other pair keeps its margin, so that a mean over those that do not would be of none
    ours, _, options = LOSSES[name]
    x = np.repeat([[0.0, 50.0], [50.0, 0.0]], 2, axis=0)
    x[3, 1] = np.nan
    assert np.isnan(ours(x, np.array([0, 0, 1, 1]), **options))


@pytest.mark.parametrize("features", [2, 20])
@pytest.mark.parametrize("mining", ["all", "semihard"])
def test_a_far_class_takes_nothing_from_triplets(mining, features):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 5)
    x = rng.normal(size=(15, features))
    near, far = (np.where(labels[:, None] == 2, x + shift, x).astype(np.float32) for shift in (100, 3000))
    for of in (near, far):
        expected = triplets_by_loops(of.astype(float), labels, mining, 0.5)
        assert_allclose(triplet_loss(of, labels, mining=mining, margin=0.5), expected, rtol=1e-3)


@pytest.mark.parametrize("features", [2, 20])
@pytest.mark.parametrize("loss", [partial(contrastive_loss, neg_margin=0.0), partial(triplet_loss, margin=0.0)])
def test_losses_without_a_margin_scale_with_the_data(loss, features):
    x, labels = np.random.default_rng(0).normal(size=(15, features)).astype(np.float32), np.arange(15) % 3
    for scale in (2.0**-70, 2.0**70):
        assert_allclose(loss(x * np.float32(scale), labels), scale * loss(x, labels), rtol=1e-5)


def test_another_mining_is_refused():
    with pytest.raises(ValueError, match="mining must be one of 'all', 'hard', 'semihard', not 'easy'"):
        triplet_loss(np.ones((4, 2)), np.array([0, 0, 1, 1]), mining="easy")  # pyright: ignore[reportCallIssue, reportArgumentType]
