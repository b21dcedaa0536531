"""Which pairs carry gradient, by moving one distance at a time; and proxies as parameters of a network."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose

from clusterjax import losses
from clusterjax.losses.modules import Proxies

LOSSES = {
    "contrastive": partial(losses.contrastive_loss, neg_margin=0.5),
    "triplets": losses.triplet_loss,
    "hard triplets": partial(losses.triplet_loss, mining="hard"),
    "silhouette": losses.silhouette_loss,
    "nca": losses.nca_loss,
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", LOSSES)
def test_pairs_are_those_whose_distance_moves_the_loss(name):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(10, 2)), np.array([0, 0, 0, 1, 1, 1, 2, 2, -1, 2])
    where = np.arange(10) != 4
    distances = np.sqrt(((x[:, None] - x) ** 2).sum(-1))
    of = partial(LOSSES[name], labels=labels, num_clusters=3, where=where, metric="precomputed")
    moves = 0
    for i in range(10):
        for j in range(i):
            changed = distances.copy()
            changed[i, j] = changed[j, i] = distances[i, j] + 1e-5
            moves += abs(float(of(changed)) - float(of(distances))) > 1e-12
    spoilt = np.where(where[:, None], x, np.nan)
    count = losses.pairs_with_gradient(LOSSES[name], spoilt, labels, where=where)
    assert 0 < count == moves
    assert losses.pairs_with_gradient(LOSSES[name], distances, labels, where=where, metric="precomputed") == count
    counted = jax.jit(partial(losses.pairs_with_gradient, LOSSES[name], num_clusters=3, where=where))
    assert counted(spoilt, labels) == count


def test_a_loss_without_distances_is_refused():
    with pytest.raises(TypeError, match=r"ntxent_loss\(\) got an unexpected keyword argument 'metric'"):
        losses.pairs_with_gradient(losses.ntxent_loss, np.eye(4), np.array([0, 0, 1, 1]))


def test_proxies_learn_with_the_embedding():
    module = Proxies(partial(losses.soft_triple_loss, margin=0.1), 4, 3, per_class=2, rngs=nnx.Rngs(0))
    assert module.vectors[...].shape == (4, 2, 3)
    x, labels, where = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3))), np.arange(5) % 4, np.arange(5) < 4
    expected = losses.soft_triple_loss(x, labels, where=where, proxies=module.vectors[...], margin=0.1)
    assert_allclose(module(x, labels, where=where), expected, rtol=1e-6)
    gradient = nnx.jit(nnx.grad(lambda module, x, labels: module(x, labels)))(module, x, labels)
    assert np.abs(gradient["vectors"][...]).max() > 0


def test_flax_is_not_needed_for_the_losses():
    child = "import sys, clusterjax.losses; sys.exit('flax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", child], check=False).returncode == 0
