"""How much of a batch a loss learns from."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from clusterjax.arguments import as_data, as_labels
from clusterjax.distances import as_points, pairwise_distances, precomputed, resolve
from clusterjax.typing import Labels, Mask, Metric, Points

# Less than this of what the strongest pair carries is rounding, or as good as nothing.
NEXT_TO_NOTHING = 1e-6


def pairs_with_gradient(
    loss: Callable[..., jax.Array],
    embeddings: Points,
    labels: Labels,
    *,
    num_clusters: int | None = None,
    where: Mask | None = None,
    metric: Metric | None = None,
) -> jax.Array:
    """How many pairs of points carry gradient: those whose inner product, or distance, the loss changes with.

    `#{ {i, j}: |dL/dG_ij| > 1e-6 max over pairs }`, with G the inner products

    A function of points has no gradient by pairs. But give them one feature more, z, in which all are 0: their inner
    products become `G + z z^T`, so that the second derivatives of the loss by z, at 0, are twice its derivatives by G.
    That is asked of any loss of Euclidean distances, of angles or of means of points, for as many gradients as there
    are points. Of class vectors, which have a 0 in the new feature too, nothing is asked.

    Args:
        loss: a function of embeddings and labels that takes `num_clusters` and `where`, and as many features as it is
            given; options of its own are bound by `functools.partial`, class vectors with a feature of zeros after
            theirs.
        embeddings: [n, d]; the distances [n, n] with `metric="precomputed"`.
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part, whatever the row holds.
        metric: as in `pairwise_distances`. Inner products do not make up every metric (Manhattan, one of your own):
            where one is named the loss is asked as a function of the distances, `loss(D, labels, metric="precomputed",
            ...)`.

    Returns:
        An integer in [0, n (n - 1) / 2]; 0 where no pair counts, as in a loss of class vectors. NaN counts: it is not
        0.

    Raises:
        ValueError: traced labels without `num_clusters`, a label that is not below it, shapes that do not fit, an
            unknown metric.
        TypeError: labels that are not integers; with a metric, a loss that takes none.

    Examples:
        >>> import jax.numpy as jnp
        >>> from clusterjax.losses import ntxent_loss, triplet_loss
        >>> x, labels = jnp.array([[0.0], [1.0], [1.1], [9.0]]), jnp.array([0, 0, 1, 1])
        >>> int(pairs_with_gradient(triplet_loss, x, labels))  # not the ends, which are far apart
        5
        >>> x = jnp.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [-1.0, 1.0]])
        >>> int(pairs_with_gradient(ntxent_loss, x, labels))  # of angles
        5

    Source: this package.
    """
    labels, where, num_clusters = as_labels(labels, where, num_clusters)
    resolved = resolve("euclidean" if metric is None else metric)
    x = as_data(embeddings, len(labels), resolved)
    present = labels >= 0 if where is None else where & (labels >= 0)
    if resolved.func is not precomputed:
        # a row of NaN would be in distances that are masked, too
        x = jnp.where(jnp.asarray(present)[:, None], as_points(x), 0)
    if metric is None:

        def of_feature(z: jax.Array) -> jax.Array:
            wider = jnp.concatenate([x, z[:, None]], axis=1)
            return loss(wider, labels, num_clusters=num_clusters, where=where)

        z = jnp.zeros(len(x), x.dtype)
        _, along = jax.linearize(jax.grad(of_feature), z)
        slopes = jax.lax.map(along, jnp.eye(len(z), dtype=z.dtype))
    else:

        def of_distances(distances: jax.Array) -> jax.Array:
            return loss(distances, labels, num_clusters=num_clusters, where=where, metric="precomputed")

        slopes = jax.grad(of_distances)(pairwise_distances(x, metric=metric))
    strength = jnp.tril(abs(slopes + slopes.T), -1)
    is_nothing = strength <= NEXT_TO_NOTHING * strength.max(initial=0)
    return jnp.tril(~is_nothing, -1).sum(dtype=jnp.int32)
