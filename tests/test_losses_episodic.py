"""The episodic losses against loops over queries and classes."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from clusterjax.losses.episodic import prototypical_loss, relation_loss

DISTANCES = {
    "squared_euclidean": lambda a, b: np.sum((a - b) ** 2),
    "euclidean": lambda a, b: np.sqrt(np.sum((a - b) ** 2)),
    "manhattan": lambda a, b: np.sum(np.abs(a - b)),
}


def prototypical_by_loops(x, labels, num_support, distance=DISTANCES["squared_euclidean"]) -> float:
    members = {k: [i for i in range(len(x)) if labels[i] == k] for k in sorted(set(labels.tolist()) - {-1})}
    terms = []
    for own, rows in members.items():
        for query in rows if num_support is None else rows[num_support:]:
            scores = {}
            for k, support in members.items():
                chosen = support[:num_support] if num_support else [i for i in support if i != query]
                if chosen:
                    scores[k] = -distance(x[query], np.mean([x[i] for i in chosen], axis=0))
            if own in scores:
                terms.append(np.logaddexp.reduce(list(scores.values())) - scores[own])
    return float(np.mean(terms)) if terms else 0.0


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    lowest=st.sampled_from([-1, 0]),
    highest=st.sampled_from([0, 2, 5, 11]),
    num_support=st.sampled_from([1, 3, None]),
    metric=st.sampled_from(sorted(DISTANCES)),
)
def test_agrees_with_loops(seed, lowest, highest, num_support, metric):
    rng = np.random.default_rng(seed)
    x, labels, where = rng.normal(size=(12, 2)), rng.integers(lowest, highest + 1, 12), rng.random(12) < 0.8
    x[~where] = np.nan
    loss = prototypical_loss(x, labels, num_clusters=14, num_support=num_support, where=where, metric=metric)
    expected = prototypical_by_loops(x, np.where(where, labels, -1), num_support, DISTANCES[metric])
    assert_allclose(loss, expected, rtol=2e-5, atol=2e-6)


def test_the_first_rows_of_a_class_are_its_support():
    # class 0: support 0, query 4; class 1: support 2, query 2; -log softmax of own distances 16 and 0
    x, labels = np.array([[0.0], [2.0], [4.0], [2.0]]), np.array([0, 1, 0, 1])
    by_hand = (np.log(np.exp(-16) + np.exp(-4)) + 16 + np.log(np.exp(0) + np.exp(-4))) / 2
    assert_allclose(prototypical_loss(x, labels), by_hand, rtol=1e-6)
    # with the rows of class 0 swapped: support 4, query 0
    assert_allclose(prototypical_loss(x[[2, 1, 0, 3]], labels), by_hand, rtol=1e-6)
    # with those of class 1 first nothing changes, for they are equal
    assert_allclose(prototypical_loss(x[[1, 3, 0, 2]], labels[[1, 3, 0, 2]]), by_hand, rtol=1e-6)


@pytest.mark.parametrize("num_support", [1, 2, None])
def test_gradient_is_that_of_finite_differences(num_support):
    rng = np.random.default_rng(1)
    x, labels, direction = rng.normal(size=(10, 3)), np.array([0, 0, 1, 1, 2, 2, 2, 3, -1, 0]), rng.normal(size=(10, 3))
    slope = np.sum(jax.grad(prototypical_loss)(x, labels, num_support=num_support) * direction)
    ahead, behind = (prototypical_by_loops(x + h * direction, labels, num_support) for h in (1e-6, -1e-6))
    assert_allclose(slope, (ahead - behind) / 2e-6, rtol=1e-4)


@pytest.mark.parametrize("metric", sorted(DISTANCES))
@pytest.mark.parametrize("num_support", [1, None])
def test_duplicates_and_far_points_have_finite_gradients(metric, num_support):
    for x in (np.zeros((6, 2)), np.repeat([[0.0, 0.0], [1000.0, 0.0]], 3, axis=0)):
        for labels in (np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 0, 1])):
            loss, gradient = jax.value_and_grad(prototypical_loss)(x, labels, num_support=num_support, metric=metric)
            expected = prototypical_by_loops(x, labels, num_support, DISTANCES[metric])
            assert_allclose(loss, expected, rtol=1e-5, atol=1e-6)
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize("num_support", [1, None])
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [-1, -1, -1, -1], [0, -1, 1, -1]])
def test_nothing_to_compare_is_zero_with_zero_gradient(labels, num_support):
    x = jnp.arange(8.0).reshape(4, 2)
    loss, gradient = jax.value_and_grad(prototypical_loss)(x, np.array(labels), num_clusters=5, num_support=num_support)
    assert loss == 0
    assert_array_equal(gradient, np.zeros((4, 2)))


def test_masked_rows_get_no_gradient_and_nan_stays_nan():
    x, labels, where = np.ones((5, 2)), np.array([0, 0, 1, 1, 1]), np.array([True, True, True, True, False])
    x[4] = np.nan
    gradient = jax.grad(prototypical_loss)(x, labels, where=where)
    assert np.isfinite(gradient).all()
    assert_array_equal(gradient[4], 0)
    assert np.isnan(prototypical_loss(x, labels))


def test_what_has_no_meaning_is_refused():
    x, labels = np.eye(4), np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match="num_support must be at least 1"):
        prototypical_loss(x, labels, num_support=0)
    with pytest.raises(ValueError, match="metric cannot be 'precomputed'"):
        prototypical_loss(x, labels, metric="precomputed")


@pytest.mark.parametrize("num_support", [1, 2, None])
def test_relation_loss_against_loops(num_support):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(11, 3)), np.array([0, 0, 0, 2, 2, 2, 2, 3, -1, 3, 0])
    terms = []
    for q in range(11):
        of_own = [i for i in range(11) if labels[i] == labels[q]]
        if labels[q] < 0 or (of_own.index(q) < num_support if num_support else len(of_own) < 2):
            continue
        total = 0.0
        for k in (0, 2, 3):
            rows = [i for i in range(11) if labels[i] == k]
            rows = rows[:num_support] if num_support else [i for i in rows if i != q]
            c = x[rows].mean(0)
            d = 1 - x[q] @ c / np.linalg.norm(x[q]) / np.linalg.norm(c)
            total += (d - (k != labels[q])) ** 2
        terms.append(total)
    assert_allclose(relation_loss(x, labels, num_clusters=5, num_support=num_support), np.mean(terms), rtol=1e-5)


@pytest.mark.parametrize("num_support", [2, None])
def test_scale_and_offset_change_nothing(num_support):
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 3
    x = (rng.integers(0, 9, (24, 12)) + rng.integers(0, 9, (3, 12))[labels]).astype(np.float32)
    loss = partial(prototypical_loss, labels=labels, metric="euclidean", num_support=num_support)
    assert_allclose(loss(x + np.float32(2**23)), loss(x), rtol=1e-5)
    far = loss(x * np.float32(1e20))
    assert np.isfinite(far)
    assert_allclose(far, loss(x * np.float32(1e10)) * 1e10, rtol=1e-3)
