"""Named axes, once: the annotations of the package are built from these.

`n` points, `m` other points, `d` features, `k` clusters. What a user passes may be a NumPy array; what comes back is
JAX's. With jaxtyping installed (it is no dependency) the names carry shapes and kinds, and the tests run them over the
whole package.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias, TypedDict

import jax
import numpy as np
from numpy.typing import ArrayLike

Array: TypeAlias = jax.Array | np.ndarray
Metric: TypeAlias = str | Callable[..., jax.Array]
Average: TypeAlias = Literal["micro", "macro"]
Mining: TypeAlias = Literal["all", "hard", "semihard"]


class Within(NamedTuple):
    """Between which numbers an option lies; stands in its annotation, and is checked where the value is known."""

    low: float
    high: float = float("inf")
    closed: bool = True
    whole: bool = False

    def contain(self, value: float) -> bool:
        """Whether a number lies between them; NaN does not."""
        return self.low <= value <= self.high if self.closed else self.low < value < self.high

    def __str__(self) -> str:
        if self.high < float("inf"):
            return f"in [{self.low}, {self.high}]"
        return f"at least {self.low}" if self.closed else "positive" if self.low == 0 else f"above {self.low}"


class VectorOfEach(NamedTuple):
    """How the axes of an array of class vectors are named; stands in the annotation of `proxies`."""

    axes: tuple[str, ...]


Positive: TypeAlias = Annotated[float | jax.Array, Within(0, closed=False)]
NonNegative: TypeAlias = Annotated[float | jax.Array, Within(0)]
Count: TypeAlias = Annotated[int, Within(1, whole=True)]
MeanSilhouette: TypeAlias = Annotated[float | jax.Array, Within(-1, 1)]
Share: TypeAlias = Annotated[float | jax.Array, Within(0, 1)]
Angle: TypeAlias = Annotated[float | jax.Array, Within(0, math.pi)]
Proxies: TypeAlias = Annotated[ArrayLike, VectorOfEach(("k", "d"))]
SeveralProxies: TypeAlias = Annotated[ArrayLike, VectorOfEach(("k", "m", "d"))]

if TYPE_CHECKING:
    Points: TypeAlias = Array
    OtherPoints: TypeAlias = Array
    Labels: TypeAlias = Array
    Mask: TypeAlias = Array
    Weights: TypeAlias = Array
    Distances: TypeAlias = jax.Array
    Sums: TypeAlias = jax.Array
    Centroids: TypeAlias = jax.Array
    Scores: TypeAlias = jax.Array
    Flags: TypeAlias = jax.Array
    Members: TypeAlias = jax.Array
    PerCluster: TypeAlias = jax.Array
    Scalar: TypeAlias = jax.Array
else:
    try:
        from jaxtyping import Bool, Float, Integer, Num
    except ImportError:
        Points = OtherPoints = Labels = Mask = Weights = Array
        Distances = Sums = Centroids = Scores = Flags = Members = PerCluster = Scalar = jax.Array
    else:
        Points = Num[Array, "n d"]
        OtherPoints = Num[Array, "m d"]
        Labels = Integer[Array, "n"]
        Mask = Bool[Array, "n"]
        Weights = Num[Array, "n k"]
        Distances = Float[jax.Array, "n m"]
        Sums = Float[jax.Array, "n k"]
        Centroids = Float[jax.Array, "k d"]
        Scores = Float[jax.Array, "n"]
        Flags = Bool[jax.Array, "n"]
        Members = Integer[jax.Array, "n"]
        PerCluster = Float[jax.Array, "k"]
        Scalar = Float[jax.Array, ""]


class Clustered(TypedDict, total=False):
    """The arguments that every public function of points and labels has."""

    num_clusters: int | None
    where: Mask | None


class Measured(Clustered, total=False):
    """Those of a function that measures distances."""

    metric: Metric


class Weighted(Clustered, total=False):
    """Those of a function that lets points count for more or less than one."""

    weights: ArrayLike | None


class Common(Measured, Weighted, total=False):
    """All of them."""


class Compared(TypedDict, total=False):
    """The arguments that every function of two labelings has."""

    num_classes: int | None
    num_clusters: int | None
    where: Mask | None
