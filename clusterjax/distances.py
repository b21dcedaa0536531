"""Distances between two blocks of points, [n, d] and [m, d] -> [n, m].

At coincident points every metric has zero gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.tree_util import Partial

from clusterjax.arithmetic import above_noise, magnitude, matmul, power_of_two, ratio, row_minimum, safe_sqrt
from clusterjax.typing import Array, Distances, Metric, OtherPoints, Points

# Up to so many features distances come from the differences, which keeps every digit; at 8 the product would be faster.
FEW = 8


def is_traced(*arrays: object) -> bool:
    """Whether any of the values is not known yet: inside jit, vmap or grad."""
    return any(isinstance(array, Tracer) for array in arrays)


def as_points(x: Array) -> jax.Array:
    """As floats of at least 32 bits: integers, before they are cut to 32 bits, and half precision become float32.

    Raises:
        TypeError: they are no real numbers.
    """
    if not isinstance(x, jax.Array):
        x = np.asarray(x)
        x = x.astype(np.float32) if x.dtype.kind in "iub" else x
    if not any(jnp.issubdtype(x.dtype, kind) for kind in (jnp.bool, jnp.integer, jnp.floating)):
        raise TypeError(f"points must be real numbers, not {x.dtype}")
    x = jnp.asarray(x)
    return x if x.dtype in (jnp.float32, jnp.float64) else x.astype(jnp.float32)


def squared_differences(x: jax.Array, y: jax.Array) -> jax.Array:
    """Squared Euclidean distances from the differences themselves: every digit, for a few features only."""
    total = jnp.zeros((len(x), len(y)), x.dtype)
    for f in range(x.shape[1]):  # feature by feature, as arrays that are vectors from end to end
        total += jnp.square(x[:, f][:, None] - y[:, f][None, :])
    return total


def gram_factors(x: Array) -> tuple[jax.Array, jax.Array]:
    """`left`, `right` with left(x) . right(y) = |x|^2 + |y|^2 - 2 x.y: the Gram expansion as one product.

    `x` must be centred: in float32 an offset of a thousand spreads would cost four digits.
    """
    square, one = (x * x).sum(1, keepdims=True), jnp.ones_like(x[:, :1])
    return jnp.concatenate([-2 * x, square, one], 1), jnp.concatenate([x, one, square], 1)


def gram_squared(left: jax.Array, right: jax.Array) -> jax.Array:
    """Squared distances from the factors of two blocks."""
    # near the threshold both points have the same norm: one of the two is scale enough
    return above_noise(matmul(left, right.T), right[None, :, -1])


@jax.custom_jvp
def with_gradient(squared: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Squared Euclidean distances [n, m], however they were computed, with the gradient that they have in x and y."""
    return squared


@with_gradient.defjvp
def _(primals, tangents):
    (squared, x, y), (_, dx, dy) = primals, tangents
    # the twos and signs on the points: on its way back one array of all pairs serves every term
    of_squares = (2 * x * dx).sum(1, keepdims=True) + (2 * y * dy).sum(1)[None, :]
    return with_gradient(squared, x, y), of_squares + matmul(-2 * x, dy.T) + matmul(dx, -2 * y.T)


def squared_euclidean(x: Points, y: OtherPoints) -> Distances:
    """Squared Euclidean distances, `sum_f (x_f - y_f)^2`.

    Args:
        x: [n, d].
        y: [m, d].

    Returns:
        [n, m], at least 0. Squared distances below 8 machine epsilons of the squared distance to the centre of the
        data are rounding noise and count as 0.
    """
    x, y = as_points(x), as_points(y)
    if x.shape[1] <= FEW:
        return squared_differences(x, y)
    # Distances do not depend on the centre, so neither do gradients. Around one point first, which is exact: points all
    # in one place become zeros, and not the rounding of their mean.
    one = jax.lax.stop_gradient(y[:1])
    x, y = x - one, y - one
    centre = jax.lax.stop_gradient(y.mean(0, keepdims=True))
    return gram_squared(gram_factors(x - centre)[0], gram_factors(y - centre)[1])


def euclidean(x: Points, y: OtherPoints) -> Distances:
    """Euclidean distances, the root of `squared_euclidean`, with zero gradient at coincident points."""
    x, y = as_points(x), as_points(y)
    scale = power_of_two(x, y)  # so that no square is too large or too small
    return scale * safe_sqrt(squared_euclidean(x / scale, y / scale))


def unit_rows(x: jax.Array) -> jax.Array:
    """Rows divided by their length; a zero row stays zero, with zero gradient."""
    x = x / power_of_two(x, axis=1)
    return ratio(x, safe_sqrt((x * x).sum(1, keepdims=True)))


def cosine(x: Points, y: OtherPoints) -> Distances:
    """Cosine distances, `1 - x.y / (|x| |y|)`, in [0, 2]; a zero vector is at 1 from all, with zero gradient."""
    x, y = unit_rows(as_points(x)), unit_rows(as_points(y))
    zero = (x == 0).all(1)[:, None] | (y == 0).all(1)[None, :]
    # |u - v|^2 = 2 - 2 u.v for unit vectors, which keeps the digits of near directions
    return jnp.where(zero, 1, squared_euclidean(x, y) / 2)


def manhattan(x: Points, y: OtherPoints) -> Distances:
    """Manhattan distances, `sum_f |x_f - y_f|`."""
    return magnitude(as_points(x)[:, None, :] - as_points(y)[None, :, :]).sum(-1)


def chebyshev(x: Points, y: OtherPoints) -> Distances:
    """Chebyshev distances, `max_f |x_f - y_f|`."""
    return -row_minimum(-magnitude(as_points(x)[:, None, :] - as_points(y)[None, :, :]))


def mahalanobis(*, precision: Array | None = None, covariance: Array | None = None) -> Partial:
    """The Mahalanobis metric, `sqrt((x - y)^T P (x - y))`, to be passed as `metric=`.

    Args:
        precision: P, [d, d], symmetric and positive definite; or
        covariance: its inverse. Exactly one of the two.

    Returns:
        A metric of two blocks whose matrix is traced: another matrix of the same size compiles nothing, and gradients
        reach it.

    Raises:
        ValueError: neither or both are given, or the matrix is not symmetric and positive definite (NaN when traced).

    Examples:
        >>> import jax.numpy as jnp
        >>> metric = mahalanobis(covariance=jnp.diag(jnp.array([4.0, 1.0])))
        >>> pairwise_distances(jnp.array([[0.0, 0.0], [4.0, 0.0]]), metric=metric).tolist()
        [[0.0, 2.0], [2.0, 0.0]]

    Source: Mahalanobis, On the generalised distance in statistics (1936).
    """
    given = [matrix for matrix in (precision, covariance) if matrix is not None]
    if len(given) != 1:
        raise ValueError("mahalanobis needs one matrix: pass either precision= or covariance=")
    matrix = as_points(given[0])
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"the matrix of mahalanobis must be square, not of shape {matrix.shape}")
    if not is_traced(matrix) and not _is_positive_definite(np.asarray(matrix)):
        raise ValueError(
            "the matrix of mahalanobis must be symmetric and positive definite: add a little to its diagonal"
        )
    factor = jnp.linalg.cholesky(matrix)
    if covariance is not None:  # S = L L^T gives P = L^-T L^-1
        factor = jax.scipy.linalg.solve_triangular(factor, jnp.eye(len(factor), dtype=factor.dtype), lower=True).T
    return Partial(whitened_euclidean, factor)


def _is_positive_definite(matrix: np.ndarray) -> bool:
    """By more than rounding, and symmetric up to that."""
    largest = np.abs(matrix).max(initial=0)
    if not np.isfinite(largest) or np.abs(matrix - matrix.T).max(initial=0) > 1e-4 * largest:
        return False
    values = np.linalg.eigvalsh(matrix.astype(np.float64))
    return bool(values.min(initial=np.inf) > len(matrix) * np.finfo(matrix.dtype).eps * values.max(initial=0))


def whitened_euclidean(factor: jax.Array, x: Points, y: OtherPoints) -> Distances:
    """Euclidean distances after a linear map, which is what Mahalanobis distances are."""
    x, y = as_points(x), as_points(y)
    one = jax.lax.stop_gradient(y[:1])  # an offset would cost digits in the map
    return euclidean(whitened(x - one, factor), whitened(y - one, factor))


def whitened(x: jax.Array, factor: jax.Array) -> jax.Array:
    """Points after the linear map, in their own precision, whatever that of the map."""
    return matmul(x, factor.astype(x.dtype))


def precomputed(x: Array, y: Array) -> jax.Array:
    """Stands for distances that the caller has computed: they are looked up, never called."""
    raise TypeError("precomputed distances cannot be computed again: this function needs points")


METRICS: dict[str, Callable[..., jax.Array]] = {
    "euclidean": euclidean,
    "squared_euclidean": squared_euclidean,
    "cosine": cosine,
    "manhattan": manhattan,
    "chebyshev": chebyshev,
    "precomputed": precomputed,
}


TWO_WAYS = "a metric must take two vectors [d] to a number, or two blocks [n, d] and [m, d] to [n, m]"


def resolve(metric: Metric) -> Partial:
    """A metric as a `Partial` of two blocks: function static, parameters traced, so that nothing is retraced."""
    if isinstance(metric, str):
        if metric not in METRICS:
            names = ", ".join(METRICS)
            raise ValueError(
                f"unknown metric {metric!r}: pass one of {names}; mahalanobis(covariance=...); or a function"
            )
        return Partial(METRICS[metric])
    if not callable(metric):
        raise TypeError(f"metric must be a name or a function of two vectors or two blocks, not {metric!r}")
    function = metric if isinstance(metric, Partial) else Partial(metric)
    ours = function.func in (whitened_euclidean, on_blocks, *METRICS.values())
    return function if ours else Partial(on_blocks, function)


def on_blocks(metric: Partial, x: Points, y: OtherPoints) -> Distances:
    """A user's function of two vectors, or of two blocks, on two blocks; in the points' kind of number."""
    x, y = as_points(x), as_points(y)
    vector = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
    try:
        of_vectors = jax.eval_shape(metric, vector, vector).shape == ()
    except Exception:  # whatever a function of blocks may raise on vectors
        of_vectors = False
    if not of_vectors:
        try:
            distances = jnp.asarray(metric(x, y))
        except TypeError as error:
            raise TypeError(f"{TWO_WAYS}: this one raises {error}") from error
        if distances.shape != (len(x), len(y)):
            raise ValueError(f"{TWO_WAYS}: on blocks of {len(x)} and {len(y)} it gave the shape {distances.shape}")
        return distances.astype(x.dtype)
    parameters, structure = jax.tree.flatten(metric)

    def of_pair(a: jax.Array, b: jax.Array, *parameters: jax.Array) -> jax.Array:
        return jnp.asarray(jax.tree.unflatten(structure, parameters)(a, b)).astype(x.dtype)

    pair = with_finite_gradient(of_pair)
    return jax.vmap(jax.vmap(lambda a, b: pair(a, b, *parameters), (None, 0)), (0, None))(x, y)


def with_finite_gradient(f: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """A distance of two vectors (and of parameters), with gradient 0 where they coincide, and where it has none.

    A root of a sum of squares has no gradient at coincident points, nor has an arc cosine nearby: not a finite one,
    though its value is. Points are not moved apart for it, which might leave the metric's domain.
    """
    guarded = jax.custom_jvp(f)

    @guarded.defjvp
    def _(primals, tangents):
        real = [i for i, given in enumerate(primals) if jnp.issubdtype(jnp.result_type(given), jnp.floating)]
        value, slopes = guarded(*primals), jax.grad(f, argnums=tuple(real))(*primals)
        coincide, known = (primals[0] == primals[1]).all(), jnp.isfinite(value)
        tangent = jnp.zeros_like(value)
        for i, slope in zip(real, slopes, strict=True):
            none = (known & ~jnp.isfinite(slope)) | (coincide & (i < 2))
            tangent += (jnp.where(none, 0, slope) * tangents[i]).sum()
        return value, tangent

    return guarded


def pairwise_distances(x: Points, y: OtherPoints | None = None, *, metric: Metric = "euclidean") -> jax.Array:
    """All distances between the rows of `x` and the rows of `y`, or of `x` again.

    `D_ij = d(x_i, y_j)`

    Args:
        x: [n, d]; the distances [n, n] themselves with `metric="precomputed"`. Integers and half precision are
            computed in float32.
        y: [m, d]; left out, it is `x`, and the diagonal is exactly 0.
        metric: "euclidean", "squared_euclidean", "cosine", "manhattan", "chebyshev", "precomputed",
            `mahalanobis(...)`, or any function that JAX can trace, of two vectors [d] or of two blocks [n, d], [m, d].
            It is taken to be symmetric: where all pairs are visited each is formed once, whichever way round.
            Pass the same function object each time: a new lambda compiles anew. Its parameters, if gradients are
            wanted for them, are bound with `jax.tree_util.Partial`.

    Returns:
        [n, m]. Duplicates are at distance 0, with zero gradient (for a function of two blocks: as it has it). So have,
        for a function of two vectors, pairs where its derivative is not finite though its value is. A NaN spoils the
        distances of its row, and with Gram-based metrics (euclidean, squared_euclidean, mahalanobis) of all.

    Raises:
        ValueError: an unknown metric, arrays that are not two-dimensional, different numbers of features, a `y` with
            precomputed distances, a function that gives neither a number nor a block.

    Examples:
        >>> import jax.numpy as jnp
        >>> pairwise_distances(jnp.array([[0.0, 0.0], [3.0, 4.0]])).tolist()
        [[0.0, 5.0], [5.0, 0.0]]
        >>> pairwise_distances(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0]]), metric="manhattan").tolist()
        [[7.0]]

    Source: Deza and Deza, Encyclopedia of distances (2009).
    """
    resolved = resolve(metric)
    if resolved.func is precomputed and y is not None:
        raise ValueError("precomputed distances are one matrix: leave y out")
    x, y = as_points(x), None if y is None else as_points(y)
    for name, array in (("x", x), ("y", x if y is None else y)):
        if jnp.ndim(array) != 2:
            raise ValueError(f"{name} must be two-dimensional, a row a point, not of shape {jnp.shape(array)}")
    if y is not None and jnp.shape(x)[1] != jnp.shape(y)[1]:
        raise ValueError(f"x and y must have as many features: they have {jnp.shape(x)[1]} and {jnp.shape(y)[1]}")
    return _pairwise(x, y, resolved)


@jax.jit
def _pairwise(x: Points, y: OtherPoints | None, metric: Partial) -> jax.Array:
    x = as_points(x)
    if metric.func is precomputed:
        return x
    if y is not None:
        return metric(x, as_points(y))
    distances = metric(x, x)
    if metric.func is not on_blocks:  # the same to the last bit, which a product does not give
        distances = jnp.where(jnp.tri(len(x), dtype=bool), distances, distances.T)
    own = jnp.eye(len(x), dtype=bool) & ~jnp.isnan(distances)
    return jnp.where(own, 0, distances)
