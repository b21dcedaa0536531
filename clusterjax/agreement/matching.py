"""Agreement by matching clusters with classes: each with its most frequent one, one to one, or point by point."""

from __future__ import annotations

from typing import NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from clusterjax.agreement.contingency import Table
from clusterjax.agreement.measure import measure
from clusterjax.arithmetic import ratio
from clusterjax.typing import Compared, NonNegative, Scalar


class BCubed(NamedTuple):
    """Precision and recall of the neighbourhoods of points.

    Attributes:
        precision: [], the mean over points of the share of the point's cluster that is of its class.
        recall: [], the mean share of its class that is in its cluster.
        f: [], their weighted harmonic mean.
    """

    precision: jax.Array
    recall: jax.Array
    f: jax.Array


@measure
def purity_score(t: Table, **_: Unpack[Compared]) -> Scalar:
    """Purity: the share of points that are of the most frequent class of their cluster.

    `sum_j max_i n_ij / n`, with n_ij the points of class i in cluster j.

    Returns:
        A scalar in (0, 1]; 1 where there are no points. It is 1 also where every point is a cluster: with the labelings
        exchanged (inverse purity) it is low then. NaN when traced labels turn out to be out of range.

    Examples:
        >>> float(purity_score([0, 0, 1, 1], [0, 0, 0, 1]))
        0.75

    Source: Zhao and Karypis, Criterion functions for document clustering (2001).
    """
    return _of_all(t, t.cells.max(0).sum(dtype=jnp.int32))


@measure
def clustering_accuracy(t: Table, **_: Unpack[Compared]) -> Scalar:
    """Accuracy under the best matching of clusters with classes, one to one.

    `max over one-to-one m of sum_j n_m(j),j / n`, with n_ij the points of class i in cluster j. What is left over,
    where there are more clusters than classes, counts as wrong.

    Returns:
        A scalar in (0, 1]; 1 where there are no points. The matching is exact. Symmetric. NaN when traced labels turn
        out to be out of range.

    Examples:
        >>> float(clustering_accuracy([0, 0, 1, 1], [1, 1, 0, 2]))
        0.75

    Source: Kuhn, The Hungarian method for the assignment problem (1955); as a score, Xie, Girshick and Farhadi,
    Unsupervised deep embedding for clustering analysis (2016).
    """
    matched = matched_classes(t.cells)
    shared = t.cells[matched, jnp.arange(len(matched), dtype=jnp.int32)]
    return _of_all(t, jnp.where(matched < 0, 0, shared).sum(dtype=jnp.int32))


@measure
def bcubed_score(t: Table, *, beta: NonNegative = 1.0, **_: Unpack[Compared]) -> BCubed:
    """BCubed precision, recall and F: how pure is the cluster of a point, and how much of its class does it hold?

    `P = sum_ij n_ij^2 / b_j / n`, `R = sum_ij n_ij^2 / a_i / n`, `F = (1 + beta^2) P R / (beta^2 P + R)`, with n_ij the
    points of class i in cluster j, a_i and b_j their sizes.

    Args:
        beta: at least 0: above 1 recall counts more, below precision.

    Returns:
        BCubed in (0, 1]; 1 where there are no points. With the labelings exchanged precision and recall are. NaN when
        traced labels turn out to be out of range.

    Raises:
        ValueError: a negative beta.

    Examples:
        >>> [round(float(value), 4) for value in bcubed_score([0, 0, 1, 1], [0, 0, 0, 1])]
        [0.6667, 0.75, 0.7059]

    Source: Bagga and Baldwin, Entity-based cross-document coreferencing (1998); Amigo et al., A comparison of extrinsic
    clustering evaluation metrics (2009).
    """
    classes, clusters, n = t.sizes
    cells, weight = t.cells.astype(t.dtype), jnp.asarray(beta, t.dtype) ** 2
    precision, recall = (
        jnp.where(t.n > 0, (cells / n * ratio(cells, sizes)).sum(), 1) for sizes in (clusters, classes)
    )
    return BCubed(precision, recall, (1 + weight) * precision * recall / (weight * precision + recall))


@jax.jit
def matched_classes(cells: jax.Array | np.ndarray) -> jax.Array:
    """For each cluster [k] the class that the best matching of a table [r, k] gives it; -1 where they share none."""
    cells = jnp.asarray(cells)
    r, k = cells.shape
    if r > k:
        matched = best_matching(cells.T)
    else:
        matched = jnp.full(k, -1, jnp.int32).at[best_matching(cells)].set(jnp.arange(r, dtype=jnp.int32))
    shared = cells[matched, jnp.arange(k, dtype=jnp.int32)]
    return jnp.where(shared > 0, matched, -1)


def best_matching(gains: jax.Array) -> jax.Array:
    """For each row [r] a column of its own, r <= k, so that the sum of the integers `gains` [r, k] is the largest.

    Rows come in one by one: a shortest path of exchanges, in costs that potentials keep from being negative, makes room
    for each. O(r^2 k).
    """
    r, k = gains.shape
    costs = jnp.max(gains, initial=0) - gains
    far = jnp.iinfo(jnp.int32).max
    # Column k stands for the row that comes in; `row_of` is r where a column is free.

    def enter(i: jax.Array, state):
        rows, columns, row_of = state
        row_of = row_of.at[k].set(i)
        nobody = jnp.full(k + 1, far, jnp.int32), jnp.full(k + 1, k, jnp.int32), jnp.zeros(k + 1, bool)

        def look(path):
            rows, columns, j, (distance, before, seen) = path
            seen = seen.at[j].set(True)
            i = row_of[j]
            reduced = costs[i] - rows[i] - columns[:k]
            nearer = ~seen[:k] & (reduced < distance[:k])
            distance = distance.at[:k].set(jnp.where(nearer, reduced, distance[:k]))
            before = before.at[:k].set(jnp.where(nearer, j, before[:k]))
            open_ = jnp.where(seen[:k], far, distance[:k])
            step = open_.min()
            rows = rows.at[row_of].add(jnp.where(seen, step, 0))
            columns = columns - jnp.where(seen, step, 0)
            distance = distance - jnp.where(seen, 0, step)
            return rows, columns, open_.argmin().astype(jnp.int32), (distance, before, seen)

        start = rows, columns, jnp.asarray(k, jnp.int32), nobody
        rows, columns, j, (_, before, _) = jax.lax.while_loop(lambda path: row_of[path[2]] < r, look, start)

        def exchange(path):
            row_of, j = path
            return row_of.at[j].set(row_of[before[j]]), before[j]

        row_of, _ = jax.lax.while_loop(lambda path: path[1] != k, exchange, (row_of, j))
        return rows, columns, row_of

    nothing = jnp.zeros(r + 1, jnp.int32), jnp.zeros(k + 1, jnp.int32), jnp.full(k + 1, r, jnp.int32)
    _, _, row_of = jax.lax.fori_loop(jnp.int32(0), jnp.int32(r), enter, nothing)
    return jnp.zeros(r, jnp.int32).at[row_of[:k]].set(jnp.arange(k, dtype=jnp.int32), mode="drop")


def _of_all(t: Table, count: jax.Array) -> jax.Array:
    """As a share of the points; 1 of none."""
    return jnp.where(t.n > 0, count.astype(t.dtype) / t.sizes[2], 1)
