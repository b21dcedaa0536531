"""The silhouette loss against sklearn, against loops, and its gradient against finite differences."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import distances
from sklearn.metrics import silhouette_score as sklearn_score

from clusterjax.losses.validity import silhouette_loss, silhouette_ratio_loss

LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3])  # the last class a singleton


def points(seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=(10, 3)).astype(dtype)


def by_loops(x, labels, nearest):
    """Silhouettes with `nearest` of the mean distances to the other classes in the place of their minimum."""
    d, s = distances(x.astype(float)), np.zeros(len(x))
    for i, label in enumerate(labels):
        own = [d[i, j] for j in range(len(x)) if labels[j] == label and j != i]
        if own:
            b = nearest(np.array([d[i, labels == c].mean() for c in sorted(set(labels)) if c != label]))
            s[i] = (b - np.mean(own)) / max(b, np.mean(own))
    return s


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_value_against_sklearn(metric):
    x = points()
    expected = (1 - sklearn_score(x, LABELS, metric=metric)) / 2
    np.testing.assert_allclose(silhouette_loss(x, LABELS, metric=metric), expected, rtol=1e-5)


def test_precomputed_distances():
    d = distances(points().astype(float)).astype(np.float32)
    loss = silhouette_loss(d, LABELS, metric="precomputed")
    np.testing.assert_allclose(loss, silhouette_loss(points(), LABELS), rtol=1e-5)


def test_macro_weighs_classes_alike():
    s = by_loops(points(), LABELS, np.min)
    expected = (1 - np.mean([s[c == LABELS].mean() for c in range(4)])) / 2
    np.testing.assert_allclose(silhouette_loss(points(), LABELS, average="macro"), expected, rtol=1e-5)


@pytest.mark.parametrize("target", [0.9, -0.9])
def test_target_is_approached_from_either_side(target):
    expected = abs(target - sklearn_score(points(), LABELS))
    np.testing.assert_allclose(silhouette_loss(points(), LABELS, target=target), expected, rtol=1e-5)
    np.testing.assert_allclose(silhouette_loss(points(), LABELS, target=jnp.float32(target)), expected, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 5.0])
def test_temperature_against_loops(temperature):
    s = by_loops(points(), LABELS, lambda d: -temperature * np.log(np.mean(np.exp(-d / temperature))))
    loss = silhouette_loss(points(), LABELS, temperature=temperature)
    np.testing.assert_allclose(loss, (1 - s.mean()) / 2, rtol=1e-5)


def test_temperature_goes_from_the_mean_to_the_minimum():
    x = points()
    mean = (1 - by_loops(x, LABELS, np.mean).mean()) / 2
    minimum = (1 - by_loops(x, LABELS, np.min).mean()) / 2
    losses = [float(silhouette_loss(x, LABELS, temperature=t)) for t in (1e4, 1.0, 0.1, 1e-4)]
    assert mean < losses[1] < losses[2] < minimum  # the smaller b, the larger the loss
    np.testing.assert_allclose(losses[-1], minimum, rtol=1e-3)
    np.testing.assert_allclose(losses[0], mean, rtol=1e-2)


def test_every_class_takes_part_in_the_gradient_of_a_soft_minimum():
    # one pair and two singletons, which have no silhouette of their own: the farther one matters to a soft minimum only
    x, labels = np.array([[0.0], [1.0], [4.0], [6.0]], dtype=np.float32), np.array([0, 0, 1, 2])
    assert float(jax.grad(silhouette_loss)(x, labels)[3, 0]) == 0
    assert float(jax.grad(silhouette_loss)(x, labels, temperature=2.0)[3, 0]) < 0


@pytest.mark.parametrize("temperature", [None, 0.5])
def test_masked_points_are_as_removed_whatever_they_hold(temperature):
    x, where = points(), np.arange(10) != 4
    where[7] = False
    expected, gradient = jax.value_and_grad(silhouette_loss)(x[where], LABELS[where], temperature=temperature)
    x[~where] = np.nan
    for labels, mask in ((LABELS, where), (np.where(where, LABELS, -1), None)):
        loss, ours = jax.value_and_grad(silhouette_loss)(x, labels, where=mask, temperature=temperature)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)
        np.testing.assert_allclose(ours[where], gradient, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(ours[~where], 0)


@pytest.mark.parametrize("labels", [np.zeros(10, int), np.arange(10), np.full(10, -1)])
@pytest.mark.parametrize("options", [{}, {"target": 0.9, "temperature": 0.5}])
def test_nothing_to_compare_is_zero_with_zero_gradient(labels, options):
    loss, gradient = jax.value_and_grad(silhouette_loss)(points(), labels, **options)
    assert float(loss) == 0
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("metric", ["euclidean", "squared_euclidean", "cosine", "manhattan"])
@pytest.mark.parametrize("temperature", [None, 0.5])
def test_a_collapsed_embedding_is_one_half_with_zero_gradient(metric, temperature):
    x = np.full((10, 3), 0.7, np.float32)
    loss, gradient = jax.value_and_grad(silhouette_loss)(x, LABELS, metric=metric, temperature=temperature)
    np.testing.assert_allclose(loss, 0.5, atol=1e-6)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"average": "macro", "metric": "cosine"},
        {"target": 0.9, "metric": "squared_euclidean"},
        {"temperature": 0.5},
        {"temperature": 0.5, "average": "macro", "metric": "manhattan"},
    ],
)
def test_gradient_against_finite_differences(options, x64):
    x, step = points(dtype=np.float64), 1e-6  # pyright: ignore[reportArgumentType]

    def loss(x):
        return float(silhouette_loss(x, LABELS, **options))

    expected = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        there = np.zeros_like(x)
        there[index] = step
        expected[index] = (loss(x + there) - loss(x - there)) / (2 * step)
    gradient = jax.grad(lambda x: silhouette_loss(x, LABELS, **options))(x)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-8)


def test_scale_leaves_the_loss_and_divides_the_gradient():
    loss, gradient = jax.value_and_grad(silhouette_loss)(points(), LABELS)
    for scale in (1e-3, 64.0):
        scaled, its_gradient = jax.value_and_grad(silhouette_loss)(np.float32(scale) * points(), LABELS)
        np.testing.assert_allclose(scaled, loss, rtol=1e-5)
        np.testing.assert_allclose(scale * its_gradient, gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"target": 1.5}, "target must be in \\[-1, 1\\]"),
        ({"temperature": 0.0}, "temperature must be positive, not 0.0"),
        ({"average": "weighted"}, "average must be one of 'micro'"),
        ({"metric": "euclid"}, "unknown metric 'euclid'"),
        ({"num_clusters": 3}, "label 3 is out of range"),
        ({"labels": LABELS[:9]}, "9 labels for 10 points"),
    ],
)
def test_bad_input_is_told_in_one_sentence(options, sentence):
    arguments: dict[str, Any] = {"labels": LABELS, **options}
    with pytest.raises(ValueError, match=sentence) as raised:
        silhouette_loss(points(), **arguments)
    assert "\n" not in str(raised.value)


def ratio_by_loops(x, labels, power, metric="euclidean"):
    """Cross-entropy of (mean distance)^-p, over p, point by point; a negative label takes no part."""
    d, terms = distances(x.astype(float), metric), []
    for i, label in enumerate(labels):
        own = [d[i, j] for j in range(len(x)) if labels[j] == label and j != i]
        others = [d[i, labels == c].mean() for c in sorted(set(labels)) if c not in (label, -1)]
        if label >= 0 and own and others:
            likely = np.array([np.mean(own), *others]) ** -power
            terms.append(-np.log(likely[0] / likely.sum()) / power)
    return np.mean(terms) if terms else 0.0


@pytest.mark.parametrize("power", [0.5, 1.0, 10.0, np.float32(20)])
@pytest.mark.parametrize("metric", ["euclidean", "squared_euclidean", "cosine", "manhattan"])
def test_ratio_against_loops(power, metric):
    labels = np.array([0, 0, 0, 1, 1, -1, 2, 2, 2, 3])
    loss = silhouette_ratio_loss(points(), labels, power=power, metric=metric)
    np.testing.assert_allclose(loss, ratio_by_loops(points(), labels, float(power), metric), rtol=2e-5)


def test_ratio_at_a_high_power_is_a_hinge_of_the_silhouettes_sign():
    d = distances(points().astype(float))
    a, b = np.zeros(10), np.ones(10)
    for i in range(9):  # the last is a singleton: no a, not averaged over
        a[i] = np.mean([d[i, j] for j in range(10) if LABELS[j] == LABELS[i] and j != i])
        b[i] = min(d[i, c == LABELS].mean() for c in range(4) if c != LABELS[i])
    expected = np.maximum(np.log(a[:9] / b[:9]), 0).mean()
    np.testing.assert_allclose(silhouette_ratio_loss(points(), LABELS, power=1e4), expected, rtol=1e-3)


def test_ratio_does_not_change_with_scale_and_is_finite_at_duplicates():
    x = points()
    np.testing.assert_allclose(silhouette_ratio_loss(8 * x, LABELS), silhouette_ratio_loss(x, LABELS), rtol=1e-6)
    same = np.zeros((6, 2), np.float32)
    value, gradient = jax.value_and_grad(silhouette_ratio_loss)(same, np.array([0, 0, 1, 1, 2, 2]))
    np.testing.assert_allclose(value, np.log(3) / 10, rtol=1e-6)
    np.testing.assert_array_equal(gradient, 0)
    # a class of duplicates is perfect; a point on top of another class is as bad as it gets, and finite
    x = np.array([[0.0], [0.0], [5.0], [9.0], [9.0], [9.0]], np.float32)
    value, gradient = jax.value_and_grad(silhouette_ratio_loss)(x, np.array([0, 0, 0, 1, 1, 1]))
    assert np.isfinite(gradient).all()
    value, gradient = jax.value_and_grad(silhouette_ratio_loss)(x, np.array([1, 1, 0, 0, 2, 2]))
    assert value > 0.1
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("power", [0, -1.0, np.float32(-2), float("nan")])
def test_ratio_refuses_a_power_that_is_not_positive(power):
    with pytest.raises(ValueError, match="power must be positive"):
        silhouette_ratio_loss(points(), LABELS, power=power)


def test_ratio_with_nothing_to_compare_is_zero():
    for labels in (np.zeros(10, int), np.arange(10), np.full(10, -1)):
        value, gradient = jax.value_and_grad(silhouette_ratio_loss)(points(), labels)
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)
