"""The operations of which everything else is made, against NumPy and by their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clusterjax.arithmetic import (
    add_rows,
    derived_from,
    magnitude,
    power_of_two,
    ratio,
    row_minimum,
    safe_sqrt,
    softplus,
)


def test_safe_sqrt_and_its_derivatives():
    derivative = jax.grad(safe_sqrt)
    for x in jnp.array([0.0, -1.0]):
        assert [float(f(x)) for f in (safe_sqrt, derivative, jax.grad(derivative))] == [0, 0, 0]
    for x in jnp.array([0.25, 4.0]):
        expected = [x**0.5, 0.5 * x**-0.5, -0.25 * x**-1.5]
        np.testing.assert_allclose([f(x) for f in (safe_sqrt, derivative, jax.grad(derivative))], expected, rtol=1e-6)
    assert np.isnan(safe_sqrt(jnp.array(np.nan)))


def test_ratio_and_its_gradients():
    numerator, denominator = jnp.array([6.0, 6.0, 0.0, 6.0]), jnp.array([3.0, 0.0, 0.0, -1.0])
    np.testing.assert_array_equal(ratio(numerator, denominator), [2, 0, 0, 0])
    to_numerator, to_denominator = jax.grad(lambda a, b: ratio(a, b).sum(), (0, 1))(numerator, denominator)
    np.testing.assert_allclose(to_numerator, [1 / 3, 0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(to_denominator, [-2 / 3, 0, 0, 0], rtol=1e-6)
    assert np.isnan(ratio(jnp.array(np.nan), jnp.array(1.0)))
    assert np.isnan(ratio(jnp.array(1.0), jnp.array(np.nan)))


@pytest.mark.parametrize("largest", [1.2e-38, 1e-20, 1.0, 1.4, 5.0, 1e20, 3.4e38])
def test_the_nearest_power_of_two_is_one_and_finite(largest):
    found = float(power_of_two(jnp.array([[0.5 * largest, -largest]], jnp.float32), jnp.zeros((1, 1)))[0, 0])
    assert np.frexp(found)[0] == 0.5
    assert 2 / 3 <= np.float32(largest) / found <= 2


@pytest.mark.parametrize("largest", [0.0, np.inf, np.nan])
def test_of_no_magnitude_the_unit_is_one(largest):
    assert power_of_two(jnp.full((2, 1), largest))[0, 0] == 1


def test_softplus_and_its_derivatives():
    x = jnp.array([-np.inf, -80.0, -3.0, 0.0, 3.0, 80.0])
    slope = 1 / (1 + np.exp(-np.asarray(x, float)))
    np.testing.assert_allclose(softplus(x), np.logaddexp(np.asarray(x, float), 0), rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.grad(softplus))(x), slope, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.grad(jax.grad(softplus)))(x), slope * (1 - slope), rtol=1e-5)
    assert np.isnan(softplus(jnp.array(np.nan)))
    assert np.isnan(jax.grad(softplus)(jnp.array(np.nan)))


def test_rows_are_added_where_they_belong_and_nowhere_else():
    rng = np.random.default_rng(0)
    rows, first, second = (
        rng.normal(size=(50, 3)).astype(np.float32),
        rng.integers(5, size=50),
        rng.integers(9, size=50),
    )
    expected = np.ones((5, 8, 3), np.float32)
    inside = second < 8
    np.add.at(expected, (first[inside], second[inside]), rows[inside])
    np.testing.assert_allclose(add_rows(jnp.ones((5, 8, 3)), jnp.asarray(rows), first, second), expected, rtol=1e-6)
    of_one = add_rows(jnp.zeros((5, 8, 3)), jnp.asarray(rows), 2, np.minimum(second, 7))
    np.testing.assert_allclose(of_one.sum((0, 1)), rows.sum(0), rtol=1e-5)
    assert not of_one[jnp.arange(5) != 2].any()


def test_the_gradient_of_a_minimum_goes_to_the_first_that_has_it():
    x = jnp.array([[3.0, 1.0, 1.0], [2.0, jnp.nan, 1.0]])
    np.testing.assert_array_equal(row_minimum(x), [1, np.nan])
    np.testing.assert_array_equal(jax.grad(lambda x: row_minimum(x)[0])(x), [[0, 1, 0], [0, 0, 0]])


def test_a_magnitude_has_no_slope_at_zero():
    x = jnp.array([-2.0, 0.0, 3.0])
    np.testing.assert_array_equal(magnitude(x), [2, 0, 3])
    np.testing.assert_array_equal(jax.grad(lambda x: magnitude(x).sum())(x), [-1, 0, 1])


def test_a_known_value_has_the_derivatives_of_its_function():
    def known(x, number):
        return derived_from(lambda x, number: x**3 * number, 5.0 * x, (x, number))

    x, number = jnp.float32(2), jnp.int32(1)
    assert known(x, number) == 10
    assert jax.grad(known)(x, number) == jax.jvp(lambda x: known(x, number), (x,), (jnp.float32(1),))[1] == 12
    assert jax.grad(jax.grad(known))(x, number) == 12
