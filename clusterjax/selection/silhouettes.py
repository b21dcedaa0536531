"""The silhouettes of many labelings of the same points."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from clusterjax.arguments import cluster_sizes
from clusterjax.by_cluster import distance_sums, distance_sums_side_by_side
from clusterjax.distances import cosine, on_blocks, precomputed, squared_euclidean
from clusterjax.indices.comparison import average_values, comparable, score_by_sums, silhouettes
from clusterjax.nearest import cost_of_all_pairs, nearest_ahead
from clusterjax.partition import Nearest, Partition, partition, scaled
from clusterjax.progress import tracked
from clusterjax.selection.candidates import groups
from clusterjax.typing import Array, Mask, Scalar

# A few shuffles, for a mean and a spread: their spread is small.
SHUFFLES = 3


def sweep_silhouettes(
    x: Array,
    labels: jax.Array,
    where: Mask | None,
    weights: Array | None,
    metric: Partial,
    ks: tuple[int, ...],
    shown: bool,
) -> tuple[jax.Array, dict[int, str]]:
    """The silhouette of every labeling; NaN with the reason where there is none.

    Of few clusters each distance is formed once for all of them; many are compared with few each.
    """
    reasons = {}
    for one, k in zip(labels, ks, strict=True):
        sizes = cluster_sizes(one, where, weights)
        if sizes is not None:
            try:
                comparable(np.append(sizes, 0))
            except ValueError as error:
                reasons[k] = str(error)
    largest = {k: group[-1] for group in groups(ks) for k in group}
    found, rest = {}, []
    share = _cost_of_all_pairs(x.shape, metric, ks) / len(ks)
    for place, k in enumerate(tracked(ks, "silhouette", shown)):
        nearest = nearest_ahead(x, labels[place], where, weights, metric, largest[k], all_pairs=share)
        if nearest is None:
            rest.append(place)
        else:
            found[place] = _score_of(x, labels[place], weights, metric, nearest, largest[k])
    if rest:
        together = tuple(ks[place] for place in rest)
        scores = _silhouette_scores(jnp.asarray(x), labels[np.array(rest)], weights, metric, together)
        found |= dict(zip(rest, scores, strict=True))
    return jnp.stack([found[place] for place in range(len(ks))]), reasons


@partial(jax.jit, static_argnames="k")
def _score_of(x: Array, labels: jax.Array, weights: Array | None, metric: Partial, nearest: Nearest, k: int) -> Scalar:
    p = partition(x, labels, None, weights, metric, k)
    return average_values(silhouettes(p, nearest), p, "micro")


@partial(jax.jit, static_argnames="k")
def shuffled_silhouettes(
    key: jax.Array,
    x: Array,
    labels: jax.Array,
    scores: jax.Array,
    weights: Array | None,
    metric: Partial,
    k: int,
) -> jax.Array:
    """The silhouettes of the labeling with the best one, its labels shuffled among the points that it has."""
    labels = labels[jnp.where(jnp.isnan(scores), -jnp.inf, scores).argmax()]
    present = labels >= 0
    rank = jnp.cumsum(present) - 1  # the draws of the points that take part are those of data without the others
    own = jax.random.fold_in(key, 2**31)  # no k-means and no reference has it

    def shuffled(number: jax.Array) -> jax.Array:
        drawn = jax.random.uniform(jax.random.fold_in(own, number), labels.shape, jnp.float32)[rank]
        order = jnp.lexsort((drawn, ~present))
        return jnp.where(present, labels[order][rank], -1)

    many = jax.vmap(shuffled)(jnp.arange(SHUFFLES))
    return _silhouette_scores(x, many, weights, metric, (k,) * SHUFFLES)


@partial(jax.jit, static_argnames="ks")
def _silhouette_scores(
    x: Array, labels: jax.Array, weights: Array | None, metric: Partial, ks: tuple[int, ...]
) -> jax.Array:
    largest, starts = ks[-1], np.cumsum((0, *ks), dtype=np.int32)
    # distances are measured by the finest labeling, in which a point that it leaves out must be somewhere
    somewhere = jnp.where((labels >= 0).any(0), jnp.maximum(labels[-1], 0), -1)
    finest, _ = scaled(partition(x, somewhere, None, weights, metric, largest))

    def score(one: jax.Array, sums: Callable[[Partition], jax.Array]) -> jax.Array:
        p = partition(finest.x, one, None, weights, metric, largest)
        return score_by_sums(p, sums(p))

    if _is_apart(metric, x.shape[1], ks):
        return jax.lax.map(lambda one: score(one, distance_sums), labels)
    columns = jnp.where(labels >= 0, labels + starts[:-1, None], starts[-1])
    rows = jnp.arange(x.shape[0])[None, :]
    mass = 1 if finest.mass is None else finest.mass[None, :]
    w = jnp.zeros((x.shape[0], starts[-1]), finest.x.dtype).at[rows, columns].set(mass, mode="drop")
    sums = distance_sums_side_by_side(finest, w)
    # what stands beside the sums of a labeling is of clusters that it does not have
    sums = jnp.pad(sums, [(0, 0), (0, largest)])

    def from_all(given: tuple[jax.Array, jax.Array]) -> jax.Array:
        one, start = given
        return score(one, lambda _: jax.lax.dynamic_slice_in_dim(sums, start, largest, 1))

    return jax.lax.map(from_all, (labels, jnp.asarray(starts[:-1])))


def _cost_of_all_pairs(shape: tuple[int, ...], metric: Partial, ks: tuple[int, ...]) -> float:
    """What the silhouettes of all labelings take, in products of two numbers, where no bounds are asked."""
    n, d = shape
    if _is_apart(metric, d, ks):
        return len(ks) * cost_of_all_pairs(shape)
    return cost_of_all_pairs(shape) + n * n * sum(ks)


def _is_apart(metric: Partial, d: int, ks: tuple[int, ...]) -> bool:
    """Whether one labeling after the other is cheaper: where no distances are formed, or adding them up is the work."""
    if metric.func in (squared_euclidean, cosine):
        return True
    return metric.func not in (on_blocks, precomputed) and sum(ks) > (d + 64) * len(ks)
