"""Two labelings as one table of counts: the only label algebra of agreement."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from clusterjax.distances import is_traced
from clusterjax.partition import members, out_of_range
from clusterjax.typing import Array, Labels, Mask


class Table(NamedTuple):
    """How many points each class shares with each cluster: what the kernel of every measure is a function of.

    Attributes:
        cells: [r, k], integers.
        classes: [r, 1], their sizes.
        clusters: [1, k], theirs.
        n: [], how many points there are.
    """

    cells: jax.Array
    classes: jax.Array
    clusters: jax.Array
    n: jax.Array

    @property
    def dtype(self) -> jnp.dtype:
        """Of results: 32 bits, or 64 where JAX has them."""
        return jnp.zeros(()).dtype

    @property
    def sizes(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """`classes`, `clusters` and `n` as floats; the number of points is at least 1."""
        return tuple(x.astype(self.dtype) for x in (self.classes, self.clusters, jnp.maximum(self.n, 1)))  # type: ignore[return-value]

    @property
    def is_perfect(self) -> jax.Array:
        """Whether each class is a cluster, or there are no points."""
        present = (self.cells > 0).sum()
        return (present == (self.classes > 0).sum()) & (present == (self.clusters > 0).sum())


def table(cells: jax.Array) -> Table:
    """With its margins."""
    classes, clusters = cells.sum(1, keepdims=True, dtype=jnp.int32), cells.sum(0, keepdims=True, dtype=jnp.int32)
    return Table(cells, classes, clusters, classes.sum(dtype=jnp.int32))


def count(
    labels_true: Labels, labels_pred: Labels, where: Mask | None, num_classes: int, num_clusters: int
) -> tuple[Array, Array]:
    """The cells [r, k], and whether a label was out of range, which only a trace can meet.

    Known labels are counted by NumPy, into a table with room for some more ids than there are: kernels skip empty ids,
    and so are compiled for few shapes.
    """
    if is_traced(labels_true, labels_pred, where):
        return _count_traced(labels_true, labels_pred, where, num_classes, num_clusters)
    labels_true, labels_pred = np.asarray(labels_true), np.asarray(labels_pred)
    kept = (labels_true >= 0) & (labels_pred >= 0)
    kept = kept if where is None else kept & np.asarray(where)
    if not kept.all():
        labels_true, labels_pred = labels_true[kept], labels_pred[kept]
    r, k = _roomy(num_classes), _roomy(num_clusters)
    cells = np.bincount(labels_true.astype(np.int64) * k + labels_pred, minlength=r * k)
    return cells.reshape(r, k).astype(np.int32), np.zeros((), bool)


def _roomy(size: int) -> int:
    """A power of two, or a multiple of 128."""
    return max(4, 1 << (size - 1).bit_length()) if size <= 128 else size + -size % 128


@partial(jax.jit, static_argnames=("num_classes", "num_clusters"))
def _count_traced(labels_true, labels_pred, where, num_classes, num_clusters):
    both = (labels_true >= 0) & (labels_pred >= 0)
    both = both if where is None else both & where
    bad = out_of_range(labels_true, both, num_classes) | out_of_range(labels_pred, both, num_clusters)
    rows, columns = members(labels_true, both, num_classes), members(labels_pred, both, num_clusters)
    cells = jnp.zeros((num_classes, num_clusters), jnp.int32).at[rows, columns].add(1, mode="drop")
    return cells, bad.any()
