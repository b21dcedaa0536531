"""k-means of data larger than memory: read in blocks, one pass over all of them for each of Lloyd's iterations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from clusterjax.arguments import as_count, as_mask, as_rows, as_sample_weights, check_option
from clusterjax.arithmetic import power_of_two
from clusterjax.clustering.cloud import Cloud, assign_and_add, in_blocks, squared_to_own
from clusterjax.clustering.kmeans import KMeansResult, NotNegative, OfKMeans, kmeans, largest_first
from clusterjax.clustering.lloyd import average, fill_empty
from clusterjax.distances import as_points, unit_rows
from clusterjax.progress import bar

# Of the points, read at a time.
BLOCK_BYTES = 2**26
# Points from which the passes start; at least so many, and so many for each cluster.
SAMPLE = 2**15
SAMPLE_EACH = 64
# So many bytes take seconds to read once.
LONG = 2**30


class Rows(Protocol):
    """Points [n, d] that stand somewhere and are read by slices, or by increasing numbers of rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, d]."""
        ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Some of them."""
        ...


def kmeans_blocks(
    key: jax.Array,
    x: Rows,
    num_clusters: SupportsIndex,
    *,
    init: ArrayLike | None = None,
    num_restarts: int = 3,
    max_iterations: int = 50,
    tolerance: float = 1e-4,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    metric: OfKMeans = "euclidean",
    progress: bool | None = None,
) -> KMeansResult:
    """k-means of points that are read in blocks, such as a `numpy.memmap` larger than memory.

    The same as `kmeans` from the same centroids, to rounding: each iteration is one pass over all points, in blocks of
    64 MB; nothing is estimated. What is held is a block, and two numbers for each point. Where no centroids are given,
    the passes start from those of `kmeans` on a sample of the points, so that few are needed.

    Args:
        key: a PRNG key, for the sample and its seeding; not used where `init` is given.
        x: [n, d], anything with a shape whose slices of rows are arrays: `numpy.memmap`, an array, a data set of h5py.
            Computed in float32; in float64 where `jax_enable_x64` is set and x has it.
        num_clusters: k.
        init: centroids [k, d]; left out, those of a sample: 64 points for each cluster, or 32 768 if that is more.
        num_restarts: starts on the sample, of which the best is kept.
        max_iterations: passes, before the last one that gives the labels.
        tolerance: as in `kmeans`; 0 waits until no label changes.
        where: [n], False takes no part, whatever the row holds.
        weights: [n], at least 0: each point counts as if it stood there so many times.
        metric: "euclidean" or "cosine", as in `kmeans`.
        progress: whether to show on stderr which pass this is, and the share of labels that changed in the last one.
            Left out: where the points take 1 GB or more.

    Returns:
        KMeansResult, as of `kmeans`.

    Raises:
        TypeError: a count that is no integer, a mask that is not boolean, x without rows and columns.
        ValueError: more clusters than points that take part with a weight above 0; a point that takes part and is not
            finite, by its row; with the cosine, a row of zeros; an option or shape out of range.

    Examples:
        >>> import jax, numpy as np
        >>> x = np.array([[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0], [9.0, 4.0]])
        >>> result = kmeans_blocks(jax.random.key(0), x, 2)
        >>> result.labels.tolist(), result.centroids.tolist(), float(result.inertia)
        ([1, 1, 0, 0, 0], [[9.0, 2.0], [0.0, 1.0]], 10.0)

    Source: Lloyd, Least squares quantization in PCM (1982).
    """
    n, d = _shape(x)
    k, num_restarts = as_count(num_clusters, "num_clusters"), as_count(num_restarts, "num_restarts")
    max_iterations = as_count(max_iterations, "max_iterations")
    check_option("tolerance", tolerance, NotNegative)
    check_option("metric", metric, OfKMeans)
    present = np.ones(n, bool) if where is None else np.asarray(as_mask(where, (n,)))
    mass = np.where(present, 1 if weights is None else np.asarray(as_sample_weights(weights, n)), 0).astype(np.float32)
    heavy = np.flatnonzero(mass > 0)
    if len(heavy) < k:
        raise ValueError(f"num_clusters={k} is more than the {len(heavy)} points that take part: lower it")
    chosen = heavy[_sample(key, len(heavy), max(SAMPLE, SAMPLE_EACH * k))]
    sample = as_points(as_rows(x[chosen]))
    spherical = metric == "cosine"
    _check(sample, chosen, spherical)
    if init is None:
        init = kmeans(key, sample, k, num_restarts=num_restarts, weights=mass[chosen], metric=metric).centroids
    start = jnp.asarray(init, sample.dtype)
    if start.shape != (k, d):
        raise ValueError(f"init must be {k} centroids of {d} features, not of shape {start.shape}")
    unit = jnp.ones((), sample.dtype) if spherical else power_of_two(sample)[0, 0]
    frame = Frame(jnp.zeros((1, d), sample.dtype), unit)
    frame = frame._replace(origin=_placed(sample, frame, spherical).mean(0, keepdims=True))
    centroids = _placed(start, frame, spherical)
    source = Source(x, mass, present, min(n, max(1, BLOCK_BYTES // (4 * d))), frame, spherical)

    labels, squared = np.full(n, -1, np.int32), np.zeros(n, np.float32)
    live, iteration, converged, num_reseeded, said = jnp.ones(k, bool), 0, False, 0, ""
    shown = 4 * n * d >= LONG if progress is None else progress
    with bar("k-means", (max_iterations + 1) * -(-n // source.rows), shown) as step:
        while True:
            sums, moments, changed = np.zeros((k, d + 1)), np.zeros((2, d)), 0
            for part, found in _assigned(source, centroids):
                new = np.asarray(found.labels)[: part.stop - part.start]
                changed += int(((new != labels[part]) & present[part]).sum())
                labels[part], squared[part] = new, np.asarray(found.squared)[: len(new)]
                sums, moments = sums + np.asarray(found.sums), moments + np.asarray(found.moments)
                step(f", pass {iteration + 1}{said}")
            if converged or iteration == max_iterations:
                break
            iteration += 1
            said = f": {changed / n:.1%} of the labels changed in the last one"
            num_reseeded += _reseed(source, sums, labels, squared)
            old = centroids
            filled = fill_empty(jnp.asarray(sums, sample.dtype))
            centroids = average(filled, old, live, frame.origin if spherical else None)
            count = present.sum()
            variance = (moments[1] / count - (moments[0] / count) ** 2).mean()
            converged = changed == 0 or float(jnp.square(centroids - old).sum()) <= tolerance * variance

    order = largest_first(jnp.asarray(sums[:, -1], sample.dtype), centroids)
    number = np.zeros(k, np.int32)
    number[np.asarray(order)] = np.arange(k)
    inertia = float((squared.astype(float) * mass).sum())
    return KMeansResult(
        jnp.asarray(np.where(present, number[labels], -1)),
        (centroids + frame.origin)[order] * unit,
        jnp.asarray(inertia / 2 if spherical else inertia * float(unit) ** 2, sample.dtype),
        jnp.asarray(iteration, jnp.int32),
        jnp.asarray(converged),
        jnp.asarray(num_reseeded, jnp.int32),
    )


class Frame(NamedTuple):
    """Where the points are put: around an origin [1, d] near their mean, in a unit."""

    origin: jax.Array
    unit: jax.Array


class Source(NamedTuple):
    """The points, what each counts and whether it takes part, and how they are read."""

    x: Rows
    mass: np.ndarray
    present: np.ndarray
    rows: int
    frame: Frame
    spherical: bool


class Assigned(NamedTuple):
    """What a pass finds in a block.

    Attributes:
        labels: [rows].
        squared: [rows], to the centroid.
        sums: [k, d + 1], of the clusters, with their mass.
        moments: [2, d], sums of the points and of their squares.
        usable: whether the points could be clustered.
    """

    labels: jax.Array
    squared: jax.Array
    sums: jax.Array
    moments: jax.Array
    usable: jax.Array


def _shape(x: Rows) -> tuple[int, int]:
    if not isinstance(getattr(x, "shape", None), tuple) or len(x.shape) != 2:
        raise TypeError("x must have a shape [n, d] and be read by slices, as numpy.memmap is: pass numpy.asarray(x)")
    return x.shape[0], x.shape[1]


def _sample(key: jax.Array, n: int, size: int) -> np.ndarray:
    """Increasing numbers below n, all of them where they are few."""
    seed = np.asarray(jax.random.bits(key, (4,), jnp.uint32))
    return np.sort(np.random.default_rng(seed).choice(n, min(n, size), replace=False, shuffle=False))


def _check(x: ArrayLike, rows: np.ndarray, spherical: bool) -> None:
    """Refuse a point that is not finite, or has no direction; by its row."""
    for what, wrong in (
        ("is not finite", ~np.isfinite(x).all(1)),
        ("is zero and has no direction", (np.asarray(x) == 0).all(1) & spherical),
    ):
        if wrong.any():
            raise ValueError(f"row {rows[wrong.argmax()]} {what}: leave such rows out by where=")


def _placed(x: jax.Array, frame: Frame, spherical: bool) -> jax.Array:
    return (unit_rows(x) if spherical else x / frame.unit) - frame.origin


def _assigned(source: Source, centroids: jax.Array) -> Iterator[tuple[slice, Assigned]]:
    """One pass over all points, block by block; the next block is read while the device is at the last one."""
    n, waiting = len(source.mass), None
    for begin in range(0, n, source.rows):
        part = slice(begin, min(begin + source.rows, n))
        fill = (0, source.rows - (part.stop - begin))
        x, mass, present = as_rows(source.x[part]), source.mass[part], source.present[part]
        found = _assign(
            np.pad(x, [fill, (0, 0)]), np.pad(mass, fill), np.pad(present, fill), centroids, source.frame,
            spherical=source.spherical,
        )  # fmt: skip
        if waiting is not None:
            yield _usable(source, *waiting)
        waiting = part, found
    if waiting is not None:
        yield _usable(source, *waiting)


def _usable(source: Source, part: slice, found: Assigned) -> tuple[slice, Assigned]:
    if not found.usable:
        rows = np.flatnonzero(source.present[part])
        _check(as_points(as_rows(source.x[part]))[rows], part.start + rows, source.spherical)
    return part, found


@partial(jax.jit, static_argnames="spherical")
def _assign(
    x: jax.Array, mass: jax.Array, present: jax.Array, centroids: jax.Array, frame: Frame, *, spherical: bool
) -> Assigned:
    n, k = len(x), len(centroids)
    kept = present[:, None]
    x = jnp.where(kept, as_points(x), 0)
    usable = jnp.isfinite(x).all() & ~(spherical & (present & (x == 0).all(1)).any())
    around = jnp.where(kept, _placed(x, frame, spherical), 0)
    blocks = in_blocks(Cloud(around, mass.astype(around.dtype), present, frame.origin), k, alike=False)
    labels, sums = assign_and_add(blocks, centroids, jnp.ones(k, bool))
    squared = squared_to_own(blocks, centroids, labels)
    moments = jnp.stack([around.sum(0), jnp.square(around).sum(0)])
    return Assigned(labels.reshape(-1)[:n], squared.reshape(-1)[:n], sums, moments, usable)


def _reseed(source: Source, sums: np.ndarray, labels: np.ndarray, squared: np.ndarray) -> int:
    """Move the points farthest from their centroids into the clusters that have none, in `sums`; how many."""
    empty = np.flatnonzero(sums[:, -1] <= 0)
    if not len(empty):
        return 0
    far = np.where(source.mass > 0, squared, 0)
    farthest = np.argsort(-far, kind="stable")[: len(empty)]
    farthest = farthest[far[farthest] > 0]
    ordered = np.sort(farthest)
    x = _placed(as_points(as_rows(source.x[ordered])), source.frame, source.spherical)
    moved = dict(zip(ordered.tolist(), np.asarray(x, float), strict=True))
    for cluster, point in zip(empty, farthest.tolist(), strict=False):
        row = source.mass[point] * np.append(moved[point], 1)
        sums[labels[point]] -= row
        sums[cluster] += row
    return len(farthest)
