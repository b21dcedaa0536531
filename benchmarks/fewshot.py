"""10 000 episodes, 20-way 5-shot with 15 queries, from the embeddings of 1692 classes x 20 drawings.

python -m benchmarks.fewshot
"""

from __future__ import annotations

import jax
import numpy as np

from benchmarks import measure
from clusterjax import fewshot


def main() -> None:
    """Measure."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(1692), 20)
    embeddings = (rng.normal(size=(1692, 64))[labels] + rng.normal(size=(len(labels), 64))).astype(np.float32)

    def evaluate():
        return fewshot.evaluate(
            jax.random.key(0), embeddings, labels, way=20, shot=5, queries=15, num_episodes=10_000
        ).mean

    times = measure.in_turn({"10 000 episodes": evaluate}, 3)
    measure.write("fewshot", [{"what": name, **time} for name, time in times.items()])


if __name__ == "__main__":
    main()
