"""What every public function of points and labels keeps; a new one joins by being public.

A function is taken in by its signature: its second parameter is `labels`. Those of another shape stand in `OTHERS`,
each with the reason.
"""

import inspect
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import clusterjax
from clusterjax import losses, retrieval

N, D, K = 24, 3, 3


def data(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(K), N // K)
    return (rng.normal(size=(K, D))[labels] + 0.7 * rng.normal(size=(N, D))).astype(dtype), labels.astype(np.int32)


PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (clusterjax, losses, retrieval)
    for name in module.__all__
    if inspect.isfunction(getattr(module, name)) and not hasattr(clusterjax.agreement, name)  # tests/test_agreement.py
}
OTHERS = {
    "clusterjax.pairwise_distances": "takes no labels; tests/test_distances.py",
    "clusterjax.kmeans": "gives labels; tests/test_clustering_kmeans.py",
    "clusterjax.kmedoids": "gives labels; tests/test_clustering_kmedoids.py",
    "clusterjax.gap_statistic": "clusters by itself; tests/test_selection_gap.py",
    "clusterjax.max_se": "takes a curve; tests/test_selection_rules.py",
    "clusterjax.sweep_k": "clusters by itself; tests/test_selection_sweep.py",
    "clusterjax.suggest_k": "takes a sweep; tests/test_selection_votes.py",
    "clusterjax.silhouette_estimate": "takes a key; tests/test_indices_estimate.py",
    "clusterjax.silhouette_cost": "takes numbers; tests/test_indices_estimate.py",
    "clusterjax.losses.validity_loss": "makes a loss, of some indices here, of all in tests/test_losses_any_index.py",
    "clusterjax.losses.dec_loss": "takes centroids for labels; tests/test_losses_unsupervised.py",
    "clusterjax.losses.combined_loss": "makes a loss of losses; tests/test_losses_any_index.py",
    "clusterjax.losses.pairs_with_gradient": "takes a loss; tests/test_losses_counting.py",
    "clusterjax.soft_silhouette_score": "takes weights for labels; tests/test_silhouette.py",
}


def proxies_for(function, features=D):
    """The class vectors, where a function takes some: K rows, or K by two of them."""
    if "proxies" not in inspect.signature(function).parameters:
        return {}
    several = (2,) if function is losses.soft_triple_loss else ()
    return {"proxies": np.random.default_rng(9).normal(size=(K, *several, features)).astype(np.float32)}


FUNCTIONS = {
    name: partial(function, num_clusters=K, **proxies_for(function))
    for name, function in PUBLIC.items()
    if list(inspect.signature(function).parameters)[1:2] == ["labels"]
}
# the indices themselves are all here: of what is made of them one with two bounds and one with one
FUNCTIONS |= {
    f"clusterjax.losses.validity_loss({name})": partial(losses.validity_loss(name), num_clusters=K)
    for name in ("silhouette", "dunn")
}
every = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
COUNTED = {name: function for name, function in FUNCTIONS.items() if "proxies" not in function.keywords}
every_counted = pytest.mark.parametrize("function", COUNTED.values(), ids=COUNTED.keys())
BY_PROXIES = {name: function for name, function in FUNCTIONS.items() if name not in COUNTED}
by_proxies = pytest.mark.parametrize("function", BY_PROXIES.values(), ids=BY_PROXIES.keys())


def same(ours, theirs, tolerance=1e-5):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def total(function):
    """The sum of all that a function returns in floats: something to take a gradient of."""

    def of(*arguments, **options):
        leaves = jax.tree.leaves(function(*arguments, **options))
        return sum(leaf.sum() for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating))

    return of


def by_point(result, kept):
    """What a function returns, of the points that take part."""
    return jax.tree.map(lambda a: np.asarray(a)[kept] if np.ndim(a) and len(a) == N else a, result)


def test_every_public_function_is_covered_or_named():
    assert {name.partition("(")[0] for name in FUNCTIONS} | OTHERS.keys() == PUBLIC.keys()
    assert len(FUNCTIONS) >= 7


@pytest.mark.parametrize("function", PUBLIC.values(), ids=PUBLIC.keys())
def test_docstring_says_all_of_it(function):
    text = inspect.getdoc(function)
    assert text
    for part in ("Args:", "Returns:", "Raises:", "Examples:", ">>>", "Source:", "NaN"):
        assert part in text, f"no {part}"
    for parameter in inspect.signature(function).parameters:
        assert f"{parameter}:" in text, f"nothing about {parameter}"
    keyword_only = [p.kind == p.KEYWORD_ONLY for p in inspect.signature(function).parameters.values()]
    assert keyword_only == sorted(keyword_only)
    assert keyword_only[-1] or len(keyword_only) == 1 or function is clusterjax.silhouette_cost  # of three numbers


@every
def test_jit_changes_nothing(function):
    x, labels = data()
    same(jax.jit(function)(x, labels), function(x, labels))


@every
def test_vmap_is_a_loop(function):
    batches = [data(seed) for seed in range(3)]
    together = jax.vmap(function)(*(jnp.stack(arrays) for arrays in zip(*batches, strict=True)))
    for i, (x, labels) in enumerate(batches):
        same(jax.tree.map(lambda a, i=i: a[i], together), function(x, labels))


@every
def test_masked_is_removed_whatever_the_row_holds(function):
    x, labels = data()
    kept = np.arange(N) % 5 != 2
    spoilt = np.where(kept[:, None], x, np.nan).astype(np.float32)
    expected = function(x[kept], labels[kept])
    same(by_point(function(spoilt, labels, where=kept), kept), expected)
    same(by_point(function(spoilt, np.where(kept, labels, -1)), kept), expected)


@every
def test_masked_rows_have_zero_gradient_and_spoil_none(function):
    x, labels = data()
    kept = np.arange(N) % 5 != 2
    spoilt = np.where(kept[:, None], x, np.nan).astype(np.float32)
    gradient = np.asarray(jax.grad(total(partial(function, where=kept)))(spoilt, labels))
    np.testing.assert_array_equal(gradient[~kept], 0)
    same(gradient[kept], jax.grad(total(function))(x[kept], labels[kept]), 1e-4)


@every
def test_names_of_clusters_do_not_matter(function):
    x, labels = data()
    swapped = np.array([2, 0, 1], np.int32)[labels]
    renamed = {name: vectors[np.array([1, 2, 0])] for name, vectors in proxies_for(function.func).items()}
    ours, theirs = function(x, labels), function(x, swapped, **renamed)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        if np.shape(a) == (K,):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b)[[2, 0, 1]], rtol=1e-5, atol=1e-6)
        elif jnp.issubdtype(a.dtype, jnp.floating):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        else:  # ids of clusters
            np.testing.assert_array_equal(np.array([2, 0, 1])[np.asarray(a)], b)


@every_counted
def test_empty_clusters_are_skipped(function):
    x, labels = data()
    for a, b in zip(
        jax.tree.leaves(function.func(x, labels, num_clusters=K + 2)), jax.tree.leaves(function(x, labels)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(a)[:K] if np.shape(a) == (K + 2,) else a, b, rtol=1e-5, atol=1e-6)


@every_counted
def test_the_number_of_clusters_is_found_when_labels_are_known_and_asked_for_when_not(function):
    x, labels = data()
    same(function.func(x, labels), function(x, labels))
    with pytest.raises(ValueError, match="num_clusters="):
        jax.jit(function.func)(x, labels)


@by_proxies
def test_proxies_are_as_many_as_clusters_and_rivals_without_members(function):
    x, labels = data()
    vectors = function.keywords["proxies"]
    same(jax.jit(partial(function.func, proxies=vectors))(x, labels), function(x, labels))
    with pytest.raises(ValueError, match="there are proxies of 3 classes"):
        function(x, labels, num_clusters=K + 1)
    with pytest.raises(ValueError, match=r"proxies must be of the shape \[k, "):
        function(x, labels, proxies=vectors[0])
    with pytest.raises(ValueError, match="as many features as the embeddings: they have 2 and 3"):
        function(x, labels, proxies=vectors[..., :2])
    with pytest.raises(ValueError, match="label 2 is out of range"):
        function.func(x, labels, proxies=vectors[:2])
    of_proxies = jax.grad(lambda vectors: function(x[labels < 2], labels[labels < 2], proxies=vectors))(vectors)
    assert np.isfinite(of_proxies).all()
    assert np.abs(of_proxies[2]).max() > 0  # a rival, though it has no members
    assert np.isnan(
        function(x, labels, proxies=np.where(np.arange(vectors.size) == 0, np.nan, 1).reshape(vectors.shape))
    )


@every
def test_kinds_of_numbers(function):
    x, labels = data()
    expected = function(x, labels)
    same(function(jnp.asarray(x, jnp.bfloat16), labels), function(x.astype(jnp.bfloat16).astype(np.float32), labels))
    with jax.enable_x64(True):
        double = function(x.astype(np.float64), labels)
        for a, b in zip(jax.tree.leaves(double), jax.tree.leaves(expected), strict=True):
            if jnp.issubdtype(b.dtype, jnp.floating):
                assert a.dtype == np.float64
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@every
def test_a_second_call_compiles_nothing(function):
    function(*data())
    with jax.log_compiles(False), count_compilations() as compiled:
        function(*data(seed=1))
    assert compiled == []


class count_compilations:
    """What is compiled meanwhile."""

    def __enter__(self):
        self.compiled = []
        self.listen = lambda event, *_, **__: (
            self.compiled.append(event) if event.endswith("backend_compile_duration") else None
        )
        jax.monitoring.register_event_duration_secs_listener(self.listen)
        return self.compiled

    def __exit__(self, *_):
        jax.monitoring.unregister_event_duration_listener(self.listen)


def test_the_count_of_compilations_counts():
    with count_compilations() as compiled:
        jax.jit(lambda x: x * 3 + 1)(jnp.ones(7)).block_until_ready()
    assert compiled


@every
@pytest.mark.parametrize("case", ["duplicates", "all one point", "singletons", "ties"])
def test_gradients_are_finite_at_the_corners(function, case):
    x, labels = data()
    if case == "duplicates":
        x[1], x[9] = x[0], x[0]
    elif case == "all one point":
        x[:] = 1
    elif case == "singletons":
        labels[:] = 0
        labels[0], labels[1] = 1, 2
    else:
        x = np.round(x)
    assert np.isfinite(jax.grad(total(function))(x, labels)).all()


@every
def test_nan_in_nan_out(function):
    x, labels = data()
    x[3, 1] = np.nan
    floats = [a for a in jax.tree.leaves(function(x, labels)) if jnp.issubdtype(a.dtype, jnp.floating)]
    assert any(np.isnan(a).any() for a in floats)
    for scalar in (a for a in floats if np.ndim(a) == 0):
        assert np.isnan(scalar)


@pytest.mark.usefixtures("unchecked")
@every
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda x, labels: (x[:-1], labels), ValueError),
        (lambda x, labels: (x[:, 0], labels), ValueError),
        (lambda x, labels: (x, labels + 1), ValueError),
        (lambda x, labels: (x, labels.astype(np.float32)), TypeError),
    ],
    ids=["lengths differ", "one dimension", "label too large", "labels are floats"],
)
def test_bad_input_gets_a_sentence(function, change, error):
    with pytest.raises(error, match=" "):
        function(*change(*data()))


@every
def test_forward_mode_agrees_with_reverse_mode(function):
    (x, labels), v = data(), data(seed=5)[0]
    of_points = partial(total(function), labels=labels)
    forward = jax.jvp(of_points, (x,), (v,))[1]
    np.testing.assert_allclose(forward, (jax.grad(of_points)(x) * v).sum(), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("unchecked")
@every
@pytest.mark.parametrize("kind", [list, np.uint8, np.int64, np.uint64])
def test_labels_of_any_kind(function, kind):
    x, labels = data()
    given = labels.tolist() if kind is list else labels.astype(kind)
    same(function(x.tolist() if kind is list else x, given), function(x, labels))


@every
def test_traced_labels_out_of_range_are_nan(function):
    x, labels = data()
    floats = [a for a in jax.tree.leaves(jax.jit(function)(x, labels + 1)) if jnp.issubdtype(a.dtype, jnp.floating)]
    assert all(np.isnan(a) for a in floats if np.ndim(a) == 0)
    assert any(np.isnan(a).all() for a in floats)


@every
def test_no_points(function):
    x, labels = data()
    if function.func in [f.func for name, f in FUNCTIONS.items() if name.startswith("clusterjax.losses")]:
        assert function(x[:0], labels[:0]) == 0
        assert jax.grad(function)(x[:0], labels[:0]).shape == (0, D)
    else:
        with pytest.raises(ValueError, match="there are 0 points"):
            function(x[:0], labels[:0])


@every
@pytest.mark.parametrize("case", ["far", 1e-20, 1e20])
def test_digits_of_data_far_apart_very_small_or_very_large(function, case):
    x, labels = data()
    x = np.where(labels[:, None] == 2, x + 3000, x) if case == "far" else x * np.float32(case)
    ours = function(x, labels)
    with jax.enable_x64(True):
        expected = function(x.astype(np.float64), labels)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        if (np.abs(b) < 1e30).all():  # a loss of squared distances of 1e20 is not a number of 32 bits
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-5)


SHARDED = """
import clusterjax, inspect, jax, jax.numpy as jnp, numpy as np
from clusterjax import by_cluster, losses, tiles
from functools import partial
from jax.sharding import Mesh, PartitionSpec as P
from test_contract import FUNCTIONS, K, proxies_for, total
tiles.TILE_ELEMENTS, by_cluster.MANY_BLOCKS = 100, 2
x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 30, 12)), jnp.float32)
labels = jnp.arange(30) % K
mesh = Mesh(np.array(jax.devices()), ("batch",))
for name, function in FUNCTIONS.items():
    of_points = partial(total(function), labels=labels, **proxies_for(function.func, 12))
    f = jax.vmap(jax.value_and_grad(of_points))
    shared = jax.shard_map(f, mesh=mesh, in_specs=P("batch"), out_specs=P("batch"))
    jax.eval_shape(shared, x)  # what varies over the devices is checked as it is traced
    if function.func in (clusterjax.silhouette_score, clusterjax.dunn_index, losses.silhouette_loss):
        for ours, alone in zip(jax.jit(shared)(x), jax.jit(f)(x)):
            np.testing.assert_allclose(ours, alone, rtol=1e-3, atol=1e-5, err_msg=name)
print(len(jax.devices()), "devices")
"""


def test_shards_of_several_devices():
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    }
    child = subprocess.run([sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True)
    assert child.stdout == "4 devices\n", child.stderr
