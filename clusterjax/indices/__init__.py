"""How good is this clustering? Indices that look at the points and their labels only; one family a file.

`INDICES` lists them as data: what a sweep over the number of clusters, a loss or a table needs to know of each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax

from clusterjax.indices.dunn import dunn_index
from clusterjax.indices.estimate import (
    SilhouetteCost,
    SilhouetteEstimate,
    silhouette_cost,
    silhouette_estimate,
)
from clusterjax.indices.scatter import calinski_harabasz_score, davies_bouldin_score, xie_beni_index
from clusterjax.indices.silhouette import (
    SilhouetteSummary,
    silhouette_samples,
    silhouette_score,
    silhouette_summary,
    simplified_silhouette_score,
    soft_silhouette_score,
)


class Index(NamedTuple):
    """What there is to know of an index besides its formula.

    Attributes:
        name: plain, as in `INDICES["silhouette"]`.
        function: `f(x, labels, *, num_clusters=None, where=None, ...)` -> scalar.
        higher_is_better: whether a better clustering scores higher.
        range: the least and the largest value it can have.
        rule: how it chooses among clusterings of one data set: the largest value, or the smallest.
        cost: arithmetic, in points n, features d and clusters k.
        differentiable: whether gradients with respect to the points exist almost everywhere, and are not 0 there.
        reference: where it comes from.
        equals: whose numbers it gives, as `package:name`.
    """

    name: str
    function: Callable[..., jax.Array]
    higher_is_better: bool
    range: tuple[float, float]
    rule: Literal["largest", "smallest"]
    cost: str
    differentiable: bool
    reference: str
    equals: tuple[str, ...]


_ALL = (
    Index(
        name="silhouette",
        function=silhouette_score,
        higher_is_better=True,
        range=(-1.0, 1.0),
        rule="largest",
        cost="n^2 d",
        differentiable=True,
        reference="Rousseeuw (1987)",
        # not clusterCrit, the mean over clusters (average="macro"), nor NbClust, where a singleton has 1
        equals=("sklearn:silhouette_score", "cluster:silhouette"),
    ),
    Index(
        name="simplified_silhouette",
        function=simplified_silhouette_score,
        higher_is_better=True,
        range=(-1.0, 1.0),
        rule="largest",
        cost="n k d",
        differentiable=True,
        reference="Hruschka, de Castro, Campello (2004)",
        equals=(),
    ),
    Index(
        name="calinski_harabasz",
        function=calinski_harabasz_score,
        higher_is_better=True,
        range=(0.0, float("inf")),
        rule="largest",
        cost="n d",
        differentiable=True,
        reference="Calinski and Harabasz (1974)",
        equals=("sklearn:calinski_harabasz_score", "clusterCrit:Calinski_Harabasz", "fpc:ch", "NbClust:ch"),
    ),
    Index(
        name="davies_bouldin",
        function=davies_bouldin_score,
        higher_is_better=False,
        range=(0.0, float("inf")),
        rule="smallest",
        cost="n d + k^2 d",
        differentiable=True,
        reference="Davies and Bouldin (1979)",
        equals=("sklearn:davies_bouldin_score", "clusterCrit:Davies_Bouldin"),
    ),
    Index(
        name="xie_beni",
        function=xie_beni_index,
        higher_is_better=False,
        range=(0.0, float("inf")),
        rule="smallest",
        cost="n d + k^2 d",
        differentiable=True,
        reference="Xie and Beni (1991)",
        equals=(),  # clusterCrit measures between points and not between centroids
    ),
    Index(
        name="dunn",
        function=dunn_index,
        higher_is_better=True,
        range=(0.0, float("inf")),
        rule="largest",
        cost="n^2 d",
        differentiable=True,
        reference="Dunn (1974)",
        equals=("clusterCrit:Dunn", "clusterCrit:GDI11", "fpc:dunn", "NbClust:dunn"),
    ),
)
INDICES = {index.name: index for index in _ALL}
"""Every index by its name."""

__all__ = [
    "INDICES",
    "Index",
    "SilhouetteCost",
    "SilhouetteEstimate",
    "SilhouetteSummary",
    "calinski_harabasz_score",
    "davies_bouldin_score",
    "dunn_index",
    "silhouette_cost",
    "silhouette_estimate",
    "silhouette_samples",
    "silhouette_score",
    "silhouette_summary",
    "simplified_silhouette_score",
    "soft_silhouette_score",
    "xie_beni_index",
]
