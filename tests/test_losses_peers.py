"""Values and gradients of the losses are those of pytorch-metric-learning, where it is installed."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from clusterjax import losses

reason = 'compares with pytorch-metric-learning: pip install -e ".[peers]"'
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


def with_weights(name, **options):
    """One of theirs, of our proxies [k, d], and how it holds them."""
    loss = getattr(peers, name)(len(SIZES), 9, **options)
    held = {"W": lambda v: v.T, "fc": lambda v: v.reshape(-1, v.shape[-1]).T, "proxies": lambda v: v}
    attribute = next(attribute for attribute in held if hasattr(loss, attribute))

    def of(x, labels, proxies):
        delattr(loss, attribute)
        setattr(loss, attribute, held[attribute](proxies))
        loss.cast_types = lambda *_: None  # would ask for a parameter
        return loss(x, labels)

    return of


def cosines(x, proxies):
    return torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(proxies).T


def others(s, labels):
    """Of each row what is not of the own class."""
    return s[torch.arange(s.shape[1])[None] != labels[:, None]].reshape(len(s), -1)


def cosine_corel(x, labels, proxies):
    s = cosines(x, proxies)
    return (-0.3 * s[torch.arange(len(s)), labels] + 0.7 * others(s, labels).max(1).values ** 2).mean()


def gaussian_corel(x, labels, proxies):
    s = -0.2 * ((x[:, None] - proxies[None]) ** 2).sum(2)
    return (-0.3 * s[torch.arange(len(s)), labels] + 0.7 * torch.logsumexp(s, 1)).mean()


PROXIES = {
    "softmax": (losses.softmax_loss, lambda x, y, w: torch.nn.functional.cross_entropy(x @ w.T, y)),
    "normalized softmax": (losses.normalized_softmax_loss, with_weights("NormalizedSoftmaxLoss")),
    "ArcFace": (partial(losses.arcface_loss, margin=np.radians(28.6)), with_weights("ArcFaceLoss")),
    "ArcFace, angles past pi": (
        partial(losses.arcface_loss, margin=np.radians(120), scale=4.0),
        with_weights("ArcFaceLoss", margin=120, scale=4),
    ),
    "Proxy-NCA": (losses.proxy_nca_loss, with_weights("ProxyNCALoss")),
    "Proxy-NCA, sharper": (
        partial(losses.proxy_nca_loss, temperature=0.2),
        with_weights("ProxyNCALoss", softmax_scale=5),
    ),
    "Proxy-Anchor": (losses.proxy_anchor_loss, with_weights("ProxyAnchorLoss")),
    "SoftTriple": (losses.soft_triple_loss, with_weights("SoftTripleLoss", centers_per_class=3)),
    "cosine COREL": (partial(losses.cosine_corel_loss, attraction=0.3), cosine_corel),
    "Gaussian COREL": (partial(losses.gaussian_corel_loss, gamma=0.2, attraction=0.3), gaussian_corel),
}


@pytest.mark.parametrize("scale", [0.3, 1.0])
@pytest.mark.parametrize("name", PROXIES)
def test_losses_of_proxies(name, scale):
    ours, peer = PROXIES[name]
    vectors = np.random.default_rng(3).normal(size=(len(SIZES), *((3,) if name == "SoftTriple" else ()), 9))
    theirs = [torch.tensor(array, requires_grad=True) for array in (points(scale), vectors)]
    expected = peer(theirs[0], torch.tensor(LABELS), theirs[1])
    expected.backward()
    with jax.enable_x64(True):
        value, gradients = jax.value_and_grad(lambda x, w: ours(x, LABELS, proxies=w), (0, 1))(points(scale), vectors)
    assert_allclose(value, expected.item(), rtol=1e-6)
    for gradient, expected in zip(gradients, theirs, strict=True):
        assert expected.grad.abs().max() > 1e-3
        assert_allclose(gradient, expected.grad.numpy(), rtol=1e-5, atol=1e-7)
