"""A sample of silhouettes: each exact, the interval around their mean honest; and what an exact score will take."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_silhouette
from numpy.testing import assert_allclose, assert_array_equal

import clusterjax as cj
from clusterjax.indices import estimate

KEY = jax.random.key(0)


def largest(a, b):
    return jnp.abs(a - b).max()


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan", "precomputed", largest])
def test_each_of_the_sample_is_exact(metric, monkeypatch):
    monkeypatch.setattr(estimate, "BLOCK", 40 * 7)  # several blocks, the last one not full
    x, labels = test_silhouette.clusters(n=150, d=6)
    x = cj.pairwise_distances(x) if metric == "precomputed" else x
    where = np.arange(150) % 6 > 0
    found = cj.silhouette_estimate(KEY, x, labels, num_points=40, where=where, num_clusters=7, metric=metric)
    exact = cj.silhouette_samples(x, labels, where=where, num_clusters=7, metric=metric)
    assert len(set(np.asarray(found.points).tolist())) == 40
    assert where[found.points].all()
    assert_allclose(found.samples, exact[found.points], atol=1e-5)
    assert_allclose(found.score, exact[found.points].mean(), atol=1e-5)


def test_of_all_points_it_is_the_score_without_an_error():
    x, labels = test_silhouette.clusters(n=90)
    where = np.arange(90) % 4 > 0
    found = cj.silhouette_estimate(KEY, x, labels, where=where)
    assert_allclose(found.score, cj.silhouette_score(x, labels, where=where), rtol=1e-5)
    assert found.standard_error == 0
    assert_array_equal(np.sort(found.points), np.flatnonzero(where))


def test_clusters_have_their_shares_of_the_sample():
    x, labels = test_silhouette.clusters(n=400)
    found = cj.silhouette_estimate(KEY, x, labels, num_points=80)
    drawn = np.bincount(labels[np.asarray(found.points)], minlength=4)
    assert np.abs(drawn - np.bincount(labels) * 80 / 400).max() <= 1


def test_the_interval_covers_the_score_as_often_as_it_says():
    x, labels = test_silhouette.clusters(n=1000, k=6)
    exact = float(cj.silhouette_score(x, labels))
    draw = jax.jit(lambda key: cj.silhouette_estimate(key, x, labels, num_points=60)[:2])
    score, error = jax.lax.map(draw, jax.random.split(KEY, 1000))
    assert abs(float(score.mean()) - exact) < 4 * float(score.std()) / np.sqrt(1000)  # no bias
    assert 0.9 < float(score.std()) / float(jnp.sqrt(jnp.square(error).mean())) < 1.1
    covered = float((jnp.abs(score - exact) <= 1.96 * error).mean())
    assert 0.92 < covered < 0.975  # of 1 000 draws: four standard errors around 0.95 at the most


def test_another_key_draws_others_and_the_same_one_the_same():
    x, labels = test_silhouette.clusters(n=300)
    draw = partial(cj.silhouette_estimate, x=x, labels=labels, num_points=50)
    assert_array_equal(draw(KEY).points, draw(KEY).points)
    assert not np.array_equal(draw(KEY).points, draw(jax.random.key(1)).points)


def test_under_jit_and_vmap():
    x, labels = test_silhouette.clusters(n=120)
    draw = partial(cj.silhouette_estimate, num_points=30, num_clusters=4)
    assert_allclose(jax.jit(draw)(KEY, x, labels).samples, draw(KEY, x, labels).samples, rtol=1e-5)
    keys = jax.random.split(KEY, 3)
    many = jax.vmap(lambda key: draw(key, x, labels))(keys)
    for i in range(3):
        assert_array_equal(many.points[i], draw(keys[i], x, labels).points)


def test_undefined_is_an_error_where_it_is_known_and_nan_where_it_is_traced():
    x = np.arange(6.0)[:, None]
    with pytest.raises(ValueError, match="compares at least 2 clusters"):
        cj.silhouette_estimate(KEY, x, np.zeros(6, int))
    with pytest.raises(ValueError, match="num_points must be at least 2"):
        cj.silhouette_estimate(KEY, x, np.arange(6) // 3, num_points=1)
    traced = jax.jit(partial(cj.silhouette_estimate, num_clusters=2))(KEY, x, np.zeros(6, int))
    assert np.isnan(traced.score)
    assert np.isnan(traced.samples).all()
    spoilt = np.where(x == 2, np.nan, x)
    assert np.isnan(cj.silhouette_estimate(KEY, spoilt, np.arange(6) // 3).score)


def test_costs_grow_as_they_should():
    small, large = cj.silhouette_cost(10_000, 64, 10), cj.silhouette_cost(1_000_000, 64, 1_000)
    assert 1_000 < large.all_pairs_seconds / small.all_pairs_seconds < 100_000
    assert 0 < large.by_bounds_seconds < large.all_pairs_seconds / 10
    with pytest.raises(ValueError, match="n must be at least 1"):
        cj.silhouette_cost(0, 1, 1)


def test_a_trace_with_fewer_points_than_are_asked_for_takes_all():
    x, labels = test_silhouette.clusters(n=30)
    labels = np.where(np.arange(30) < 12, labels % 2, -1)
    found = jax.jit(lambda labels: cj.silhouette_estimate(KEY, x, labels, num_points=20, num_clusters=2))(labels)
    assert_array_equal(np.sort(found.points), [-1] * 8 + list(range(12)))
    assert_allclose(found.score, cj.silhouette_score(x, labels), rtol=1e-5)
    assert found.standard_error == 0
    assert np.isnan(found.samples[np.asarray(found.points) < 0]).all()
