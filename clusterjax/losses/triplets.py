"""The triplet loss: of an anchor, one of its class and one of another."""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import row_minimum
from clusterjax.by_cluster import distances_within
from clusterjax.partition import Partition, partners_and_rivals
from clusterjax.public import public
from clusterjax.typing import Measured, Members, Mining, NonNegative, Scalar


@public(first="embeddings")
def triplet_loss(p: Partition, *, mining: Mining = "all", margin: NonNegative = 0.2, **_: Unpack[Measured]) -> Scalar:
    """Triplet loss: a point is nearer to those of its class than to the others, by a margin.

    `mean over triplets (i, j, l) of max(0, d(i, j) - d(i, l) + margin)`, with y_j = y_i and y_l != y_i

    - `mining="all"`: the mean is over every triplet of the batch that violates the margin.
    - `mining="semihard"`: over those of them with d(i, j) < d(i, l): the rival is farther, but not by the margin.
    - `mining="hard"`: over all points with a partner and a rival, j the farthest partner and l the nearest rival.

    The first two cost about `n^2` times the size of the largest class, and no more memory than the distances.

    Args:
        mining: "all", "semihard" or "hard", which triplets there are.
        margin: in units of the distance.

    Returns:
        A scalar >= 0. Without triplets it is 0 with zero gradient. Where points coincide distances have zero gradient;
        of equally far partners or rivals the first is the hardest. NaN in, NaN out.

    Raises:
        ValueError: another mining, a negative margin.

    Examples:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[0.0], [1.0], [1.5]]), jnp.array([0, 0, 1])
        >>> float(triplet_loss(x, labels, margin=1.0))  # 1 - 1.5 + 1 and 1 - 0.5 + 1
        1.0
        >>> float(triplet_loss(x, labels, margin=1.0, mining="semihard"))
        0.5

    Source: Schroff, Kalenichenko, Philbin, FaceNet (2015), whose semi-hard triplets are all taken here, as in
    pytorch-metric-learning; Hermans, Beyer, Leibe, In defense of the triplet loss (2017), for the other two.
    """
    distances = distances_within(p)
    margin = jnp.asarray(margin, distances.dtype)
    partners, rivals = partners_and_rivals(p)
    if mining == "hard":
        there = partners.any(1) & rivals.any(1)
        farthest = -row_minimum(jnp.where(partners, -distances, jnp.inf))
        nearest = row_minimum(jnp.where(rivals, distances, jnp.inf))
        losses = jax.nn.relu(jnp.where(there, farthest - nearest, 0) + margin)
        return jnp.where(there, losses, 0).sum() / jnp.maximum(there.sum(dtype=margin.dtype), 1)
    assert p.own is not None  # of a public function
    of_partners, of_rivals = count_triplets(
        jax.lax.stop_gradient(distances), p.own, p.w.shape[1], rivals, margin, mining == "semihard"
    )
    # A sum over the triplets is one over the pairs, each as often as it is in one; and so is its gradient.
    triplets = of_partners.sum()
    far = jnp.where(partners, of_partners * distances, 0).sum()
    near = jnp.where(rivals, of_rivals * distances, 0).sum()
    return (far - near + margin * triplets) / jnp.maximum(triplets, 1)  # a ratio would hide a NaN


def count_triplets(
    distances: jax.Array, own: Members, num_clusters: int, rivals: jax.Array, margin: jax.Array, semihard: bool
) -> tuple[jax.Array, jax.Array]:
    """In how many triplets that violate the margin each pair is: [n, n] as anchor and partner, as anchor and rival.

    All anchors look at one partner at a time: the first member of their class, the second, and so on.
    """
    anchors = jnp.arange(len(own))
    sizes = jnp.bincount(own, length=num_clusters + 1)
    by_class, first = jnp.argsort(own), (jnp.cumsum(sizes) - sizes)[own]
    sizes = jnp.where(own < num_clusters, sizes[own], 0)

    def look_at(place: jax.Array, counts: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        of_partners, of_rivals = counts
        partner = by_class.at[first + place].get(mode="clip")
        to_partner = distances[anchors, partner][:, None]
        violates = rivals & ((place < sizes) & (partner != anchors))[:, None] & (distances < to_partner + margin)
        if semihard:
            violates &= to_partner < distances
        ones = violates.astype(distances.dtype)
        return of_partners.at[anchors, partner].add(ones.sum(1)), of_rivals + ones

    none = jnp.where(rivals, 0, jnp.zeros_like(distances))
    return jax.lax.fori_loop(0, sizes.max(initial=0), look_at, (none, none))
