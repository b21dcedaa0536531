"""The registry: what it says of an index is so."""

import inspect
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from clusterjax import INDICES, indices

VALUES = Path(__file__).parent / "values"


def data(spread):
    """Four clusters, tight or loose."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 10)
    return 4 * rng.normal(size=(4, 3))[labels] + spread * rng.normal(size=(40, 3)), labels


every = pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())


def test_every_score_is_listed_or_takes_weights_for_labels():
    listed = {index.function.__name__ for index in INDICES.values()}
    scores = {n for n in indices.__all__ if n.endswith(("_score", "_index"))}
    assert scores - listed == {"soft_silhouette_score"}
    assert all(name == index.name for name, index in INDICES.items())


@every
def test_its_direction_and_range(index):
    (tight, labels), (loose, _) = data(0.1), data(1.0)
    shuffled = np.random.default_rng(1).permutation(labels)
    good, fair, bad = (float(index.function(x, of)) for x, of in ((tight, labels), (loose, labels), (loose, shuffled)))
    assert (good > fair > bad) if index.higher_is_better else (good < fair < bad)
    assert all(index.range[0] <= value <= index.range[1] for value in (good, fair, bad))
    assert index.rule == ("largest" if index.higher_is_better else "smallest")


@every
def test_it_is_differentiable_where_it_says_so(index):
    x, labels = data(1.0)
    gradient = jax.grad(lambda x: index.function(x, labels))(x)
    assert np.isfinite(gradient).all()
    assert bool(np.abs(gradient).max() > 0) == index.differentiable


@every
def test_weights_are_repetitions(index):
    x, labels = data(1.0)
    times = np.random.default_rng(3).integers(0, 4, len(x))
    ours = index.function(x, labels, weights=times)
    np.testing.assert_allclose(ours, index.function(x.repeat(times, 0), labels.repeat(times)), rtol=1e-5)
    assert ours != index.function(x, labels)
    with pytest.raises(ValueError, match="weights must be at least 0"):
        index.function(x, labels, weights=times - 1)


@every
def test_it_equals_what_it_says_of_scikit_learn(index):
    import sklearn.metrics

    x, labels = data(1.0)
    for other in index.equals:
        package, name = other.split(":")
        if package == "sklearn":
            np.testing.assert_allclose(index.function(x, labels), getattr(sklearn.metrics, name)(x, labels), rtol=1e-5)


@every
@pytest.mark.parametrize("name", ["iris", "ruspini", "awkward"])
def test_it_equals_what_it_says_of_r(index, name):
    values = json.loads((VALUES / f"{name}.json").read_text())
    x, tolerance = np.array(values["x"]), {"NbClust": 6e-5}
    of_r = [other.split(":") for other in index.equals if other.split(":")[0] in ("clusterCrit", "fpc", "NbClust")]
    for package, theirs in of_r:
        found = {part: values[package][part][theirs.lower()] for part in values[package]}
        assert len(found) >= 4
        for part, expected in found.items():
            if expected is not None:
                ours = index.function(x, np.array(values["partitions"][part]))
                np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=tolerance.get(package, 0))


@every
def test_its_function_takes_the_arguments_of_the_grammar(index):
    parameters = list(inspect.signature(index.function).parameters)
    assert parameters[:4] == ["x", "labels", "num_clusters", "where"]
