"""The silhouette by the number of distances in a tile, on this device: what `tiles.TILE_ELEMENTS` is chosen by.

    python -m benchmarks.tiles --sizes 16 18 20

in powers of two. On an accelerator, whose tiles are larger: `--sizes 20 22 24 26`.
"""

from __future__ import annotations

import argparse
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import measure
from benchmarks.silhouette import DIMENSIONS, bare_product
from clusterjax import silhouette_score, tiles

CASES = ((10_000, 10), (100_000, 10), (100_000, 1_000), (10_000, 200))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=(16, 18, 20))
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    rows = []
    for n, k in CASES:
        rng = np.random.default_rng(0)
        labels = jnp.asarray(rng.integers(k, size=n))
        x = jnp.asarray(rng.normal(size=(k, DIMENSIONS))[labels] + rng.normal(size=(n, DIMENSIONS)), jnp.float32)
        block = 250 if jax.default_backend() == "cpu" else 2_500
        bare = measure.in_turn({"bare": lambda x=x, block=block: bare_product(x, x, block)}, chosen.repeats)["bare"]
        for size in chosen.sizes:
            tiles.TILE_ELEMENTS, tiles.LARGER = 2**size, 1
            jax.clear_caches()
            score = partial(silhouette_score, labels=labels, num_clusters=k)
            forward, gradient = jax.jit(score), jax.jit(jax.grad(score))
            times = measure.in_turn(
                {"score": lambda x=x, f=forward: f(x), "gradient": lambda x=x, f=gradient: f(x)}, chosen.repeats
            )
            for what, time in times.items():
                row = {"n": n, "k": k, "tile_elements": 2**size, "blocks": tiles.num_blocks(n), "what": what, **time}
                rows.append({**row, "ratio_to_bare_product": time["seconds"] / bare["seconds"]})
                print(rows[-1], flush=True)
        measure.write("tiles", rows)


if __name__ == "__main__":
    main()
