"""The images themselves, an embedding that nothing is learnt for: the floor under every encoder."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def pixels(images: np.ndarray) -> jax.Array:
    """`[classes, drawings, h, w]` uint8 -> `[classes * drawings, h * w]` in 0..1."""
    return jnp.asarray(images.reshape(-1, images[0, 0].size), jnp.float32) / 255
