"""Named axes, once: the annotations of the package are built from these.

`n` points, `m` other points, `d` features, `k` clusters. What a user passes may be a NumPy array; what comes back is
JAX's. With jaxtyping installed (it is no dependency) the names carry shapes and kinds, and the tests run them over the
whole package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import jax
import numpy as np

Array: TypeAlias = jax.Array | np.ndarray
Metric: TypeAlias = str | Callable[..., jax.Array]
Average: TypeAlias = Literal["micro", "macro"]

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
