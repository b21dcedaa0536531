"""Proxies that a network learns: a Flax module, for who has Flax. Nothing else of the package imports it."""

from __future__ import annotations

from collections.abc import Callable

import jax
from flax import nnx

from clusterjax.typing import Labels, Mask, Points


class Proxies(nnx.Module):
    """A loss of proxies together with its proxies, which are parameters.

    They are drawn from a normal distribution, of length 1 on average. Keep the module beside the encoder, and let the
    optimiser see both.

    Attributes:
        vectors: [num_clusters, dim], or [num_clusters, per_class, dim].

    Examples:
        >>> import jax.numpy as jnp
        >>> from clusterjax.losses import arcface_loss
        >>> loss = Proxies(arcface_loss, num_clusters=5, dim=3, rngs=nnx.Rngs(0))
        >>> loss(jnp.ones((4, 3)), jnp.array([0, 0, 1, 4])).shape
        ()
    """

    def __init__(
        self,
        loss: Callable[..., jax.Array],
        num_clusters: int,
        dim: int,
        *,
        rngs: nnx.Rngs,
        per_class: int | None = None,
    ):
        """Draw the proxies.

        Args:
            loss: a loss that takes `proxies`; options of its own are bound by `functools.partial`.
            num_clusters: how many classes there are.
            dim: features of the embedding.
            rngs: its stream of parameters is drawn from.
            per_class: so many proxies a class, for `soft_triple_loss`.
        """
        shape = (num_clusters, dim) if per_class is None else (num_clusters, per_class, dim)
        self.loss = loss
        self.vectors = nnx.Param(jax.random.normal(rngs.params(), shape) / dim**0.5)

    def __call__(self, embeddings: Points, labels: Labels, *, where: Mask | None = None) -> jax.Array:
        """The loss of a batch."""
        return self.loss(embeddings, labels, where=where, proxies=self.vectors[...])
