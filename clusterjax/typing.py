"""Named axes, once: every annotation of the package is built from these.

Axes: `n` points, `m` other points, `d` features, `k` clusters. jaxtyping reads the names and the tests run it over the
whole package; without it (it is no dependency) they are plain arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import jax
import numpy as np

if TYPE_CHECKING:
    Array: TypeAlias = jax.Array | np.ndarray
    Points = OtherPoints = Distances = CrossDistances = Weights = Labels = Mask = Array
    Scores = PerCluster = Indices = Vector = Scalar = jax.Array
else:
    try:
        from jaxtyping import Bool, Float, Int, Integer, Num

        Array = jax.Array | np.ndarray
        Points = Num[Array, "n d"]
        OtherPoints = Num[Array, "m d"]
        Distances = Float[Array, "n n"]
        CrossDistances = Float[Array, "n m"]
        Weights = Num[Array, "n k"]
        Labels = Integer[Array, "n"]
        Mask = Bool[Array, "n"]
        Scores = Float[jax.Array, "n"]
        Indices = Int[jax.Array, "n"]
        PerCluster = Float[jax.Array, "k"]
        Scalar = Float[jax.Array, ""]
    except ImportError:
        Array = jax.Array | np.ndarray
        Points = OtherPoints = Distances = CrossDistances = Weights = Labels = Mask = Array
        Scores = PerCluster = Indices = Scalar = jax.Array

Metric: TypeAlias = str | Callable[..., jax.Array]
Average: TypeAlias = Literal["micro", "macro"]
