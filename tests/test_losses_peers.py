"""Values and gradients of the losses are those of pytorch-metric-learning, where it is installed."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from clusterjax import losses

reason = "compares with pytorch-metric-learning, which is installed by hand"
torch = pytest.importorskip("torch", reason=reason)
pytest.importorskip("pytorch_metric_learning", reason=reason)

from pytorch_metric_learning import distances, miners, reducers  # noqa: E402  # pyright: ignore
from pytorch_metric_learning import losses as peers  # noqa: E402  # pyright: ignore

SIZES = (7, 5, 6, 1, 4, 2)  # a singleton among them
LABELS = np.random.default_rng(1).permutation(np.repeat(np.arange(len(SIZES)), SIZES))


def as_they_are():
    """Distances of embeddings that are not divided by their length, as ours."""
    return distances.LpDistance(normalize_embeddings=False)


def mined(miner, loss):
    return lambda x, labels: loss(x, labels, miner(x, labels))


PAIRS = {
    "nca": (losses.nca_loss, peers.NCALoss(distance=distances.LpDistance(normalize_embeddings=False, power=2))),
    "contrastive": (losses.contrastive_loss, peers.ContrastiveLoss(distance=as_they_are())),
    "contrastive, other margins": (
        partial(losses.contrastive_loss, pos_margin=1.5, neg_margin=2.5),
        peers.ContrastiveLoss(pos_margin=1.5, neg_margin=2.5, distance=as_they_are()),
    ),
    "triplets, all": (losses.triplet_loss, peers.TripletMarginLoss(margin=0.2, distance=as_they_are())),
    "triplets, semi-hard": (
        partial(losses.triplet_loss, mining="semihard", margin=0.5),
        mined(
            miners.TripletMarginMiner(margin=0.5, type_of_triplets="semihard", distance=as_they_are()),
            peers.TripletMarginLoss(margin=0.5, distance=as_they_are()),
        ),
    ),
    "triplets, hard": (
        partial(losses.triplet_loss, mining="hard"),
        mined(
            miners.BatchHardMiner(distance=as_they_are()),
            peers.TripletMarginLoss(margin=0.2, distance=as_they_are(), reducer=reducers.MeanReducer()),
        ),
    ),
    "NT-Xent": (losses.ntxent_loss, peers.NTXentLoss()),
    "supervised contrastive": (losses.supervised_contrastive_loss, peers.SupConLoss()),
    "multi-similarity": (losses.multi_similarity_loss, peers.MultiSimilarityLoss()),
    "circle": (losses.circle_loss, peers.CircleLoss()),
}


def points(scale=1.0):
    """Classes that overlap."""
    rng = np.random.default_rng(0)
    return scale * (rng.normal(size=(len(SIZES), 9))[LABELS] + rng.normal(size=(len(LABELS), 9)))


@pytest.mark.parametrize("scale", [0.3, 1.0])
@pytest.mark.parametrize("name", PAIRS)
def test_losses_of_pairs(name, scale):
    ours, peer = PAIRS[name]
    theirs = torch.tensor(points(scale), requires_grad=True)
    expected = peer(theirs, torch.tensor(LABELS))
    expected.backward()
    with jax.enable_x64(True):
        value, gradient = jax.value_and_grad(ours)(points(scale), LABELS)
    assert theirs.grad.abs().max() > 1e-3
    assert_allclose(value, expected.item(), rtol=1e-6)
    assert_allclose(gradient, theirs.grad.numpy(), rtol=1e-5, atol=1e-7)
