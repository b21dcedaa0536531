"""All measures of retrieval at once."""

from __future__ import annotations

from typing import NamedTuple, Unpack

import jax

from clusterjax.partition import Partition
from clusterjax.public import public
from clusterjax.retrieval.queries import average_precision, means, of_relevant, settle, vote
from clusterjax.retrieval.ranking import Ranking
from clusterjax.typing import Count, Labels, Measured, Points


class RetrievalSummary(NamedTuple):
    """All measures of retrieval, from one visit; each is a mean over the queries.

    Attributes:
        precision_at_1: [], as `precision_at_1`.
        recall_at_k: [], as `recall_at_k`.
        r_precision: [], as `r_precision`.
        map_at_r: [], as `map_at_r`.
        mean_reciprocal_rank: [], as `mean_reciprocal_rank`.
        knn_accuracy: [], as `knn_accuracy`.
        queries: [], points that take part: another one of their class can be found.
    """

    precision_at_1: jax.Array
    recall_at_k: jax.Array
    r_precision: jax.Array
    map_at_r: jax.Array
    mean_reciprocal_rank: jax.Array
    knn_accuracy: jax.Array
    queries: jax.Array


@public(settle=settle)
def retrieval_summary(
    p: Partition,
    *,
    k: Count = 5,
    gallery: Points | None = None,
    gallery_labels: Labels | None = None,
    max_class_size: Count | None = None,
    **_: Unpack[Measured],
) -> RetrievalSummary:
    """All measures of retrieval in one visit of the distances.

    `precision_at_1`, `recall_at_k`, `r_precision`, `map_at_r`, `mean_reciprocal_rank` and `knn_accuracy`.

    Args:
        k: static, at least 1; that of `recall_at_k` and `knn_accuracy`.

    Returns:
        RetrievalSummary, with zero gradients. Ties, points without another of their class and NaN as in
        `precision_at_1`; `queries`, which is a number and no mean, is 0 where there is none.

    Raises:
        ValueError: k below 1; no point has another of its class; a gallery that does not fit.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[0.0], [1.0], [3.0], [3.5], [9.0]]), jnp.array([0, 0, 0, 1, 1])
        >>> summary = retrieval_summary(x, labels, k=2)
        >>> round(float(summary.precision_at_1), 4), round(float(summary.map_at_r), 4), int(summary.queries)
        (0.6, 0.65, 5)

    Source: Musgrave, Belongie, Lim, A metric learning reality check (2020).
    """

    def all_of(r: Ranking) -> tuple[jax.Array, ...]:
        return r.first <= 1, r.first <= k, of_relevant(r), average_precision(r), 1 / r.first, vote(r, k)

    found = means(p, gallery, gallery_labels, all_of, nearest=k, class_size=max_class_size, first=True, relevant=True)
    return RetrievalSummary(*found)
