"""Few-shot evaluation: how well do the means of a few drawings recognise more drawings of unseen classes?

An episode draws `way` classes, and `shot + queries` drawings of each. The mean of a class's first `shot` drawings is
its prototype; every query goes to the nearest prototype. Embed each drawing once, then evaluate thousands of episodes
in one compiled call.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from clusterjax.distances import as_points, precomputed, resolve
from clusterjax.partition import count_clusters
from clusterjax.typing import Labels, Mask, Metric, Points


class Episodes(NamedTuple):
    """Rows of the data that make each episode.

    Attributes:
        support: [num_episodes, way, shot], the rows whose means are the prototypes.
        query: [num_episodes, way, queries], the rows to recognise; those of `query[e, c]` belong with `support[e, c]`.
    """

    support: jax.Array
    query: jax.Array


class EpisodeResult(NamedTuple):
    """Accuracy over episodes, as fractions.

    Attributes:
        accuracy: [num_episodes], the share of an episode's queries that find their class.
        mean: [], the mean over episodes.
        ci95: [], half the width of the 95 % interval of that mean: 1.96 sd / sqrt(num_episodes).
    """

    accuracy: jax.Array
    mean: jax.Array
    ci95: jax.Array


class PairedDifference(NamedTuple):
    """How much better one model is than another on the same episodes, as fractions.

    Attributes:
        mean: [], the mean over episodes of the difference.
        ci95: [], half the width of the 95 % interval of that mean: 1.96 sd / sqrt(num_episodes).
    """

    mean: jax.Array
    ci95: jax.Array


def prototypes(
    embeddings: Points, labels: Labels, *, num_clusters: int | None = None, where: Mask | None = None
) -> jax.Array:
    """The mean of each class.

    `c_k = mean of x_i over the points i of class k`

    Args:
        embeddings: [n, d].
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part, whatever the row holds.

    Returns:
        [num_clusters, d]; a class without members has no mean and its row is NaN. A NaN spoils its own class only.

    Raises:
        ValueError: a label is not below `num_clusters`, or the labels are traced and `num_clusters` is missing.

    Example:
        >>> import jax.numpy as jnp
        >>> prototypes(jnp.array([[0.0, 0.0], [2.0, 4.0], [9.0, 9.0]]), jnp.array([0, 0, 1])).tolist()
        [[1.0, 2.0], [9.0, 9.0]]

    Source: Snell, Swersky, Zemel, Prototypical networks for few-shot learning (2017).
    """
    return _prototypes(embeddings, labels, where, count_clusters(labels, num_clusters, where))


def sample_episodes(
    key: jax.Array,
    labels: Labels,
    *,
    way: int,
    shot: int,
    queries: int = 15,
    num_episodes: int,
    replacement: bool = True,
    groups: Labels | None = None,
    num_clusters: int | None = None,
    where: Mask | None = None,
) -> Episodes:
    """Draw episodes: which rows are support and which are queries.

    Classes never repeat within an episode, nor do drawings. What may repeat is a drawing in *another* episode:

    - `replacement=True`: every episode is drawn from all the data, independently of the others, as the literature
      does. The interval over such episodes is for these drawings only: it shrinks to nothing as episodes are added.
    - `replacement=False`: episodes are disjoint, no drawing is used twice, and classes are used as evenly as their
      sizes allow. The interval is also about other drawings; there are only as many episodes as the data give.

    The first episodes of a longer draw with replacement are those of a shorter one under the same key.

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
        Episodes. Where traced labels turn out to have too few classes or drawings, rows are -1.

    Raises:
        ValueError: more ways than classes, more drawings than the smallest class has, more disjoint episodes than
            the data give, a class in two groups, a count below one.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> labels = jnp.repeat(jnp.arange(6), 4)
        >>> episodes = sample_episodes(jax.random.key(0), labels, way=3, shot=1, queries=2, num_episodes=10)
        >>> episodes.support.shape, episodes.query.shape
        ((10, 3, 1), (10, 3, 2))

    Source: Vinyals et al., Matching networks (2016); Lafargue et al., Oops, I sampled it again (arXiv 2409.02850).
    """
    k = count_clusters(labels, num_clusters, where)
    _check(labels, groups, where, way, shot, queries, num_episodes, replacement, k)
    return _sample(key, labels, groups, where, way, shot, queries, num_episodes, replacement, k)


def evaluate(
    key: jax.Array,
    embeddings: Points,
    labels: Labels,
    *,
    way: int,
    shot: int,
    queries: int = 15,
    num_episodes: int = 1000,
    metric: Metric = "squared_euclidean",
    replacement: bool = True,
    groups: Labels | None = None,
    num_clusters: int | None = None,
    where: Mask | None = None,
) -> EpisodeResult:
    """Accuracy of the nearest prototype over many episodes.

    `accuracy_e = mean over queries q of [c_y(q) is the nearest of the prototypes c_1 .. c_way to q]`

    A query with several nearest prototypes counts 1 / their number when its own is among them, so an embedding that
    maps everything to one point scores 1 / way. The same key draws the same episodes whatever the embeddings: two
    models are compared by `paired_difference`.

    Args:
        key: a PRNG key.
        embeddings: [n, d].
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        way: classes in an episode.
        shot: support drawings of each class.
        queries: query drawings of each class.
        num_episodes: how many episodes; with one there is no interval (NaN).
        metric: a name or a function of two blocks of points; not "precomputed", which has no means.
        replacement: see `sample_episodes`.
        groups: see `sample_episodes`.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part, whatever the row holds.

    Returns:
        EpisodeResult. A NaN embedding makes the episodes that draw it NaN, and the mean with them.

    Raises:
        ValueError: as `sample_episodes`; or the metric is "precomputed".

    Example:
        >>> import jax, jax.numpy as jnp
        >>> labels = jnp.repeat(jnp.arange(6), 8)
        >>> result = evaluate(jax.random.key(0), jax.nn.one_hot(labels, 6), labels, way=5, shot=1, queries=5)
        >>> result.accuracy.shape, float(result.mean), float(result.ci95)
        ((1000,), 1.0, 0.0)

    Source: Snell, Swersky, Zemel, Prototypical networks for few-shot learning (2017).
    """
    metric = resolve(metric)
    if metric.func is precomputed:
        raise ValueError("few-shot evaluation needs points, whose means are prototypes: metric cannot be 'precomputed'")
    episodes = sample_episodes(
        key,
        labels,
        way=way,
        shot=shot,
        queries=queries,
        num_episodes=num_episodes,
        replacement=replacement,
        groups=groups,
        num_clusters=num_clusters,
        where=where,
    )
    return _evaluate(embeddings, episodes, metric)


def paired_difference(a: EpisodeResult, b: EpisodeResult) -> PairedDifference:
    """How much better `a` is than `b` on the same episodes: both evaluated with the same key, labels and options.

    `mean and 1.96 sd / sqrt(num_episodes) of accuracy_e(a) - accuracy_e(b)`

    What makes an episode hard for both cancels, so the interval is narrower than that of either mean.

    Args:
        a: the result of one model.
        b: the result of another, on the same episodes.

    Returns:
        PairedDifference, positive where `a` is better.

    Raises:
        ValueError: the results have different numbers of episodes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> labels = jnp.repeat(jnp.arange(6), 8)
        >>> good, bad = jax.nn.one_hot(labels, 6), jnp.zeros((48, 6))
        >>> a, b = (evaluate(jax.random.key(0), x, labels, way=5, shot=1, queries=5) for x in (good, bad))
        >>> round(float(paired_difference(a, b).mean), 4)
        0.8

    Source: Lafargue et al., Oops, I sampled it again (arXiv 2409.02850), on paired tests.
    """
    if a.accuracy.shape != b.accuracy.shape:
        raise ValueError(
            f"paired results need the same episodes: {a.accuracy.shape[0]} and {b.accuracy.shape[0]} were given"
        )
    return PairedDifference(*_mean_and_ci95(a.accuracy - b.accuracy))


def _mean_and_ci95(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    return values.mean(), 1.96 * values.std(ddof=1) / values.shape[0] ** 0.5


@partial(jax.jit, static_argnames="num_clusters")
def _prototypes(x, labels, where, num_clusters):
    x, ids = as_points(x), _behind(_members(labels, where), num_clusters)
    # segment sums, not a product with one-hot weights: 0 * NaN would carry a NaN into every class
    sums = jax.ops.segment_sum(x, ids, num_clusters)
    return sums / jax.ops.segment_sum(jnp.ones_like(x[:, :1]), ids, num_clusters)


@jax.jit
def _evaluate(embeddings, episodes: Episodes, metric: Partial) -> EpisodeResult:
    x = as_points(embeddings)
    num_episodes, way, shot = episodes.support.shape
    queries, dim = episodes.query.shape[2], x.shape[1]

    def accuracy(episode: Episodes) -> jax.Array:
        centres = x[episode.support].mean(1)
        distances = metric(x[episode.query].reshape(way * queries, dim), centres).reshape(way, queries, way)
        nearest = distances == distances.min(-1, keepdims=True)
        # a NaN distance equals nothing, not even the NaN minimum: 0 / 0, and the episode is NaN
        right = jnp.einsum("wqw->wq", nearest) / nearest.sum(-1).astype(x.dtype)
        drawn = (episode.support >= 0).all() & (episode.query >= 0).all()
        return jnp.where(drawn, right.mean(), jnp.nan)

    # as many episodes at a time as fill some ten megabytes: large enough to vectorise, small enough to stay in cache
    batch_size = max(1, min(num_episodes, 2**21 // (way * (shot + queries) * dim)))
    accuracies = jax.lax.map(accuracy, episodes, batch_size=batch_size)
    return EpisodeResult(accuracies, *_mean_and_ci95(accuracies))


class _Buckets(NamedTuple):
    """Items sorted by bucket: item r of bucket b is `order[starts[b] + r]`, for r < sizes[b]."""

    order: jax.Array
    starts: jax.Array
    sizes: jax.Array


def _bucket(ids: jax.Array, num_buckets: int) -> _Buckets:
    """Items with a negative id are in no bucket."""
    ids = _behind(ids, num_buckets)
    sizes = jnp.zeros(num_buckets, int).at[ids].add(1, mode="drop")
    return _Buckets(jnp.argsort(ids, stable=True), jnp.cumsum(sizes) - sizes, sizes)


def _pick(buckets: _Buckets, ids: jax.Array, ranks: jax.Array) -> jax.Array:
    """Items `ranks [..., r]` of the buckets `ids [...]`, -1 where there is none."""
    sizes = jnp.where(ids < 0, 0, buckets.sizes[ids])[..., None]
    return jnp.where(ranks < sizes, buckets.order[buckets.starts[ids][..., None] + ranks], -1)


def _draw(key: jax.Array, buckets: _Buckets, ids: jax.Array, count: int) -> jax.Array:
    """`count` different items of each of the buckets `ids [...]`, in random order: [..., count].

    Draw i picks among the items that draws 0 .. i-1 left over. Going backwards, every later draw that is not below
    draw i moves up by one: it then names an item and not a left-over. The cost does not depend on the bucket's size.
    """
    steps = jnp.arange(count)
    left = jnp.maximum(jnp.where(ids < 0, 0, buckets.sizes[ids])[..., None] - steps, 1)
    draws = jax.random.randint(key, left.shape, 0, left)

    def make_room(step, draws):
        i = count - 2 - step
        return draws + ((steps > i) & (draws >= draws[..., i, None]))

    return _pick(buckets, ids, jax.lax.fori_loop(0, count - 1, make_room, draws))


@partial(jax.jit, static_argnames=("way", "shot", "queries", "num_episodes", "replacement", "num_clusters"))
def _sample(key, labels, groups, where, way, shot, queries, num_episodes, replacement, num_clusters) -> Episodes:
    labels = _members(labels, where)
    if groups is not None:
        labels = _members(labels, groups >= 0)
    if replacement:
        rows = _sample_independent(key, labels, groups, way, shot + queries, num_episodes, num_clusters)
    else:
        rows = _sample_disjoint(key, labels, way, shot + queries, num_episodes, num_clusters)
    return Episodes(rows[..., :shot], rows[..., shot:])


def _sample_independent(key, labels, groups, way, size, num_episodes, num_clusters) -> jax.Array:
    """Rows [num_episodes, way, size]: draw a group, `way` of its classes, `size` rows of each."""
    rows = _bucket(labels, num_clusters)
    group_of_class = jnp.where(rows.sizes > 0, 0, -1)
    if groups is not None:
        group_of_class = jax.ops.segment_max(groups, _behind(labels, num_clusters), num_clusters)
        # there are never more groups than classes, so class ids can number them
        numbered = jnp.unique(group_of_class, size=num_clusters, return_inverse=True)[1]
        group_of_class = jnp.where(group_of_class < 0, -1, numbered)
    classes = _bucket(group_of_class, num_clusters)
    eligible = _bucket(jnp.where(classes.sizes >= way, 0, -1), 1)

    def episode(index):
        group_key, class_key, row_key = jax.random.split(jax.random.fold_in(key, index), 3)
        group = _draw(group_key, eligible, jnp.array(0), 1)[0]
        return _draw(row_key, rows, _draw(class_key, classes, group, way), size)

    return jax.vmap(episode)(jnp.arange(num_episodes))


def _sample_disjoint(key, labels, way, size, num_episodes, num_clusters) -> jax.Array:
    """Rows [num_episodes, way, size], none of them twice: classes are cut into blocks, and blocks are dealt out."""
    shuffle_key, share_key, deal_key = jax.random.split(key, 3)
    rows = _shuffle(shuffle_key, _bucket(labels, num_clusters), labels)
    blocks = _even_shares(share_key, jnp.minimum(rows.sizes // size, num_episodes), num_episodes * way, num_episodes)

    def deal(left, index):
        # the classes with most blocks left, ties drawn: this order never ends with blocks of too few classes
        urgency = jnp.where(left > 0, left + jax.random.uniform(jax.random.fold_in(deal_key, index), left.shape), -1)
        urgency, classes = jax.lax.top_k(urgency, way)
        return left.at[classes].add(-1), (jnp.where(urgency > 0, classes, -1), left[classes] - 1)

    _, (classes, block) = jax.lax.scan(deal, blocks, jnp.arange(num_episodes))
    return _pick(rows, classes, block[..., None] * size + jnp.arange(size))


def _shuffle(key: jax.Array, buckets: _Buckets, ids: jax.Array) -> _Buckets:
    """The same buckets, each in random order; the order depends on the bucket and its size, not on rows outside."""
    ids = ids[buckets.order]
    ranks = jnp.arange(ids.size) - buckets.starts[ids]
    draw = jax.vmap(lambda b, r: jax.random.uniform(jax.random.fold_in(jax.random.fold_in(key, b), r)))(ids, ranks)
    return buckets._replace(order=buckets.order[jnp.lexsort((draw, _behind(ids, buckets.sizes.size)))])


def _even_shares(key: jax.Array, capacity: jax.Array, total: int, limit: int) -> jax.Array:
    """Integers [k] between 0 and `capacity` (at most `limit`) with sum `total`, as even as they can be.

    All get `level` or their capacity; who among the others gets one more is drawn.
    """
    at_least = jnp.cumsum(jnp.bincount(capacity, length=limit + 1)[::-1])[::-1]  # classes with capacity >= 0, 1, ...
    level = (jnp.cumsum(at_least[1:]) <= total).sum()
    shares = jnp.minimum(capacity, level)
    can_more = capacity > level
    order = jnp.argsort(jnp.where(can_more, jax.random.uniform(key, capacity.shape), jnp.inf))
    more = jnp.zeros_like(shares).at[order].set(jnp.arange(capacity.size) < total - shares.sum())
    return shares + can_more * more


def _members(labels, where) -> jax.Array:
    """Labels with -1 where the mask is False."""
    return labels if where is None else jnp.where(where, labels, -1)


def _behind(ids: jax.Array, num_buckets: int) -> jax.Array:
    """Negative ids moved past the last bucket, where a sort puts them last and a scatter drops them."""
    return jnp.where(ids < 0, num_buckets, ids)


def _check(labels, groups, where, way, shot, queries, num_episodes, replacement, num_clusters) -> None:
    """Refuse what cannot be drawn, with the number that can; nothing about values is known under a trace."""
    for name, value in {"way": way, "shot": shot, "queries": queries, "num_episodes": num_episodes}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if way > num_clusters:
        raise ValueError(f"way={way} is more than the {num_clusters} classes there are: lower way")
    if groups is not None and not replacement:
        raise ValueError("disjoint episodes within groups are not offered: evaluate each group apart, by `where`")
    if any(isinstance(a, jax.core.Tracer) for a in (labels, groups, where)):
        return
    labels = np.asarray(labels)
    kept = labels >= 0 if where is None else (labels >= 0) & np.asarray(where)
    if groups is not None:
        groups = np.asarray(groups)
        kept &= groups >= 0
    sizes = np.bincount(labels[kept], minlength=num_clusters)
    classes = np.flatnonzero(sizes)
    if way > classes.size:
        raise ValueError(f"way={way} is more than the {classes.size} classes that have members: lower way")
    smallest = classes[sizes[classes].argmin()]
    if shot + queries > sizes[smallest]:
        raise ValueError(
            f"shot + queries = {shot + queries} is more than the {sizes[smallest]} drawings of class {smallest}, the "
            "smallest: lower shot or queries, or leave small classes out by `where`"
        )
    if groups is not None:
        pairs = np.unique(np.stack([labels[kept], groups[kept]]), axis=1)
        if pairs.shape[1] > classes.size:
            raise ValueError("every class must be in one group: give the classes of each group labels of their own")
        largest = np.unique(pairs[1], return_counts=True)[1].max()
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
