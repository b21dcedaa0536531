"""The NCA loss against loops over all pairs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from clusterjax.losses.pairs import nca_loss

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
