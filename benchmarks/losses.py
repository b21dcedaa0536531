"""Value and gradient of each loss on a batch of 360 embeddings in 64 dimensions, beside a training step of Conv4.

    python -m benchmarks.losses

The step is that of 360 images with a loss that costs nothing. Memory is what a compiled program takes besides its
arguments, by XLA's own account: of value and gradient, and that over the value's alone.
"""

from __future__ import annotations

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import measure
from clusterjax import losses
from experiments import train
from experiments.episodes.settings import Config
from experiments.losses import LOSSES

VARIANTS = {
    "silhouette ratio, squared distances": partial(losses.silhouette_ratio_loss, metric="squared_euclidean"),
    "silhouette, soft minimum": partial(losses.silhouette_loss, temperature=1.0),
    "triplet, hard": partial(losses.triplet_loss, mining="hard"),
    "triplet, semihard": partial(losses.triplet_loss, mining="semihard"),
}
POINTS, FEATURES, STEP = 360, 64, "Conv4 step"


def batch(classes: int) -> tuple[jax.Array, jax.Array, dict[str, partial]]:
    """Embeddings, labels and what is timed on them."""
    rng = np.random.default_rng(0)
    labels = jnp.asarray(np.arange(POINTS) % classes)
    centres = jnp.asarray(rng.normal(size=(classes, FEATURES)), jnp.float32)
    x = centres[labels] + jnp.asarray(rng.normal(size=(POINTS, FEATURES)), jnp.float32)

    def given(loss) -> dict[str, jax.Array]:
        if "proxies" not in inspect.signature(loss).parameters:
            return {}
        return {"proxies": jnp.stack([centres] * 4, axis=1) if loss is losses.soft_triple_loss else centres}

    named = {name.replace("_", " "): loss for name, loss in LOSSES.items()} | VARIANTS
    return x, labels, {n: partial(loss, num_clusters=classes, **given(loss)) for n, loss in named.items()}


def conv4_step(classes: int) -> partial:
    """One step of training, on made-up images."""
    images = np.random.default_rng(0).integers(0, 255, (classes, 20, 28, 28)).astype(np.uint8)
    config = Config(classes=classes, drawings=POINTS // classes)
    graph, state = train.create(config, train.shape_of(images))
    options = {"graph": graph, "loss": no_loss, "config": config, "length": 1}
    arguments = state, jnp.asarray(images), jax.random.key(0), config.learning_rate
    return partial(train.take_steps, *arguments, **options)


def no_loss(embeddings: jax.Array, labels: jax.Array, *, num_clusters: int) -> jax.Array:
    """As cheap as can be."""
    return jnp.square(embeddings).mean()


def memory(function, *arguments: jax.Array) -> int:
    """Bytes a compiled program takes besides its arguments."""
    return function.lower(*arguments).compile().memory_analysis().temp_size_in_bytes


def main() -> None:
    """Measure."""
    rows = []
    for classes in (60, 120):
        x, labels, rivals = batch(classes)
        values = {name: jax.jit(loss) for name, loss in rivals.items()}
        gradients = {name: jax.jit(jax.value_and_grad(loss)) for name, loss in rivals.items()}
        timed = {name: partial(loss, x, labels) for name, loss in gradients.items()}
        times = measure.in_turn({STEP: conv4_step(classes), **timed}, 21)
        for name, time in times.items():
            row = {"classes": classes, "loss and gradient": name, **time}
            row["ratio_to_conv4_step"] = time["seconds"] / times[STEP]["seconds"]
            if name in gradients:
                bytes_of_gradient = memory(gradients[name], x, labels)
                row["gradient_megabytes"] = bytes_of_gradient / 2**20
                row["memory_ratio_to_value"] = bytes_of_gradient / max(memory(values[name], x, labels), 1)
            rows.append(row)
    measure.write("losses", rows)


if __name__ == "__main__":
    main()
