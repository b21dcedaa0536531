"""Few-shot evaluation against episodes re-evaluated by NumPy loops, and the sampler against what an episode is."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from clusterjax import fewshot
from clusterjax.fewshot import episodes as drawing
from clusterjax.fewshot import evaluation

KEY = jax.random.key(7)
DRAW: dict[str, Any] = {"way": 3, "shot": 1, "queries": 2, "num_episodes": 50}


def equal_classes(num_classes: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(num_classes), size))


def accuracy_by_loops(x, support, query, distance) -> list[float]:
    accuracies = []
    for episode_support, episode_query in zip(np.asarray(support), np.asarray(query), strict=True):
        centres = [np.mean([x[row] for row in rows], axis=0) for rows in episode_support]
        scores = []
        for own, rows in enumerate(episode_query):
            for row in rows:
                distances = [distance(x[row], centre) for centre in centres]
                nearest = [c for c, value in enumerate(distances) if value == min(distances)]
                scores.append(1 / len(nearest) if own in nearest else 0)
        accuracies.append(sum(scores) / len(scores))
    return accuracies


def most_disjoint_by_search(blocks: tuple[int, ...], way: int) -> int:
    choices = [c for c in itertools.combinations(range(len(blocks)), way) if all(blocks[i] > 0 for i in c)]
    rest = ([b - (i in c) for i, b in enumerate(blocks)] for c in choices)
    return max((1 + most_disjoint_by_search(tuple(sorted(r)), way) for r in rest), default=0)


def check_episodes(episodes, labels, taking_part) -> None:
    """Every episode: `way` different classes, different rows, all of them of their class and none masked."""
    for support, query in zip(np.asarray(episodes.support), np.asarray(episodes.query), strict=True):
        rows = np.concatenate([support, query], axis=1)
        assert rows.min() >= 0
        assert len(set(rows.ravel())) == rows.size
        assert taking_part[rows].all()
        assert (labels[rows] == labels[rows[:, :1]]).all()
        assert len(set(labels[rows[:, 0]])) == len(rows)


@st.composite
def labelled(draw):
    """Labels with empty ids, negative ones and masked rows; one shape for all, so that little is compiled."""
    sizes = draw(
        st.lists(st.sampled_from([0, 3, 4, 5, 9]), min_size=6, max_size=6).filter(lambda s: np.count_nonzero(s) > 2)
    )
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    labels = np.repeat(np.arange(6), sizes)
    labels = np.concatenate([labels, rng.integers(-1, 6, 60 - len(labels))])
    where = np.arange(60) < sum(sizes)
    order = rng.permutation(60)
    labels, where = labels[order], where[order]
    noise = ~where & rng.choice([True, False], 60)  # of the rows that take no part some are masked, some negative
    return np.where(noise, -1, labels), where | noise


@settings(max_examples=20, deadline=None)
@given(labelled(), st.integers(0, 2**31))
def test_independent_episodes_are_episodes(case, seed):
    labels, where = case
    draw: dict[str, Any] = {"way": 3, "shot": 2, "queries": 1, "num_episodes": 7, "num_clusters": 6, "where": where}
    episodes = fewshot.sample_episodes(jax.random.key(seed), labels, **draw)
    assert episodes.support.shape == (7, 3, 2)
    assert episodes.query.shape == (7, 3, 1)
    check_episodes(episodes, labels, where & (labels >= 0))


@settings(max_examples=20, deadline=None)
@given(labelled(), st.integers(0, 2**31))
def test_disjoint_episodes_are_disjoint(case, seed):
    labels, where = case
    part = where & (labels >= 0)
    blocks = np.bincount(labels[part], minlength=6) // 3
    most = most_disjoint_by_search(tuple(sorted(blocks)), 3)
    draw: dict[str, Any] = {"way": 3, "shot": 2, "queries": 1, "num_clusters": 6, "where": where, "replacement": False}
    episodes = fewshot.sample_episodes(jax.random.key(seed), labels, num_episodes=most, **draw)
    check_episodes(episodes, labels, part)
    rows = np.concatenate([np.ravel(a) for a in episodes])
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize(
    ("blocks", "way"), [((3, 1, 1), 2), ((5, 5, 1), 2), ((2, 2, 2, 2), 3), ((4, 1, 1, 1), 2), ((6,), 1)]
)
def test_one_more_disjoint_episode_than_there_are_is_refused(blocks, way):
    labels = np.repeat(np.arange(len(blocks)), np.array(blocks) * 2)
    most = most_disjoint_by_search(blocks, way)
    draw: dict[str, Any] = {"way": way, "shot": 1, "queries": 1, "replacement": False}
    drawing.check(labels, None, None, num_clusters=len(blocks), num_episodes=most, **draw)
    with pytest.raises(ValueError, match=f"num_episodes={most + 1} is more than the {most} disjoint episodes"):
        fewshot.sample_episodes(KEY, labels, num_episodes=most + 1, **draw)


def test_disjoint_episodes_use_classes_evenly():
    labels = equal_classes(10, 40)  # twenty blocks of two each; thirty-three of the two hundred are asked for
    episodes = fewshot.sample_episodes(KEY, labels, way=3, shot=1, queries=1, num_episodes=11, replacement=False)
    uses = np.bincount(labels[np.asarray(episodes.support).ravel()], minlength=10)
    assert_array_equal(np.sort(uses), [3] * 7 + [4] * 3)


def test_every_class_row_and_place_is_equally_likely():
    episodes = fewshot.sample_episodes(KEY, np.repeat(np.arange(5), 6), way=3, shot=2, queries=2, num_episodes=20_000)
    rows = np.concatenate(episodes, axis=2)  # e, way, shot + queries
    for place in itertools.product(range(3), range(4)):
        counts = np.bincount(rows[:, place[0], place[1]], minlength=30)
        assert_allclose(counts / 20_000, 1 / 30, atol=5 * (1 / 30 / 20_000) ** 0.5)
    # ordered pairs, both of classes and of the drawings of one class
    pairs = np.bincount(rows[:, 0, 0] // 6 * 5 + rows[:, 2, 0] // 6, minlength=25).reshape(5, 5)
    assert_allclose(pairs / 20_000, (1 - np.eye(5)) / 20, atol=5 * (1 / 20 / 20_000) ** 0.5)
    pairs = np.bincount(rows[:, 0, 0] % 6 * 6 + rows[:, 0, 3] % 6, minlength=36).reshape(6, 6)
    assert_allclose(pairs / 20_000, (1 - np.eye(6)) / 30, atol=5 * (1 / 30 / 20_000) ** 0.5)


@pytest.mark.parametrize("replacement", [True, False])
def test_masked_rows_are_removed_rows(replacement):
    labels = equal_classes(5, 6)
    where = np.ones(30, bool)
    where[[3, 17]] = False
    draw: dict[str, Any] = {
        **DRAW,
        "num_episodes": 50 if replacement else 2,
        "replacement": replacement,
        "num_clusters": 5,
    }
    masked = fewshot.sample_episodes(KEY, labels, where=where, **draw)
    negative = fewshot.sample_episodes(KEY, np.where(where, labels, -1), where=np.ones(30, bool), **draw)
    removed = fewshot.sample_episodes(KEY, labels[where], **draw)
    for a, b, c in zip(masked, negative, removed, strict=True):
        assert_array_equal(a, b)
        assert_array_equal(a, np.flatnonzero(where)[c])


def test_the_first_episodes_do_not_depend_on_how_many_follow():
    few, many = (fewshot.sample_episodes(KEY, equal_classes(5, 6), **{**DRAW, "num_episodes": e}) for e in (50, 70))
    assert_array_equal(few.support, many.support[:50])
    assert_array_equal(few.query, many.query[:50])


@pytest.mark.parametrize(
    "change",
    [{}, {"groups": np.array([2**40, 7, 7, 7, 2**40, 2**40, -1])}, {"replacement": False}],
    ids=["independent", "in groups", "disjoint"],
)
def test_double_precision_draws_the_same_episodes(change):
    labels = equal_classes(7, 12)
    change = {name: value[labels] if name == "groups" else value for name, value in change.items()}
    drawn = []
    for x64 in (False, True):
        with jax.enable_x64(x64):
            drawn.append(fewshot.sample_episodes(jax.random.key(7), labels, **{**DRAW, "num_episodes": 8, **change}))
    assert_array_equal(drawn[0].support, drawn[1].support)
    assert_array_equal(drawn[0].query, drawn[1].query)


def test_keys_decide():
    labels, x = equal_classes(5, 6), np.random.default_rng(1).normal(size=(30, 3))
    a, b, c = (fewshot.evaluate(jax.random.key(s), x, labels, **DRAW) for s in (1, 1, 2))
    assert_array_equal(a.accuracy, b.accuracy)
    assert not np.array_equal(a.accuracy, c.accuracy)


def test_an_episode_stays_in_one_group_that_is_large_enough():
    class_group = np.array([40, 40, 7, 7, 7, 90, 90, 90, 90, -1, -1, -1])  # ids of any size; -1 takes no part
    labels = equal_classes(12, 5)
    groups = class_group[labels]
    episodes = fewshot.sample_episodes(KEY, labels, way=3, shot=1, queries=1, num_episodes=600, groups=groups)
    check_episodes(episodes, labels, groups >= 0)
    drawn = groups[np.asarray(episodes.support)[..., 0]]
    assert (drawn == drawn[:, :1]).all()
    assert set(drawn[:, 0]) == {7, 90}
    assert_allclose(np.mean(drawn[:, 0] == 7), 0.5, atol=0.1)  # groups evenly, whatever their size


@pytest.mark.parametrize("metric", ["squared_euclidean", "manhattan"])
@pytest.mark.parametrize("replacement", [True, False])
def test_evaluate_agrees_with_loops(metric, replacement):
    labels, x = equal_classes(6, 16), np.random.default_rng(3).normal(size=(96, 3)).astype(np.float32)
    x += 0.7 * labels[:, None]
    distance = {"squared_euclidean": lambda a, b: np.sum((a - b) ** 2), "manhattan": lambda a, b: np.abs(a - b).sum()}
    draw: dict[str, Any] = {"way": 4, "shot": 2, "queries": 2, "num_episodes": 6, "replacement": replacement}
    result = fewshot.evaluate(KEY, x, labels, metric=metric, **draw)
    expected = accuracy_by_loops(x, *fewshot.sample_episodes(KEY, labels, **draw), distance[metric])
    assert_allclose(result.accuracy, expected, rtol=1e-6)
    assert_allclose(result.mean, np.mean(expected), rtol=1e-6)
    assert_allclose(result.ci95, stats.t.ppf(0.975, 5) * np.std(expected, ddof=1) / 6**0.5, rtol=1e-5)


def test_ties_count_as_their_share():
    # small integers and two shots: distances are exact, and ties are many
    labels, x = equal_classes(6, 16), np.random.default_rng(3).integers(0, 2, (96, 3)).astype(np.float32)
    draw: dict[str, Any] = {"way": 4, "shot": 2, "queries": 2, "num_episodes": 6}
    result = fewshot.evaluate(KEY, x, labels, metric="manhattan", **draw)
    episodes = fewshot.sample_episodes(KEY, labels, **draw)
    expected = accuracy_by_loops(x, *episodes, lambda a, b: np.abs(a - b).sum())
    assert any(8 * score % 1 > 0.1 for score in expected), "no tie is among them"
    assert_allclose(result.accuracy, expected, rtol=1e-6)


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("value", [0.0, 0.3, -1e4])
def test_a_collapsed_embedding_is_at_chance(metric, value):
    labels, x = equal_classes(7, 6), np.full((42, 5), value, np.float32)
    result = fewshot.evaluate(KEY, x, labels, way=5, shot=3, queries=3, num_episodes=20, metric=metric)
    assert_allclose(result.accuracy, 1 / 5, rtol=1e-6)


def test_perfect_embeddings_score_one_and_random_ones_chance():
    labels, rng = equal_classes(30, 6), np.random.default_rng(5)
    draw: dict[str, Any] = {"way": 5, "shot": 1, "queries": 5, "num_episodes": 1000}
    assert_array_equal(fewshot.evaluate(KEY, rng.normal(size=(30, 8))[labels], labels, **draw).accuracy, 1)
    chance = fewshot.evaluate(KEY, rng.normal(size=(180, 8)), labels, **draw)
    assert_allclose(chance.mean, 0.2, atol=0.02)


def test_one_query_a_class_is_scored_class_by_class():
    labels = np.repeat(np.arange(5), 2)
    result = fewshot.evaluate(KEY, np.eye(5)[labels], labels, way=5, shot=1, queries=1, num_episodes=3)
    assert_array_equal(result.accuracy, 1)


def test_nan_is_never_a_finite_score():
    labels, x = equal_classes(5, 6), np.random.default_rng(1).normal(size=(30, 3))
    x[4] = np.nan
    episodes = fewshot.sample_episodes(KEY, labels, **DRAW)
    drawn = np.concatenate(episodes, axis=2).reshape(50, -1)
    result = fewshot.evaluate(KEY, x, labels, **DRAW)
    assert_array_equal(np.isnan(result.accuracy), (drawn == 4).any(1))
    assert np.isnan(result.mean)
    assert np.isnan(result.ci95)
    assert np.isfinite(fewshot.evaluate(KEY, x, labels, where=np.arange(30) != 4, **DRAW).accuracy).all()


def test_what_is_too_little_is_nan_under_jit():
    x = jnp.ones((12, 2))

    @jax.jit
    def run(labels):
        return (
            fewshot.evaluate(KEY, x, labels, way=3, shot=1, queries=2, num_episodes=4, num_clusters=4).accuracy,
            fewshot.evaluate(
                KEY, x, labels, way=3, shot=1, queries=2, num_episodes=1, num_clusters=4, replacement=False
            ).accuracy,
        )

    for few in (np.repeat([0, 1], 6), np.repeat([0, 1, 2], [7, 3, 2])):  # too few classes; too few drawings in one
        for accuracy in run(few):
            assert_array_equal(accuracy, np.nan)
    for accuracy in run(np.repeat([0, 1, 3], 4)):
        assert_allclose(accuracy, 1 / 3, rtol=1e-6)


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
from clusterjax import fewshot
keys = jax.random.split(jax.random.key(0), 4)
x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 40, 3)), jnp.float32)
labels = jnp.arange(160).reshape(4, 40) % 5
mesh = Mesh(np.array(jax.devices()), ("batch",))
# which of key, data and labels are another on each device
for varies in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)):
    for replacement in (True, False):
        def accuracy(*given):
            key, x, labels = (a if v else a[0] for a, v in zip(given, varies))
            draw = dict(way=2, shot=1, queries=2, num_episodes=3, num_clusters=5, replacement=replacement)
            return fewshot.evaluate(key, x, labels, **draw).accuracy
        axes = [0 if v else None for v in varies]
        over = lambda *given: jax.vmap(accuracy, in_axes=axes, axis_size=len(given[varies.index(1)]))(*given)
        specs = tuple(P("batch") if v else P() for v in varies)
        shared = jax.jit(jax.shard_map(over, mesh=mesh, in_specs=specs, out_specs=P("batch")))
        np.testing.assert_allclose(shared(keys, x, labels), over(keys, x, labels), rtol=1e-6)
print(len(jax.devices()), "devices")
"""


def test_shards_of_several_devices():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    child = subprocess.run([sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True)
    assert child.stdout == "4 devices\n", child.stderr


def num_compiled() -> list[int]:
    return [getattr(function, "_cache_size")() for function in (drawing.sample, evaluation._evaluate)]  # noqa: B009


def test_a_second_call_compiles_nothing():
    labels, x = equal_classes(5, 6), np.random.default_rng(1).normal(size=(30, 3))
    fewshot.evaluate(KEY, x, labels, **DRAW)
    compiled = num_compiled()
    fewshot.evaluate(jax.random.key(8), x + 1, labels[::-1].copy(), **DRAW)
    assert compiled == num_compiled()


def test_paired_difference_is_over_episodes():
    a = fewshot.EpisodeResult(jnp.array([0.5, 0.75, 1.0]), jnp.array(0.75), jnp.array(0.0))
    b = fewshot.EpisodeResult(jnp.array([0.25, 0.75, 0.5]), jnp.array(0.5), jnp.array(0.0))
    difference = fewshot.paired_difference(a, b)
    assert_allclose(difference.mean, 0.25, rtol=1e-6)
    assert_allclose(difference.ci95, stats.t.ppf(0.975, 2) * 0.25 / 3**0.5, rtol=1e-6)  # 0.25, 0, 0.5: sd 0.25
    with pytest.raises(ValueError, match="3 and 2 were given"):
        fewshot.paired_difference(a, b._replace(accuracy=b.accuracy[:2]))


def test_students_quantile_is_scipys():
    freedoms = np.unique(np.geomspace(1, 10_000, 300).astype(int))
    assert_allclose([evaluation._student(int(f)) for f in freedoms], stats.t.ppf(0.975, freedoms), rtol=1e-9)
    assert np.isnan(evaluation._student(0))


@pytest.mark.parametrize("num_episodes", [2, 3, 5, 10, 100])
def test_intervals_of_few_episodes_cover_the_truth_as_often_as_they_say(num_episodes):
    accuracy = 0.7 + 0.1 * jax.random.normal(KEY, (20_000, num_episodes))

    def interval(accuracy):
        nothing = jnp.zeros(())
        a, b = (fewshot.EpisodeResult(values, nothing, nothing) for values in (accuracy, jnp.zeros_like(accuracy)))
        return fewshot.paired_difference(a, b)

    mean, ci95 = jax.vmap(interval)(accuracy)
    covered = np.abs(np.asarray(mean) - 0.7) <= ci95
    assert_allclose(covered.mean(), 0.95, atol=4 * (0.95 * 0.05 / 20_000) ** 0.5)


def test_prototypes_are_class_means():
    rng = np.random.default_rng(2)
    x, labels, where = rng.normal(size=(20, 3)), rng.integers(-1, 4, 20), rng.random(20) < 0.8
    x[~where] = np.nan
    labels[labels == 2] = 3
    x[np.flatnonzero(where & (labels == 1))[0]] = np.nan
    expected = np.full((5, 3), np.nan)
    for k in (0, 3):
        expected[k] = np.mean([row for row, y, part in zip(x, labels, where, strict=True) if part and y == k], axis=0)
    assert_allclose(fewshot.prototypes(x, labels, num_clusters=5, where=where), expected, rtol=1e-5)


@pytest.mark.parametrize("offset", [0, 1e3, 1e6])
def test_prototypes_keep_the_digits_of_many_rows_far_from_the_origin(offset):
    rng, labels = np.random.default_rng(2), np.arange(1_000_000) % 2
    x = (rng.normal(size=(1_000_000, 2)) + offset * np.array([1, -1])[labels][:, None]).astype(np.float32)
    expected = [x[labels == k].mean(0, dtype=float) for k in (0, 1)]  # what was rounded in the data is not ours
    assert_allclose(fewshot.prototypes(x, labels), expected, rtol=1e-7, atol=1e-7)


def test_what_is_not_finite_spoils_its_own_class_and_feature():
    x = np.array([[1, 1], [np.inf, 2], [3, np.nan], [4, 4], [np.inf, -np.inf], [6, 7], [-np.inf, 9]], np.float32)
    labels = np.array([0, 0, 1, 1, -1, 3, 3])
    expected = [[np.inf, 1.5], [3.5, np.nan], [np.nan, np.nan], [-np.inf, 8]]
    assert_array_equal(fewshot.prototypes(x, labels), expected)


def test_the_gradient_of_prototypes_is_that_of_means():
    x, labels = np.random.default_rng(2).normal(size=(5, 2)).astype(np.float32), np.array([0, 0, 1, 0, -1])
    x[4] = np.nan
    reverse = jax.jacrev(fewshot.prototypes)(x, labels, num_clusters=2)
    shares = np.array([[1 / 3, 1 / 3, 0, 1 / 3, 0], [0, 0, 1, 0, 0]])
    assert_allclose(reverse, np.einsum("kn,de->kdne", shares, np.eye(2)), rtol=1e-6)
    assert_allclose(jax.jacfwd(fewshot.prototypes)(x, labels, num_clusters=2), reverse, rtol=1e-6)


def test_prototypes_of_no_data_are_those_of_empty_classes():
    assert_array_equal(fewshot.prototypes(np.zeros((0, 3)), np.zeros(0, int), num_clusters=2), np.full((2, 3), np.nan))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"way": 0}, "way must be at least 1, not 0"),
        ({"queries": 0}, "queries must be at least 1, not 0"),
        ({"way": 8}, "way=8 is more than the 6 classes there are"),
        ({"num_clusters": 9, "way": 8}, "way=8 is more than the 6 classes that have members"),
        ({"shot": 3, "queries": 5}, "shot + queries = 8 is more than the 7 drawings of class 5"),
        ({"groups": np.arange(47) % 2}, "every class must be in one group"),
        ({"groups": np.minimum(np.arange(47) // 16, 2)}, "way=3 is more than the 2 classes of the largest group"),
        ({"groups": np.zeros(47, int), "replacement": False}, "evaluate each group apart"),
        ({"replacement": False, "num_episodes": 9}, "num_episodes=9 is more than the 4 disjoint episodes"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(change, sentence):
    labels = np.repeat(np.arange(6), [8, 8, 8, 8, 8, 7])
    with pytest.raises(ValueError, match=re.escape(sentence)):
        fewshot.sample_episodes(KEY, labels, **{**DRAW, "num_episodes": 4, **change})


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ["way", "shot", "queries", "num_episodes"])
@pytest.mark.parametrize("value", [2.0, np.float32(2), True, np.True_, "2", None])
def test_a_count_that_is_no_integer_is_refused_by_name(name, value):
    with pytest.raises(TypeError, match=re.escape(f"{name} must be an integer, not {value!r}")):
        fewshot.evaluate(KEY, np.zeros((30, 2)), equal_classes(5, 6), **{**DRAW, name: value})


def test_counts_may_be_integers_of_numpy_or_jax():
    labels = equal_classes(5, 6)
    kinds = (np.int64, np.uint8, jnp.int32, np.array)
    given: dict[str, Any] = {name: kind(DRAW[name]) for name, kind in zip(DRAW, kinds, strict=True)}
    assert_array_equal(
        fewshot.sample_episodes(KEY, labels, **given).query, fewshot.sample_episodes(KEY, labels, **DRAW).query
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("groups", "error", "sentence"),
    [
        (np.zeros(7, int), ValueError, "groups must have the shape of labels, (30,), not (7,)"),
        (np.zeros((30, 1), int), ValueError, "groups must have the shape of labels, (30,), not (30, 1)"),
        (np.zeros(30), TypeError, "groups must be integers, not float64"),
        (np.zeros(30, bool), TypeError, "groups must be integers, not bool"),
        (["Greek"] * 30, TypeError, "groups must be integers, not <U5"),
    ],
)
def test_groups_that_are_none_are_refused_in_a_sentence(groups, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        fewshot.sample_episodes(KEY, equal_classes(5, 6), groups=groups, **DRAW)


@pytest.mark.usefixtures("unchecked")
def test_groups_are_ids_of_any_kind_and_size():
    labels = equal_classes(12, 5)
    few = np.repeat([0, 1, 2, -1], 3)[labels]
    wide = np.where(few > 0, few * 2**32, few)  # 0 in their lower 32 bits
    expected = fewshot.sample_episodes(KEY, labels, groups=few, **DRAW)
    positive = labels[few >= 0], few[few >= 0]
    kinds: list[Any] = [wide, list(few), few.astype(np.int8), jnp.asarray(few)]
    for groups in kinds:
        assert_array_equal(fewshot.sample_episodes(KEY, labels, groups=groups, **DRAW).query, expected.query)
    expected = fewshot.sample_episodes(KEY, positive[0], groups=positive[1], **DRAW)
    for groups in (positive[1].astype(np.uint64) << 40, positive[1].astype(np.uint8)):
        assert_array_equal(fewshot.sample_episodes(KEY, positive[0], groups=groups, **DRAW).query, expected.query)


def test_traced_groups_draw_what_known_ones_do():
    labels = equal_classes(12, 5)
    groups = np.repeat([40, 7, 90, -1], 3)[labels]
    traced = jax.jit(lambda groups: fewshot.sample_episodes(KEY, labels, groups=groups, **DRAW))(groups)
    assert_array_equal(traced.query, fewshot.sample_episodes(KEY, labels, groups=groups, **DRAW).query)


@pytest.mark.parametrize("replacement", [True, False])
def test_traced_labels_out_of_range_draw_nothing(replacement):
    labels = equal_classes(6, 10)
    x = np.ones((len(labels), 2), np.float32)

    @jax.jit
    def run(labels):
        known = {**DRAW, "num_episodes": 4, "replacement": replacement, "num_clusters": 6}
        episodes = fewshot.sample_episodes(KEY, labels, **known)
        return episodes, fewshot.evaluate(KEY, x, labels, **known), fewshot.prototypes(x, labels, num_clusters=6)

    episodes, result, means = run(labels)
    assert (episodes.query >= 0).all()
    assert np.isfinite(result.accuracy).all()
    assert np.isfinite(means).all()
    labels[0] = 6
    episodes, result, means = run(labels)
    assert (episodes.support == -1).all()
    assert (episodes.query == -1).all()
    assert np.isnan(result.accuracy).all()
    assert np.isnan(means).all()


@pytest.mark.parametrize("way", [1, 3])
@pytest.mark.parametrize("change", [{}, {"num_clusters": 4}, {"replacement": False}, {"groups": np.zeros(0, int)}])
@pytest.mark.parametrize("compiled", [False, True])
def test_no_data_are_too_few_classes(way, change, compiled):
    def run(x, labels):
        known = {"num_clusters": 4} if compiled else {}
        return fewshot.evaluate(KEY, x, labels, **{**DRAW, "way": way, **known, **change})

    with pytest.raises(ValueError, match=f"way={way} is more than the 0 classes that have members: there are no data"):
        (jax.jit(run) if compiled else run)(np.zeros((0, 3)), np.zeros(0, int))


@pytest.mark.parametrize("metric", ["squared_euclidean", "euclidean", "cosine", "manhattan"])
def test_points_without_features_are_at_chance(metric):
    result = fewshot.evaluate(KEY, np.zeros((30, 0)), equal_classes(5, 6), metric=metric, **DRAW)
    assert_allclose(result.accuracy, 1 / 3, rtol=1e-6)


def test_precomputed_distances_have_no_prototypes():
    with pytest.raises(ValueError, match="cannot be 'precomputed'"):
        fewshot.evaluate(KEY, np.eye(12), np.repeat([0, 1], 6), way=2, shot=1, queries=2, metric="precomputed")


@pytest.mark.parametrize("scale", [1e-20, 1e20])
@pytest.mark.parametrize("metric", ["euclidean", "squared_euclidean", "manhattan"])
def test_scale_changes_nothing(metric, scale):
    x, labels = np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32), equal_classes(6, 10)
    ours, other = (fewshot.evaluate(KEY, x * np.float32(s), labels, metric=metric, **DRAW) for s in (1, scale))
    assert_allclose(other.accuracy, ours.accuracy, atol=1e-6)
    assert 0.2 < ours.mean < 0.6
