"""Accuracy of the nearest prototype over episodes with its interval, and how two models differ on the same ones."""

from __future__ import annotations

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from numpy.typing import ArrayLike

from clusterjax.arguments import as_data, as_labels
from clusterjax.arithmetic import power_of_two
from clusterjax.by_cluster import distances_to
from clusterjax.distances import as_points, on_blocks, precomputed, resolve
from clusterjax.fewshot.episodes import Episodes, sample_episodes
from clusterjax.partition import members, out_of_range
from clusterjax.typing import Metric


class EpisodeResult(NamedTuple):
    """Accuracy over episodes, as fractions.

    Attributes:
        accuracy: [num_episodes], the share of an episode's queries that find their class.
        mean: [], the mean over episodes.
        ci95: [], half the width of the 95 % interval of that mean: t sd / sqrt(num_episodes), where t is Student's for
            num_episodes - 1 degrees of freedom.
    """

    accuracy: jax.Array
    mean: jax.Array
    ci95: jax.Array


class PairedDifference(NamedTuple):
    """How much better one model is than another on the same episodes, as fractions.

    Attributes:
        mean: [], the mean over episodes of the difference.
        ci95: [], half the width of the 95 % interval of that mean, as that of an `EpisodeResult`.
    """

    mean: jax.Array
    ci95: jax.Array


def prototypes(
    embeddings: ArrayLike, labels: ArrayLike, *, num_clusters: int | None = None, where: ArrayLike | None = None
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
        Where a traced label turns out to be out of range, all rows are NaN.

    Raises:
        ValueError: a label is not below `num_clusters`, or the labels are traced and `num_clusters` is missing.

    Examples:
        >>> import jax.numpy as jnp
        >>> prototypes(jnp.array([[0.0, 0.0], [2.0, 4.0], [9.0, 9.0]]), jnp.array([0, 0, 1])).tolist()
        [[1.0, 2.0], [9.0, 9.0]]

    Source: Snell, Swersky, Zemel, Prototypical networks for few-shot learning (2017).
    """
    labels, where, k = as_labels(labels, where, num_clusters)
    return _prototypes(as_data(embeddings, len(labels), resolve("euclidean")), labels, where, k)


def evaluate(
    key: jax.Array,
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    way: int,
    shot: int,
    queries: int = 15,
    num_episodes: int = 1000,
    metric: Metric = "squared_euclidean",
    replacement: bool = True,
    groups: ArrayLike | None = None,
    num_clusters: int | None = None,
    where: ArrayLike | None = None,
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
        TypeError: as `sample_episodes`.
        ValueError: as `sample_episodes`; or the metric is "precomputed".

    Examples:
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
    labels, where, k = as_labels(labels, where, num_clusters)
    embeddings = as_data(embeddings, len(labels), metric)
    episodes = sample_episodes(
        key,
        labels,
        way=way,
        shot=shot,
        queries=queries,
        num_episodes=num_episodes,
        replacement=replacement,
        groups=groups,
        num_clusters=k,
        where=where,
    )
    return _evaluate(embeddings, episodes, metric)


def paired_difference(a: EpisodeResult, b: EpisodeResult) -> PairedDifference:
    """How much better `a` is than `b` on the same episodes: both evaluated with the same key, labels and options.

    `mean and t sd / sqrt(num_episodes) of accuracy_e(a) - accuracy_e(b)`

    What makes an episode hard for both cancels, so the interval is narrower than that of either mean.

    Args:
        a: the result of one model.
        b: the result of another, on the same episodes.

    Returns:
        PairedDifference, positive where `a` is better.

    Raises:
        ValueError: the results have different numbers of episodes.

    Examples:
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
    count = values.shape[0]
    return values.mean(), _student(count - 1) * values.std(ddof=1) / count**0.5


@cache
def _student(freedom: int) -> float:
    """The t that a Student variable of so many degrees of freedom stays within, on both sides, 95 % of the time.

    Its distribution is a finite series in the angle atan(t / sqrt(freedom)): Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    if freedom < 1:  # one value has no spread
        return float("nan")
    odd, steps = freedom % 2, np.arange(1, freedom // 2)
    factors = (2 * steps - 1 + odd) / (2 * steps + odd)

    def within(angle: float) -> float:
        sine, cosine = np.sin(angle), np.cos(angle)
        series = 1 + np.cumprod(factors * cosine**2).sum()
        if not odd:
            return sine * series
        return 2 / np.pi * (angle + sine * cosine * series * (freedom > 1))

    low, high = 0.0, np.pi / 2
    for _ in range(60):  # halved to the last bit
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < 0.95 else (low, middle)
    return float(freedom**0.5 * np.tan(low))


@partial(jax.jit, static_argnames="num_clusters")
def _prototypes(x, labels, where, num_clusters):
    x, ids = as_points(x), members(labels, where, num_clusters)
    sizes = jax.ops.segment_sum(jnp.ones_like(ids), ids, num_clusters)[:, None].astype(x.dtype)

    def mean_around(origin: jax.Array) -> jax.Array:
        # segment sums, not a product with one-hot weights: 0 * NaN would carry a NaN into every class
        origin = jax.lax.stop_gradient(jnp.where(jnp.isfinite(origin), origin, 0))
        return origin + jax.ops.segment_sum(x - origin.at[ids].get(mode="clip"), ids, num_clusters) / sizes

    # Averaging deviations keeps the digits of data far from the origin: first those from the class's own largest value,
    # then those from the mean that this gives, so that the sum stays small however many rows there are.
    means = mean_around(mean_around(jax.ops.segment_max(jax.lax.stop_gradient(x), ids, num_clusters)))
    return jnp.where(out_of_range(labels, where, num_clusters).any(), jnp.nan, means)


@jax.jit
def _evaluate(embeddings, episodes: Episodes, metric: Partial) -> EpisodeResult:
    x = as_points(embeddings)
    if metric.func is not on_blocks:  # which is the nearest does not depend on the scale
        x = x / power_of_two(x)
    num_episodes, way, shot = episodes.support.shape
    queries, dim = episodes.query.shape[2], x.shape[1]

    always = (episodes.support >= -1).all()  # which a compiler does not know

    def accuracy(episode: Episodes) -> jax.Array:
        centres = x[episode.support].mean(1)
        asked = x[episode.query].reshape(way * queries, dim)
        own = jnp.repeat(jnp.arange(way), queries)
        # As the result of a branch distances are kept. A fused program may compute them again, rounded otherwise, to
        # compare them with their minimum: then none equals it.
        distances = jax.lax.cond(
            always, lambda c, a: distances_to(c, a, metric, own), lambda c, a: jnp.zeros_like(a @ c.T), centres, asked
        )
        distances = distances.reshape(way, queries, way)
        nearest = distances == distances.min(-1, keepdims=True)
        # a NaN distance equals nothing, not even the NaN minimum: 0 / 0, and the episode is NaN
        right = jnp.einsum("wqw->wq", nearest).astype(x.dtype) / nearest.sum(-1).astype(x.dtype)
        drawn = (episode.support >= 0).all() & (episode.query >= 0).all()
        return jnp.where(drawn, right.mean(), jnp.nan)

    # as many episodes at a time as fill some ten megabytes: large enough to vectorise, small enough to stay in cache
    batch_size = max(1, min(num_episodes, 2**21 // (way * (shot + queries) * max(dim, 1))))
    accuracies = jax.lax.map(accuracy, episodes, batch_size=batch_size)
    return EpisodeResult(accuracies, *_mean_and_ci95(accuracies))
