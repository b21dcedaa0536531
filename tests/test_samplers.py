"""Batches: what is in them, how often, and what cannot be drawn."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clusterjax.samplers import sample_balanced, sample_classes

SIZES = [2, 9, 4, 0, 6]
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(5), SIZES))
KEYS = jax.random.split(jax.random.key(0), 3000)


def test_a_batch_of_classes_holds_different_points_of_different_classes_evenly():
    where = np.arange(21) != np.flatnonzero(LABELS == 4)[0]
    draw = partial(sample_classes, labels=LABELS, classes=2, points=4, where=where, num_clusters=5)
    rows = np.asarray(jax.vmap(draw)(KEYS))
    drawn = LABELS[rows].reshape(-1, 2, 4)
    assert (drawn == drawn[:, :, :1]).all()
    assert (drawn[:, 0, 0] != drawn[:, 1, 0]).all()
    assert all(len(set(row)) == 8 for row in rows)
    assert where[rows].all()
    # 3 classes of 4 points or more; 5 standard errors of a share
    times = np.bincount(drawn[:, :, 0].ravel(), minlength=5) / 3000
    np.testing.assert_allclose(times, [0, 2 / 3, 2 / 3, 0, 2 / 3], atol=5 * (2 / 9 / 3000) ** 0.5)
    nine = np.bincount(rows[LABELS[rows] == 1], minlength=21)[LABELS == 1]
    np.testing.assert_allclose(nine / nine.sum(), 1 / 9, atol=5 * (8 / 81 / nine.sum()) ** 0.5)


def test_a_balanced_batch_has_every_class_as_often():
    labels = np.where(np.arange(21) == 3, -1, LABELS)
    rows = np.asarray(sample_balanced(jax.random.key(1), labels, size=20_000))
    share = np.bincount(labels[rows], minlength=5) / 20_000
    np.testing.assert_allclose(share[[0, 1, 2, 4]], 1 / 4, atol=5 * (3 / 16 / 20_000) ** 0.5)
    assert 3 not in rows
    within = np.bincount(rows[labels[rows] == 4])[labels == 4]
    np.testing.assert_allclose(within / within.sum(), 1 / len(within), atol=0.03)


@pytest.mark.parametrize("draw", [partial(sample_classes, classes=2, points=3), partial(sample_balanced, size=6)])
def test_the_same_key_the_same_batch_traced_or_not(draw):
    rows = draw(KEYS[0], LABELS)
    np.testing.assert_array_equal(rows, draw(KEYS[0], jnp.asarray(LABELS)))
    traced = jax.jit(partial(draw, num_clusters=5))
    np.testing.assert_array_equal(rows, traced(KEYS[0], LABELS))
    assert (np.asarray(traced(KEYS[0], LABELS + 1)) == -1).all()
    assert (np.asarray(traced(KEYS[0], 0 * LABELS - 1)) == -1).all()
    assert rows.shape == (6,)
    with pytest.raises(ValueError, match="num_clusters="):
        jax.jit(draw)(KEYS[0], LABELS)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"classes=3 is more than the 2 classes with 5 points or more"):
        sample_classes(KEYS[0], LABELS, classes=3, points=5)
    with pytest.raises(ValueError, match="points must be at least 1"):
        sample_classes(KEYS[0], LABELS, classes=3, points=0)
    for labels in (np.full(4, -1), np.zeros(0, int)):
        with pytest.raises(ValueError, match="there are no points"):
            sample_balanced(KEYS[0], labels, size=3)
