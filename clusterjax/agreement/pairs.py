"""Agreement on pairs of points: are they together in both labelings, in one, in neither?

Everything here is a function of these four counts, which are exact however many points there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Unpack, get_args

import jax
import jax.numpy as jnp

from clusterjax.agreement.contingency import Table
from clusterjax.agreement.integers import as_float, difference, long, product, total
from clusterjax.agreement.measure import measure
from clusterjax.typing import Compared, NonNegative, Scalar

PairScore = Literal[
    "czekanowski_dice",
    "hubert",
    "kulczynski",
    "mcnemar",
    "phi",
    "rogers_tanimoto",
    "russel_rao",
    "sokal_sneath1",
    "sokal_sneath2",
]


class PairCounts(NamedTuple):
    """How many pairs of points are together where; clusterCrit's yy, yn, ny, nn.

    Attributes:
        both: [], together in both labelings.
        only_true: [], in `labels_true` only.
        only_pred: [], in `labels_pred` only.
        neither: [], in none.
    """

    both: jax.Array
    only_true: jax.Array
    only_pred: jax.Array
    neither: jax.Array


class PairFScore(NamedTuple):
    """Precision and recall of pairs.

    Attributes:
        precision: [], of the pairs together in `labels_pred`, the share that is in `labels_true` too.
        recall: [], the other way round.
        f: [], their weighted harmonic mean.
    """

    precision: jax.Array
    recall: jax.Array
    f: jax.Array


@measure
def pair_counts(t: Table, **_: Unpack[Compared]) -> PairCounts:
    """Pairs of points that are together in both labelings, in one of them, in neither.

    Returns:
        PairCounts of unordered pairs, their sum n (n - 1) / 2; counted exactly, then rounded to floats. NaN when traced
        labels turn out to be out of range.

    Examples:
        >>> [int(pairs) for pairs in pair_counts([0, 0, 1, 1], [0, 0, 0, 1])]
        [1, 1, 2, 2]

    Source: Hubert and Arabie, Comparing partitions (1985); scikit-learn's `pair_confusion_matrix` has twice as many.
    """
    return _pairs(t)[0]


@measure
def rand_score(t: Table, **_: Unpack[Compared]) -> Scalar:
    """Rand index: the share of pairs of points on which the labelings agree.

    `(both + neither) / all`, of `pair_counts`.

    Returns:
        A scalar in [0, 1]; 1 where there are no pairs. Symmetric. NaN when traced labels turn out to be out of range.

    Examples:
        >>> round(float(rand_score([0, 0, 1, 1], [0, 0, 1, 2])), 4)
        0.8333

    Source: Rand, Objective criteria for the evaluation of clustering methods (1971).
    """
    pairs, _determinant = _pairs(t)
    return _share(pairs.both + pairs.neither, _differ(pairs))


@measure
def adjusted_rand_score(t: Table, **_: Unpack[Compared]) -> Scalar:
    """Rand index, adjusted for chance: 1 for a perfect match, 0 on average for labels at random.

    `2 (yy nn - yn ny) / ((yy + yn) (yn + nn) + (yy + ny) (ny + nn))`, of the `pair_counts`; the numerator is exact.

    Returns:
        A scalar in [-0.5, 1], 1 too where there are no pairs. Symmetric. NaN when traced labels turn out to be out of
        range.

    Examples:
        >>> round(float(adjusted_rand_score([0, 0, 1, 1], [0, 0, 1, 2])), 4)
        0.5714

    Source: Hubert and Arabie, Comparing partitions (1985).
    """
    (yy, yn, ny, nn), determinant = _pairs(t)
    agree = yn + ny == 0
    whole = (yy + yn) * (yn + nn) + (yy + ny) * (ny + nn)
    return jnp.where(agree, 1, 2 * determinant / jnp.where(agree, 1, whole))


@measure
def fowlkes_mallows_score(t: Table, **_: Unpack[Compared]) -> Scalar:
    """Fowlkes-Mallows index: the geometric mean of the precision and the recall of pairs.

    `yy / sqrt((yy + yn) (yy + ny))`, of the `pair_counts`.

    Returns:
        A scalar in [0, 1]; as in scikit-learn 0 where no pair is together in both, also where none is in either.
        Symmetric. NaN when traced labels turn out to be out of range.

    Examples:
        >>> round(float(fowlkes_mallows_score([0, 0, 1, 1], [0, 0, 1, 2])), 4)
        0.7071

    Source: Fowlkes and Mallows, A method for comparing two hierarchical clusterings (1983).
    """
    (yy, yn, ny, _nn), _determinant = _pairs(t)
    some = jnp.where(yy > 0, yy, 1)
    return jnp.where(yy > 0, jnp.sqrt(yy / (some + yn)) * jnp.sqrt(yy / (some + ny)), 0)


@measure
def jaccard_score(t: Table, **_: Unpack[Compared]) -> Scalar:
    """Jaccard index of pairs: of those together in either labeling, the share that is together in both.

    `yy / (yy + yn + ny)`, of the `pair_counts`.

    Returns:
        A scalar in [0, 1]; 1 where no pair is together anywhere. Symmetric. NaN when traced labels turn out to be out
        of range.

    Examples:
        >>> float(jaccard_score([0, 0, 1, 1], [0, 0, 1, 2]))
        0.5

    Source: Jaccard (1912), of points in sets; of pairs as in R's clusterCrit. scikit-learn's function of this name
    compares sets of labels, and is another.
    """
    (yy, yn, ny, _nn), _determinant = _pairs(t)
    return _share(yy, yn + ny)


@measure
def pair_f_score(t: Table, *, beta: NonNegative = 1.0, **_: Unpack[Compared]) -> PairFScore:
    """Precision, recall and F of pairs: is who is together in the clustering together in truth?

    `P = yy / (yy + ny)`, `R = yy / (yy + yn)`, `F = (1 + beta^2) P R / (beta^2 P + R)`, of the `pair_counts`.

    Args:
        beta: at least 0: above 1 recall counts more, below precision.

    Returns:
        PairFScore in [0, 1]. A share of no pairs is 1: precision where every cluster is one point, recall where every
        class is; F then is 1 if both are so, otherwise 0. Changing places exchanges precision and recall. NaN when
        traced labels turn out to be out of range.

    Raises:
        ValueError: a negative beta.

    Examples:
        >>> [round(float(value), 4) for value in pair_f_score([0, 0, 1, 1], [0, 0, 1, 2])]
        [1.0, 0.5, 0.6667]

    Source: van Rijsbergen, Information retrieval (1979), of documents; of pairs, Manning, Raghavan and Schuetze,
    Introduction to information retrieval (2008), 16.3.
    """
    (yy, yn, ny, _nn), _determinant = _pairs(t)
    weight = jnp.asarray(beta, t.dtype) ** 2
    return PairFScore(_share(yy, ny), _share(yy, yn), _share((1 + weight) * yy, weight * yn + ny))


@measure
def pair_score(t: Table, *, kind: PairScore, **_: Unpack[Compared]) -> Scalar:
    """The other indices of R's clusterCrit, by name.

    Of the `pair_counts` yy, yn, ny, nn, with N = yy + yn + ny + nn, P = yy / (yy + ny) and R = yy / (yy + yn):

    - "czekanowski_dice": `2 yy / (2 yy + yn + ny)`, the F of pairs
    - "hubert": `(yy nn - yn ny) / sqrt((yy + yn) (yy + ny) (nn + yn) (nn + ny))`, the correlation of the two labelings
      over pairs
    - "kulczynski": `(P + R) / 2`
    - "mcnemar": `(nn - ny) / sqrt(nn + ny)`, as clusterCrit has it; McNemar's own has yn for nn
    - "phi": `(yy nn - yn ny) / ((yy + yn) (yy + ny) (nn + yn) (nn + ny))`, without the root, as clusterCrit has it
    - "rogers_tanimoto": `(yy + nn) / (yy + nn + 2 (yn + ny))`
    - "russel_rao": `yy / N`
    - "sokal_sneath1": `yy / (yy + 2 (yn + ny))`
    - "sokal_sneath2": `(yy + nn) / (yy + nn + (yn + ny) / 2)`

    Its Rand, Jaccard, Fowlkes-Mallows, precision and recall are functions of their own.

    Args:
        kind: which.

    Returns:
        A scalar, larger for labelings that agree more; all but "mcnemar" are symmetric. A share of no pairs is 1;
        "hubert", "phi" and "mcnemar" are NaN where their denominator is 0. NaN when traced labels turn out to be out of
        range.

    Raises:
        ValueError: an unknown kind.

    Examples:
        >>> round(float(pair_score([0, 0, 1, 1], [0, 0, 1, 2], kind="hubert")), 4)
        0.6325

    Source: Desgraupes, Clustering indices (2017), the vignette of R's clusterCrit.
    """
    return PAIR_SCORES[kind](*_pairs(t))


def _hubert(p: PairCounts, determinant: jax.Array) -> jax.Array:
    both, either = (
        (p.both + p.only_true) * (p.both + p.only_pred),
        (p.neither + p.only_true) * (p.neither + p.only_pred),
    )
    return determinant / jnp.sqrt(both) / jnp.sqrt(either)


def _phi(p: PairCounts, determinant: jax.Array) -> jax.Array:
    part = determinant / (p.both + p.only_true) / (p.both + p.only_pred)
    return part / (p.neither + p.only_true) / (p.neither + p.only_pred)


def _differ(p: PairCounts) -> jax.Array:
    return p.only_true + p.only_pred


PAIR_SCORES: dict[str, Callable[[PairCounts, jax.Array], jax.Array]] = {
    "czekanowski_dice": lambda p, _: _share(2 * p.both, _differ(p)),
    "hubert": _hubert,
    "kulczynski": lambda p, _: (_share(p.both, p.only_pred) + _share(p.both, p.only_true)) / 2,
    "mcnemar": lambda p, _: (p.neither - p.only_pred) / jnp.sqrt(p.neither + p.only_pred),
    "phi": _phi,
    "rogers_tanimoto": lambda p, _: _share(p.both + p.neither, 2 * _differ(p)),
    "russel_rao": lambda p, _: _share(p.both, p.neither + _differ(p)),
    "sokal_sneath1": lambda p, _: _share(p.both, 2 * _differ(p)),
    "sokal_sneath2": lambda p, _: _share(p.both + p.neither, _differ(p) / 2),
}
assert PAIR_SCORES.keys() == set(get_args(PairScore))


def _pairs(t: Table) -> tuple[PairCounts, jax.Array]:
    """The counts, and `yy nn - yn ny`, which is zero for labels at random but for a millionth of its terms."""
    cells, classes, clusters = (total(_ordered(sizes)) for sizes in (t.cells, t.classes, t.clusters))
    only_true, only_pred = difference(classes, cells), difference(clusters, cells)
    neither = difference(difference(_ordered(t.n), classes), only_pred)
    determinant = difference(product(cells, neither), product(only_true, only_pred))
    counts = (as_float(pairs, t.dtype) / 2 for pairs in (cells, only_true, only_pred, neither))
    return PairCounts(*counts), as_float(determinant, t.dtype) / 4


def _ordered(sizes: jax.Array) -> list[jax.Array]:
    """Twice the pairs within each."""
    return product(long(sizes), long(jnp.maximum(sizes - 1, 0)))


def _share(part: jax.Array, rest: jax.Array) -> jax.Array:
    """Of both together; 1 of nothing."""
    return jnp.where(part + rest > 0, part / jnp.where(part + rest > 0, part + rest, 1), 1)
