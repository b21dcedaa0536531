"""Forms of the losses that were tried because the ratio form of the silhouette is behind at five shots.

    python experiments/omniglot.py --config paper --steps 700 --loss experiments.variants:to_means

Five drawings are averaged to a prototype before anything is compared, and the silhouette's distances are to single
drawings. What these forms were worth is in docs/results.md. They take whole batches: no masks, two drawings
of a class or more.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import optax

from clusterjax import losses, pairwise_distances
from clusterjax.typing import Labels, Points, Proxies


def leave_one_out(embeddings: Points, labels: Labels, *, num_clusters: int) -> jax.Array:
    """The prototypical loss with every drawing a query, and the others of its class its prototype."""
    return losses.prototypical_loss(embeddings, labels, num_clusters=num_clusters, num_support=None)


def to_means(embeddings: Points, labels: Labels, *, num_clusters: int, power: float = 10.0) -> jax.Array:
    """The ratio form with the distances to the mean of each class, of the own class without the drawing itself."""
    return cross_entropy(*distances_to_means(embeddings, labels, num_clusters), labels, power)


def both_means(embeddings: Points, labels: Labels, *, num_clusters: int, power: float = 10.0) -> jax.Array:
    """The ratio form with the geometric mean of the distance to the mean and the mean of the distances."""
    w = jax.nn.one_hot(labels, num_clusters)
    sums, sizes = pairwise_distances(embeddings) @ w, w.sum(0)
    singly = (sums * w).sum(1) / (sizes[labels] - 1), sums / sizes
    jointly = distances_to_means(embeddings, labels, num_clusters)
    own, others = (jnp.sqrt(a * b) for a, b in zip(singly, jointly, strict=True))
    return cross_entropy(own, others, labels, power)


def silhouette_and_nca(embeddings: Points, labels: Labels, *, num_clusters: int, temperature: float = 1.0) -> jax.Array:
    """Half of each: the silhouette looks at whole classes, NCA at neighbours."""
    both = losses.combined_loss(
        [losses.silhouette_loss, partial(losses.nca_loss, temperature=temperature)], shares=[0.5, 0.5]
    )
    return both(embeddings, labels, num_clusters=num_clusters)


def silhouette_and_softmax(embeddings: Points, labels: Labels, *, proxies: Proxies) -> jax.Array:
    """Half of each: clean clusters, and classes that a linear classifier tells apart."""
    silhouette = losses.silhouette_loss(embeddings, labels, num_clusters=jnp.asarray(proxies).shape[0])
    return 0.5 * silhouette + 0.5 * losses.softmax_loss(embeddings, labels, proxies=proxies)


def distances_to_means(x: Points, labels: Labels, num_clusters: int) -> tuple[jax.Array, jax.Array]:
    """From each drawing to the mean of the others of its class [n], and to the means of all classes [n, k]."""
    w = jax.nn.one_hot(labels, num_clusters)
    sums, sizes = w.T @ x, w.sum(0)
    others = (sums[labels] - x) / (sizes[labels] - 1)[:, None]
    return jnp.linalg.norm(x - others, axis=1), pairwise_distances(x, sums / sizes[:, None])


def cross_entropy(own: jax.Array, others: jax.Array, labels: Labels, power: float) -> jax.Array:
    """Of probabilities proportional to distance^-power, over the power; the distance to the own class is `own`."""
    distances = jnp.where(jax.nn.one_hot(labels, others.shape[1], dtype=bool), own[:, None], others)
    logits = -power * jnp.log(jnp.maximum(distances, 1e-6))
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean() / power
