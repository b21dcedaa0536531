"""scikit-learn's own tests of its measures of agreement, with ours in their place."""

import inspect
from itertools import product
from types import SimpleNamespace

import jax
import pytest

from clusterjax import agreement

theirs = pytest.importorskip(
    "sklearn.metrics.cluster.tests.test_supervised", reason="this scikit-learn was installed without its tests"
)

LEFT_OUT = {
    "test_generalized_average": "a private helper",
    "test_expected_mutual_info_overflow": "a private helper",
    "test_public_entropy_deprecation": "a warning of a function that goes",
    "test_entropy": "a private helper",
    "test_entropy_array_api": "a private helper",
    "test_contingency_matrix": "its table, which is no measure",
    "test_contingency_matrix_sparse": "its table, which is no measure",
    "test_check_clustering_error": "a warning of a private helper; broken floats are names here too",
}


def ours(name):
    """Of its arguments; a plain number or several."""
    function = getattr(agreement, name)

    def called(labels_true, labels_pred, *, average_method=None, contingency=None, **options):
        del contingency  # theirs takes a table in place of the labels, and the one test hands in both
        if average_method is not None:
            options["average"] = average_method
        value = jax.tree.map(float, function(labels_true, labels_pred, **options))
        return tuple(value) if isinstance(value, tuple) else value

    return called


def pair_confusion_matrix(labels_true, labels_pred):
    yy, yn, ny, nn = (2 * int(pairs) for pairs in agreement.pair_counts(labels_true, labels_pred))
    return [[nn, ny], [yn, yy]]


SHARED = {name: ours(name) for name in agreement.__all__ if hasattr(theirs, name)}
IN_PLACE = {getattr(theirs, name): function for name, function in SHARED.items()}


def cases():
    """Each of their tests with each set of its parameters, in which our functions stand for theirs."""
    for name, test in inspect.getmembers(theirs, inspect.isfunction):
        if not name.startswith("test_") or name in LEFT_OUT:
            continue
        choices = []
        for mark in getattr(test, "pytestmark", []):
            names, values = mark.args
            names = [part.strip() for part in names.split(",")] if isinstance(names, str) else names
            choices.append([dict(zip(names, value if len(names) > 1 else (value,), strict=True)) for value in values])
        for number, chosen in enumerate(product(*choices)):
            given = {key: value for part in chosen for key, value in part.items()}
            given = {key: IN_PLACE.get(value, value) if callable(value) else value for key, value in given.items()}
            yield pytest.param(test, given, id=f"{name}-{number}")


def test_all_of_their_measures_are_here():
    assert len(SHARED) == 10
    assert LEFT_OUT.keys() <= {name for name, _ in inspect.getmembers(theirs, inspect.isfunction)}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("test", "given"), list(cases()))
def test_theirs(test, given, monkeypatch):
    for name, function in SHARED.items():
        monkeypatch.setattr(theirs, name, function)
    monkeypatch.setattr(theirs, "pair_confusion_matrix", pair_confusion_matrix)
    # the kind of an error is what they may rely on, not its sentence
    lenient = SimpleNamespace(raises=lambda error, match=None: pytest.raises(error), approx=pytest.approx)
    monkeypatch.setattr(theirs, "pytest", lenient)
    test(**given)
