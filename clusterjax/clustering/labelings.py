"""Labelings that come from elsewhere: other methods as functions of a parameter, and ids that agree between labelings.

Nothing here is traced: data and labels are known, and NumPy's labels come out. SciPy comes along with JAX; scikit-learn
is needed by `density` alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from jax.tree_util import Partial
from numpy.typing import ArrayLike

from clusterjax.agreement.contingency import count
from clusterjax.agreement.matching import matched_classes
from clusterjax.arguments import as_count, as_data, as_labels, as_mask, check_diagonal, check_option
from clusterjax.distances import (
    chebyshev,
    cosine,
    euclidean,
    is_traced,
    manhattan,
    pairwise_distances,
    precomputed,
    resolve,
    squared_euclidean,
    whitened_euclidean,
)
from clusterjax.typing import Metric

# What SciPy and scikit-learn call the metrics that they have too: theirs are computed in double precision.
THEIRS: dict[Callable, Any] = {
    euclidean: "euclidean",
    squared_euclidean: "sqeuclidean",
    cosine: "cosine",
    manhattan: "cityblock",
    chebyshev: "chebyshev",
}
Linkage = Literal["ward", "complete", "average", "single"]
Density = Literal["hdbscan", "dbscan"]


def canonical_labels(labels: ArrayLike, *, where: ArrayLike | None = None) -> np.ndarray:
    """The same clusters numbered from 0 in an order that depends on them alone: by size, largest first.

    Of clusters of one size the one with the first member comes first. Empty ids vanish.

    Args:
        labels: [n], integers, known; a negative label takes no part.
        where: [n], False takes no part.

    Returns:
        [n], labels in NumPy, -1 for the points that take no part.

    Raises:
        TypeError: labels that are not integers or are traced, a mask that is not boolean.
        ValueError: labels or a mask of the wrong shape.

    Examples:
        >>> canonical_labels([7, 3, 3, -1, 5, 3, 5]).tolist()
        [2, 0, 0, -1, 1, 0, 1]

    Source: convention; other libraries number clusters as their algorithm happens to meet them.
    """
    labels = _known_labels(labels, where)
    _, first, ids, sizes = np.unique(labels[labels >= 0], return_index=True, return_inverse=True, return_counts=True)
    place = np.empty(sizes.size, np.int32)
    place[np.lexsort((first, -sizes))] = np.arange(sizes.size)
    labels[labels >= 0] = place[ids]
    return labels


def match_labels(old: ArrayLike, new: ArrayLike, *, where: ArrayLike | None = None) -> np.ndarray:
    """The second labeling renumbered so that it agrees with the first at as many points as it can.

    `the one-to-one map m of ids that maximises #{i : m(new_i) = old_i}`

    A cluster keeps an id of `old` only if it shares points with it. The others get the ids that follow the largest of
    `old`, in the order of `canonical_labels`. How `new` was numbered makes no difference.

    Args:
        old: [n], integers, known; a negative label takes no part in the comparison.
        new: [n], likewise; a negative label stays -1.
        where: [n], False takes no part: -1 in the result.

    Returns:
        [n], `new` with other ids, in NumPy.

    Raises:
        TypeError: labels that are not integers or are traced, a mask that is not boolean.
        ValueError: labels of different lengths, a mask of the wrong shape.

    Examples:
        >>> match_labels([0, 0, 1, 1, 2], [5, 5, 5, 0, 0]).tolist()
        [0, 0, 0, 1, 1]
        >>> match_labels([0, 0, 0, 0], [1, 1, 0, -1]).tolist()
        [0, 0, 1, -1]

    Source: Kuhn, The Hungarian method for the assignment problem (1955).
    """
    old, new = _known_labels(old, where), canonical_labels(new, where=where)
    if old.shape != new.shape:
        raise ValueError(f"old and new must label the same points: {old.size} and {new.size} were given")
    both = (old >= 0) & (new >= 0)
    ids, rows = np.unique(old[both], return_inverse=True)
    num_clusters = int(new.max(initial=-1)) + 1
    overlap, _ = count(rows, new[both], None, max(ids.size, 1), max(num_clusters, 1))
    matched = np.asarray(matched_classes(overlap))[:num_clusters]
    alone = matched < 0
    renumbered = np.full(num_clusters, -1, np.int32)
    renumbered[~alone] = ids[matched[~alone]]
    renumbered[alone] = old.max(initial=-1) + 1 + np.arange(alone.sum())
    new[new >= 0] = renumbered[new[new >= 0]]
    return new


def agglomerative(
    x: ArrayLike, *, linkage: Linkage = "ward", metric: Metric = "euclidean", where: ArrayLike | None = None
) -> Callable[[int], np.ndarray]:
    """Hierarchical clustering as a function of the number of clusters: one tree, cut wherever it is asked.

    Points start alone, and the two clusters nearest to each other are merged until one is left. k clusters are what
    stands before the last k - 1 merges, also where several merges are equally near.

    Args:
        x: [n, d], known; or the distances [n, n] with `metric="precomputed"`. A distance is held for every pair.
        linkage: how near two clusters are: "ward" (how much their merging adds to the sum of squares), or the
            "complete" (largest), "average" or "single" (smallest) distance between their points.
        metric: as in `pairwise_distances`. Named ones are computed in double precision; "ward" wants Euclidean
            distances.
        where: [n], False takes no part, whatever the row holds.

    Returns:
        A function of k, from 1 to the number of points, that gives labels [n] in NumPy as `canonical_labels` numbers
        them; -1 for the points that take no part.

    Raises:
        TypeError: data that are no numbers or are traced, a mask that is not boolean.
        ValueError: an unknown linkage or metric, "ward" with another metric, NaN or infinite values, shapes that do
            not fit, no points, precomputed distances without a zero diagonal; and from the function, more clusters
            than points.

    Examples:
        >>> import numpy as np
        >>> cut = agglomerative(np.array([[0.0], [1.0], [5.0], [6.0], [20.0]]))
        >>> cut(2).tolist(), cut(3).tolist()
        ([0, 0, 0, 0, 1], [0, 0, 1, 1, 2])

    Source: Ward, Hierarchical grouping to optimize an objective function (1963); Lance and Williams, A general theory
    of classificatory sorting strategies (1967).
    """
    from scipy.cluster import hierarchy
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial.distance import pdist, squareform

    check_option("linkage", linkage, Linkage)
    x, kept, resolved = _known_data(x, where, metric)
    if linkage == "ward" and resolved.func not in (euclidean, whitened_euclidean, precomputed):
        raise ValueError('linkage="ward" is defined for Euclidean distances: choose another linkage, or the metric')
    if resolved.func in THEIRS:
        distances = pdist(x, THEIRS[resolved.func])
        distances[np.isnan(distances)] = 1  # the cosine of a zero vector
    else:
        distances = squareform(_all_distances(x, resolved), checks=False)
    n = len(x)
    merged = hierarchy.linkage(distances, linkage)[:, :2].astype(int) if n > 1 else np.zeros((0, 2), int)

    def cut(num_clusters: int) -> np.ndarray:
        k = as_count(num_clusters, "num_clusters")
        if k > n:
            raise ValueError(f"there are {n} points: num_clusters must be at most that, not {k}")
        made = merged[: n - k]
        edges = made.ravel(), np.repeat(n + np.arange(n - k), 2)
        graph = coo_array((np.ones(made.size), edges), shape=(2 * n - k, 2 * n - k))
        return _placed(connected_components(graph, directed=False)[1][:n], kept)

    return cut


def density(
    x: ArrayLike,
    *,
    method: Density = "hdbscan",
    min_samples: int | None = None,
    metric: Metric = "euclidean",
    where: ArrayLike | None = None,
) -> Callable[[float], np.ndarray]:
    """Clusters as dense regions, and noise between them, as a function of the method's own parameter.

    Args:
        x: [n, d], known; or the distances [n, n] with `metric="precomputed"`.
        method: "hdbscan", a function of `min_cluster_size`; or "dbscan", a function of `eps`, the radius within which
            points are neighbours.
        min_samples: how many neighbours make a point dense, itself among them; left out, it is the smallest size of a
            cluster for "hdbscan" and 5 for "dbscan".
        metric: as in `pairwise_distances`; named ones are scikit-learn's, others hold a distance for every pair.
        where: [n], False takes no part, whatever the row holds.

    Returns:
        A function of the parameter that gives labels [n] in NumPy as `canonical_labels` numbers them. Noise is -1, as
        are the points that take no part: `noise_as_cluster`, `noise_as_singletons` and `noise_to_nearest` turn it into
        something that can be scored, `coverage` says how much it is.

    Raises:
        ImportError: scikit-learn is not installed.
        TypeError: data that are no numbers or are traced, a mask that is not boolean.
        ValueError: an unknown method or metric, NaN or infinite values, shapes that do not fit, no points,
            `min_samples` below 1, precomputed distances without a zero diagonal; and from the function, a smallest
            size below 2, a radius that is not positive, more samples than points.

    Examples:
        >>> import numpy as np
        >>> x = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [30.0]])
        >>> density(x)(2).tolist()
        [0, 0, 0, 1, 1, -1]
        >>> density(x, method="dbscan", min_samples=3)(0.5).tolist()
        [0, 0, 0, -1, -1, -1]

    Source: Ester et al., A density-based algorithm for discovering clusters (1996); Campello, Moulavi and Sander,
    Density-based clustering based on hierarchical density estimates (2013).
    """
    try:
        from sklearn.cluster import DBSCAN, HDBSCAN
    except ImportError as error:
        raise ImportError("density needs scikit-learn: pip install 'clusterjax[plots]'") from error

    check_option("method", method, Density)
    if min_samples is not None:
        min_samples = as_count(min_samples, "min_samples")
    x, kept, resolved = _known_data(x, where, metric)
    name = THEIRS.get(resolved.func, "precomputed")
    x = x if name != "precomputed" else _all_distances(x, resolved)

    def by_size(min_cluster_size: float) -> np.ndarray:
        size = as_count(min_cluster_size, "min_cluster_size", 2)
        found = HDBSCAN(size, min_samples, metric=name, copy=True).fit_predict(x)  # type: ignore[arg-type]
        return _placed(found, kept)

    def by_radius(eps: float) -> np.ndarray:
        if not eps > 0:
            raise ValueError(f"eps must be positive, not {eps}")
        found = DBSCAN(eps, min_samples=5 if min_samples is None else min_samples, metric=name).fit_predict(x)
        return _placed(found, kept)

    return by_size if method == "hdbscan" else by_radius


def _known_labels(labels: ArrayLike, where: ArrayLike | None) -> np.ndarray:
    """A copy, -1 for who takes no part."""
    if is_traced(labels, where):
        raise TypeError("labels must be known here, not traced: call this outside jit, vmap and grad")
    labels, where, _ = as_labels(labels, where, np.iinfo(np.int32).max)  # no array has a place for each
    return np.where((labels >= 0) & (True if where is None else np.asarray(where)), labels, np.int32(-1))


def _known_data(x: ArrayLike, where: ArrayLike | None, metric: Metric) -> tuple[np.ndarray, np.ndarray, Partial]:
    """The points that take part in double precision, which of all they are, and the metric."""
    if is_traced(x, where):
        raise TypeError("the data must be known here, not traced: call this outside jit, vmap and grad")
    resolved = resolve(metric)
    data = as_data(x, len(np.asarray(x)), resolved)
    where = as_mask(where, data.shape[:1])
    if resolved.func is precomputed:
        check_diagonal(data, where)
    kept = np.full(len(data), True) if where is None else np.asarray(where)
    points = np.asarray(data, float)[kept]
    points = points[:, kept] if resolved.func is precomputed else points
    if not len(points):
        raise ValueError("there are no points to cluster")
    if not np.isfinite(points).all():
        raise ValueError("the data hold NaN or infinite values: leave those points out by where=np.isfinite(x).all(1)")
    return points, kept, resolved


def _all_distances(x: np.ndarray, metric: Partial) -> np.ndarray:
    return x if metric.func is precomputed else np.asarray(pairwise_distances(x, metric=metric), float)


def _placed(found: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Labels of the points that take part among all, in canonical order."""
    labels = np.full(kept.size, -1)
    labels[kept] = found
    return canonical_labels(labels)
