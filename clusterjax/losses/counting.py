"""How much of a batch a loss learns from."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from clusterjax.arguments import as_data, as_labels
from clusterjax.distances import as_points, pairwise_distances, precomputed, resolve
from clusterjax.typing import Labels, Mask, Metric, Points


def pairs_with_gradient(
    loss: Callable[..., jax.Array],
    embeddings: Points,
    labels: Labels,
    *,
    num_clusters: int | None = None,
    where: Mask | None = None,
    metric: Metric = "euclidean",
) -> jax.Array:
    """How many pairs of points carry gradient: those whose distance the loss changes with.

    `#{ {i, j}: dL/dD_ij != 0 or dL/dD_ji != 0 }`

    A function of points has no gradient by pairs, and its second derivatives couple points that no distance joins; so
    the loss is asked as a function of the distances, `loss(D, labels, metric="precomputed", ...)`. One gradient of it.

    Args:
        loss: a function of distances and labels that takes `metric="precomputed"`, `num_clusters` and `where`; options
            of its own are bound by `functools.partial`.
        embeddings: [n, d]; the distances [n, n] with `metric="precomputed"`.
        labels: [n], integers in [0, num_clusters); a negative label takes no part.
        num_clusters: static; may be left out when the labels are concrete.
        where: [n], False takes no part, whatever the row holds.
        metric: as in `pairwise_distances`.

    Returns:
        An integer in [0, n (n - 1) / 2]. A gradient that underflows is 0, and its pair not counted. One that is NaN
        counts: it is not 0.

    Raises:
        ValueError: traced labels without `num_clusters`, a label that is not below it, shapes that do not fit, an
            unknown metric.
        TypeError: labels that are not integers; a loss that knows no distances, such as those of cosine similarities or
            of proxies.

    Examples:
        >>> import jax.numpy as jnp
        >>> from clusterjax.losses import nca_loss, triplet_loss
        >>> x, labels = jnp.array([[0.0], [1.0], [1.1], [9.0]]), jnp.array([0, 0, 1, 1])
        >>> int(pairs_with_gradient(nca_loss, x, labels))  # all
        6
        >>> int(pairs_with_gradient(triplet_loss, x, labels))  # not the ends, which are far apart
        5

    Source: this package.
    """
    labels, where, num_clusters = as_labels(labels, where, num_clusters)
    x = as_data(embeddings, len(labels), resolve(metric))
    present = labels >= 0 if where is None else where & (labels >= 0)
    if resolve(metric).func is not precomputed:
        # a row of NaN would be in distances that are masked, too
        x = jnp.where(jnp.asarray(present)[:, None], as_points(x), 0)
    distances = pairwise_distances(x, metric=metric)

    def of_distances(distances: jax.Array) -> jax.Array:
        return loss(distances, labels, num_clusters=num_clusters, where=where, metric="precomputed")

    slopes = jax.grad(of_distances)(distances)
    carries = (slopes != 0) | (slopes.T != 0)
    return jnp.tril(carries, -1).sum(dtype=jnp.int32)
