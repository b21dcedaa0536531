"""Episodes: which classes, and which of their rows, are shown and asked for."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from clusterjax.arguments import as_count, as_integers, as_labels
from clusterjax.distances import is_traced
from clusterjax.drawing import bucket, draw, pick
from clusterjax.partition import members, out_of_range
from clusterjax.typing import Array


class Episodes(NamedTuple):
    """Rows of the data that make each episode.

    Attributes:
        support: [num_episodes, way, shot], the rows whose means are the prototypes.
        query: [num_episodes, way, queries], the rows to recognise; those of `query[e, c]` belong with `support[e, c]`.
    """

    support: jax.Array
    query: jax.Array


def sample_episodes(
    key: jax.Array,
    labels: ArrayLike,
    *,
    way: int,
    shot: int,
    queries: int = 15,
    num_episodes: int,
    replacement: bool = True,
    groups: ArrayLike | None = None,
    num_clusters: int | None = None,
    where: ArrayLike | None = None,
) -> Episodes:
    """Draw episodes: which rows are support and which are queries.

    Classes never repeat within an episode, nor do drawings. What may repeat is a drawing in *another* episode:

    - `replacement=True`: every episode is drawn from all the data, independently of the others, as the literature
      does. The interval over such episodes is for these drawings only: it shrinks to nothing as episodes are added.
    - `replacement=False`: episodes are disjoint, no drawing is used twice, and classes are used as evenly as their
      sizes allow. The interval is also about other drawings; there are only as many episodes as the data give.

    Under one key, the first episodes of a longer draw with replacement are those of a shorter one (with JAX's default
    random numbers).

    Args:
        key: a PRNG key; the same key gives the same episodes.
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        way: classes in an episode.
        shot: support drawings of each class.
        queries: query drawings of each class.
        num_episodes: how many episodes.
        replacement: whether one drawing may be in several episodes.
        groups: [n], such as the alphabet of each row: an episode then takes its classes from one group, drawn evenly
            among those with at least `way` classes; a negative group takes no part. With replacement only.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part.

    Returns:
        Episodes. Where traced labels turn out to have too few classes or drawings, rows are -1; where one is out of
        range, all of them.

    Raises:
        TypeError: a count or groups that are not integers.
        ValueError: more ways than classes, more drawings than the smallest class has, more disjoint episodes than
            the data give, a class in two groups, groups of another shape than labels, a count below one.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> labels = jnp.repeat(jnp.arange(6), 4)
        >>> episodes = sample_episodes(jax.random.key(0), labels, way=3, shot=1, queries=2, num_episodes=10)
        >>> episodes.support.shape, episodes.query.shape
        ((10, 3, 1), (10, 3, 2))

    Source: Vinyals et al., Matching networks (2016); Lafargue et al., Oops, I sampled it again (arXiv 2409.02850).
    """
    labels, where, k = as_labels(labels, where, num_clusters)
    counts = {"way": way, "shot": shot, "queries": queries, "num_episodes": num_episodes}
    way, shot, queries, num_episodes = (as_count(value, name) for name, value in counts.items())
    groups = None if groups is None else _group_numbers(groups, len(labels))
    check(labels, groups, where, way, shot, queries, num_episodes, replacement, k)
    return Episodes(*sample(key, labels, groups, where, way, shot, queries, num_episodes, replacement, k))


def _group_numbers(groups: ArrayLike, num_points: int) -> Array:
    """Groups as integers of 32 bits, and -1 for none; where they are known, numbered anew in their own order.

    JAX would cut ids that need more bits, and make two groups one.
    """
    groups = as_integers(groups, "groups")
    if groups.shape != (num_points,):
        raise ValueError(f"groups must have the shape of labels, ({num_points},), not {groups.shape}")
    if is_traced(groups):
        return groups
    groups = np.asarray(groups)
    numbers = np.full(groups.shape, -1, np.int32)
    numbers[groups >= 0] = np.unique(groups[groups >= 0], return_inverse=True)[1]
    return numbers


def check(labels, groups, where, way, shot, queries, num_episodes, replacement, num_clusters) -> None:
    """Refuse what cannot be drawn, with the number that can; nothing about values is known under a trace."""
    if len(labels) == 0:  # which is known under a trace too
        raise ValueError(f"way={way} is more than the 0 classes that have members: there are no data")
    if way > num_clusters:
        raise ValueError(f"way={way} is more than the {num_clusters} classes there are: lower way")
    if groups is not None and not replacement:
        raise ValueError("disjoint episodes within groups are not offered: evaluate each group apart, by `where`")
    if is_traced(labels, groups, where):
        return
    labels, groups = np.asarray(labels), np.zeros(len(labels), int) if groups is None else np.asarray(groups)
    where = (labels >= 0) & (groups >= 0) & (True if where is None else np.asarray(where))
    sizes = np.bincount(labels[where])
    classes = np.flatnonzero(sizes)
    if way > classes.size:
        raise ValueError(f"way={way} is more than the {classes.size} classes that have members: lower way")
    smallest = classes[sizes[classes].argmin()]
    if shot + queries > sizes[smallest]:
        raise ValueError(
            f"shot + queries = {shot + queries} is more than the {sizes[smallest]} drawings of class {smallest}, the "
            "smallest: lower shot or queries, or leave small classes out by `where`"
        )
    classes, groups = np.unique(np.stack([labels[where], groups[where]]), axis=1)
    if np.unique(classes).size < classes.size:
        raise ValueError("every class must be in one group: give the classes of each group labels of their own")
    largest = np.unique(groups, return_counts=True)[1].max()
    if way > largest:
        raise ValueError(f"way={way} is more than the {largest} classes of the largest group: lower way")
    if not replacement:
        most = _most_disjoint(sizes // (shot + queries), way)
        if num_episodes > most:
            raise ValueError(
                f"num_episodes={num_episodes} is more than the {most} disjoint episodes that the data give: lower "
                "num_episodes, shot or queries, or pass replacement=True"
            )


def _most_disjoint(blocks: np.ndarray, way: int) -> int:
    """The most episodes of `way` different classes that can be made when class k has `blocks[k]` blocks."""
    most, bound = -1, int(blocks.sum()) // way
    while most != bound:
        most, bound = bound, int(np.minimum(blocks, bound).sum()) // way
    return most


# Random numbers are drawn in 32 bits throughout: their own default would make other episodes with jax_enable_x64.


@partial(jax.jit, static_argnames=("way", "shot", "queries", "num_episodes", "replacement", "num_clusters"))
def sample(
    key, labels, groups, where, way, shot, queries, num_episodes, replacement, num_clusters
) -> tuple[jax.Array, jax.Array]:
    """Rows of the support [num_episodes, way, shot] and of the queries [num_episodes, way, queries]."""
    bad = out_of_range(labels, where, num_clusters).any()
    labels = members(labels, where, num_clusters)
    if groups is not None:
        labels = members(labels, groups >= 0, num_clusters)
    if replacement:
        rows = _sample_independent(key, labels, groups, way, shot + queries, num_episodes, num_clusters)
    else:
        rows = _sample_disjoint(key, labels, way, shot + queries, num_episodes, num_clusters)
    rows = jnp.where(bad, -1, rows)
    return rows[..., :shot], rows[..., shot:]


def _sample_independent(key, labels, groups, way, size, num_episodes, num_clusters) -> jax.Array:
    """Rows [num_episodes, way, size]: draw a group, `way` of its classes, `size` rows of each."""
    rows = bucket(labels, num_clusters)
    group_of_class = jnp.zeros(num_clusters, int)
    if groups is not None:
        # there are never more groups than classes, so class ids can number them
        of_class = jax.ops.segment_max(groups, labels, num_clusters)
        group_of_class = jnp.unique(of_class, size=num_clusters, return_inverse=True)[1]
    classes = bucket(jnp.where(rows.sizes > 0, group_of_class, num_clusters), num_clusters)
    eligible = bucket(jnp.where(classes.sizes >= way, 0, 1), 1)

    def episode(bits):
        group = draw(bits[:1], eligible, jnp.array(0))[0]
        drawn = draw(bits[1 : 1 + way], classes, group)
        return jax.vmap(draw, in_axes=(0, None, 0))(bits[1 + way :].reshape(way, size), rows, drawn)

    # one call for all: a key for each episode would double the time to compile
    return jax.vmap(episode)(jax.random.bits(key, (num_episodes, 1 + way + way * size), jnp.uint32))


def _sample_disjoint(key, labels, way, size, num_episodes, num_clusters) -> jax.Array:
    """Rows [num_episodes, way, size], none of them twice: classes are cut into blocks, and blocks are dealt out."""
    order_key, deal_key = jax.random.split(key)
    order = jax.random.uniform(order_key, (num_clusters + labels.size,), jnp.float32)
    class_order, row_order = jnp.split(order, [num_clusters])
    rows = bucket(labels, num_clusters)
    # a row's draw belongs to its place among the sorted rows, where those that take no part come last
    shuffle = jnp.lexsort((row_order, labels[rows.order]))
    rows = rows._replace(order=rows.order[shuffle])
    blocks = _even_shares(class_order, jnp.minimum(rows.sizes // size, num_episodes), num_episodes * way, num_episodes)

    def deal(left, index):
        # the classes with most blocks left, ties drawn: this order never ends with blocks of too few classes
        urgency = left.astype(jnp.float32)
        urgency += jax.random.uniform(jax.random.fold_in(deal_key, index), left.shape, jnp.float32)
        urgency, classes = jax.lax.top_k(jnp.where(left > 0, urgency, -1), way)
        return left.at[classes].add(-1), (jnp.where(urgency > 0, classes, -1), (blocks - left)[classes])

    _, (classes, used) = jax.lax.scan(deal, blocks, jnp.arange(num_episodes))
    return jax.vmap(jax.vmap(lambda c, b: pick(rows, c, b * size + jnp.arange(size))))(classes, used)


def _even_shares(order: jax.Array, capacity: jax.Array, total: int, limit: int) -> jax.Array:
    """Integers [k] between 0 and `capacity` (at most `limit`) with sum `total`, as even as they can be.

    All get `level` or their capacity; those of the others that are first in `order` get one more.
    """
    at_least = jnp.cumsum(jnp.bincount(capacity, length=limit + 1)[::-1])[::-1]  # classes with capacity >= 0, 1, ...
    level = (jnp.cumsum(at_least[1:]) <= total).sum()
    shares = jnp.minimum(capacity, level)
    can_more = capacity > level
    place = jnp.argsort(jnp.argsort(jnp.where(can_more, order, jnp.inf)))
    # a place varies over a mesh as `order` does, which a sort forgets to say and the scan over the shares asks for
    place += jnp.zeros_like(order, place.dtype)
    one_more = can_more & (place < total - shares.sum())
    return jnp.where(one_more, shares + 1, shares)
