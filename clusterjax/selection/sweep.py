"""Every number of clusters in one call, and every criterion for each of them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from clusterjax.arguments import (
    as_count,
    as_integers,
    as_labels,
    as_mask,
    as_rows,
    as_sample_weights,
    check_diagonal,
)
from clusterjax.clustering.kmeans import KMeansResult, kmeans
from clusterjax.distances import as_points, is_traced, precomputed, resolve
from clusterjax.indices import INDICES
from clusterjax.indices.own import ask, takes
from clusterjax.progress import bar, tracked
from clusterjax.selection.candidates import as_ks, check_enough, groups
from clusterjax.selection.gap import GapResult, Reference, check_reference, gap_curve
from clusterjax.selection.repetitions import LONG, to_centroids
from clusterjax.selection.silhouettes import shuffled_silhouettes, sweep_silhouettes
from clusterjax.threads import cores, in_threads
from clusterjax.typing import Array, Mask, Metric

if TYPE_CHECKING:
    import pandas as pd  # pyright: ignore[reportMissingImports]


class SweepResult(NamedTuple):
    """Every number of clusters, m of them, and what each index says of it.

    Attributes:
        ks: [m], numbers of clusters, increasing.
        labels: [m, n], the clusters for each; -1 for a point that takes no part.
        centroids: [m, largest k, d], NaN from row k on; None where the method is not k-means.
        inertia: [m], sum of squared distances to the centroids (with the cosine of `1 - cos`); None likewise.
        indices: {name: [m]}, NaN where an index is not defined.
        gap: GapResult for one cluster and all `ks`, or None.
        reasons: {name: {k: sentence}}, why an index is not defined there; only names that have such a k.
        shuffled: [3], the silhouettes of the labels with the best one, shuffled among their points: what labels have
            that know nothing of the points. None where there is no silhouette.
    """

    ks: jax.Array
    labels: jax.Array
    centroids: jax.Array | None
    inertia: jax.Array | None
    indices: dict[str, jax.Array]
    gap: GapResult | None
    reasons: dict[str, dict[int, str]]
    shuffled: jax.Array | None = None

    def to_pandas(self) -> pd.DataFrame:
        """A row for each k: inertia, gap and its standard error where they are there, and every index.

        Raises:
            ImportError: pandas is not installed.
        """
        if importlib.util.find_spec("pandas") is None:
            raise ImportError("to_pandas needs pandas: pip install pandas")
        import pandas as pd  # pyright: ignore[reportMissingImports]

        columns: dict[str, Any] = {} if self.inertia is None else {"inertia": np.asarray(self.inertia)}
        if self.gap is not None:
            places = np.searchsorted(np.asarray(self.gap.ks), np.asarray(self.ks))
            columns |= {
                "gap": np.asarray(self.gap.gap)[places],
                "gap_standard_error": np.asarray(self.gap.standard_error)[places],
            }
        columns |= {name: np.asarray(values) for name, values in self.indices.items()}
        return pd.DataFrame(columns, index=pd.Index(np.asarray(self.ks), name="k"))


def sweep_k(
    key: jax.Array,
    x: ArrayLike,
    *,
    ks: Iterable[SupportsIndex] = range(2, 21),
    method: str | Callable[[int], ArrayLike] = "kmeans",
    indices: Sequence[str | Callable[..., jax.Array]] = ("silhouette",),
    num_restarts: int = 10,
    gap_references: int = 0,
    reference: Reference = "pca",
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    metric: Metric = "euclidean",
    progress: bool | None = None,
) -> SweepResult:
    """Cluster for every number of clusters, and score each clustering.

    `labels_k = method(k)` and `index(x, labels_k)` for every k and index; `suggest_k` reads the result.

    Numbers of clusters that are close share a compiled program, and another call of the same shapes compiles nothing.
    The silhouettes of all k form each distance once, those of shuffled labels once more. An index that is not defined
    at some k is NaN there, and the sweep goes on.

    Args:
        key: a PRNG key, for k-means and the references of the gap.
        x: [n, d]; or, where the method is a function, the distances [n, n] with `metric="precomputed"`.
        ks: numbers of clusters, in any order.
        method: "kmeans"; or a function of k that gives labels [n], such as a tree that is cut.
        indices: names of `clusterjax.INDICES`, or functions `f(x, labels)`, called by their `__name__`, which are given
            `num_clusters` (k or more: some ids may have no members), `where`, `metric` and `weights` if they take them.
            To one without `where` what takes no part has label -1 and a finite row.
        num_restarts: starts of each k-means, the best of which is kept.
        gap_references: sets of references for the gap, with k-means; 0 leaves it out.
        reference: as in `gap_statistic`.
        where: [n], False takes no part, whatever the row holds.
        weights: [n], at least 0: each point counts as if it stood there so many times, in k-means and in every index.
        metric: k-means is for "euclidean" and "cosine"; indices that have a metric measure by it.
        progress: whether to say on stderr what the sweep will cost, and where it stands. Left out: where it is long.

    Returns:
        SweepResult. NaN in, NaN out. Under a trace an undefined index is NaN without a reason.

    Raises:
        ValueError: no k or one twice, more clusters than points, an unknown index, method or metric, a gap of another
            method or with weights, an index that takes no weights with some, labels that do not fit the points.
        TypeError: a count that is no integer, a mask that is not boolean.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> corners = jnp.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
        >>> x = jnp.repeat(corners, 20, 0) + jax.random.normal(jax.random.key(0), (60, 2))
        >>> sweep = sweep_k(jax.random.key(1), x, ks=range(2, 6))
        >>> int(sweep.ks[sweep.indices["silhouette"].argmax()])
        3

    Source: Charrad et al., NbClust: an R package for determining the relevant number of clusters (2014).
    """
    resolved, x = resolve(metric), as_rows(x)
    where = as_mask(where, x.shape[:1])
    candidates = as_ks(ks)
    weights = None if weights is None else as_sample_weights(weights, len(x))
    check_enough(candidates, len(x), where, weights)
    num_restarts, gap_references = as_count(num_restarts, "num_restarts"), as_count(gap_references, "gap_references", 0)
    functions = _named(indices)
    if resolved.func is precomputed:
        check_diagonal(x, where)
    of_kmeans = method == "kmeans"
    if not of_kmeans and isinstance(method, str):
        raise ValueError(f'method must be "kmeans" or a function of k, not {method!r}')
    if of_kmeans and metric not in ("euclidean", "cosine"):
        raise ValueError(f'k-means is for the metrics "euclidean" and "cosine", not {metric!r}: pass labels by method=')
    if gap_references and not of_kmeans:
        raise ValueError("the gap clusters its references by k-means: leave gap_references out with another method")
    if weights is not None:
        _check_weighable(functions, gap_references)
    if gap_references:
        check_reference(x, where, reference, str(metric))
    starts = num_restarts if of_kmeans else 0
    if progress is None:
        progress = _is_long(x.shape, candidates, functions, starts, gap_references)
    shown = progress and not is_traced(x)
    if shown:
        print(_cost(x.shape, candidates, functions, starts, gap_references), file=sys.stderr)

    centroids = inertia = None
    if isinstance(method, str):
        labels, centroids, inertia = _cluster(key, x, where, weights, candidates, num_restarts, str(metric), shown)
    else:
        labels = jnp.stack([_as_labels_of(method(k), k, x, where) for k in tracked(candidates, "clustering", shown)])
    scores, reasons, shuffled = {}, {}, None
    for name, function in functions.items():
        if name == "silhouette":
            scores[name], why = sweep_silhouettes(x, labels, where, weights, resolved, candidates, shown)
            shuffled = shuffled_silhouettes(key, x, labels, scores[name], weights, resolved, candidates[-1])
        else:
            given = {"metric": metric} if takes(function, "metric") else {}
            given |= {} if weights is None else {"weights": weights}
            steps = tracked(candidates, name, shown)
            scores[name], why = _score_each(partial(function, **given), x, labels, where, candidates, steps)
        if why:
            reasons[name] = why
    gap = None
    if gap_references:
        gap_ks = tuple(sorted({1, *candidates}))
        gap = gap_curve(
            key, x, where, gap_ks, gap_references, num_restarts, reference=reference, power=2, weighting=None,
            logarithm=True, metric=str(metric), progress=shown,
        )  # fmt: skip
    return SweepResult(jnp.asarray(candidates, jnp.int32), labels, centroids, inertia, scores, gap, reasons, shuffled)


def _named(indices: Sequence[str | Callable[..., jax.Array]]) -> dict[str, Callable[..., jax.Array]]:
    found = {}
    for index in [indices] if isinstance(indices, str) else indices:
        if isinstance(index, str):
            if index not in INDICES:
                raise ValueError(f"unknown index {index!r}: pass one of {', '.join(INDICES)}; or a function")
            found[index] = INDICES[index].function
        else:
            found[getattr(index, "__name__", repr(index))] = index
    return found


def _check_weighable(functions: dict[str, Callable[..., jax.Array]], gap_references: int) -> None:
    """Refuse what would count each point once where others weigh it."""
    if gap_references:
        raise ValueError("the gap counts each point once: leave gap_references out, or the weights")
    for name, function in functions.items():
        if not takes(function, "weights"):
            raise ValueError(f"{name} takes no weights and counts each point once: leave it out, or the weights")


def _cluster(key, x, where, weights, ks, num_restarts, metric, shown) -> tuple[jax.Array, jax.Array, jax.Array]:
    """k-means for each k, padded to the largest of its group: one compilation a group."""
    largest = {k: group[-1] for group in groups(ks) for k in group}

    def cluster(k: int) -> KMeansResult:
        return kmeans(
            jax.random.fold_in(key, k), x, k, num_restarts=num_restarts,
            where=where, weights=weights, metric=metric, max_clusters=largest[k],
        )  # fmt: skip

    most = cores(x.shape[0] * (x.shape[1] + ks[-1]), known=not is_traced(key, x, where, weights))
    found = {}
    with bar("k-means", len(ks), shown) as step:
        for threads, some in _in_order(ks, most):
            for k, of_k in zip(some, in_threads(cluster, some, threads), strict=True):
                found[k] = of_k
                step(f": {len(found)} of {len(ks)}")
    found = [found[k] for k in ks]
    rows = [jnp.pad(f.centroids, [(0, ks[-1] - len(f.centroids)), (0, 0)], constant_values=jnp.nan) for f in found]
    return jnp.stack([f.labels for f in found]), jnp.stack(rows), jnp.stack([f.inertia for f in found])


def _in_order(ks: tuple[int, ...], threads: int) -> list[tuple[int, list[int]]]:
    """In how many threads to cluster for which k: one of each group first, which compiles it; then the dearest."""
    if threads == 1:
        return [(1, list(ks))]
    heads = [group[0] for group in groups(ks)]
    return [(1, heads), (threads, [k for k in reversed(ks) if k not in heads])]


def _as_labels_of(labels: ArrayLike, k: int, x: Array, where: Mask | None) -> jax.Array:
    """What a user's method gave for k."""
    labels = as_integers(labels, f"the labels for k = {k}")
    if labels.shape != x.shape[:1]:
        raise ValueError(f"the labels for k = {k} must be one for each of {len(x)} points, not of shape {labels.shape}")
    labels, _, _ = as_labels(labels, where, k)
    labels = jnp.asarray(labels, jnp.int32)
    return labels if where is None else jnp.where(where, labels, -1)


def _score_each(function, x, labels, where, ks, steps) -> tuple[jax.Array, dict[int, str]]:
    """An index for every labeling; NaN with the reason where it refuses one."""
    largest = {k: group[-1] for group in groups(ks) for k in group}
    values, reasons = [], {}
    for place, k in enumerate(steps):
        try:
            value = jnp.asarray(ask(function, x, labels[place], largest[k], where))
        except ValueError as error:
            value, reasons[k] = jnp.asarray(jnp.nan), str(error)
        values.append(value.astype(as_points(x).dtype))
    return jnp.stack(values), reasons


def _is_long(shape, ks, functions, starts, references) -> bool:
    n, d = shape
    pairs = n * n * d * len(ks) if "silhouette" in functions else 0
    return pairs + (1 + references) * to_centroids(shape, ks, starts) > LONG


def _cost(shape, ks, functions, starts, references) -> str:
    """What a sweep will take, in a sentence."""
    n, d = shape
    said = [f"sweep of {len(ks)} numbers of clusters, {ks[0]} to {ks[-1]}: {n} points of {d} features"]
    width = 2 * d
    if "silhouette" in functions:
        said.append(f"{n * n:.2g} pairs of them")
        width += 2 * sum(ks)
    if starts:
        said.append(f"{starts} starts of k-means each")
    if references:
        said.append(f"{references} sets of references")
    return f"{', '.join(said)}; arrays of some {4 * n * width / 1e6:.0f} MB"
