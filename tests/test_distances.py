"""Distances against scipy's, and their derivatives where those are hard: at zero, at duplicates, at zero vectors."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from oracles import distances as oracle
from scipy.spatial.distance import cdist

from clusterjax import distances as module
from clusterjax import silhouette_score
from clusterjax.distances import mahalanobis, pairwise_distances
from clusterjax.losses import prototypical_loss, silhouette_loss

NAMES = ["euclidean", "squared_euclidean", "cosine", "manhattan", "chebyshev"]
SCIPY = {"squared_euclidean": "sqeuclidean", "manhattan": "cityblock"}


def points(n=7, d=3, seed=0, offset=0.0):
    return (np.random.default_rng(seed).normal(size=(n, d)) + offset).astype(np.float32)


def root_of_squares(a, b):
    return jnp.sqrt(((a - b) ** 2).sum())


def scaled_manhattan(scale, a, b):
    return scale * jnp.abs(a - b).sum()


def blocks_of_manhattan(x, y):
    return jnp.abs(x[:, None, :] - y[None, :, :]).sum(-1)


@pytest.mark.parametrize("metric", NAMES)
def test_two_blocks_against_scipy(metric):
    x, y = points(7), points(5, seed=1)
    np.testing.assert_allclose(
        pairwise_distances(x, y, metric=metric),
        cdist(x.astype(float), y.astype(float), SCIPY.get(metric, metric)),  # pyright: ignore[reportCallIssue, reportArgumentType]
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("metric", NAMES)
def test_one_block_has_an_exactly_zero_diagonal(metric):
    x = points(9, 4)
    d = np.asarray(pairwise_distances(x, metric=metric))
    np.testing.assert_allclose(d, oracle(x.astype(float), metric), rtol=1e-5, atol=2e-6)
    assert (np.diagonal(d) == 0).all()


def test_euclidean_against_loops():
    x, y = points(4), points(3, seed=1)
    expected = [[sum((float(a[f]) - float(b[f])) ** 2 for f in range(3)) ** 0.5 for b in y] for a in x]
    np.testing.assert_allclose(pairwise_distances(x, y), expected, rtol=1e-5)


@pytest.mark.parametrize("metric", ["euclidean", "squared_euclidean", "manhattan", "chebyshev"])
def test_an_offset_of_a_thousand_spreads_costs_no_digits(metric):
    x, y = points(8, 4, offset=1000), points(6, 4, seed=1, offset=1000)
    for a, b in ((x, y), (x, None)):
        expected = cdist(a.astype(float), (a if b is None else b).astype(float), SCIPY.get(metric, metric))  # pyright: ignore[reportCallIssue, reportArgumentType]
        np.testing.assert_allclose(pairwise_distances(a, b, metric=metric), expected, rtol=2e-5, atol=2e-6)


def test_mahalanobis_by_precision_and_by_covariance():
    x, y, root = points(6), points(4, seed=1), points(3, 3, seed=2).astype(float)
    covariance = root @ root.T + np.eye(3)
    precision = np.linalg.inv(covariance)
    expected = cdist(x.astype(float), y.astype(float), "mahalanobis", VI=precision)
    for metric in (mahalanobis(precision=precision), mahalanobis(covariance=covariance)):
        np.testing.assert_allclose(pairwise_distances(x, y, metric=metric), expected, rtol=1e-4)
        assert (np.diagonal(pairwise_distances(x, metric=metric)) == 0).all()


def test_gradients_reach_the_matrix_of_mahalanobis():
    x, y = points(3), points(2, seed=1)

    def total(precision):
        return pairwise_distances(x, y, metric=mahalanobis(precision=precision)).sum()

    d = cdist(x, y)
    difference = x[:, None] - y[None]
    expected = (difference[..., :, None] * difference[..., None, :] / (2 * d[..., None, None])).sum((0, 1))
    # at the identity; a factor sees only half of the matrix, so the two halves are compared together
    gradient = np.asarray(jax.grad(total)(jnp.eye(3)))
    np.testing.assert_allclose(gradient + gradient.T, 2 * expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("metric", [Partial(scaled_manhattan, 1.0), blocks_of_manhattan])
def test_a_function_of_vectors_and_one_of_blocks(metric):
    x, y = points(5), points(4, seed=1)
    np.testing.assert_allclose(pairwise_distances(x, y, metric=metric), cdist(x, y, "cityblock"), rtol=1e-5)
    np.testing.assert_allclose(pairwise_distances(x, metric=metric), cdist(x, x, "cityblock"), rtol=1e-5)


def test_a_bound_parameter_has_a_gradient():
    x, y = points(5), points(4, seed=1)
    gradient = jax.grad(lambda scale: pairwise_distances(x, y, metric=Partial(scaled_manhattan, scale)).sum())(3.0)
    np.testing.assert_allclose(gradient, cdist(x, y, "cityblock").sum(), rtol=1e-5)


def test_precomputed_distances_are_returned():
    d = cdist(points(5), points(5)).astype(np.float32)
    np.testing.assert_array_equal(pairwise_distances(d, metric="precomputed"), d)


@pytest.mark.parametrize("metric", [*NAMES, root_of_squares, Partial(scaled_manhattan, 1.0)])
def test_duplicates_are_at_zero_with_zero_gradients(metric):
    x = points(6, offset=10)
    x[3] = x[0]
    d, pull = jax.vjp(lambda x: pairwise_distances(x, metric=metric), x)
    assert float(d[0, 3]) == 0
    assert np.isfinite(pull(jnp.ones_like(d))[0]).all()
    np.testing.assert_array_equal(pull(jnp.zeros_like(d).at[0, 3].set(1.0))[0], 0)


def test_duplicates_of_mahalanobis():
    x, metric = points(6), mahalanobis(covariance=np.diag([4.0, 1.0, 0.25]))
    x[3] = x[0]
    assert float(pairwise_distances(x, metric=metric)[0, 3]) == 0
    assert np.isfinite(jax.grad(lambda x: pairwise_distances(x, metric=metric).sum())(x)).all()


def test_gradients_against_a_formula():
    x, y, c = points(4), points(3, seed=1), points(4, 3, seed=2)
    gradient = jax.grad(lambda x: (c * pairwise_distances(x, y)).sum())(x)
    expected = ((c / cdist(x, y))[..., None] * (x[:, None] - y[None])).sum(1)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


def test_a_zero_vector_is_at_cosine_distance_one_from_all():
    x = points(4)
    x[1] = x[2] = 0
    d = np.asarray(pairwise_distances(x, metric="cosine"))
    np.testing.assert_array_equal(d[1, [0, 2, 3]], 1)
    assert d[1, 1] == 0
    gradient = np.asarray(jax.grad(lambda x: pairwise_distances(x, metric="cosine").sum())(x))
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1:3], 0)


@pytest.mark.parametrize("metric", NAMES)
@pytest.mark.parametrize("dtype", [jnp.int32, jnp.bfloat16])
def test_integers_and_half_precision_are_computed_in_float32(metric, dtype):
    x = jnp.round(4 * points(6)).astype(dtype) + jnp.asarray(1, dtype)
    d = pairwise_distances(x, metric=metric)
    assert d.dtype == jnp.float32
    # a zero row is at cosine distance 1 here and NaN in scipy; there is none
    np.testing.assert_allclose(d, oracle(np.asarray(x, float), metric), rtol=1e-5, atol=2e-6)


def test_double_precision_is_kept(x64):
    x = np.random.default_rng(0).normal(size=(6, 3))
    np.testing.assert_allclose(pairwise_distances(x), cdist(x, x), rtol=1e-12)


def test_a_nan_spoils_its_row_and_its_diagonal():
    x = points(4)
    x[1, 0] = np.nan
    spoiled = np.isnan(pairwise_distances(x, metric="manhattan"))
    expected = np.zeros((4, 4), dtype=bool)
    expected[1, :] = expected[:, 1] = True
    np.testing.assert_array_equal(spoiled, expected)


def test_the_same_metric_is_traced_once():
    traces = []

    def metric(a, b):
        traces.append(None)
        return jnp.abs(a - b).sum()

    pairwise_distances(points(), metric=metric)
    after_first = len(traces)
    pairwise_distances(points(seed=1), metric=metric)
    assert len(traces) == after_first > 0


def test_another_matrix_of_mahalanobis_compiles_nothing():
    pairwise_distances(points(), metric=mahalanobis(precision=np.eye(3)))
    size = module._pairwise._cache_size()  # pyright: ignore[reportAttributeAccessIssue]
    pairwise_distances(points(), metric=mahalanobis(precision=2 * np.eye(3)))
    assert module._pairwise._cache_size() == size  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda x: pairwise_distances(x, metric="euclid"), ValueError, "unknown metric 'euclid'"),  # pyright: ignore
        (lambda x: pairwise_distances(x, metric=2), TypeError, "must be a name or a function"),  # pyright: ignore
        (lambda x: pairwise_distances(x[0]), ValueError, "x must be two-dimensional"),
        (lambda x: pairwise_distances(x, x[0]), ValueError, "y must be two-dimensional"),
        (lambda x: pairwise_distances(x, x[:, :2]), ValueError, "as many features: they have 3 and 2"),
        (lambda x: pairwise_distances(x, x, metric="precomputed"), ValueError, "leave y out"),
        (lambda x: pairwise_distances(x, metric=lambda a, b: a.sum(-1)[None]), ValueError, "gave the shape"),
        (lambda x: module.precomputed(x, x), TypeError, "needs points"),
        (lambda x: mahalanobis(), ValueError, "either precision= or covariance="),
        (lambda x: mahalanobis(precision=np.eye(3), covariance=np.eye(3)), ValueError, "either precision="),
        (lambda x: mahalanobis(precision=-np.eye(3)), ValueError, "symmetric and positive definite"),
        (lambda x: mahalanobis(covariance=np.array([[2.0, 1.0], [0.0, 2.0]])), ValueError, "symmetric and positive"),
    ],
)
def test_bad_input_is_told_in_one_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence) as raised:
        call(points())
    assert "\n" not in str(raised.value)


# ---------------------------------------------------------------------------------------------------------------------
# Functions of a user's


def hamming(a, b):
    return (a != b).sum()


def angle(a, b):
    return jnp.arccos((1 - 1e-6) * (a @ b))


def poincare(a, b):
    gap, room = ((a - b) ** 2).sum(), (1 - (a @ a)) * (1 - (b @ b))
    return jnp.arccosh(1 + 2 * gap / room)


@pytest.mark.parametrize("kind", [bool, jnp.int32, jnp.bfloat16, jnp.float32])
def test_a_metric_may_give_any_kind_of_number(kind):
    x, labels = np.round(points(12, 4)), np.arange(12) % 3
    d = pairwise_distances(x, metric=lambda a, b: hamming(a, b).astype(kind))
    assert d.dtype == jnp.float32
    expected = (x[:, None] != x[None]).sum(-1).astype(kind).astype(np.float32)
    np.testing.assert_array_equal(d, expected)
    of_blocks = pairwise_distances(x, metric=lambda x, y: (x[:, None] != y[None]).sum(-1).astype(kind))
    np.testing.assert_array_equal(of_blocks, expected)
    assert np.isfinite(silhouette_score(x, labels, metric=hamming))
    assert np.isfinite(prototypical_loss(x, labels, metric=hamming))


def test_points_of_a_metric_stay_in_its_domain():
    x = points(20, 5)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x[7] = x[3]
    gradient = jax.grad(lambda x: pairwise_distances(x, metric=angle).sum())(x)
    assert np.isfinite(gradient).all()
    inside, labels = 0.9 * x, np.array([0, *(np.arange(19) % 3 + 1)])  # the first class has one point: its centroid
    for loss in (prototypical_loss, silhouette_loss):
        assert np.isfinite(jax.grad(loss)(inside, labels, metric=poincare)).all(), loss


def test_nan_is_not_taken_for_a_coincidence():
    x = points(4, 3)
    x[0, 0] = np.nan
    assert np.isnan(pairwise_distances(x, metric=root_of_squares)[0, 1:]).all()
    assert np.isnan(jax.grad(lambda x: pairwise_distances(x, metric=root_of_squares)[0].sum())(x)).any()


def test_a_metric_of_a_users_is_fused():
    def manhattan(a, b):
        return jnp.abs(a - b).sum()

    shape = jax.ShapeDtypeStruct((1000, 256), jnp.float32)
    analysis = jax.jit(lambda x: pairwise_distances(x, metric=manhattan)).lower(shape).compile().memory_analysis()
    assert analysis is not None
    assert analysis.temp_size_in_bytes < 50e6  # n * n * d would be a gigabyte


def test_parameters_of_a_metric_have_gradients():
    x = points(10, 3)

    def scaled(scale, a, b):
        return scale * jnp.abs(a - b).sum()

    slope = jax.grad(lambda s: pairwise_distances(x, metric=jax.tree_util.Partial(scaled, s)).sum())(2.0)
    np.testing.assert_allclose(slope, pairwise_distances(x, metric="manhattan").sum(), rtol=1e-5)


def test_a_metric_of_another_number_of_arguments_gets_a_sentence():
    with pytest.raises(TypeError, match="must take two vectors"):
        pairwise_distances(points(5, 3), metric=lambda a: a.sum())


def test_integers_of_64_bits_are_not_cut():
    given: list[Any] = [np.array([[2**32], [0]]), [[2**32], [0]]]
    for x in given:
        np.testing.assert_allclose(pairwise_distances(x), [[0, 2.0**32], [2.0**32, 0]])
    with pytest.raises(TypeError, match="real numbers, not complex"):
        pairwise_distances(np.array([[1j]]))


@pytest.mark.parametrize(
    "matrix",
    [
        [[1.0, 1.0], [1.0, 1.0]],
        [[1e-9, 5e-10], [0, 1e-9]],
        [[1.0, 0.0], [0.0, -1.0]],
        [[1.0, 0.0], [0.0, 1e-9]],
        [[np.nan, 0.0], [0.0, 1.0]],
        np.ones((2, 3)),
    ],
)
def test_mahalanobis_refuses_what_is_no_covariance(matrix):
    for which in ("covariance", "precision"):
        with pytest.raises(ValueError, match="the matrix of mahalanobis must be"):
            mahalanobis(**{which: np.asarray(matrix)})
    mahalanobis(covariance=np.diag([1e-12, 1e-15]))  # small is not singular
