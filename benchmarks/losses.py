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
}


def main() -> None:
    """Measure."""
    rows = []
    for classes in (60, 120):
        rng = np.random.default_rng(0)
        labels = jnp.asarray(np.arange(360) % classes)
        x = jnp.asarray(rng.normal(size=(classes, 64))[labels] + rng.normal(size=(360, 64)), jnp.float32)
        compiled = {
            name: jax.jit(jax.value_and_grad(partial(loss, labels=labels, num_clusters=classes)))
            for name, loss in RIVALS.items()
        }
        times = measure.in_turn({name: partial(loss, x) for name, loss in compiled.items()}, 201)
        for name, time in times.items():
            ratio = time["seconds"] / times["prototypical"]["seconds"]
            rows.append({"classes": classes, "loss and gradient": name, **time, "ratio_to_prototypical": ratio})
    measure.write("losses", rows)


if __name__ == "__main__":
    main()
