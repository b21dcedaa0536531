"""A value and gradient of each loss on a batch of 360 embeddings in 64 dimensions, beside the prototypical loss.

python -m benchmarks.losses
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import measure
from clusterjax import losses

RIVALS = {
    "prototypical": losses.prototypical_loss,
    "silhouette": losses.silhouette_loss,
    "silhouette ratio": losses.silhouette_ratio_loss,
    "silhouette ratio, squared distances": partial(losses.silhouette_ratio_loss, metric="squared_euclidean"),
    "nca": losses.nca_loss,
    "contrastive": losses.contrastive_loss,
    "triplets, all": losses.triplet_loss,
    "triplets, semi-hard": partial(losses.triplet_loss, mining="semihard"),
    "triplets, hard": partial(losses.triplet_loss, mining="hard"),
    "NT-Xent": losses.ntxent_loss,
    "supervised contrastive": losses.supervised_contrastive_loss,
    "multi-similarity": losses.multi_similarity_loss,
    "circle": losses.circle_loss,
}
OF_PROXIES = {
    "softmax": losses.softmax_loss,
    "normalized softmax": losses.normalized_softmax_loss,
    "ArcFace": losses.arcface_loss,
    "Proxy-NCA": losses.proxy_nca_loss,
    "Proxy-Anchor": losses.proxy_anchor_loss,
    "cosine COREL": losses.cosine_corel_loss,
    "Gaussian COREL": losses.gaussian_corel_loss,
}


def main() -> None:
    """Measure."""
    rows = []
    for classes in (60, 120):
        rng = np.random.default_rng(0)
        labels = jnp.asarray(np.arange(360) % classes)
        x = jnp.asarray(rng.normal(size=(classes, 64))[labels] + rng.normal(size=(360, 64)), jnp.float32)
        proxies = jnp.asarray(rng.normal(size=(classes, 64)), jnp.float32)
        rivals = RIVALS | {name: partial(loss, proxies=proxies) for name, loss in OF_PROXIES.items()}
        rivals["SoftTriple, 4 proxies"] = partial(losses.soft_triple_loss, proxies=jnp.stack([proxies] * 4, axis=1))
        compiled = {
            name: jax.jit(jax.value_and_grad(partial(loss, labels=labels, num_clusters=classes)))
            for name, loss in rivals.items()
        }
        times = measure.in_turn({name: partial(loss, x) for name, loss in compiled.items()}, 201)
        for name, time in times.items():
            ratio = time["seconds"] / times["prototypical"]["seconds"]
            rows.append({"classes": classes, "loss and gradient": name, **time, "ratio_to_prototypical": ratio})
    measure.write("losses", rows)


if __name__ == "__main__":
    main()
