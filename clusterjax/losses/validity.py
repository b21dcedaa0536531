"""Losses that are cluster validity indices: an embedding is trained on the measure that it will be judged by."""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import ratio
from clusterjax.indices.comparison import (
    Comparison,
    average_values,
    compare_all,
    compare_nearest,
    compared,
    values,
)
from clusterjax.nearest import nearest_ahead
from clusterjax.partition import Nearest, Partition
from clusterjax.public import public
from clusterjax.typing import Average, MeanSilhouette, Measured, Positive, Scalar, Scores


def _nearest_ahead(*given, temperature: float | jax.Array | None, **_) -> Nearest | None:
    return nearest_ahead(*given) if temperature is None else None


@public(first="embeddings", ahead=_nearest_ahead)
def silhouette_loss(
    p: Partition,
    *,
    average: Average = "micro",
    target: MeanSilhouette | None = None,
    temperature: Positive | None = None,
    **_: Unpack[Measured],
) -> Scalar:
    """Silhouette loss: classes as tight and well-separated clusters.

    `(1 - mean_i s(i)) / 2`, or `|target - mean_i s(i)|`, with s as in `silhouette_samples`.

    The mean silhouette does not change with the scale of the embedding, and its gradient shrinks as the scale grows.
    Compose batches of P classes x K points: a class with one point has s = 0 and no gradient of its own.

    Args:
        average: "micro", every point alike; "macro", every class alike.
        target: the mean silhouette to reach and not to pass, in [-1, 1]; 0.8 to 0.9 in the literature.
        temperature: T > 0 replaces b, the distance to the nearest other class, by a soft minimum over them all,
            `-T log mean_l exp(-d_l / T)`, so that every class takes part in the gradient. In units of the distance; it
            lies between the minimum, where it ends as T goes to 0, and the mean.

    Returns:
        A scalar: in [0, 1], or with a target in [0, 2]. A batch with nothing to compare (fewer than 2 classes, or
        singletons only) is 0 with zero gradient. NaN in, NaN out. Gradients are finite at duplicates, singletons and
        ties; where all embeddings are one point the loss is 1/2 with zero gradient.

    Raises:
        ValueError: another average; a target or temperature out of range.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[0.0], [1.0], [4.0], [6.0]]), jnp.array([0, 0, 1, 1])
        >>> round(float(silhouette_loss(x, labels)), 4)
        0.1731
        >>> round(float(silhouette_loss(x, labels, target=0.9)), 4)
        0.2463

    Source: the silhouette: Rousseeuw (1987); as a loss: Bremner (2019); target: CARL-G (KDD 2023); soft minimum:
    Todescato and Carbonera, Silhouette loss (arXiv 2604.08573), with a mean in the place of their sum.
    """
    there = compared(p)
    if temperature is None:
        found = compare_nearest(p)
        s = values(found.own, found.other, there)
    else:
        c = compare_all(p)
        s = values(c.own, soft_nearest_other(c, temperature), there)
    mean = average_values(s, p, average)
    loss = (1 - mean) / 2 if target is None else jnp.abs(jnp.asarray(target, mean.dtype) - mean)
    return jnp.where(there.any(), loss, 0)


def soft_nearest_other(c: Comparison, temperature: float | jax.Array) -> Scores:
    """-T log mean exp(-d / T) over the other clusters of each point."""
    t = jnp.asarray(temperature, c.means.dtype) / c.unit
    # a row without others would be the logarithm of nothing: it counts its own cluster, and is not looked at
    counted = c.other | ~c.other.any(1, keepdims=True)
    exponents = jnp.where(counted, -c.means / t, -jnp.inf)
    return -t * (jax.nn.logsumexp(exponents, axis=1) - jnp.log(counted.sum(1, dtype=t.dtype)))


@public(first="embeddings")
def silhouette_ratio_loss(p: Partition, *, power: Positive = 10.0, **_: Unpack[Measured]) -> Scalar:
    """Silhouette loss as cross-entropy: every class is a rival, and the points that sit badly decide.

    `mean_i (1/p) log( 1 + sum_l (a_i / d_il)^p )`

    a_i is the mean distance from i to the other members of its class, d_il to the members of another class l, as in
    the silhouette. It is the cross-entropy of class probabilities proportional to (mean distance)^-p, over p; and a
    smooth `mean_i max(0, log(a_i / b_i))`, which it becomes as p grows: 0 where the silhouette is positive.

    Like the silhouette it does not change with the scale of the embedding. Unlike it, a point that is well placed has
    hardly any gradient, and all classes that are about as near as its own have some.

    Args:
        power: p > 0. A small one pushes all classes apart, a large one only those that are nearer than a point's own.

    Returns:
        A scalar >= 0; `log(k) / p` where all embeddings are one point. Singletons have no a and are not averaged over,
        but others see them. A batch with nothing to compare is 0 with zero gradient. A mean distance below a machine
        epsilon of the point's largest counts as that, with zero gradient, so the loss is finite at duplicates. NaN in,
        NaN out.

    Raises:
        ValueError: a power that is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[0.0], [1.0], [4.0], [6.0]]), jnp.array([0, 0, 1, 1])
        >>> round(float(silhouette_ratio_loss(x, labels, power=1.0)), 4)
        0.2919
        >>> round(float(silhouette_ratio_loss(0 * x, labels, power=1.0)), 4)  # one class in two: log 2
        0.6931

    Source: this package; a and b: Rousseeuw (1987), the loss on them: Bremner (2019).
    """
    c = compare_all(p)
    power = jnp.asarray(power, c.means.dtype)
    rivals = jnp.where(c.other, c.means, 0)
    largest = jax.lax.stop_gradient(jnp.maximum(c.own, rivals.max(1)))
    smallest = jnp.finfo(power.dtype).eps * jnp.where(largest > 0, largest, 1)

    def log(distances: jax.Array, smallest: jax.Array) -> jax.Array:
        return jnp.log(jnp.where(distances < smallest, smallest, distances))

    exponents = power * (log(c.own, smallest)[:, None] - log(rivals, smallest[:, None]))
    # one exponent of 0, for a point's own class: the 1 in the logarithm
    exponents = jnp.pad(jnp.where(c.other, exponents, -jnp.inf), ((0, 0), (0, 1)))
    losses = jnp.where(c.compared, jax.nn.logsumexp(exponents, axis=1) / power, 0)
    return ratio(losses.sum(), c.compared.sum(dtype=power.dtype))
