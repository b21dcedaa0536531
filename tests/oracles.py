"""Definitions as loops: too dumb to be wrong, and importing nothing from clusterjax."""

import numpy as np
from scipy.spatial.distance import cdist


def distances(x, metric="euclidean"):
    return cdist(x, x, {"squared_euclidean": "sqeuclidean", "manhattan": "cityblock"}.get(metric, metric))  # pyright: ignore[reportCallIssue, reportArgumentType]


def silhouette(d, labels):
    """Rousseeuw's s, and the neighbour, point by point; a negative label takes no part."""
    n = len(labels)
    s, neighbors = np.zeros(n), np.full(n, -1)
    clusters = sorted({c for c in labels if c >= 0})
    for i in range(n):
        if labels[i] < 0:
            continue
        own = [d[i, j] for j in range(n) if labels[j] == labels[i] and j != i]
        means = {
            c: np.mean([d[i, j] for j in range(n) if labels[j] == c], dtype=float) for c in clusters if c != labels[i]
        }
        neighbors[i] = min(means, key=lambda c: means[c])
        if own:
            a, b = np.mean(own, dtype=float), means[neighbors[i]]
            s[i] = (b - a) / max(a, b) if max(a, b) > 0 else 0
    return s, neighbors


def simplified_silhouette(x, labels, metric="euclidean"):
    clusters = sorted({c for c in labels if c >= 0})
    centroids = {c: x[labels == c].mean(0) for c in clusters}
    values = []
    for i in range(len(x)):
        if labels[i] < 0:
            continue
        to = {c: distances(np.stack([x[i], centroids[c]]), metric)[0, 1] for c in clusters}
        a, b = to[labels[i]], min(to[c] for c in clusters if c != labels[i])
        values.append((b - a) / max(a, b) if (labels == labels[i]).sum() > 1 and max(a, b) > 0 else 0)
    return np.mean(values)


def soft_silhouette(d, p):
    """Vardakas et al., with the denominators."""
    n, k = p.shape
    total = 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        a = [sum(p[j, c] * d[i, j] for j in others) / sum(p[j, c] for j in others) for c in range(k)]
        for c in range(k):
            b = min(a[other] for other in range(k) if other != c)
            total += p[i, c] * (b - a[c]) / max(a[c], b)
    return total / p.sum()


def retrieval(d, labels, k, gallery_labels=None):
    """Measures of retrieval, query by query; with labels of a gallery d is [n, m], without them no point finds itself.

    Equal distances are in the order of the rows; a negative label takes no part.
    """
    apart = gallery_labels is not None
    there = gallery_labels if apart else labels
    found = []
    for i in range(len(labels)):
        gallery = [j for j in range(len(there)) if there[j] >= 0 and (apart or j != i)]
        relevant = [j for j in gallery if there[j] == labels[i]]
        if labels[i] < 0 or not relevant:
            continue
        ranked = [there[j] for j in sorted(gallery, key=lambda j, i=i: (d[i, j], j))]
        hits = [c == labels[i] for c in ranked]
        r = len(relevant)
        votes = {c: ranked[:k].count(c) for c in ranked[:k]}
        found.append(
            {
                "precision_at_1": hits[0],
                "recall_at_k": any(hits[:k]),
                "r_precision": sum(hits[:r]) / r,
                "map_at_r": sum(sum(hits[: j + 1]) / (j + 1) for j in range(r) if hits[j]) / r,
                "mean_reciprocal_rank": 1 / (hits.index(True) + 1),
                "knn_accuracy": max(votes, key=lambda c: votes[c]) == labels[i],  # the first of them
            }
        )
    return {name: np.mean([one[name] for one in found]) for name in found[0]} | {"queries": len(found)}
