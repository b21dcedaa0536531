"""Who asks, in which gallery, and means over those who ask of what a measure makes of their rankings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from clusterjax.arguments import as_labels, as_rows, cluster_sizes
from clusterjax.arithmetic import ratio
from clusterjax.distances import is_traced, precomputed
from clusterjax.partition import Partition
from clusterjax.retrieval.ranking import Ranking, over_queries
from clusterjax.typing import Array, Labels, Mask, Points, Scalar


def settle(
    x: Array,
    labels: Labels,
    where: Mask | None,
    weights: Array | None,
    metric: Partial,
    num_clusters: int,
    *,
    gallery: Points | None,
    gallery_labels: Labels | None,
    **options: int | None,
) -> dict:
    """The options with a gallery that fits and, where labels are known, the size of its largest class.

    Raises:
        ValueError: no query has another point of its class; half a gallery, or one that does not fit.
    """
    if (gallery is None) != (gallery_labels is None):
        raise ValueError("a gallery is points and their labels: pass both, gallery= and gallery_labels=")
    if gallery is not None and gallery_labels is not None:
        if metric.func is precomputed:
            raise ValueError("distances within a gallery are not asked for: metric cannot be 'precomputed' with one")
        gallery = as_rows(gallery)
        gallery_labels = as_labels(gallery_labels, None, num_clusters if is_traced(gallery_labels) else None)[0]
        if gallery.shape != (len(gallery_labels), x.shape[1]):
            raise ValueError(
                f"a gallery of {len(gallery_labels)} labels must be of shape {(len(gallery_labels), x.shape[1])}, "
                f"with as many features as the queries, not {gallery.shape}"
            )
    asking = cluster_sizes(labels, where)
    found = asking if gallery_labels is None else cluster_sizes(gallery_labels, None)
    if asking is not None and found is not None:
        common = min(len(asking), len(found))
        if not ((asking[:common] > 0) & (found[:common] > int(gallery is None))).any():
            raise ValueError(
                "retrieval looks for another point of the same class, and no point has one: "
                f"there are {asking.sum()} points in {(asking > 0).sum()} classes"
            )
    if "max_class_size" in options and options["max_class_size"] is None:
        size = len(x) if gallery is None else len(gallery)
        if found is not None:
            # not to the last one: masks and labels that are nearly alike are one program
            step = 1 << max(int(found.max()).bit_length() - 3, 0)
            size = min(-(-int(found.max()) // step) * step, size)
        options["max_class_size"] = size
    return {"gallery": gallery, "gallery_labels": gallery_labels, **options}


def mean_over_queries(
    p: Partition,
    gallery: Array | None,
    gallery_labels: Array | None,
    measure: Callable[[Ranking], jax.Array],
    **wanted: Any,
) -> Scalar:
    """The mean of one measure over the queries."""
    return means(p, gallery, gallery_labels, lambda r: (measure(r),), **wanted)[0]


def means(
    p: Partition,
    gallery: Array | None,
    gallery_labels: Array | None,
    measures: Callable[[Ranking], tuple[jax.Array, ...]],
    *,
    nearest: int = 0,
    class_size: int | None = None,
    first: bool = False,
    relevant: bool = False,
) -> tuple[jax.Array, ...]:
    """Means over the queries, and how many of these there are; of none, or where something is no number, NaN.

    Args:
        p: the queries.
        gallery: [m, d], or None.
        gallery_labels: [m], or None.
        measures: arrays [b] of a `Ranking`.
        nearest: of so many nearest points the classes are wanted.
        class_size: no class has more members in the gallery.
        first: whether the rank of the nearest relevant point is wanted.
        relevant: whether the classes of as many points are wanted as a class has members.
    """
    nearest = max(nearest, class_size or 0) if relevant else nearest
    values, asks, spoilt = over_queries(p, gallery, gallery_labels, measures, nearest, class_size, first)
    queries = asks.sum(dtype=p.x.dtype)
    known = (queries > 0) & ~spoilt
    means = (ratio(jnp.where(asks, of_query.astype(p.x.dtype), 0).sum(), queries) for of_query in values)
    return *(jnp.where(known, mean, jnp.nan) for mean in means), jnp.where(spoilt, jnp.nan, queries)


def of_relevant(r: Ranking) -> jax.Array:
    """Share of the query's class among as many nearest as can be found of it."""
    return _hits(r).sum(1) / r.relevant.astype(float)


def average_precision(r: Ranking) -> jax.Array:
    """The same with, for each that is found, the share of the class up to its rank."""
    hits = _hits(r)
    return (hits * jnp.cumsum(hits, 1) / _ranks(r).astype(float)).sum(1) / r.relevant.astype(float)


def _hits(r: Ranking) -> jax.Array:
    """1 for those of the R nearest that are of the query's class, 0 for the others."""
    return ((r.classes == r.own[:, None]) & (_ranks(r) <= r.relevant[:, None])).astype(float)


def _ranks(r: Ranking) -> jax.Array:
    return jnp.arange(1, r.classes.shape[1] + 1, dtype=jnp.int32)[None, :]


def vote(r: Ranking, k: int) -> jax.Array:
    """Whether the class of most of the k nearest, of equal ones that of the nearest point, is the query's own."""
    classes = r.classes[:, :k]

    def add(votes: jax.Array, one: jax.Array) -> tuple[jax.Array, None]:
        return votes + (classes == one[:, None]).astype(jnp.int32), None

    votes = jax.lax.scan(add, jnp.zeros_like(classes), classes.T)[0]
    most = jnp.where(classes < 0, 0, votes).argmax(1)  # the first of them
    return jnp.take_along_axis(classes, most[:, None], 1, mode="clip")[:, 0] == r.own
