"""Measures of agreement against loops, brute force, scikit-learn and clusterCrit."""

from itertools import combinations, permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as peer
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.cluster import pair_confusion_matrix

from clusterjax import agreement
from clusterjax.agreement.contingency import table
from clusterjax.agreement.integers import as_float, difference, long, product, total
from clusterjax.agreement.matching import best_matching
from clusterjax.agreement.pairs import PAIR_SCORES

SIZED = {"num_classes": 4, "num_clusters": 5}
labelings = st.tuples(
    st.lists(st.integers(-1, 3), min_size=12, max_size=12), st.lists(st.integers(-1, 4), min_size=12, max_size=12)
)
PEERS = {
    "rand_score": peer.rand_score,
    "adjusted_rand_score": peer.adjusted_rand_score,
    "fowlkes_mallows_score": peer.fowlkes_mallows_score,
    "mutual_info_score": peer.mutual_info_score,
    "normalized_mutual_info_score": peer.normalized_mutual_info_score,
    "adjusted_mutual_info_score": peer.adjusted_mutual_info_score,
    "homogeneity_score": peer.homogeneity_score,
    "completeness_score": peer.completeness_score,
    "v_measure_score": peer.v_measure_score,
}


def taking_part(a, b):
    return [(i, j) for i, j in zip(a, b, strict=True) if i >= 0 and j >= 0]


def by_loops(points):
    """Counts of pairs: together in both, in the first, in the second, in none."""
    counts = [0, 0, 0, 0]
    for (a, b), (c, d) in combinations(points, 2):
        counts[{(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}[a == c, b == d]] += 1
    return counts


def share(part, rest):
    return part / (part + rest) if part + rest else 1


@settings(max_examples=60, deadline=None)
@given(labelings)
def test_pairs_against_loops(labels):
    yy, yn, ny, nn = by_loops(taking_part(*labels))
    np.testing.assert_array_equal(agreement.pair_counts(*labels, **SIZED), [yy, yn, ny, nn])
    np.testing.assert_allclose(agreement.jaccard_score(*labels, **SIZED), share(yy, yn + ny), rtol=1e-6)
    ours = agreement.pair_f_score(*labels, **SIZED, beta=2.0)
    f = 5 * yy / (5 * yy + 4 * yn + ny) if yy + yn + ny else 1
    np.testing.assert_allclose(ours, [share(yy, ny), share(yy, yn), f], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(labelings)
def test_bcubed_and_purity_against_loops(labels):
    points = taking_part(*labels)
    n = len(points)
    same_class = [sum(q[0] == p[0] for q in points) for p in points]
    same_cluster = [sum(q[1] == p[1] for q in points) for p in points]
    both = [points.count(p) for p in points]
    precision = sum(b / c for b, c in zip(both, same_cluster, strict=True)) / n if n else 1
    recall = sum(b / c for b, c in zip(both, same_class, strict=True)) / n if n else 1
    f = 1.25 * precision * recall / (0.25 * precision + recall)
    np.testing.assert_allclose(agreement.bcubed_score(*labels, **SIZED, beta=0.5), [precision, recall, f], rtol=2e-6)
    most = sum(max(points.count((i, j)) for i in range(4)) for j in range(5))
    np.testing.assert_allclose(agreement.purity_score(*labels, **SIZED), most / n if n else 1, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(labelings)
def test_accuracy_against_all_permutations(labels):
    points = taking_part(*labels)
    most = max(sum(points.count((i, j)) for i, j in enumerate(matching)) for matching in permutations(range(5), 4))
    expected = most / len(points) if points else 1
    np.testing.assert_allclose(agreement.clustering_accuracy(*labels, **SIZED), expected, rtol=1e-6)
    exchanged = agreement.clustering_accuracy(*labels[::-1], num_classes=5, num_clusters=4)
    np.testing.assert_allclose(exchanged, expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(30, 30), (20, 45)])
def test_matching_against_scipy(shape):
    from scipy.optimize import linear_sum_assignment

    matched = jax.jit(best_matching)
    for seed in range(20):
        gains = np.random.default_rng(seed).integers(0, (3, 10**6)[seed % 2], shape).astype(np.int32)
        columns = np.asarray(matched(gains))
        assert len(set(columns.tolist())) == len(gains)
        assert gains[np.arange(len(gains)), columns].sum() == gains[linear_sum_assignment(gains, maximize=True)].sum()


@settings(max_examples=60, deadline=None)
@given(labelings)
def test_variation_of_information_is_a_difference_of_entropies(labels):
    a, b = np.array(taking_part(*labels), int).reshape(-1, 2).T
    entropies = [peer.mutual_info_score(x, x) if len(x) else 0 for x in (a, b)]
    expected = sum(entropies) - 2 * (peer.mutual_info_score(a, b) if len(a) else 0)
    np.testing.assert_allclose(agreement.variation_of_information(*labels, **SIZED), expected, rtol=1e-6, atol=1e-6)


# What the tests of R's clusterCrit (inst/unitTests/extCriteria) say of two labelings of 100 points, from which these
# counts of pairs follow. Those of its Rogers-Tanimoto and Sokal-Sneath count yn twice and ny never, unlike its manual.
COUNTS = 845, 1609, 806, 1690
CLUSTERCRIT = {
    "czekanowski_dice": 0.411693066358566,
    "hubert": 0.022714141794819,
    "kulczynski": 0.428073406219482,
    "mcnemar": 17.6941604614258,
    "phi": 3.93253019506888e-09,
    "russel_rao": 0.170707076787949,
}


def test_pair_scores_of_clustercrit():
    yy, yn, ny, nn = COUNTS
    counts = agreement.PairCounts(*jnp.array(COUNTS, jnp.float32))
    determinant = jnp.array(yy * nn - yn * ny, jnp.float32)
    for kind, expected in CLUSTERCRIT.items():
        ours = PAIR_SCORES[kind](counts, determinant)
        np.testing.assert_allclose(ours, expected, rtol=2e-6, err_msg=kind)


@settings(max_examples=60, deadline=None)
@given(labelings)
def test_pair_scores_against_loops(labels):
    yy, yn, ny, nn = (float(count) for count in by_loops(taking_part(*labels)))
    p, r, either = share(yy, ny), share(yy, yn), yn + ny
    with np.errstate(all="ignore"):
        products = np.float64((yy + yn) * (yy + ny) * (nn + yn) * (nn + ny))
        expected = {
            "czekanowski_dice": 2 * p * r / (p + r) if p + r else 0,
            "hubert": (yy * nn - yn * ny) / np.sqrt(products),
            "kulczynski": (p + r) / 2,
            "mcnemar": (nn - ny) / np.sqrt(nn + ny),
            "phi": (yy * nn - yn * ny) / products,
            "rogers_tanimoto": share(yy + nn, 2 * either),
            "russel_rao": share(yy, yn + ny + nn),
            "sokal_sneath1": share(yy, 2 * either),
            "sokal_sneath2": share(yy + nn, either / 2),
        }
    assert expected.keys() == PAIR_SCORES.keys()
    ours = {
        kind: agreement.pair_score(*labels, **SIZED, kind=kind)  # pyright: ignore[reportArgumentType]
        for kind in expected
    }
    for kind, value in expected.items():
        np.testing.assert_allclose(ours[kind], value, rtol=2e-6, atol=1e-7, err_msg=kind)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("noise", [0.0, 1e-5, 0.3, 1.0])
def test_many_points_against_scikit_learn(name, noise):
    rng = np.random.default_rng(0)
    classes = rng.integers(7, size=1_000_000 if noise == 0.3 else 100_000)
    clusters = np.where(rng.random(classes.size) < noise, rng.integers(8, size=classes.size), classes)
    clusters[:8] = np.arange(8)
    ours = getattr(agreement, name)(classes, clusters)
    # by chance: the weights of the hypergeometric distribution are multiplied up over a thousand numbers
    tolerance = 1e-5 if name == "adjusted_mutual_info_score" and noise == 1 else 1e-6
    np.testing.assert_allclose(ours, PEERS[name](classes, clusters), rtol=tolerance)


@pytest.mark.parametrize("sizes", [(1, 50), (30, 2), (25, 25), (50, 50)])
@pytest.mark.parametrize("average", ["arithmetic", "geometric", "min", "max"])
def test_averages_and_small_clusters_against_scikit_learn(sizes, average):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        a, b = (rng.integers(k, size=60) for k in sizes)
        for name in ("normalized_mutual_info_score", "adjusted_mutual_info_score"):
            ours = getattr(agreement, name)(a, b, num_classes=50, num_clusters=50, average=average)
            # of clusters this small the mean of the entropies is little more than what chance gives: a rounding of
            # either is several of their difference
            np.testing.assert_allclose(ours, PEERS[name](a, b, average_method=average), rtol=1e-5, atol=3e-6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", PEERS)
def test_double_precision_against_scikit_learn(name):
    rng = np.random.default_rng(0)
    a = rng.integers(7, size=1000)
    b = np.where(rng.random(1000) < 0.8, rng.integers(9, size=1000), a)
    np.testing.assert_allclose(getattr(agreement, name)(a, b), PEERS[name](a, b), rtol=1e-10)


def test_counts_of_ten_million_points_are_exact():
    sizes = [4_999_999, 1, 3, 5_000_000]
    yy = sum(m * (m - 1) // 2 for m in sizes)
    ours = agreement.pair_counts(*(np.repeat([[0, 0, 1, 1], [0, 1, 0, 1]], sizes, axis=1)))
    n, a, b = 10_000_003, 5_000_000, 5_000_002
    expected = [yy, sum(m * (m - 1) // 2 for m in (a, n - a)) - yy, sum(m * (m - 1) // 2 for m in (b, n - b)) - yy]
    np.testing.assert_allclose(ours, [*expected, n * (n - 1) // 2 - yy - sum(expected[1:])], rtol=3e-7)


def test_pairs_are_half_of_scikit_learns():
    rng = np.random.default_rng(0)
    a, b = rng.integers(5, size=200), rng.integers(6, size=200)
    (nn, ny), (yn, yy) = pair_confusion_matrix(a, b) / 2
    np.testing.assert_array_equal(agreement.pair_counts(a, b), [yy, yn, ny, nn])


def test_long_integers():
    rng = np.random.default_rng(0)
    x, y = (rng.integers(2**31, size=5000).astype(np.int32) for _ in range(2))
    a, b = [int(v) for v in x], [int(v) for v in y]
    square = total(product(long(jnp.asarray(x)), long(jnp.asarray(y))))
    exact = sum(i * j for i, j in zip(a, b, strict=True))
    assert sum(int(digit) << (12 * place) for place, digit in enumerate(square)) == exact
    close = difference(product(long(x[0]), long(y[0])), product(long(x[0] - 1), long(y[0])))
    assert as_float(close, np.dtype(np.float32)) == np.float32(b[0])
    back = difference(product(long(x[0] - 1), long(y[0])), product(long(x[0]), long(y[0])))
    assert as_float(back, np.dtype(np.float32)) == -np.float32(b[0])


def test_no_points_agree():
    values = {
        name: getattr(agreement, name)([], [])
        for name in agreement.__all__
        if name.endswith("score") and name != "pair_score"
    }
    zero = {"fowlkes_mallows_score", "mutual_info_score"}
    assert {name for name, value in values.items() if name not in zero and not np.all(np.array(value) == 1)} == set()
    assert (
        values["fowlkes_mallows_score"]
        == values["mutual_info_score"]
        == 0
        == agreement.variation_of_information([], [])
    )
    assert agreement.clustering_accuracy([], []) == 1
    for kind in ("hubert", "phi", "mcnemar"):
        assert np.isnan(agreement.pair_score([], [], kind=kind))


def test_one_place_counts_a_table():
    cells = np.array([[1, 2], [0, 3]], np.int32)
    t = table(jnp.asarray(cells))
    assert (t.classes.tolist(), t.clusters.tolist(), int(t.n)) == ([[3], [3]], [[1, 5]], 6)
