"""The gap statistic: its formula against loops, its numbers against R's clusGap, what it finds on planted data."""

import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from clusterjax.selection import gap, gap_statistic, max_se
from clusterjax.selection.candidates import groups
from clusterjax.selection.gap import _curves

VALUES = Path(__file__).parent / "values"
R = json.loads((VALUES / "clus_gap.json").read_text())
RULES = ("firstSEmax", "tibshirani", "globalSEmax", "firstmax", "globalmax")


def blobs(k=3, size=15, d=2, seed=0, apart=12):
    """Clusters that no k-means can miss."""
    rng = np.random.default_rng(seed)
    x = apart * np.eye(k, d)[np.arange(k).repeat(size)] * (1 + np.arange(k).repeat(size))[:, None]
    return (x + rng.normal(size=(k * size, d))).astype(np.float32)


def dispersion(x, labels, power, weighted=False):
    """W by its definition, pair by pair."""
    total = 0.0
    for r in set(labels[labels >= 0]):
        rows = x[labels == r].astype(float)
        d = sum(np.linalg.norm(a - b) ** power for a in rows for b in rows)
        n = len(rows)
        total += (d / (2 * n * (n - 1)) if n > 1 else 0) if weighted else d / (2 * n)
    return total


@pytest.mark.parametrize("numbers", [n for sets in R.values() for n in sets.values()])
def test_the_rules_read_what_r_reads(numbers):
    assert [max_se(numbers["gap"], numbers["SE"], rule=rule) for rule in RULES] == numbers["best"]


@pytest.mark.parametrize(
    ("data", "r_reference", "reference", "power"),
    [("ruspini", "original", "uniform", 1), ("iris", "scaledPCA", "pca", 2)],
)
def test_r_agrees_within_the_error_of_both_simulations(data, r_reference, reference, power):
    theirs = {name: np.array(R[data][f"{r_reference}_p{power}"][name])[:7] for name in ("logW", "E.logW", "SE")}
    x = np.array(json.loads((VALUES / f"{data}.json").read_text())["x"])
    ours = gap_statistic(
        jax.random.key(1), x, max_clusters=7, reference=reference, power=power, num_references=60, num_restarts=40
    )
    assert_allclose(np.asarray(ours.log_w) - np.log(2), theirs["logW"], atol=2e-4)  # R's W is half of the paper's
    sd = theirs["SE"] / (1 + 1 / 200) ** 0.5
    error = sd * (1 / 60 + 1 / 200) ** 0.5
    assert (np.abs(np.asarray(ours.expected_log_w) - np.log(2) - theirs["E.logW"]) < 3.5 * error).all()
    assert_allclose(ours.gap, ours.expected_log_w - ours.log_w, atol=1e-6)
    # an sd of B draws is known to sd / sqrt(2 B)
    assert_allclose(ours.standard_error, sd * (1 + 1 / 60) ** 0.5, rtol=3.5 * (1 / 120 + 1 / 400) ** 0.5)
    assert ours.ks.tolist() == list(range(1, 8))
    if data == "ruspini":
        assert max_se(ours.gap, ours.standard_error) == 4


@pytest.mark.parametrize(("power", "weighting", "logarithm"), [(2, None, False), (1, "weighted", True)])
def test_w_is_its_definition_whatever_masked_rows_hold(power, weighting, logarithm):
    x = 1000 * blobs(d=3) + np.array([5e4, 0, 3e4], np.float32)
    kept = np.arange(45) % 4 != 1
    spoilt = np.where(kept[:, None], x, np.nan).astype(np.float32)
    of = partial(
        gap_statistic, jax.random.key(0), max_clusters=3, num_references=4, num_restarts=1, power=power,
        weighting=weighting, logarithm=logarithm,
    )  # fmt: skip
    ours = of(spoilt, where=kept)
    assert_array_equal(ours.labels[:, ~kept], -1)
    assert [len(set(np.asarray(one)[kept].tolist())) for one in ours.labels] == [1, 2, 3]
    expected = np.array([dispersion(x[kept], np.asarray(one)[kept], power, bool(weighting)) for one in ours.labels])
    assert_allclose(ours.log_w, np.log(expected) if logarithm else expected, rtol=2e-5)


@pytest.mark.parametrize("reference", ["pca", "uniform", "sphere"])
def test_references_are_drawn_where_they_should_be_and_masked_is_removed(reference):
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
    x = (rng.normal(size=(400, 3)) * [9, 3, 1] @ turn.T).astype(np.float32)
    kept = np.arange(400) % 4 != 1
    metric = "cosine" if reference == "sphere" else "euclidean"
    spoilt = jnp.where(kept[:, None], x, 0)
    drawn = gap._references(spoilt, jnp.asarray(kept), reference, metric)(jax.random.key(0))
    removed = gap._references(jnp.asarray(x[kept]), jnp.ones(300, bool), reference, metric)(jax.random.key(0))
    assert_allclose(np.asarray(drawn)[kept], removed, atol=1e-4)
    if reference == "sphere":
        assert_allclose(np.linalg.norm(removed, axis=1), 1, rtol=1e-5)
        assert_allclose(np.mean(removed, 0), 0, atol=5 / (3 * 300) ** 0.5)
        return
    axes = np.linalg.svd(x[kept] - x[kept].mean(0))[2].T if reference == "pca" else np.eye(3)
    along, ours = x[kept] @ axes, np.asarray(removed) @ axes
    low, high = along.min(0), along.max(0)
    assert (ours >= low - 1e-4).all()
    assert (ours <= high + 1e-4).all()
    share = (ours - low) / (high - low)
    assert_allclose(share.mean(0), 0.5, atol=5 / (12 * 300) ** 0.5)
    assert_allclose(share.var(0), 1 / 12, atol=5 * (1 / 180 / 300) ** 0.5)


def cache_size(function: Any) -> int:
    return function._cache_size()


# One program for the tests below: their data have one shape.
of_sixty: Any = partial(gap_statistic, max_clusters=6, num_references=30, num_restarts=1, reference="uniform")


def test_planted_clusters_are_found_and_uniform_data_has_none():
    for k in (2, 4):
        found = of_sixty(jax.random.key(k), blobs(k, 60 // k, d=4))
        assert max_se(found.gap, found.standard_error) == k
        own = np.asarray(found.labels[k - 1]).reshape(k, -1)
        assert (own == own[:, :1]).all()
    uniform = [np.random.default_rng(s).uniform(size=(60, 4)).astype(np.float32) for s in range(4)]
    found = [of_sixty(jax.random.key(s), x) for s, x in enumerate(uniform)]
    assert [max_se(f.gap, f.standard_error) for f in found] == [1] * 4


def test_the_key_decides_and_nothing_is_compiled_twice():
    x = blobs(4, d=4)
    first = of_sixty(jax.random.key(0), x)
    before = cache_size(_curves)
    again, other = of_sixty(jax.random.key(0), x), of_sixty(jax.random.key(1), x + 1)
    assert cache_size(_curves) == before
    for a, b in zip(first, again, strict=True):
        assert_array_equal(a, b)
    assert not np.array_equal(first.gap, other.gap)
    assert_allclose(first.log_w[:4], other.log_w[:4], atol=1e-4)
    spoilt = of_sixty(jax.random.key(0), np.where(np.arange(60)[:, None] == 3, np.nan, x).astype(np.float32))
    assert np.isnan(spoilt.gap).all()
    traced = jax.eval_shape(of_sixty, jax.random.key(0), x)
    assert [a.shape for a in traced] == [a.shape for a in first]


def test_directions_on_the_sphere():
    of = partial(gap_statistic, max_clusters=3, num_references=20, num_restarts=1, reference="sphere", metric="cosine")
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(60, 3)) * rng.uniform(1, 9, (60, 1))  # directions of a normal are uniform
        found.append(of(jax.random.key(seed), x.astype(np.float32)))
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        expected = [dispersion(unit, np.asarray(labels), 2) for labels in found[-1].labels]
        assert_allclose(found[-1].log_w, np.log(expected), atol=1e-4)
    assert sum(max_se(f.gap, f.standard_error) == 1 for f in found) >= 5
    assert_allclose(np.mean([f.gap for f in found], 0), 0, atol=3 * np.max(found[0].standard_error) / 6**0.5)


def test_unequal_scales_are_said_and_what_cannot_be_is_refused():
    x = blobs(4, d=4)
    of = partial(of_sixty, jax.random.key(0))
    with pytest.warns(UserWarning, match="scale the features first"):
        of(x * np.array([1, 1000, 1, 1], np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        of(x * np.array([1, 0, 1, 1], np.float32))  # a constant feature has no scale
    with pytest.raises(ValueError, match="61 clusters are more than the 60 points"):
        of(x, max_clusters=61)
    with pytest.raises(ValueError, match="6 clusters are more than the 2 points"):
        of(x, where=np.arange(60) < 2)
    with pytest.raises(ValueError, match="pass metric="):
        of(x, reference="sphere")
    with pytest.raises(ValueError, match="power must be one of 1, 2"):
        of(x, power=3)
    with pytest.raises(ValueError, match="reference must be one of"):
        of(x, reference="normal")
    with pytest.raises(ValueError, match="num_references must be at least 1"):
        of(x, num_references=0)


def test_groups_share_a_program_and_pad_little():
    for ks in (range(1, 11), range(2, 21), range(150, 251, 10), (1, 150, 250)):
        found = groups(tuple(ks))
        assert sum(found, ()) == tuple(ks)
        assert all(group[-1] <= 1.5 * group[0] + 6 for group in found)
    assert groups(tuple(range(2, 21))) == [tuple(range(2, 10)), tuple(range(10, 21))]
