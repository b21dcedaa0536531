"""Any index as a loss, the smoothed Dunn loss, and sums of losses."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracles import distances
from scipy.special import logsumexp

from clusterjax import INDICES, dunn_index, losses, silhouette_score, soft_silhouette_score, sweep_k


def data(n=20, k=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % k
    return (2 * rng.normal(size=(k, 3))[labels] + rng.normal(size=(n, 3))).astype(np.float32), labels


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_a_better_clustering_has_a_smaller_loss_as_the_formula_says(index):
    x, labels = data()
    shuffled = np.random.default_rng(1).permutation(labels)
    found = []
    for given in (labels, shuffled):
        s, (low, high) = float(index.function(x, given)), index.range
        share = (s - low) / (high - low) if np.isfinite(high) else (s - low) / (1 + s - low)
        found.append(losses.validity_loss(index)(x, given))
        assert_allclose(found[-1], 1 - share if index.higher_is_better else share, rtol=1e-5)
    assert 0 <= found[0] < found[1] <= 1


def spread(x, labels):
    """As a user may write it: no number of clusters, no mask."""
    return jnp.where((labels >= 0)[:, None], jnp.abs(x), 0).sum()


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        (dict(low=0, higher_is_better=False), lambda s: s / (1 + s)),
        (dict(low=0), lambda s: 1 / (1 + s)),
        (dict(high=1000), lambda s: 1 - 1 / (1001 - s)),
        (dict(high=1000, higher_is_better=False), lambda s: 1 / (1001 - s)),
        (dict(low=-1, high=1000), lambda s: (1000 - s) / 1001),
        (dict(low=-1, high=1000, higher_is_better=False), lambda s: (s + 1) / 1001),
    ],
)
def test_a_function_of_ones_own_between_its_bounds(bounds, expected):
    x, labels = data()
    loss = losses.validity_loss(spread, **bounds)
    assert_allclose(loss(x, labels), expected(np.abs(x).sum()), rtol=1e-5)
    kept = np.arange(20) % 3 > 0
    masked = loss(np.where(kept[:, None], x, np.nan), labels, where=kept)
    assert_allclose(masked, expected(np.abs(x[kept]).sum()), rtol=1e-5)
    assert loss is losses.validity_loss(spread, **bounds)
    assert loss.__name__ == "spread_loss"


def test_options_of_an_index_are_bound():
    x, labels = data()
    labels = np.where(np.arange(20) < 12, 0, labels)
    macro = losses.validity_loss(partial(silhouette_score, average="macro"), low=-1, high=1)
    assert_allclose(macro(x, labels), (1 - silhouette_score(x, labels, average="macro")) / 2, rtol=1e-6)
    assert macro.__name__ == "silhouette_score_loss"


def test_soft_assignments_have_a_gradient_too():
    x, labels = data()
    w = np.random.default_rng(0).dirichlet(np.ones(4), 20).astype(np.float32)
    loss = losses.validity_loss(soft_silhouette_score, low=-1, high=1)
    assert_allclose(loss(x, w), (1 - soft_silhouette_score(x, w)) / 2, rtol=1e-6)
    assert_allclose(loss(x, np.eye(4)[labels]), losses.silhouette_loss(x, labels), rtol=1e-5)
    assert np.abs(jax.grad(loss, 1)(x, w)).max() > 0


@pytest.mark.parametrize("loss", [losses.dunn_loss, *map(losses.validity_loss, INDICES)], ids=["smooth", *INDICES])
def test_one_point_and_nothing_to_compare(loss):
    same = np.full((6, 2), 3.0)
    value, gradient = jax.value_and_grad(loss)(same, np.array([0, 0, 1, 1, 2, 2]))
    assert value == 0.5
    assert_array_equal(gradient, 0)
    for labels in (np.zeros(6, int), np.arange(6), np.full(6, -1)):
        value, gradient = jax.value_and_grad(loss)(data()[0][:6], labels)
        assert value == 0
        assert_array_equal(gradient, 0)


def test_what_makes_no_loss_is_refused():
    with pytest.raises(ValueError, match=r"unknown index 'dun': pass one of silhouette, "):
        losses.validity_loss("dun")
    with pytest.raises(ValueError, match="the index spread needs a bound"):
        losses.validity_loss(spread)
    with pytest.raises(ValueError, match=r"low must be below high: they are 1.0 and 1.0"):
        losses.validity_loss("silhouette", low=1)


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_the_smoothed_dunn_loss_against_its_formula(temperature):
    x, labels = data()
    kept = np.arange(20) % 7 != 0
    d = distances(x[kept].astype(float))
    off = ~np.eye(len(d), dtype=bool)
    same = off & (labels[kept][:, None] == labels[kept])
    t = temperature * d[off].mean()
    between = -t * (logsumexp(-d[off & ~same] / t) - np.log((off & ~same).sum()))
    within = t * (logsumexp(d[same] / t) - np.log(same.sum()))
    ours = losses.dunn_loss(x, labels, where=kept, temperature=temperature)
    assert_allclose(ours, within / (within + between), rtol=1e-5)


def test_the_smoothed_dunn_loss_ends_at_the_index_and_does_not_know_the_scale():
    x, labels = data()
    assert_allclose(losses.dunn_loss(x, labels, temperature=1e-5), 1 / (1 + dunn_index(x, labels)), rtol=1e-3)
    assert_allclose(losses.dunn_loss(1000 * x, labels), losses.dunn_loss(x, labels), rtol=1e-5)


def test_losses_add_up_and_follow_a_schedule():
    x, labels = data()
    first, second = losses.silhouette_loss, losses.nca_loss
    total = losses.combined_loss([first, second], shares=[0.25, optax.linear_schedule(1.0, 0.0, 10)])
    expected = 0.25 * first(x, labels) + 0.8 * second(x, labels)
    assert_allclose(jax.jit(partial(total, num_clusters=4))(x, labels, step=2), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="pass step="):
        total(x, labels)
    with pytest.raises(ValueError, match="2 losses, 1 shares"):
        losses.combined_loss([first, second], shares=[1.0])


@pytest.mark.parametrize("index", [spread, lambda x, labels, *, num_clusters: spread(x, labels) + num_clusters])
def test_an_index_that_knows_of_no_mask_is_swept_under_one(index):
    x, labels = data()
    kept = np.arange(20) % 3 > 0
    spoilt = np.where(kept[:, None], x, np.nan)

    def method(k):
        return np.where(kept, labels % k, 0)

    ours = sweep_k(jax.random.key(0), spoilt, ks=(2, 4), method=method, indices=(index,), where=kept)
    (name,) = ours.indices
    expected = np.abs(x[kept]).sum() + (0 if index is spread else 4)  # one program for both
    assert_allclose(ours.indices[name], expected, rtol=1e-5)


def test_a_soft_index_as_a_loss_takes_what_losses_take():
    soft = losses.validity_loss(soft_silhouette_score, low=-1, high=1)
    x, all_in_one = jnp.array([[0.0], [1.0], [4.0], [6.0]]), jnp.array([[1.0, 0.0]] * 4)
    assert soft(x, all_in_one) == 0
    assert_array_equal(jax.grad(soft)(x, all_in_one), 0)
    hard = [[1.0, 0], [1, 0], [0, 1], [0, 1]]
    assert_allclose(soft(x.tolist(), hard), (1 - silhouette_score(x, jnp.array([0, 0, 1, 1]))) / 2, rtol=1e-6)
    with pytest.raises(ValueError, match="at least 0"):
        soft(x, -jnp.asarray(hard))


def test_an_own_index_in_a_sweep_never_sees_rows_of_nobody():
    x, labels = data()
    x[3] = np.nan
    labels = np.where(np.arange(20) == 3, -1, labels)

    def seen(x, labels):
        return jnp.where(jnp.isfinite(x).all(), 1.0, 0.0)

    found = sweep_k(jax.random.key(0), x, ks=(4,), method=lambda k: labels, indices=(seen,))
    assert [float(value[0]) for value in found.indices.values()] == [1.0]
