"""Any validity index as a loss, and losses together."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from math import inf, isfinite
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from clusterjax.arguments import as_array, as_rows
from clusterjax.arithmetic import ratio
from clusterjax.by_cluster import distances_within
from clusterjax.distances import is_traced
from clusterjax.indices import INDICES, Index
from clusterjax.indices.comparison import is_comparable
from clusterjax.indices.own import ask
from clusterjax.partition import Partition, clean, partners_and_rivals, scaled
from clusterjax.public import public
from clusterjax.typing import Array, Clustered, Measured, Positive, Scalar

Loss = Callable[..., jax.Array]
# In one loss, and given in its place: a number, or a function of the step such as the schedules of optax.
Share = float | Callable[[Any], Any]


def validity_loss(
    index: str | Index | Callable[..., jax.Array],
    *,
    low: float | None = None,
    high: float | None = None,
    higher_is_better: bool | None = None,
) -> Loss:
    """Any index as a loss: 0 is the best that it can say of a batch, 1 the worst.

    `(high - s) / (high - low)` of an index s that lies between the two and is better if higher, `1 / (1 + s - low)` of
    one without an upper bound, `1 / (1 + high - s)` from 1 of one without a lower bound; from 1 where lower is better.

    Args:
        index: a name in `INDICES`, an entry of it, or a function `f(x, labels)` or `f(x, labels, *, num_clusters)`
            -> scalar that JAX can trace. Points that take no part reach it with label -1 and finite rows. Options of
            its own are bound with `functools.partial`. A function whose second parameter is called `weights` takes
            soft assignments, and so does its loss.
        low: the least value that it can have; an entry of `INDICES` says it itself, of another function at least one of
            the two bounds is needed.
        high: the largest.
        higher_is_better: whether a better clustering scores higher; True where nothing says otherwise.

    Returns:
        `loss(embeddings, labels, *, num_clusters=None, where=None)` -> scalar, in [0, 1] where the index keeps its
        bounds; the same function for the same arguments, so that nothing is compiled twice. A batch with nothing to
        compare (fewer than 2 classes, or singletons only) is 0 with zero gradient; where all embeddings are one point
        the loss is 1/2 with zero gradient, whatever the index says of it. NaN in, NaN out.

    Raises:
        ValueError: an unknown name, no bounds, a lower bound that is not below the upper one.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[0.0], [1.0], [4.0], [6.0]]), jnp.array([0, 0, 1, 1])
        >>> round(float(validity_loss("davies_bouldin")(x, labels)), 4)
        0.25
        >>> def tightness(x, labels, *, num_clusters):
        ...     members = labels[:, None] == jnp.arange(num_clusters)[None, :]
        ...     spread = jnp.where(members, x, -jnp.inf).max(0) - jnp.where(members, x, jnp.inf).min(0)
        ...     return -spread.mean()
        >>> round(float(validity_loss(tightness, high=0.0)(x, labels)), 4)
        0.6

    Source: Bremner (2019), who trains on the silhouette and asks for others.
    """
    if isinstance(index, str):
        if index not in INDICES:
            raise ValueError(f"unknown index {index!r}: pass one of {', '.join(INDICES)}, or a function")
        index = INDICES[index]
    function, name = (index.function, index.name) if isinstance(index, Index) else (index, _name(index))
    if isinstance(index, Index):
        low, high = (own if given is None else given for given, own in zip((low, high), index.range, strict=True))
        higher_is_better = index.higher_is_better if higher_is_better is None else higher_is_better
    low, high = -inf if low is None else float(low), inf if high is None else float(high)
    if not (isfinite(low) or isfinite(high)):
        raise ValueError(f"the index {name} needs a bound: pass low=, high= or both")
    if not low < high:
        raise ValueError(f"low must be below high: they are {low} and {high}")
    return _made(function, name, low, high, higher_is_better is not False)


def _name(function: Callable) -> str:
    inner = function.func if isinstance(function, functools.partial) else function
    return getattr(inner, "__name__", type(inner).__name__)


@functools.lru_cache(maxsize=256)
def _made(function: Callable, name: str, low: float, high: float, higher_is_better: bool) -> Loss:
    def bounded(s: jax.Array) -> jax.Array:
        s = jnp.asarray(s)
        if isfinite(low) and isfinite(high):
            best = (high - s) / (high - low)
            return best if higher_is_better else 1 - best
        # of what is left without a bound, a half at 1
        left = 1 / (1 + (s - low if isfinite(low) else high - s))
        return left if isfinite(low) == higher_is_better else 1 - left

    if list(inspect.signature(function).parameters)[1:2] == ["weights"]:
        return _of_soft(function, bounded)

    def kernel(p: Partition, **_: Unpack[Clustered]) -> Scalar:
        if not len(p.x):
            return p.x.sum()
        assert p.own is not None  # labels are hard
        x, k = clean(p).x, p.w.shape[1]
        one_point = ((p.counts == 0)[:, None] | (x == x[p.counts.argmax()][None])).all()
        s = ask(function, x, jnp.where(p.own < k, p.own, -1), k)
        loss = jnp.where(one_point, jnp.asarray(0.5, x.dtype), bounded(s).astype(x.dtype))
        return jnp.where(is_comparable(p), loss, 0)

    kernel.__name__ = kernel.__qualname__ = f"{name}_loss"
    kernel.__doc__ = f"The index {name} as a loss in [0, 1]; see `validity_loss`."
    return public(first="embeddings")(kernel)


def _of_soft(function: Callable, bounded: Callable[[jax.Array], jax.Array]) -> Loss:
    """A loss of embeddings and soft assignments."""

    @jax.jit
    def compiled(x: Array, weights: Array, **options: object) -> jax.Array:
        several = (weights > 0).any(0).sum() > 1
        return jnp.where(several, bounded(function(x, weights, **options)), 0)

    @functools.wraps(function)
    def loss(embeddings: ArrayLike, weights: ArrayLike, **options: object) -> jax.Array:
        x, weights = as_rows(embeddings), as_array(weights, "weights")
        if not is_traced(weights) and (np.asarray(weights) < 0).any():
            raise ValueError("weights must be at least 0")
        return compiled(x, weights, **options)

    return loss


def combined_loss(losses: Sequence[Loss], *, shares: Sequence[Share]) -> Loss:
    """Several losses as one, and one after the other by a schedule.

    `sum_i c_i L_i(embeddings, labels)`

    Args:
        losses: functions `f(embeddings, labels, **options)` -> scalar.
        shares: c_i, a number each, or a function of the step, such as a schedule of optax.

    Returns:
        `loss(embeddings, labels, *, step=None, **options)` -> scalar; the options go to every one of them. It is what
        they are: 0 where all have nothing to compare. NaN in, NaN out.

    Raises:
        ValueError: not one share a loss, none at all; a share that is a schedule, when the loss is called without
            `step`.

    Examples:
        >>> import jax.numpy as jnp
        >>> from clusterjax import losses
        >>> x, labels = jnp.array([[0.0], [1.0], [4.0], [6.0]]), jnp.array([0, 0, 1, 1])
        >>> both = combined_loss([losses.silhouette_loss, losses.validity_loss("davies_bouldin")], shares=[0.5, 0.5])
        >>> round(float(both(x, labels)), 4)
        0.2116
        >>> fading = combined_loss([losses.silhouette_loss], shares=[lambda step: 1 - step / 100])
        >>> round(float(fading(x, labels, step=50)), 4)
        0.0866

    Source: sums of losses are everywhere; of validity indices: Bremner (2019).
    """
    losses, shares = tuple(losses), tuple(shares)
    if len(losses) != len(shares) or not losses:
        raise ValueError(f"there must be one share for each loss: {len(losses)} losses, {len(shares)} shares")

    def loss(embeddings, labels, *, step=None, **options) -> jax.Array:
        if step is None and any(map(callable, shares)):
            raise ValueError("a share is a schedule: pass step=")
        now = [share(step) if callable(share) else share for share in shares]
        values = [one(embeddings, labels, **options) for one in losses]
        return sum((jnp.asarray(c, v.dtype) * v for c, v in zip(now, values, strict=True)), jnp.zeros_like(values[0]))

    return loss


@public(first="embeddings")
def dunn_loss(p: Partition, *, temperature: Positive = 0.1, **_: Unpack[Measured]) -> Scalar:
    """Dunn index as a loss, smoothed, so that more than its two pairs of points have a gradient.

    `W / (W + B)`, with `B = -T u log mean exp(-d / (T u))` over the pairs of different classes, a soft minimum, and
    `W = T u log mean exp(d / (T u))` over the pairs of one class, a soft maximum; u is the mean distance of all pairs.

    As T goes to 0 it becomes `1 / (1 + Dunn index)`. Like the index it does not change with the scale of the embedding.

    Args:
        temperature: T > 0, in units of the mean distance: a large one makes both of them plain means.

    Returns:
        A scalar in [0, 1]; 1/2 with zero gradient where all embeddings are one point. A batch with nothing to compare
        (fewer than 2 classes, or singletons only) is 0 with zero gradient. Gradients are finite at duplicates. NaN in,
        NaN out.

    Raises:
        ValueError: a temperature that is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[0.0], [1.0], [4.0], [6.0]]), jnp.array([0, 0, 1, 1])
        >>> round(float(dunn_loss(x, labels)), 4), round(float(dunn_loss(x, labels, temperature=0.001)), 4)
        (0.339, 0.3993)

    Source: Dunn (1974); smoothed: this package.
    """
    if not len(p.x):
        return p.x.sum()
    d = distances_within(scaled(p)[0])
    partners, rivals = partners_and_rivals(p)
    apart = partners | rivals
    unit = ratio(jnp.where(apart, d, 0).sum(), apart.sum(dtype=d.dtype)) * jnp.asarray(temperature, d.dtype)
    exponents = ratio(d, unit)

    def soft_largest(exponents: jax.Array, counted: jax.Array) -> jax.Array:
        # the lowest float and not -inf: without any pair the logarithm is still finite, and has no gradient
        lowest = jnp.finfo(d.dtype).min
        log_sum = jax.nn.logsumexp(jnp.where(counted, exponents, lowest))
        return log_sum - jnp.log(jnp.maximum(counted.sum(dtype=d.dtype), 1))

    within, between = soft_largest(exponents, partners), -soft_largest(-exponents, rivals)
    loss = jnp.where(unit == 0, jnp.asarray(0.5, d.dtype), ratio(within, within + between))
    return jnp.where(is_comparable(p), loss, 0)
