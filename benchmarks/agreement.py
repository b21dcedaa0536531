"""Agreement of a million labels, beside scikit-learn.

    python -m benchmarks.agreement

10 and 200 classes, a third of the points in a cluster at random; labels in NumPy, and on the device under `jit`.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from sklearn import metrics as peer

from benchmarks import measure
from clusterjax import agreement

POINTS = 1_000_000
MEASURES = ("adjusted_rand_score", "normalized_mutual_info_score", "adjusted_mutual_info_score")


def main() -> None:
    """Measure."""
    rows = []
    for k in (10, 200):
        rng = np.random.default_rng(0)
        classes = rng.integers(k, size=POINTS)
        clusters = np.where(rng.random(POINTS) < 1 / 3, rng.integers(k, size=POINTS), classes)
        on_device = jnp.asarray(classes), jnp.asarray(clusters)
        for name in MEASURES:
            ours, theirs = getattr(agreement, name), getattr(peer, name)
            jitted = jax.jit(partial(ours, num_classes=k, num_clusters=k))
            rivals = {
                "scikit-learn": partial(theirs, classes, clusters),
                "clusterjax": partial(ours, classes, clusters),
                "clusterjax under jit": partial(jitted, *on_device),
            }
            times = measure.in_turn(rivals, 5)
            for rival, time in times.items():
                ratio = time["seconds"] / times["scikit-learn"]["seconds"]
                value = float(rivals[rival]())
                row = {"n": POINTS, "k": k, "measure": name, "what": rival, "value": value}
                rows.append({**row, **time, "ratio_to_scikit_learn": ratio})
    measure.write("agreement", rows)


if __name__ == "__main__":
    main()
