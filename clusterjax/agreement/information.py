"""Agreement as information: how much does the cluster of a point tell of its class? Natural logarithms.

Everything is a sum of terms that are not negative, of exact differences of counts, so that float32 loses nothing where
labelings are nearly independent or nearly equal.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, Unpack

import jax
import jax.numpy as jnp

from clusterjax.agreement.chance import expected_mutual_information, mutual_information
from clusterjax.agreement.contingency import Table
from clusterjax.agreement.measure import measure
from clusterjax.arithmetic import above_noise, ratio
from clusterjax.typing import Compared, NonNegative, Scalar

Mean: TypeAlias = Literal["arithmetic", "geometric", "min", "max"]


class VMeasure(NamedTuple):
    """How pure clusters are, how whole classes are, and both.

    Attributes:
        homogeneity: [], 1 where every cluster holds points of one class only.
        completeness: [], 1 where every class is in one cluster.
        v_measure: [], their weighted harmonic mean.
    """

    homogeneity: jax.Array
    completeness: jax.Array
    v_measure: jax.Array


@measure
def mutual_info_score(t: Table, **_: Unpack[Compared]) -> Scalar:
    """Mutual information of class and cluster, in nats.

    `sum_ij (n_ij / n) log(n n_ij / (a_i b_j))`, with n_ij the points of class i in cluster j, a_i and b_j their sizes.

    Returns:
        A scalar from 0 to the smaller of the two entropies; 0 where either is one group, or there are no points.
        Symmetric. NaN when traced labels turn out to be out of range.

    Examples:
        >>> round(float(mutual_info_score([0, 0, 1, 1], [0, 0, 1, 2])), 4)
        0.6931

    Source: Shannon, A mathematical theory of communication (1948).
    """
    return mutual_information(t)


@measure
def normalized_mutual_info_score(t: Table, *, average: Mean = "arithmetic", **_: Unpack[Compared]) -> Scalar:
    """Mutual information as a share of the entropy of the labelings.

    `MI / mean(H(classes), H(clusters))`

    Args:
        average: which mean of the two entropies: "arithmetic", "geometric", "min" or "max". scikit-learn calls it
            `average_method`.

    Returns:
        A scalar in [0, 1]; 1 where both labelings are one group or there are no points, 0 where only one is. Symmetric.
        NaN when traced labels turn out to be out of range.

    Raises:
        ValueError: an unknown average.

    Examples:
        >>> round(float(normalized_mutual_info_score([0, 0, 1, 1], [0, 0, 1, 2])), 4)
        0.8

    Source: Strehl and Ghosh, Cluster ensembles (2002).
    """
    score = ratio(mutual_information(t), _mean(average, *_entropies(t)))
    return jnp.where(t.is_perfect, 1, jnp.minimum(score, 1))


@measure
def adjusted_mutual_info_score(t: Table, *, average: Mean = "arithmetic", **_: Unpack[Compared]) -> Scalar:
    """Mutual information, adjusted for chance: 1 for a perfect match, 0 on average for labels at random.

    `(MI - E) / (mean(H(classes), H(clusters)) - E)`, with E the mean of MI over all labelings with these sizes.

    Args:
        average: which mean of the two entropies: "arithmetic", "geometric", "min" or "max". scikit-learn calls it
            `average_method`.

    Returns:
        A scalar, at most 1; 1 where both labelings are one group or there are no points, 0 where only one is, or where
        no labeling with these sizes would share more than this one. Symmetric. NaN when traced labels turn out to be
        out of range.

    Raises:
        ValueError: an unknown average.

    Examples:
        >>> round(float(adjusted_mutual_info_score([0, 0, 1, 1], [0, 0, 1, 2])), 4)
        0.5714

    Source: Vinh, Epps and Bailey, Information theoretic measures for clusterings comparison (2010).
    """
    found, expected = mutual_information(t), expected_mutual_information(t)
    above = found - expected
    above = jnp.sign(above) * above_noise(jnp.abs(above), jnp.maximum(found, expected))
    score = above / jnp.where(above == 0, 1, _mean(average, *_entropies(t)) - expected)
    return jnp.where(t.is_perfect, 1, score)


@measure
def homogeneity_score(t: Table, **_: Unpack[Compared]) -> Scalar:
    """Homogeneity: how much of the classes' entropy the clusters explain.

    `MI / H(classes)`

    Returns:
        A scalar in [0, 1]; 1 where every cluster holds points of one class only, as where there is one class or no
        point. With the labelings exchanged it is completeness. NaN when traced labels turn out to be out of range.

    Examples:
        >>> float(homogeneity_score([0, 0, 1, 1], [0, 0, 1, 2]))
        1.0

    Source: Rosenberg and Hirschberg, V-measure (2007).
    """
    return _v_measure(t).homogeneity


@measure
def completeness_score(t: Table, **_: Unpack[Compared]) -> Scalar:
    """Completeness: how much of the clusters' entropy the classes explain.

    `MI / H(clusters)`

    Returns:
        A scalar in [0, 1]; 1 where every class is in one cluster, as where there is one cluster or no point. With the
        labelings exchanged it is homogeneity. NaN when traced labels turn out to be out of range.

    Examples:
        >>> round(float(completeness_score([0, 0, 1, 1], [0, 0, 1, 2])), 4)
        0.6667

    Source: Rosenberg and Hirschberg, V-measure (2007).
    """
    return _v_measure(t).completeness


@measure
def v_measure_score(t: Table, *, beta: NonNegative = 1.0, **_: Unpack[Compared]) -> Scalar:
    """V-measure: the weighted harmonic mean of homogeneity h and completeness c.

    `(1 + beta) h c / (beta h + c)`; with beta = 1 the normalised mutual information.

    Args:
        beta: at least 0: above 1 completeness counts more, below homogeneity.

    Returns:
        A scalar in [0, 1]; 0 where both are. Symmetric at beta = 1. NaN when traced labels turn out to be out of range.

    Raises:
        ValueError: a negative beta.

    Examples:
        >>> round(float(v_measure_score([0, 0, 1, 1], [0, 0, 1, 2])), 4)
        0.8

    Source: Rosenberg and Hirschberg, V-measure (2007).
    """
    return _v_measure(t, beta).v_measure


@measure
def homogeneity_completeness_v_measure(t: Table, *, beta: NonNegative = 1.0, **_: Unpack[Compared]) -> VMeasure:
    """Homogeneity, completeness and V-measure together.

    As `homogeneity_score`, `completeness_score` and `v_measure_score`.

    Args:
        beta: at least 0: above 1 completeness counts more, below homogeneity.

    Returns:
        VMeasure. NaN when traced labels turn out to be out of range.

    Raises:
        ValueError: a negative beta.

    Examples:
        >>> [round(float(value), 4) for value in homogeneity_completeness_v_measure([0, 0, 1, 1], [0, 0, 1, 2])]
        [1.0, 0.6667, 0.8]

    Source: Rosenberg and Hirschberg, V-measure (2007).
    """
    return _v_measure(t, beta)


@measure
def variation_of_information(t: Table, **_: Unpack[Compared]) -> Scalar:
    """Variation of information, in nats: a metric between labelings, smaller is better.

    `H(classes | clusters) + H(clusters | classes) = H(classes) + H(clusters) - 2 MI`

    Returns:
        A scalar from 0, for equal labelings or no points, to log(n). Symmetric. NaN when traced labels turn out to be
        out of range.

    Examples:
        >>> round(float(variation_of_information([0, 0, 1, 1], [0, 0, 1, 2])), 4)
        0.3466

    Source: Meila, Comparing clusterings: an information based distance (2007).
    """
    return (_entropy(t, t.cells, t.classes) + _entropy(t, t.cells, t.clusters)).sum()


def _v_measure(t: Table, beta: NonNegative = 1.0) -> VMeasure:
    beta = jnp.asarray(beta, t.dtype)
    information = mutual_information(t)
    h, c = (jnp.where(entropy > 0, jnp.minimum(ratio(information, entropy), 1), 1) for entropy in _entropies(t))
    h, c = jnp.where(t.is_perfect, 1, jnp.stack([h, c]))
    return VMeasure(h, c, jnp.where(h + c > 0, ratio((1 + beta) * h * c, beta * h + c), 0))


def _entropies(t: Table) -> tuple[jax.Array, jax.Array]:
    return _entropy(t, t.classes, t.n).sum(), _entropy(t, t.clusters, t.n).sum()


def _entropy(t: Table, parts: jax.Array, whole: jax.Array) -> jax.Array:
    """`-(part / n) log(part / whole)` of each, which keeps its digits where a part is nearly the whole."""
    rest, part = (whole - parts).astype(t.dtype), parts.astype(t.dtype)
    return part / t.sizes[2] * jnp.log1p(ratio(rest, part))


def _mean(average: Mean, a: jax.Array, b: jax.Array) -> jax.Array:
    means = {"arithmetic": (a + b) / 2, "geometric": jnp.sqrt(a) * jnp.sqrt(b)}
    return means.get(average, jnp.minimum(a, b) if average == "min" else jnp.maximum(a, b))
