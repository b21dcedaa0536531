"""What a user passes: which kinds are taken, what is found in them, and what is refused, in a sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clusterjax.arguments import as_array, as_count, as_data, as_labels, as_sample_weights, check_diagonal, check_option
from clusterjax.distances import mahalanobis, resolve
from clusterjax.typing import Average, Count, MeanSilhouette, Positive

LABELS = np.array([0, 2, -1, 1, 5, 2])
KEPT = np.array([True, True, True, False, False, True])


class Series:
    """As pandas has it: no array, but it can be made one."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint8, np.uint32, np.uint64, list, Series, jnp.asarray])
def test_labels_of_any_kind_and_width(kind):
    given = [0, 2, 1, 2]
    labels, where, k = as_labels(
        np.array(given, kind) if isinstance(kind, type(np.int8)) and kind not in (list, Series) else kind(given),
        None,
        None,
    )
    np.testing.assert_array_equal(labels, given)
    assert (labels.dtype, where, k) == (np.int32, None, 3)


def test_clusters_are_counted_among_who_takes_part():
    assert as_labels(LABELS, None, None)[2] == 6
    assert as_labels(LABELS, None, 9)[2] == 9
    assert as_labels(LABELS, KEPT, None)[2] == 3
    assert as_labels(np.array([-1, -1]), None, None)[2] == 1
    assert as_labels([], None, None)[2] == 1
    assert as_labels(LABELS, None, np.int64(9))[2] == 9
    assert as_labels(LABELS, None, jnp.array(9))[2] == 9


def test_wide_labels_do_not_wrap_into_range():
    lowest = np.iinfo(np.int64).min  # what NaN becomes as an integer
    np.testing.assert_array_equal(as_labels(np.array([0, 1, lowest]), None, None)[0], [0, 1, -1])
    with pytest.raises(ValueError, match=f"label {2**32} is out of range"):
        as_labels(np.array([0, 1, 2**32]), None, 2)
    masked = as_labels(np.array([0, 1, 2**32]), np.array([True, True, False]), None)
    np.testing.assert_array_equal(masked[0], [0, 1, 2])
    with pytest.raises(ValueError, match="labels go up to 200000000 for 3 points"):
        as_labels(np.array([0, 1, 200_000_000]), None, None)


def test_a_traced_mask_leaves_the_labels_known():
    found = []

    def f(where):
        found.append(as_labels(LABELS, where, None)[2])
        return where

    jax.jit(f)(KEPT)
    assert found == [6]


@pytest.mark.parametrize(
    ("labels", "where", "k", "error", "sentence"),
    [
        ([0.0, 1.0], None, None, TypeError, "labels must be integers, not float"),
        ([True, False], None, None, TypeError, "labels must be integers, not bool"),
        (["a", "b"], None, None, TypeError, "labels must be integers, not <U1"),
        ([[0, 1]], None, None, ValueError, "labels must be one-dimensional"),
        ([0, 1], [0, 1], None, TypeError, "where must be boolean"),
        ([0, 1], [True], None, ValueError, "where must be one for each point"),
        ([0, 1], None, 0, ValueError, "num_clusters must be at least 1"),
        ([0, 1], None, 2.0, TypeError, "num_clusters must be an integer"),
        ([0, 1], None, True, TypeError, "num_clusters must be an integer"),
        ([0, 2], None, 2, ValueError, "label 2 is out of range"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, where, k, error, sentence):
    with pytest.raises(error, match=sentence) as raised:
        as_labels(labels, where, k)
    assert "\n" not in str(raised.value)


def test_traced_labels_need_a_number_of_clusters_that_is_known():
    with pytest.raises(ValueError, match="pass num_clusters="):
        jax.jit(lambda labels: as_labels(labels, None, None))(LABELS)
    with pytest.raises(TypeError, match="num_clusters must be an integer that is known before a trace"):
        jax.jit(lambda labels: as_labels(labels, None, labels.max() + 1))(LABELS)


@pytest.mark.parametrize(
    ("x", "metric", "error", "sentence"),
    [
        (np.zeros(4), "euclidean", ValueError, "must be two-dimensional"),
        (np.zeros((3, 2)), "euclidean", ValueError, "4 labels for 3 points"),
        (np.zeros((4, 2)), "precomputed", ValueError, "must be a square matrix"),
        (np.zeros((4, 2)), mahalanobis(precision=np.eye(3)), ValueError, "for 3 features: the data have 2"),
        (np.full((4, 2), "a"), "euclidean", TypeError, "must hold real numbers"),
        (np.zeros((4, 2), complex), "euclidean", TypeError, "must hold real numbers"),
    ],
)
def test_data_that_do_not_fit_are_refused(x, metric, error, sentence):
    with pytest.raises(error, match=sentence):
        as_data(x, 4, resolve(metric))


def test_data_of_any_kind():
    for given in ([[1, 2], [3, 4]], Series([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]], np.uint8)):
        np.testing.assert_array_equal(as_data(given, 2, resolve("euclidean")), [[1, 2], [3, 4]])
    assert as_data(np.array([[10**12, 1]]), 1, resolve("euclidean"))[0, 0] == 10**12


def test_a_diagonal_of_rounding_is_fine_and_one_of_similarities_is_not():
    x = np.ones((3, 3))
    np.fill_diagonal(x, 99 * np.finfo(float).eps)
    check_diagonal(x, None)
    check_diagonal(np.eye(3), np.zeros(3, bool))
    np.fill_diagonal(x, 101 * np.finfo(float).eps)
    with pytest.raises(ValueError, match="zero diagonal"):
        check_diagonal(x, None)
    check_diagonal(x.astype(np.float32), None)
    with pytest.raises(ValueError, match="zero diagonal"):
        check_diagonal(np.eye(3, dtype=int), None)


def test_weights_of_points():
    np.testing.assert_array_equal(as_sample_weights([1, 0, 2], 3), [1, 0, 2])
    with pytest.raises(ValueError, match="one for each of 2 points"):
        as_sample_weights([1, 0, 2], 2)
    with pytest.raises(ValueError, match="at least 0"):
        as_sample_weights([1, -1], 2)


def test_kinds_that_are_no_numbers():
    assert as_array(jnp.ones(2, jnp.bfloat16), "x").dtype == jnp.bfloat16
    with pytest.raises(TypeError, match="x must hold real numbers, not object"):
        as_array(np.array([None, 1]), "x")


@pytest.mark.parametrize(
    ("annotation", "good", "bad", "error"),
    [
        (Average, ["micro", "macro"], ["mean", None, 1], ValueError),
        (
            Positive,
            [1, 0.1, np.float32(2), jnp.array(3.0), None],
            [0, -1, np.float32(-1), float("nan"), [1.0, 2.0]],
            ValueError,
        ),
        (MeanSilhouette, [-1, 1, 0.5], [1.01, np.float64(-2)], ValueError),
        (Count | None, [1, np.int64(3), None], [0, -1], ValueError),
        (Count | None, [], [1.0, True, "1"], TypeError),
    ],
)
def test_options_are_checked_by_their_annotations(annotation, good, bad, error):
    for value in good:
        check_option("option", value, annotation)
    for value in bad:
        with pytest.raises(error, match="option must be"):
            check_option("option", value, annotation)


def test_nothing_is_known_of_a_traced_option():
    jax.jit(lambda value: check_option("option", value, Positive))(-7.0)


def test_counts_are_whole():
    assert as_count(np.int8(3), "way") == 3
    with pytest.raises(TypeError, match="way must be an integer"):
        as_count(2.0, "way")
    with pytest.raises(ValueError, match="way must be at least 1, not 0"):
        as_count(0, "way")
