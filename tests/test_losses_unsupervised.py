"""Deep embedded clustering against loops; silhouettes and classifiers on pseudo-labels; a learned relation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose, assert_array_equal

from clusterjax import adjusted_rand_score, kmeans, losses, silhouette_score
from clusterjax.losses.modules import Relation


def dec_by_loops(x, centroids):
    q = np.array([[1 / (1 + np.sum((a - c) ** 2)) for c in centroids] for a in x])
    q /= q.sum(1, keepdims=True)
    p = q**2 / q.sum(0)
    p /= p.sum(1, keepdims=True)
    return np.mean([sum(p[i, k] * np.log(p[i, k] / q[i, k]) for k in range(len(centroids))) for i in range(len(x))])


@pytest.mark.parametrize("k", [1, 3])
def test_dec_agrees_with_loops_and_masked_is_removed(k):
    rng = np.random.default_rng(0)
    x, centroids, kept = rng.normal(size=(12, 2)), rng.normal(size=(k, 2)), np.arange(12) % 4 > 0
    assert_allclose(losses.dec_loss(x, centroids), dec_by_loops(x, centroids), rtol=1e-5, atol=1e-7)
    spoilt = np.where(kept[:, None], x, np.nan)
    assert_allclose(
        losses.dec_loss(spoilt, centroids, where=kept), dec_by_loops(x[kept], centroids), rtol=1e-5, atol=1e-7
    )
    gradient = jax.grad(losses.dec_loss)(spoilt, centroids, where=kept)
    assert_array_equal(gradient[~kept], 0)
    assert np.isnan(losses.dec_loss(spoilt, centroids))


def test_the_target_of_dec_has_no_gradient(x64):
    rng = np.random.default_rng(0)
    x, c, v = rng.normal(size=(6, 2)), rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    q = 1 / (1 + ((x[:, None] - c) ** 2).sum(-1))
    p = (q / q.sum(1, keepdims=True)) ** 2 / (q / q.sum(1, keepdims=True)).sum(0)
    p /= p.sum(1, keepdims=True)

    def cross_entropy(c):
        q = 1 / (1 + ((x[:, None] - c) ** 2).sum(-1))
        return -(p * np.log(q / q.sum(1, keepdims=True))).sum() / 6

    slope = (cross_entropy(c + 1e-6 * v) - cross_entropy(c - 1e-6 * v)) / 2e-6
    assert_allclose((jax.grad(losses.dec_loss, 1)(jnp.asarray(x), jnp.asarray(c)) * v).sum(), slope, rtol=1e-6)


def test_dec_far_from_all_centroids_on_one_and_without_points():
    centroids = np.array([[0.0, 0.0], [1.0, 0.0]])
    for x in (np.full((3, 2), 1e6), np.zeros((3, 2)), np.zeros((0, 2))):
        value, gradient = jax.value_and_grad(losses.dec_loss)(jnp.asarray(x, jnp.float32), centroids)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
    with pytest.raises(ValueError, match=r"centroids must be \[k, d\]"):
        losses.dec_loss(np.zeros((3, 3)), centroids)


def test_a_silhouette_on_pseudo_labels_pulls_clusters_apart():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(60, 4)) + 1.5 * np.eye(4)[np.arange(60) % 4], jnp.float32)

    def objective(w):
        embeddings = x @ w
        labels = kmeans(jax.random.key(0), jax.lax.stop_gradient(embeddings), 4).labels
        return losses.silhouette_loss(embeddings, labels, num_clusters=4, target=0.85)

    w, step = jnp.eye(4), jax.jit(jax.value_and_grad(objective))
    first = step(w)[0]
    for _ in range(40):
        w -= 0.3 * step(w)[1]
    assert step(w)[0] < 0.6 * first


def test_a_classifier_of_its_own_clusters_makes_them_plainer():
    """DeepCluster: cluster, begin a classifier anew, learn, and again."""
    rng = np.random.default_rng(0)
    known = np.arange(80) % 4
    x = jnp.asarray(rng.normal(size=(80, 6)) + 4 * np.eye(6)[known], jnp.float32)

    def objective(learned, labels):
        return losses.softmax_loss(x @ learned["w"], labels, proxies=learned["vectors"])

    cluster = jax.jit(lambda w: kmeans(jax.random.key(0), x @ w, 4, num_restarts=3).labels)
    step = jax.jit(jax.grad(objective))
    w, last = jnp.eye(6), []
    for _ in range(3):
        labels = cluster(w)
        learned = {"w": w, "vectors": jnp.zeros((4, 6))}
        for _ in range(20):
            slope = step(learned, labels)
            learned = jax.tree.map(lambda a, b: a - 0.3 * b, learned, slope)
        last.append(objective(learned, labels))
        w = learned["w"]
    labels = cluster(w)
    assert last[0] > last[1] > last[2]
    assert adjusted_rand_score(known, labels) > 0.95
    assert silhouette_score(x @ w, labels) > silhouette_score(x, labels) + 0.05


@pytest.mark.parametrize("loss", [losses.relation_loss, losses.silhouette_loss])
def test_a_relation_is_learned_under_any_loss_of_distances(loss):
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 3
    x = jnp.asarray(np.eye(3)[labels] + 0.5 * rng.normal(size=(24, 3)), jnp.float32)
    graph, weights = nnx.split(Relation(3, 16, rngs=nnx.Rngs(0)), nnx.Param)

    @jax.jit
    def step(weights):
        value, slope = jax.value_and_grad(lambda w: loss(x, labels, metric=nnx.merge(graph, w).metric()))(weights)
        return jax.tree.map(lambda w, s: w - 0.5 * s, weights, slope), value

    values = []
    for _ in range(80):
        weights, value = step(weights)
        values.append(float(value))
    assert values[-1] < 0.8 * values[0]
    metric = nnx.merge(graph, weights).metric()
    assert_allclose(metric(x[0], x[1]), metric(x[1], x[0]), rtol=1e-6)
