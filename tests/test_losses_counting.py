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
    count = partial(losses.pairs_with_gradient, labels=labels, num_clusters=3, where=where)
    assert 0 < count(partial(LOSSES[name], metric="euclidean"), spoilt) == moves
    assert count(LOSSES[name], spoilt, metric="euclidean") == moves
    assert count(LOSSES[name], distances, metric="precomputed") == moves
    assert jax.jit(partial(count, LOSSES[name], metric="euclidean"))(spoilt) == moves


OF_INNER_PRODUCTS = {
    "ntxent": partial(losses.ntxent_loss, temperature=1.0),
    "multi-similarity": losses.multi_similarity_loss,
    "prototypical": losses.prototypical_loss,
    "simplified silhouette": losses.validity_loss("simplified_silhouette"),
    "Calinski-Harabasz": losses.validity_loss("calinski_harabasz"),
    "Xie-Beni": losses.validity_loss("xie_beni"),
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", OF_INNER_PRODUCTS)
def test_pairs_are_those_whose_inner_product_moves_the_loss(name):
    """As many features as points: any inner products near these are those of some points, by Cholesky."""
    x, labels = np.random.default_rng(0).normal(size=(12, 12)), np.arange(12) % 4
    loss = partial(OF_INNER_PRODUCTS[name], labels=labels, num_clusters=4)
    slopes = np.zeros((12, 12))
    for i in range(12):
        for j in range(i):
            moved = np.zeros((12, 12))
            moved[i, j] = moved[j, i] = 1e-4
            above, below = (loss(np.linalg.cholesky(x @ x.T + move)) for move in (moved, -moved))
            slopes[i, j] = abs(above - below)
    moves = int((slopes > 1e-6 * slopes.max()).sum())
    assert losses.pairs_with_gradient(OF_INNER_PRODUCTS[name], x, labels) == moves


def test_a_loss_of_class_vectors_compares_no_pairs():
    x, labels = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 4
    vectors = np.concatenate([np.eye(4, 3), np.zeros((4, 1))], axis=1)
    for loss in (losses.softmax_loss, losses.arcface_loss, losses.gaussian_corel_loss):
        assert losses.pairs_with_gradient(partial(loss, proxies=vectors), x, labels) == 0


def test_pairs_that_are_not_numbers_count():
    x, labels = np.array([[0.0], [1.0], [np.nan], [2.0]]), np.array([0, 0, 1, 1])
    assert losses.pairs_with_gradient(losses.contrastive_loss, x, labels) == 6
    assert losses.pairs_with_gradient(losses.contrastive_loss, x[:0], labels[:0], num_clusters=2) == 0


def test_a_loss_without_distances_is_refused_a_metric():
    with pytest.raises(TypeError, match=r"ntxent_loss\(\) got an unexpected keyword argument 'metric'"):
        losses.pairs_with_gradient(losses.ntxent_loss, np.eye(4), np.array([0, 0, 1, 1]), metric="manhattan")


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
