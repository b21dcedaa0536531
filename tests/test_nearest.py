"""Past all pairs: the same silhouettes from the distances that bounds leave, and no true neighbour lost to a bound."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import test_contract
import test_silhouette
from hypothesis import given, settings
from hypothesis import strategies as st

import clusterjax as cj
from clusterjax import losses, nearest, some_pairs
from clusterjax.distances import mahalanobis, resolve
from clusterjax.some_pairs import Sorted


@pytest.fixture
def ahead(monkeypatch):
    """Bounds are asked however few points there are, and whatever they leave; and how often they were."""
    found = []
    monkeypatch.setattr(nearest, "WORTH", 0)
    monkeypatch.setattr(nearest, "cost_by_bounds", lambda *_: 0)
    monkeypatch.setattr(nearest, "_find", lambda *given, find=nearest._find: found.append(find(*given)) or found[-1])
    return found


SILHOUETTES = {
    "samples": cj.silhouette_samples,
    "score": cj.silhouette_score,
    "summary": cj.silhouette_summary,
    "loss": losses.silhouette_loss,
}
IN_ANY_TRACE = ("docstring", "jit", "vmap", "traced", "proxies")  # what a contract test would learn nothing new about


def taking(module, *parameters):
    """A module's tests that take these parameters and no others."""
    found = {name: test for name, test in vars(module).items() if name.startswith("test_")}
    return [
        pytest.param(test, id=name)
        for name, test in found.items()
        if list(inspect.signature(test).parameters) == list(parameters)
        and not any(word in name for word in IN_ANY_TRACE)
        and not any(mark.name == "slow" for mark in getattr(test, "pytestmark", ()))
    ]


@pytest.mark.parametrize("function", SILHOUETTES.values(), ids=SILHOUETTES)
@pytest.mark.parametrize("test", taking(test_contract, "function"))
def test_the_contract_is_kept(ahead, function, test):
    test(partial(function, num_clusters=test_contract.K))


@pytest.mark.parametrize("test", taking(test_silhouette))
def test_the_suite_of_the_silhouettes_passes(ahead, test):
    test()


@pytest.mark.parametrize("name", ["iris", "ruspini", "awkward"])
def test_values_from_r(ahead, name):
    test_silhouette.test_values_from_r(name)
    assert len(ahead) == 5
    assert None not in ahead


def awkward(kind, rng, n=200, d=12, k=9):
    """Data made to break bounds, and labels: the last cluster is empty, the one before it a singleton."""
    labels = np.append(rng.integers(0, k - 2, n - 1), k - 2)
    centres = rng.normal(size=(k, d))
    if kind == "equidistant":  # the corners of a simplex: every other cluster is as near
        centres = 4 * np.eye(k, d)
        x = centres[labels] + 0.01 * rng.normal(size=(n, d))
    elif kind == "duplicates":
        x = centres[labels] + rng.integers(0, 2, (n, 1))
    elif kind == "offset":
        x = 1e4 + centres[labels] + rng.normal(size=(n, d))
    elif kind == "one far away":
        x = centres[labels] + rng.normal(size=(n, d)) + 1e5 * (labels == 0)[:, None]
    elif kind == "stretched":  # nearly all variance along one line, on which the others lie
        x = centres[labels] * 10.0 ** -np.arange(d) + rng.normal(size=(n, d)) * 30.0 ** -np.arange(d)
    elif kind == "skewed":
        x = centres[labels] + rng.exponential(size=(n, d)) ** 3
    elif kind == "no clusters":
        x = rng.normal(size=(n, d))
    elif kind == "two heaps":  # so far apart that products of points lose what tells the clusters of a heap apart
        x = np.sign(centres[:, :1])[labels] + 1e-3 * centres[labels] + 1e-6 * rng.normal(size=(n, d))
    elif kind == "dust":  # so small beside one of them that fourth powers vanish
        x = 1e-11 * (centres[labels] + rng.normal(size=(n, d))) + (labels == 0)[:, None]
    elif kind == "tiny":
        x = 1e-25 * (centres[labels] + rng.normal(size=(n, d)))
    else:
        x = centres[labels] + rng.normal(size=(n, d))
    return x.astype(np.float32), labels


KINDS = [
    "blobs",
    "equidistant",
    "duplicates",
    "offset",
    "one far away",
    "stretched",
    "skewed",
    "no clusters",
    "two heaps",
    "dust",
    "tiny",
]


def true_means(x, labels, k, mass=None):
    """Mean distances to the other members [n], and to other clusters [n, k], in 64 bits from differences."""
    d = oracles.distances(x.astype(float))
    one_hot = np.eye(k)[labels]
    w = one_hot if mass is None else one_hot * mass[:, None]
    own = (d @ w * one_hot).sum(1) / np.maximum(w.sum(0)[labels] - 1, 1)
    with np.errstate(invalid="ignore"):
        return own, np.where((one_hot == 0) & (w.sum(0) > 0), d @ w / w.sum(0), np.inf)


@pytest.mark.parametrize("d", [1, 12])
@pytest.mark.parametrize("kind", KINDS)
def test_awkward_data_agree_with_all_pairs_and_with_loops(ahead, kind, d):
    x, labels = awkward(kind, np.random.default_rng(0), d=d)
    own, means = true_means(x, labels, 9)
    singleton = np.bincount(labels)[labels] == 1
    expected = np.where(singleton, 0, (means.min(1) - own) / np.maximum(np.maximum(own, means.min(1)), 1e-300))
    found = cj.silhouette_summary(x, labels, num_clusters=9)
    all_pairs = jax.jit(partial(cj.silhouette_summary, num_clusters=9))(x, labels)
    assert len(ahead) == 1
    assert ahead[0] is not None
    # what all pairs keep is kept: where they lose digits themselves, no more are lost
    lost = np.abs(np.asarray(all_pairs.samples) - expected).max()
    np.testing.assert_allclose(found.samples, expected, atol=max(2e-5, 2 * lost))
    np.testing.assert_allclose(means[np.arange(len(x)), found.neighbors], means.min(1), rtol=max(1e-6, 2 * lost))
    np.testing.assert_allclose(found.means, all_pairs.means, atol=max(2e-5, 2 * lost))
    np.testing.assert_array_equal(found.sizes, all_pairs.sizes)


def in_order(rows, own, k, mass=None):
    mass = np.ones(len(rows)) if mass is None else mass
    return Sorted(
        jnp.asarray(rows, jnp.float32),
        jnp.asarray(mass, jnp.float32),
        own.astype(np.int32),
        np.bincount(own, minlength=k),
    )


def clusters_of(points):
    return nearest._with_lambda(points, nearest._moments(points))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(KINDS), st.booleans())
def test_no_cluster_is_lost_that_can_be_the_nearest(seed, kind, weighted):
    rng = np.random.default_rng(seed)
    x, labels = awkward(kind, rng)
    order = np.argsort(labels, kind="stable")
    rows, own = x[order] / np.abs(x).max(), labels[order]
    mass = rng.integers(1, 4, len(x)) if weighted else np.ones(len(x), int)
    points = in_order(rows, own, 9, mass)
    left = nearest._left(points, clusters_of(points), np.arange(len(x), dtype=np.int32), len(x))
    kept = np.zeros((len(x), 9), bool)
    kept[left.points, left.clusters] = True
    _, means = true_means(rows, own, 9, mass)
    assert kept[np.arange(len(x)), means.argmin(1)].all()
    assert not kept[np.isinf(means)].any()


def test_bounds_leave_few_of_many_clusters():
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, 50, 2000))
    points = in_order(rng.normal(size=(50, 32))[labels] + 0.7 * rng.normal(size=(2000, 32)), labels, 50)
    left = nearest._left(points, clusters_of(points), np.arange(2000, dtype=np.int32), 2000)
    found = np.bincount(left.points, minlength=2000)
    assert found.min() >= 1
    assert found.mean() < 6


@pytest.mark.parametrize("members", [20, 3])  # fewer features than members, and more
def test_largest_eigenvalues_are_bounded_from_above_and_closely(members):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), members)
    points = in_order(rng.normal(size=(len(labels), 8)) * 2.0 ** -np.arange(8), labels, 6)
    without = nearest._moments(points)
    clusters = nearest._with_lambda(points, without)
    found = np.asarray(clusters.slopes - without.slopes) / 4
    true = [np.linalg.eigvalsh(np.cov(points.rows[labels == c].T, bias=True)).max() for c in range(6)]
    assert (found >= np.array(true) * (1 - 1e-5)).all()
    assert (found <= np.array(true) * 1.5).all()


def test_weights_are_repetitions(ahead):
    x, labels = test_silhouette.clusters(n=80)
    weights = np.random.default_rng(1).integers(0, 4, 80)
    labels[labels == 2] = 1  # an empty one
    repeated = np.repeat(np.arange(80), weights)
    np.testing.assert_allclose(
        cj.silhouette_score(x, labels, weights=weights), cj.silhouette_score(x[repeated], labels[repeated]), rtol=1e-5
    )
    assert len(ahead) == 2


def test_mahalanobis(ahead):
    x, labels = test_silhouette.clusters(n=80)
    matrix = np.array([[2.0, 0.5, 0], [0.5, 1, 0], [0, 0, 5]])

    def score(matrix):
        return cj.silhouette_score(x, labels, metric=mahalanobis(covariance=matrix), num_clusters=4)

    np.testing.assert_allclose(score(matrix), jax.jit(score)(matrix), rtol=1e-5)
    np.testing.assert_allclose(jax.grad(score)(matrix), jax.jit(jax.grad(score))(matrix), rtol=1e-3, atol=1e-6)
    assert None not in ahead


@pytest.mark.parametrize("d", [3, 20])
def test_gradient_is_that_of_all_pairs(ahead, d):
    x, labels = test_silhouette.clusters(n=90, d=d)
    score = partial(cj.silhouette_score, labels=labels, num_clusters=4)
    gradient = jax.grad(score)(x)
    np.testing.assert_allclose(gradient, jax.jit(jax.grad(score))(x), rtol=1e-4, atol=1e-7)
    tangent = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    np.testing.assert_allclose(jax.jvp(score, (x,), (tangent,))[1], (gradient * tangent).sum(), rtol=1e-4)
    assert len(ahead) == 2  # and not in the trace
    assert None not in ahead


def test_what_is_not_known_or_not_finite_is_left_to_all_pairs(ahead):
    x, labels = test_silhouette.clusters()
    assert nearest.nearest_ahead(x, labels, None, None, resolve("manhattan"), 4) is None
    assert not ahead
    jax.jit(partial(cj.silhouette_score, num_clusters=4))(x, labels)
    jax.jit(lambda x: cj.silhouette_score(x, labels, num_clusters=4))(x)
    jax.vmap(lambda x: cj.silhouette_score(x, labels, num_clusters=4))(x[None])
    assert not ahead
    assert np.isnan(cj.silhouette_score(np.where(x == x[3], np.nan, x), labels))
    assert ahead == [None]


def test_labels_that_have_nothing_to_do_with_the_data_are_left_to_all_pairs(monkeypatch):
    asked = []
    monkeypatch.setattr(nearest, "WORTH", 0)
    monkeypatch.setattr(nearest, "distance_sums", lambda *_: asked.append(1))
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(3000, 40)).astype(np.float32), rng.integers(0, 10, 3000)
    assert np.isfinite(cj.silhouette_score(x, labels))
    assert not asked


def test_small_data_are_left_to_all_pairs(monkeypatch):
    monkeypatch.setattr(nearest, "_find", lambda *_: 1 / 0)
    x, labels = test_silhouette.clusters()
    assert np.isfinite(cj.silhouette_score(x, labels))


def test_clusters_larger_than_a_tile_and_far_fewer_points_than_one(ahead, monkeypatch):
    x, labels = test_silhouette.clusters(n=700, k=3, d=9)
    expected = np.asarray(jax.jit(partial(cj.silhouette_samples, num_clusters=5))(x, labels))
    monkeypatch.setattr(some_pairs, "WIDTH", 16)
    monkeypatch.setattr(some_pairs, "MEMBERS", 40)
    monkeypatch.setattr(some_pairs, "DISTANCES", (1, 5 * 16 * 40))
    monkeypatch.setattr(nearest, "BOUNDS", 100)
    np.testing.assert_allclose(cj.silhouette_samples(x, labels, num_clusters=5), expected, atol=2e-6)
    gradient = jax.grad(partial(cj.silhouette_score, labels=labels, num_clusters=5))
    np.testing.assert_allclose(gradient(x), jax.jit(gradient)(x), rtol=1e-3, atol=1e-7)


def test_another_number_of_masked_points_compiles_nothing(ahead):
    x, labels = test_silhouette.clusters(n=300)

    def both(where):
        score = partial(cj.silhouette_score, labels=labels, num_clusters=4, where=where)
        return jax.value_and_grad(score)(jnp.asarray(x))

    both(np.arange(300) % 7 > 0)
    with test_contract.count_compilations() as compiled:
        both(np.arange(300) % 5 > 0)
    assert not compiled


def test_the_silhouettes_of_a_sweep(ahead, monkeypatch):
    x, _ = test_silhouette.clusters(n=150, k=8, d=5)
    where = np.arange(150) % 9 > 0
    options = {"ks": (2, 3, 9), "num_restarts": 2, "where": where}
    found = cj.sweep_k(jax.random.key(0), x, **options)
    assert len(ahead) == 3
    monkeypatch.setattr(nearest, "WORTH", np.inf)
    np.testing.assert_allclose(
        found.indices["silhouette"], cj.sweep_k(jax.random.key(0), x, **options).indices["silhouette"], atol=1e-6
    )
    assert len(ahead) == 3


def test_few_clusters_of_a_sweep_share_their_distances():
    x, _ = test_silhouette.clusters(n=6000, k=3, d=200)
    labels = np.arange(6000) % 3
    found = nearest.nearest_ahead(x, labels, None, None, resolve("euclidean"), 3, all_pairs=1e6)
    assert found is None
