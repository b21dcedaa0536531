"""Losses on vectors of the classes against loops, and where embeddings lie on them or nowhere."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_oracles import cosine, mean
from numpy.testing import assert_allclose, assert_array_equal

from clusterjax import losses

K, N, D = 4, 12, 3


def cross_entropy(logits, own):
    return float(np.log(np.sum(np.exp(logits))) - logits[own])


def of_logits(logit):
    """The mean cross-entropy of logits that are given one by one: of a point, a proxy, and whether it is the own."""

    def by_loops(x, labels, proxies):
        return mean(
            cross_entropy(np.array([logit(a, w, k == y) for k, w in enumerate(proxies)]), y)
            for a, y in zip(x, labels, strict=True)
            if y >= 0
        )

    return by_loops


def arcface_logit(a, w, own):
    angle = np.arccos(cosine(a, w))
    shifted = np.cos(angle + 2) if angle + 2 <= np.pi else np.cos(angle) - 2 * np.sin(2)
    return 3 * (shifted if own else np.cos(angle))


def soft_triple_logit(a, several, own):
    s = np.array([cosine(a, w) for w in several])
    q = np.exp(s / 0.5) / np.sum(np.exp(s / 0.5))
    return 3 * (np.sum(q * s) - (0.25 if own else 0))


def proxy_anchor_by_loops(x, labels, proxies):
    near, far = [], []
    for k, w in enumerate(proxies):
        own = [cosine(a, w) for a, y in zip(x, labels, strict=True) if y == k]
        rest = [cosine(a, w) for a, y in zip(x, labels, strict=True) if y >= 0 and y != k]
        near += [np.log(1 + sum(np.exp(-3 * (s - 0.25)) for s in own))] if own else []
        far.append(np.log(1 + sum(np.exp(3 * (s + 0.25)) for s in rest)))
    return mean(near) + mean(far)


def cosine_corel_by_loops(x, labels, proxies):
    def of(a, y):
        s = [cosine(a, w) for w in proxies]
        return -0.25 * s[y] + 0.75 * max(s[:y] + s[y + 1 :]) ** 2

    return mean(of(a, y) for a, y in zip(x, labels, strict=True) if y >= 0)


def gaussian_corel_by_loops(x, labels, proxies):
    def of(a, y):
        s = [-0.7 * np.sum((a - w) ** 2) for w in proxies]
        return -0.25 * s[y] + 0.75 * np.log(np.sum(np.exp(s)))

    return mean(of(a, y) for a, y in zip(x, labels, strict=True) if y >= 0)


LOSSES = {
    "softmax": (losses.softmax_loss, of_logits(lambda a, w, _: a @ w)),
    "normalized softmax": (
        partial(losses.normalized_softmax_loss, temperature=0.3),
        of_logits(lambda a, w, _: cosine(a, w) / 0.3),
    ),
    "ArcFace": (partial(losses.arcface_loss, margin=2.0, scale=3.0), of_logits(arcface_logit)),
    "Proxy-NCA": (
        partial(losses.proxy_nca_loss, temperature=0.3),
        of_logits(lambda a, w, _: -np.sum((a / np.sqrt(a @ a) - w / np.sqrt(w @ w)) ** 2) / 0.3),
    ),
    "SoftTriple": (
        partial(losses.soft_triple_loss, scale=3.0, gamma=0.5, margin=0.25),
        of_logits(soft_triple_logit),
    ),
    "Proxy-Anchor": (partial(losses.proxy_anchor_loss, margin=0.25, alpha=3.0), proxy_anchor_by_loops),
    "cosine COREL": (partial(losses.cosine_corel_loss, attraction=0.25), cosine_corel_by_loops),
    "Gaussian COREL": (partial(losses.gaussian_corel_loss, gamma=0.7, attraction=0.25), gaussian_corel_by_loops),
}
each = pytest.mark.parametrize("name", LOSSES)


def vectors(name, seed=0):
    return np.random.default_rng(seed).normal(size=(K, *((2,) if name == "SoftTriple" else ()), D))


@each
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_loops(name, seed):
    ours, by_loops = LOSSES[name]
    rng = np.random.default_rng(seed)
    # the last class is empty in every other batch; noise, and a mask over rows of NaN
    x, labels, where = rng.normal(size=(N, D)), rng.integers(-1, K - seed % 2, N), rng.random(N) < 0.8
    expected = by_loops(x, np.where(where, labels, -1), vectors(name, seed))
    spoilt = np.where(where[:, None], x, np.nan)
    assert_allclose(ours(spoilt, labels, where=where, proxies=vectors(name, seed)), expected, rtol=1e-5)


@each
def test_gradients_are_those_of_finite_differences(name):
    ours, by_loops = LOSSES[name]
    rng = np.random.default_rng(1)
    x, labels, w = rng.normal(size=(N, D)), rng.integers(0, K, N), vectors(name)
    slopes = jax.grad(lambda x, w: ours(x, labels, proxies=w), (0, 1))(x, w)
    dx, dw = rng.normal(size=x.shape), rng.normal(size=w.shape)
    for slope, direction, of in (
        (slopes[0], dx, lambda h: by_loops(x + h * dx, labels, w)),
        (slopes[1], dw, lambda h: by_loops(x, labels, w + h * dw)),
    ):
        assert_allclose(np.sum(slope * direction), (of(1e-6) - of(-1e-6)) / 2e-6, rtol=1e-4)


@each
@pytest.mark.parametrize("case", ["on the proxies", "opposite", "zeros", "a proxy of zeros"])
def test_gradients_are_finite_where_embeddings_and_proxies_meet(name, case):
    ours, _ = LOSSES[name]
    w, labels = vectors(name).astype(np.float32), np.arange(N) % K
    own = w.reshape(K, -1, D)[:, 0][labels]
    x = {"on the proxies": own, "opposite": -own, "zeros": 0 * own, "a proxy of zeros": own + 1}[case]
    if case == "a proxy of zeros":
        w[0] = 0
    value, gradients = jax.value_and_grad(lambda x, w: ours(x, labels, proxies=w), (0, 1))(x, w)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in gradients)


@each
def test_without_points_it_is_zero_with_zero_gradient(name):
    ours, _ = LOSSES[name]
    x, labels = np.ones((N, D)), np.full(N, -1)
    value, gradients = jax.value_and_grad(lambda x, w: ours(x, labels, proxies=w), (0, 1))(x, vectors(name))
    assert value == 0
    for gradient in gradients:
        assert_array_equal(gradient, 0 * gradient)


@each
def test_one_class_alone(name):
    ours, by_loops = LOSSES[name]
    x, labels, w = np.random.default_rng(0).normal(size=(N, D)), np.zeros(N, int), vectors(name)[:1]
    if name == "cosine COREL":
        assert_allclose(ours(x, labels, proxies=w), -0.25 * mean(cosine(a, w[0]) for a in x), rtol=1e-4)
    else:
        assert_allclose(ours(x, labels, proxies=w), by_loops(x, labels, w), rtol=1e-4, atol=1e-6)


def test_a_far_embedding_keeps_the_differences_between_the_proxies():
    # exp(-|h - w|^2) of both is 0 there, and in 32 bits both distances are 1e10
    x, w = jnp.array([[1e5, 3.0]]), jnp.array([[0.0, 0.0], [0.0, 5.0]])
    loss = losses.gaussian_corel_loss(x, jnp.array([0]), proxies=w, gamma=0.1)
    assert_allclose(loss, np.log(1 + np.exp(0.1 * (9 - 4))) / 2, rtol=1e-5)


def test_what_is_not_so_is_said():
    x, labels = np.ones((4, D)), np.array([0, 0, 1, 1])
    with pytest.raises(TypeError, match="missing a required argument: 'proxies'"):
        losses.softmax_loss(x, labels)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match=r"attraction must be in \[0, 1\], not 2"):
        losses.cosine_corel_loss(x, labels, proxies=vectors(""), attraction=2)
    with pytest.raises(ValueError, match=r"margin must be in \[0, 3.14"):
        losses.arcface_loss(x, labels, proxies=vectors(""), margin=28.6)


def test_arcface_has_a_row_of_zeros_at_a_right_angle_to_all():
    found = losses.arcface_loss(jnp.zeros((1, 2)), jnp.array([0]), proxies=jnp.eye(2), scale=1.0, margin=0.5)
    assert_allclose(found, np.log(1 + np.exp(np.sin(0.5))), rtol=1e-6)
