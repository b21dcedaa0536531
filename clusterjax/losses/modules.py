"""What a loss learns beside the embedding, as modules of Flax, for who has it. Nothing else here imports them."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax.tree_util import Partial

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


class Relation(nnx.Module):
    """A learned metric, to be passed as `metric=relation.metric()`: how unlike two embeddings are, in [0, 1].

    `d(x, y) = 1 - (r(x, y) + r(y, x)) / 2`, with `r = sigmoid(v . relu(W [x, y] + b) + c)`; the relation of the paper,
    made symmetric. It is no distance: a point need not be at 0 from itself.

    Attributes:
        hidden: the layer of W and b.
        out: the layer of v and c.

    Examples:
        >>> import jax.numpy as jnp
        >>> from clusterjax.losses import relation_loss, silhouette_loss
        >>> x, labels = jnp.array([[0.0], [1.0], [4.0], [6.0]]), jnp.array([0, 0, 1, 1])
        >>> relation = Relation(dim=1, hidden=8, rngs=nnx.Rngs(0))
        >>> [loss(x, labels, metric=relation.metric()).shape for loss in (relation_loss, silhouette_loss)]
        [(), ()]
    """

    def __init__(self, dim: int, hidden: int, *, rngs: nnx.Rngs):
        """Draw the weights.

        Args:
            dim: features of the embedding.
            hidden: features of the layer between.
            rngs: its stream of parameters is drawn from.
        """
        self.hidden = nnx.Linear(2 * dim, hidden, rngs=rngs)
        self.out = nnx.Linear(hidden, 1, rngs=rngs)

    def metric(self) -> Partial:
        """The function of two vectors, with the weights as they are: gradients reach them, and nothing is retraced."""
        weights = [(layer.kernel, layer.bias) for layer in (self.hidden, self.out)]
        return Partial(_unlike, *(w[...] for pair in weights for w in pair if w is not None))


def _unlike(w: jax.Array, b: jax.Array, v: jax.Array, c: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    def relation(x: jax.Array, y: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(jax.nn.relu(jnp.concatenate([x, y]) @ w + b) @ v + c)[0]

    return 1 - (relation(x, y) + relation(y, x)) / 2
