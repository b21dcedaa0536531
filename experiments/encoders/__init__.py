"""Encoders: Flax NNX modules from images `[n, h, w, c]` to embeddings `[n, d]`, one architecture a file.

`ENCODERS` holds those that can be trained, by the name that `--encoder` takes; `pixels` is the floor under them.
"""

from experiments.encoders.conv4 import Conv4
from experiments.encoders.pixels import pixels

ENCODERS = {"conv4": Conv4}

__all__ = ["ENCODERS", "Conv4", "pixels"]
