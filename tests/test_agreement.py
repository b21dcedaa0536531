"""What every measure of agreement keeps; a new one joins by being in `agreement.__all__`."""

import doctest
import importlib
import inspect
import io
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_contract import count_compilations, same

from clusterjax import agreement

N, R, K = 24, 3, 4

PUBLIC = {name: f for name, f in vars(agreement).items() if name in agreement.__all__ and inspect.isfunction(f)}
MEASURES = {name: f for name, f in PUBLIC.items() if name != "pair_score"}
# one that is symmetric and one that is not; all of them are in tests/test_agreement_values.py
MEASURES |= {kind: partial(agreement.pair_score, kind=kind) for kind in ("hubert", "mcnemar")}
every = pytest.mark.parametrize("function", MEASURES.values(), ids=MEASURES)
EXCHANGED = {
    "pair_counts": lambda c: c._replace(only_true=c.only_pred, only_pred=c.only_true),
    "pair_f_score": lambda p: p._replace(precision=p.recall, recall=p.precision),
    "bcubed_score": lambda p: p._replace(precision=p.recall, recall=p.precision),
    "homogeneity_completeness_v_measure": lambda v: v._replace(homogeneity=v.completeness, completeness=v.homogeneity),
}
ONE_SIDED = {"purity_score", "homogeneity_score", "completeness_score", "mcnemar"}


def data(seed=0):
    rng = np.random.default_rng(seed)
    classes = np.arange(N, dtype=np.int32) % R
    clusters = np.where(rng.random(N) < 0.5, rng.integers(K, size=N), classes).astype(np.int32)
    clusters[:K] = np.arange(K)
    return classes, clusters


def sized(function):
    """With its numbers, as a trace needs them."""
    return partial(function, num_classes=R, num_clusters=K)


@pytest.mark.parametrize("function", PUBLIC.values(), ids=PUBLIC)
def test_docstring_says_all_of_it(function):
    text = inspect.getdoc(function) or ""
    for part in ("Args:", "Returns:", "Raises:", "Examples:", ">>>", "Source:", "NaN"):
        assert part in text, f"no {part}"
    parameters = inspect.signature(function).parameters
    assert list(parameters)[:5] == ["labels_true", "labels_pred", "num_classes", "num_clusters", "where"]
    for number, (name, parameter) in enumerate(parameters.items()):
        assert f"{name}:" in text
        assert (parameter.kind is parameter.KEYWORD_ONLY) == (number > 1)


@pytest.mark.parametrize("function", PUBLIC.values(), ids=PUBLIC)
def test_the_example_of_a_docstring_runs(function):
    examples = doctest.DocTestParser().get_doctest(
        function.__doc__, dict(vars(importlib.import_module(function.__module__))), function.__name__, None, None
    )
    assert examples.examples
    failed = io.StringIO()
    doctest.DocTestRunner().run(examples, out=failed.write)
    assert not failed.getvalue(), failed.getvalue()


@every
def test_jit_changes_nothing(function):
    for leaf in jax.tree.leaves(function(*data())):
        assert leaf.shape == ()
        assert leaf.dtype == np.float32
        assert np.isfinite(leaf)
    same(jax.jit(sized(function))(*data()), function(*data()), 1e-6)


@every
def test_vmap_is_a_loop(function):
    batches = [data(seed) for seed in range(3)]
    together = jax.vmap(sized(function))(*(jnp.stack(arrays) for arrays in zip(*batches, strict=True)))
    for i, labelings in enumerate(batches):
        same(jax.tree.map(lambda a, i=i: a[i], together), function(*labelings), 1e-6)


@every
def test_masked_and_negative_are_removed(function):
    classes, clusters = data()
    kept = np.arange(N) % 5 != 2
    expected = function(classes[kept], clusters[kept])
    spoilt = np.where(kept, clusters, 99)  # out of range
    same(function(classes, spoilt, where=kept), expected, 1e-6)
    same(function(np.where(kept, classes, -1), spoilt), expected, 1e-6)
    same(function(classes, np.where(kept, clusters, -7)), expected, 1e-6)
    for either in (sized(function), jax.jit(sized(function))):
        same(either(np.where(kept, classes, -1), spoilt, where=clusters > -1), expected, 1e-6)


@every
def test_names_and_empty_ids_do_not_matter(function):
    classes, clusters = data()
    expected = function(classes, clusters)
    swapped = np.array([2, 0, 1], np.int32)[classes], np.array([1, 3, 0, 2], np.int32)[clusters]
    same(function(*swapped), expected, 1e-6)
    same(function(classes, clusters, num_classes=R + 2, num_clusters=K + 3), expected, 1e-6)
    same(function(np.array(["ant", "bee", "cow"])[classes], np.int64(10**12) * clusters + 5), expected, 1e-6)
    same(function(classes / 2, ["x" * c for c in clusters]), expected, 1e-6)


@every
def test_exchanged_labelings(function, request):
    name = request.node.callspec.id
    classes, clusters = data()
    there, back = function(classes, clusters), function(clusters, classes)
    if name in ONE_SIDED:
        assert abs(there - back) > 1e-3
    else:
        same(EXCHANGED.get(name, lambda value: value)(back), there, 1e-6)


@every
def test_a_second_call_compiles_nothing(function):
    function(*data())
    with count_compilations() as compiled:
        function(*data(seed=1))
    assert compiled == []


@every
def test_numbers_are_asked_for_where_labels_are_traced(function):
    with pytest.raises(ValueError, match=r"labels_true are traced here.*number of classes.*pass num_classes="):
        jax.jit(partial(function, num_clusters=K))(*data())
    with pytest.raises(ValueError, match=r"labels_pred are traced here.*number of clusters.*pass num_clusters="):
        jax.jit(partial(function, num_classes=R))(*data())


@every
def test_traced_labels_out_of_range_are_nan(function):
    classes, clusters = data()
    jitted = jax.jit(sized(function))
    for spoilt in ((classes + 1, clusters), (classes, clusters + 1)):
        assert all(np.isnan(leaf) for leaf in jax.tree.leaves(jitted(*spoilt, where=classes > -1)))


@every
def test_double_precision(function):
    expected = function(*data())
    with jax.enable_x64(True):
        double = function(*data())
        assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(double))
        same(double, expected, 1e-6)


@pytest.mark.usefixtures("unchecked")
@every
@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda a, b: (a[:-1], b), ValueError, "23 and 24"),
        (lambda a, b: (a[None], b), ValueError, "labels_true must be one-dimensional"),
        (lambda a, b: (a, b[None]), ValueError, "labels_pred must be one-dimensional"),
        (lambda a, b: (a + 1, b), ValueError, "labels_true must be below num_classes=3"),
        (lambda a, b: (a, b + 1), ValueError, "labels_pred must be below num_clusters=4"),
        (lambda a, b: (np.where(a, a, np.nan), b), ValueError, "labels_true hold NaN"),
        (lambda a, b: (a, [None, "a"] * (N // 2)), TypeError, "cannot be sorted"),
    ],
    ids=["lengths", "classes 2d", "clusters 2d", "class too large", "cluster too large", "NaN", "None"],
)
def test_bad_input_gets_a_sentence(function, change, error, says):
    with pytest.raises(error, match=says):
        sized(function)(*change(*data()))


def test_bad_options_and_traced_floats_get_a_sentence():
    with pytest.raises(TypeError, match="labels_pred must be integers"):
        jax.jit(sized(agreement.rand_score))(data()[0], data()[1] / 2)
    with pytest.raises(ValueError, match="average must be one of"):
        agreement.normalized_mutual_info_score(*data(), average="mean")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="kind must be one of"):
        agreement.pair_score(*data(), kind="rand")  # pyright: ignore[reportArgumentType]
    for function in (agreement.v_measure_score, agreement.pair_f_score, agreement.bcubed_score):
        with pytest.raises(ValueError, match="beta must be at least 0"):
            function(*data(), beta=-1.0)
    with pytest.raises(ValueError, match="too large"):
        agreement.rand_score([0, 1], [0, 1], num_classes=2**20, num_clusters=2**20)


def test_masked_names_may_be_anything():
    kept = np.arange(N) % 5 != 2
    classes, clusters = data()
    for spoilt in (np.where(kept, classes, np.nan), np.where(kept, classes, -0.5)):
        ours = agreement.adjusted_rand_score(spoilt, clusters, where=kept)
        np.testing.assert_allclose(ours, agreement.adjusted_rand_score(classes[kept], clusters[kept]), rtol=1e-6)
    assert agreement.rand_score(np.array([True, False, True]), [1, 0, 1]) == 1
    assert agreement.rand_score(np.array([7, 8, 7], object), np.array([2**63, 5, 2**63], np.uint64)) == 1
