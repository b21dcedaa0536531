"""The gap statistic: how much tighter are the clusters of the data than those of data without any?"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from clusterjax.arguments import as_count, as_mask, as_rows, check_option
from clusterjax.arithmetic import matmul, power_of_two, ratio, safe_sqrt
from clusterjax.by_cluster import distance_sums_side_by_side
from clusterjax.clustering.kmeans import fit
from clusterjax.distances import as_points, is_traced, resolve, unit_rows
from clusterjax.partition import centred, members, partition
from clusterjax.selection.candidates import as_ks, check_enough, for_each_k
from clusterjax.selection.repetitions import repeated
from clusterjax.typing import Array, Mask

Reference: TypeAlias = Literal["pca", "uniform", "sphere"]
# The feature of the largest spread then has ten thousand times the say of the one of the smallest.
UNEQUAL = 100


class GapResult(NamedTuple):
    """The gap for each number of clusters, K of them.

    Attributes:
        ks: [K], numbers of clusters, from 1.
        log_w: [K], log of the dispersion within the clusters; of gap*, the dispersion itself.
        expected_log_w: [K], its mean over the references.
        gap: [K], expected_log_w - log_w.
        standard_error: [K], of expected_log_w, with the error of its simulation.
        labels: [K, n], the clusters for each k, the largest first; -1 for a point that takes no part.
    """

    ks: jax.Array
    log_w: jax.Array
    expected_log_w: jax.Array
    gap: jax.Array
    standard_error: jax.Array
    labels: jax.Array


def gap_statistic(
    key: jax.Array,
    x: ArrayLike,
    *,
    max_clusters: int,
    num_references: int = 100,
    reference: Reference = "pca",
    power: Literal[1, 2] = 2,
    num_restarts: int = 10,
    weighting: Literal["weighted"] | None = None,
    logarithm: bool = True,
    where: ArrayLike | None = None,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    progress: bool | None = None,
) -> GapResult:
    """Gap statistic of k-means for 1 .. `max_clusters` clusters; `max_se(gap, standard_error)` reads it.

    `gap(k) = mean_b log W*_kb - log W_k`, with `W_k = sum_r D_r / (2 n_r)`, `D_r` the sum over all ordered pairs of
    points of cluster r of their distance to the given power, and W* the same for references without clusters;
    `standard_error(k) = sd_b(log W*_kb) sqrt(1 + 1/B)`, the sd with divisor B. With power 2, W is the sum of squares
    within clusters. One cluster is a candidate: the gap can answer that there are none.

    All references and all k are one compiled program; another key or other data of the same shape compile nothing. On
    a CPU, small data are clustered in as many threads as there are cores.

    Args:
        key: a PRNG key, for the references and for the starts of k-means.
        x: [n, d].
        max_clusters: K, the largest number of clusters.
        num_references: B, how many sets of references.
        reference: "pca", uniform over the ranges of the data along their principal axes; "uniform", over the range of
            each feature; "sphere", directions uniform over all, for the cosine only. With the cosine the first two are
            made of rows of length 1, and scaled to that length again.
        power: 2 as in the paper, or 1, R's default, which takes all pairs of points once for each reference.
        num_restarts: starts of each k-means, of which the best is kept; of data and references alike.
        weighting: "weighted" is the weighted gap: `D_r / (2 n_r (n_r - 1))`, and 0 of a singleton.
        logarithm: False leaves the logs out: gap*, whose scale is that of the data.
        where: [n], False takes no part, whatever the row holds.
        metric: "euclidean"; or "cosine": spherical k-means, and distances between rows scaled to length 1.
        progress: whether to show on stderr how many references are done. Left out: where it takes long.

    Returns:
        GapResult. Where all clusters are duplicates, W is 0 and the gap infinite. All NaN where a point that takes part
        holds a NaN, or where a trace hides more clusters than points.

    Raises:
        ValueError: more clusters than points that take part, a count below 1, an unknown option, the sphere without the
            cosine.
        TypeError: a count that is no integer, a mask that is not boolean.

    Warns:
        UserWarning: one feature varies more than 100 times as much as another, which then has no say.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> corners = jnp.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
        >>> x = jnp.repeat(corners, 20, 0) + jax.random.normal(jax.random.key(0), (60, 2))
        >>> result = gap_statistic(jax.random.key(1), x, max_clusters=5, num_references=20)
        >>> result.ks.tolist(), int(result.ks[result.gap.argmax()])
        ([1, 2, 3, 4, 5], 3)

    Source: Tibshirani, Walther, Hastie, Estimating the number of clusters in a data set via the gap statistic (2001);
    weighted: Yan and Ye (2007); gap*: Mohajer, Englmeier, Schmid (arXiv 1103.4767). R's `clusGap` has half of this W,
    the divisor B - 1 in its sd, power 1 by default, and the name "scaledPCA" for "pca".
    """
    x = as_rows(x)
    where = as_mask(where, x.shape[:1])
    ks = as_ks(range(1, as_count(max_clusters, "max_clusters") + 1))
    num_references, num_restarts = as_count(num_references, "num_references"), as_count(num_restarts, "num_restarts")
    options = {"reference": reference, "power": power, "weighting": weighting, "metric": metric}
    for name, value in options.items():
        if value is not None:
            check_option(name, value, OPTIONS[name])
    check_enough(ks, len(x), where)
    check_reference(x, where, reference, metric)
    options |= {"logarithm": bool(logarithm), "progress": progress}
    return gap_curve(key, x, where, ks, num_references, num_restarts, **options)


OPTIONS = {
    "reference": Reference,
    "power": Literal[1, 2],
    "weighting": Literal["weighted"],
    "metric": Literal["euclidean", "cosine"],
}


def check_reference(x: Array, where: Mask | None, reference: str, metric: str) -> None:
    """Refuse a sphere that the data are not on; warn where the scales of the features decide."""
    if reference == "sphere" and metric != "cosine":
        raise ValueError('references on a sphere are for rows of length 1: pass metric="cosine" too')
    if metric == "cosine" or is_traced(x, where):
        return
    spread = np.asarray(x if where is None else np.asarray(x)[np.asarray(where)], float).std(0)
    spread = spread[spread > 0]
    if spread.size and spread.max() > UNEQUAL * spread.min():
        warnings.warn(
            f"one feature varies {spread.max() / spread.min():.0f} times as much as another, which has no say in "
            "distances then: scale the features first, unless this is meant",
            stacklevel=3,
        )


def gap_curve(
    key, x, where, ks, num_references, num_restarts, *, reference, power, weighting, logarithm, metric, progress
) -> GapResult:
    """`gap_statistic` for any numbers of clusters `ks`, without its checks."""
    curves = partial(
        _curves, key, x, where, ks=ks, num_restarts=num_restarts, reference=reference, power=power,
        weighting=weighting, logarithm=logarithm, metric=metric,
    )  # fmt: skip
    parts = repeated(
        curves, num_references + 1, x, ks, num_restarts,
        known=not is_traced(key, x, where), what="gap", progress=progress,
    )  # fmt: skip
    w = jnp.concatenate([of_part for _, of_part in parts])[: num_references + 1]
    log_w, expected = w[0], w[1:].mean(0)
    spread = safe_sqrt(jnp.square(w[1:] - expected[None, :]).mean(0))
    error = spread * (1 + 1 / num_references) ** 0.5
    return GapResult(jnp.asarray(ks, jnp.int32), log_w, expected, expected - log_w, error, parts[0][0])


@partial(
    jax.jit,
    static_argnames=("ks", "num_restarts", "reference", "power", "weighting", "logarithm", "metric", "size"),
)
def _curves(
    key, x, where, first, last, *, ks, num_restarts, reference, power, weighting, logarithm, metric, size
) -> tuple[jax.Array, jax.Array]:
    """Log dispersions [size, K] of the numbers from first to last: of the data, which are number 0, and of references.

    And the labels [K, n] of the data, if they are among them.
    """
    x = as_points(x)
    present = jnp.ones(len(x), bool) if where is None else where
    weights = present[:, None].astype(x.dtype)
    x, unit = jnp.where(present[:, None], x, 0), jnp.ones((), x.dtype)
    if metric == "cosine":
        x = unit_rows(x)
    else:
        x = centred(x, weights)
        x = jnp.where(present[:, None], x, 0)
        unit = power_of_two(x)[0, 0]
        x = x / unit
    draw = _references(x, present, reference, metric)

    def one(number: jax.Array) -> tuple[jax.Array, jax.Array]:
        draw_key, fit_key = jax.random.split(jax.random.fold_in(key, number))
        points = jnp.where(number == 0, x, draw(draw_key))
        found, inertia = fit_each(fit_key, points, ks, present, num_restarts, metric)
        return found, jnp.where(jnp.isnan(inertia), jnp.nan, _dispersions(points, found, ks, power, weighting))

    def step(number: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        labels, w = one(number)
        return jnp.where(number == 0, labels, state[0]), state[1].at[number - first].set(w)

    nothing = jnp.full((len(ks), len(x)), -1, jnp.int32), jnp.zeros((size, len(ks)), x.dtype)
    labels, w = jax.lax.fori_loop(first, last, step, nothing)
    return labels, jnp.log(w) + power * jnp.log(unit) if logarithm else w * unit**power


def fit_each(key, x, ks, present, num_restarts, metric) -> tuple[jax.Array, jax.Array]:
    """k-means for every k: labels [K, n], inertia [K]."""

    def one(k: jax.Array, largest: int) -> tuple[jax.Array, jax.Array]:
        own = jax.random.fold_in(key, k)
        found = fit(own, x, k, largest, where=present, num_restarts=num_restarts, metric=metric)
        return found.labels, found.inertia

    return for_each_k(one, ks)


def _references(x, present, reference, metric):
    """A function of a key that draws a set of references [n, d], row by row for the points that take part.

    Random numbers are drawn in 32 bits: their own default would make other references with jax_enable_x64.
    """
    rank = jnp.cumsum(present) - 1  # the draws of the points that take part are those of data without the others
    axes = jnp.eye(x.shape[1], dtype=x.dtype)
    if reference == "pca":
        rest = jnp.where(present[:, None], centred(x, present[:, None].astype(x.dtype)), 0)
        axes = jnp.linalg.eigh(matmul(rest.T, rest))[1]
    along = jnp.where(present[:, None], matmul(x, axes), jnp.nan)
    low, high = jnp.nanmin(along, 0, keepdims=True), jnp.nanmax(along, 0, keepdims=True)

    def draw(key: jax.Array) -> jax.Array:
        if reference == "sphere":
            return unit_rows(jax.random.normal(key, x.shape, jnp.float32)[rank].astype(x.dtype))
        share = jax.random.uniform(key, x.shape, jnp.float32)[rank].astype(x.dtype)
        drawn = matmul(low + share * (high - low), axes.T)
        return unit_rows(drawn) if metric == "cosine" else drawn

    return draw


def _dispersions(x, labels, ks, power, weighting) -> jax.Array:
    """W [K] of the labelings [K, n]."""
    largest = ks[-1]
    own = jax.vmap(lambda one: members(one, None, largest))(labels)
    sizes = jax.vmap(lambda one: jnp.zeros(largest, x.dtype).at[one].add(1, mode="drop"))(own)
    own_size = jax.vmap(lambda of, one: of.at[one].get(mode="fill", fill_value=0))(sizes, own)
    if power == 2:

        def of_points(one: jax.Array, size: jax.Array) -> jax.Array:
            means = ratio(jax.ops.segment_sum(x, one, largest), size[:, None])
            return jnp.square(x - means.at[one].get(mode="clip")).sum(1)

        # those of a labeling, one after the other: memory for one
        shares = jax.lax.map(lambda given: of_points(*given), (own, sizes))
    else:
        p = partition(x, labels[-1], None, None, resolve("euclidean"), largest)
        w = jnp.concatenate([jax.nn.one_hot(one, k, dtype=x.dtype) for one, k in zip(own, ks, strict=True)], 1)
        sums = distance_sums_side_by_side(p, w)
        starts = np.cumsum((0, *ks[:-1]), dtype=np.int32)
        columns = jnp.minimum(own, jnp.asarray(ks, jnp.int32)[:, None] - 1) + starts[:, None]
        shares = jnp.take_along_axis(sums, columns.T, 1).T / (2 * jnp.maximum(own_size, 1))
    if weighting == "weighted":
        shares = ratio(shares, own_size - 1)
    return jnp.where(own < largest, shares, 0).sum(1)
