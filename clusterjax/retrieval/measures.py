"""Are the nearest neighbours of a point of its class? One measure a function."""

from __future__ import annotations

from typing import Unpack

from clusterjax.partition import Partition
from clusterjax.public import public
from clusterjax.retrieval.queries import average_precision, mean_over_queries, of_relevant, settle, vote
from clusterjax.typing import Count, Labels, Measured, Points, Scalar


@public(settle=settle)
def precision_at_1(
    p: Partition,
    *,
    gallery: Points | None = None,
    gallery_labels: Labels | None = None,
    max_class_size: Count | None = None,
    **_: Unpack[Measured],
) -> Scalar:
    """Share of points whose nearest neighbour is of their class.

    `mean over i of [y_nn(i) = y_i]`, with `nn(i)` the nearest point but i itself.

    Points at equal distances are in the order of their rows, here and in all of these measures. By products (Euclidean,
    cosine, Mahalanobis, more than 8 features) what is nearer than some thousandth of the distance to the centre of the
    data counts as equal in float32.

    Returns:
        A scalar in [0, 1], with zero gradient. A point whose class has no other member takes no part in the mean, but
        others find it. Duplicates are found like any other. NaN when traced labels leave no query, are out of range,
        or have a class larger than `max_class_size`. NaN in, NaN out.

    Raises:
        ValueError: no point has another of its class; a gallery that does not fit, or with precomputed distances.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [3.0], [3.5], [9.0]])
        >>> round(float(precision_at_1(x, jnp.array([0, 0, 0, 1, 1]))), 4)
        0.6
        >>> float(precision_at_1(x[:2], jnp.array([0, 1]), gallery=x[2:], gallery_labels=jnp.array([0, 0, 1])))
        0.5

    Source: Musgrave, Belongie, Lim, A metric learning reality check (2020), there precision@1; others say recall@1.
    """
    return mean_over_queries(p, gallery, gallery_labels, lambda r: r.first <= 1, class_size=max_class_size, first=True)


@public(settle=settle)
def recall_at_k(
    p: Partition,
    *,
    k: Count = 5,
    gallery: Points | None = None,
    gallery_labels: Labels | None = None,
    max_class_size: Count | None = None,
    **_: Unpack[Measured],
) -> Scalar:
    """Share of points with one of their class or more among their k nearest neighbours.

    `mean over i of [some j among the k nearest of i has y_j = y_i]`, the recall@k of metric learning.

    Args:
        k: static, at least 1.

    Returns:
        A scalar in [0, 1], 1 where k is at least the size of the gallery; with zero gradient. Ties, points without
        another of their class and NaN as in `precision_at_1`, which it is at k = 1.

    Raises:
        ValueError: k below 1; no point has another of its class; a gallery that does not fit.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[0.0], [1.0], [3.0], [3.5], [9.0]]), jnp.array([0, 0, 0, 1, 1])
        >>> [round(float(recall_at_k(x, labels, k=k)), 1) for k in (1, 2, 3)]
        [0.6, 0.8, 0.8]

    Source: Jegou, Douze, Schmid, Product quantization for nearest neighbor search (2011); in metric learning: Oh Song
    et al., Deep metric learning via lifted structured feature embedding (2016).
    """
    return mean_over_queries(p, gallery, gallery_labels, lambda r: r.first <= k, class_size=max_class_size, first=True)


@public(settle=settle)
def mean_reciprocal_rank(
    p: Partition,
    *,
    gallery: Points | None = None,
    gallery_labels: Labels | None = None,
    max_class_size: Count | None = None,
    **_: Unpack[Measured],
) -> Scalar:
    """Mean of one over the rank of the nearest point of the own class, however far it is.

    `mean over i of 1 / rank(i)`, with `rank(i)` one more than there are points nearer to i than its nearest of class
    `y_i`.

    Returns:
        A scalar in (0, 1], with zero gradient. Ties, points without another of their class and NaN as in
        `precision_at_1`.

    Raises:
        ValueError: no point has another of its class; a gallery that does not fit, or with precomputed distances.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [3.0], [3.5], [9.0]])
        >>> round(float(mean_reciprocal_rank(x, jnp.array([0, 0, 0, 1, 1]))), 4)
        0.75

    Source: Voorhees, The TREC-8 question answering track report (1999).
    """
    return mean_over_queries(p, gallery, gallery_labels, lambda r: 1 / r.first, class_size=max_class_size, first=True)


@public(settle=settle)
def r_precision(
    p: Partition,
    *,
    gallery: Points | None = None,
    gallery_labels: Labels | None = None,
    max_class_size: Count | None = None,
    **_: Unpack[Measured],
) -> Scalar:
    """Share of a point's class among as many nearest neighbours as its class has other members.

    `mean over i of |{j among the R_i nearest of i: y_j = y_i}| / R_i`, with `R_i` the points of class `y_i` but i.

    Returns:
        A scalar in [0, 1], 1 where every class lies apart; with zero gradient. Ties, points without another of their
        class and NaN as in `precision_at_1`.

    Raises:
        ValueError: no point has another of its class; a gallery that does not fit, or with precomputed distances.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [3.0], [3.5], [9.0]])
        >>> round(float(r_precision(x, jnp.array([0, 0, 0, 1, 1]))), 4)
        0.7

    Source: Musgrave, Belongie, Lim, A metric learning reality check (2020).
    """
    return mean_over_queries(p, gallery, gallery_labels, of_relevant, class_size=max_class_size, relevant=True)


@public(settle=settle)
def map_at_r(
    p: Partition,
    *,
    gallery: Points | None = None,
    gallery_labels: Labels | None = None,
    max_class_size: Count | None = None,
    **_: Unpack[Measured],
) -> Scalar:
    """Mean average precision at R: r-precision that asks for the right ones first.

    `mean over i of 1 / R_i sum_{j <= R_i} P(j) [y_(j) = y_i]`, with `(j)` the j-th nearest point of i, P(j) the share
    of class `y_i` among the first j, and `R_i` the points of class `y_i` but i.

    Returns:
        A scalar in [0, 1], at most `r_precision`; with zero gradient. Ties, points without another of their class and
        NaN as in `precision_at_1`.

    Raises:
        ValueError: no point has another of its class; a gallery that does not fit, or with precomputed distances.

    Examples:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[0.0], [1.0], [3.0], [3.5], [9.0]])
        >>> round(float(map_at_r(x, jnp.array([0, 0, 0, 1, 1]))), 4)
        0.65

    Source: Musgrave, Belongie, Lim, A metric learning reality check (2020).
    """
    return mean_over_queries(p, gallery, gallery_labels, average_precision, class_size=max_class_size, relevant=True)


@public(settle=settle)
def knn_accuracy(
    p: Partition,
    *,
    k: Count = 5,
    gallery: Points | None = None,
    gallery_labels: Labels | None = None,
    **_: Unpack[Measured],
) -> Scalar:
    """Share of points that most of their k nearest neighbours would put into their class.

    `mean over i of [y_i = the most frequent of y_j among the k nearest j of i]`; of classes that are as frequent, the
    one that has the nearest point.

    Args:
        k: static, at least 1; where there are fewer points, all of them vote.

    Returns:
        A scalar in [0, 1], with zero gradient; at k = 1 and k = 2 it is `precision_at_1`. Ties, points without another
        of their class and NaN as there.

    Raises:
        ValueError: k below 1; no point has another of its class; a gallery that does not fit.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[0.0], [1.0], [3.0], [3.5], [9.0]]), jnp.array([0, 0, 0, 1, 1])
        >>> [round(float(knn_accuracy(x, labels, k=k)), 1) for k in (1, 3)]
        [0.6, 0.6]

    Source: Cover, Hart, Nearest neighbor pattern classification (1967).
    """
    return mean_over_queries(p, gallery, gallery_labels, lambda r: vote(r, k), nearest=k)
