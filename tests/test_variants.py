"""The variants that were tried, against loops."""

import jax
import numpy as np
import pytest

from clusterjax import losses
from experiments import variants

LABELS = np.repeat(np.arange(4), 3)


def points():
    return np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)


def by_loops(distance, power):
    """Cross-entropy of distance(x, members without x)^-power."""
    x, terms = points().astype(float), []
    for i, label in enumerate(LABELS):
        likely = []
        for c in range(4):
            members = [x[j] for j in range(12) if LABELS[j] == c and j != i]
            likely.append(distance(x[i], np.array(members)) ** -power)
        terms.append(-np.log(likely[label] / sum(likely)) / power)
    return np.mean(terms)


def to_mean(x, members):
    return np.linalg.norm(x - members.mean(0))


def to_both(x, members):
    return np.sqrt(to_mean(x, members) * np.linalg.norm(x - members, axis=1).mean())


@pytest.mark.parametrize(("variant", "distance"), [(variants.to_means, to_mean), (variants.both_means, to_both)])
@pytest.mark.parametrize("power", [1.0, 10.0])
def test_against_loops(variant, distance, power):
    loss = variant(points(), LABELS, num_clusters=4, power=power)
    np.testing.assert_allclose(loss, by_loops(distance, power), rtol=1e-4)
    assert np.isfinite(jax.grad(lambda x: variant(x, LABELS, num_clusters=4))(points())).all()


def test_leave_one_out_is_the_prototypical_loss_with_that_option():
    expected = losses.prototypical_loss(points(), LABELS, num_support=None)
    np.testing.assert_allclose(variants.leave_one_out(points(), LABELS, num_clusters=4), expected)
