"""Prediction strength: its arithmetic against pairs counted one by one, and planted clusters."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from clusterjax.selection import prediction_strength, stability


def test_agreement_is_the_worst_cluster_s_share_of_pairs():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(30, 2)).astype(np.float32), rng.integers(-1, 3, 30).astype(np.int32)
    centroids = np.concatenate([rng.normal(size=(3, 2)), np.full((2, 2), np.nan)]).astype(np.float32)
    predicted = ((x[:, None] - centroids[None, :3]) ** 2).sum(2).argmin(1)
    shares = []
    for r in range(3):
        pairs = list(itertools.permutations(np.flatnonzero(labels == r), 2))
        shares.append(np.mean([predicted[i] == predicted[j] for i, j in pairs]))
    ours = jax.jit(stability._agreement)(x, jnp.asarray(labels), jnp.asarray(centroids), 3)
    assert_allclose(ours, min(shares), rtol=1e-6)
    assert 0 < min(shares) < 1


def test_planted_clusters_come_again_and_more_do_not():
    rng = np.random.default_rng(0)
    x = (12 * np.eye(3)[np.arange(60) % 3] + rng.normal(size=(60, 3))).astype(np.float32)
    kept = np.arange(60) % 10 != 4
    spoilt = np.where(kept[:, None], x, np.nan).astype(np.float32)
    found = prediction_strength(jax.random.key(0), spoilt, ks=(2, 3, 4, 5), num_splits=6, num_restarts=3, where=kept)
    assert found.k == 3
    assert found.splits.shape == (4, 6)
    assert_array_equal(found.splits[1], 1)
    assert (np.asarray(found.strength[2:]) < 0.8).all()
    with pytest.raises(ValueError, match="62 clusters are more than"):
        prediction_strength(jax.random.key(0), x, ks=[31])


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_scale_changes_nothing(scale):
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    options = {"ks": (2, 3), "num_splits": 3, "num_restarts": 1}
    ours, other = (prediction_strength(jax.random.key(0), x * np.float32(s), **options) for s in (1, scale))
    assert_allclose(other.strength, ours.strength, rtol=1e-6)
    assert (np.asarray(ours.strength) < 0.99).all()
