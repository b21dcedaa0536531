"""Every encoder under jit, with every loss on top, against finite differences in double precision.

Compiled, and on a network as deep as the one that is trained: a fused program rounds otherwise than the same lines run
one by one, and a gradient that depends on rounding is wrong only there.
"""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from clusterjax import losses
from experiments import encoders

CLASSES, DRAWINGS = 6, 4
# the first has a gradient that is not that of its value; those of proxies have no choices to make from their rounding
OTHERS = {"circle_loss", "pairs_with_gradient"} | {
    n for n in losses.__all__ if "proxies" in inspect.signature(getattr(losses, n)).parameters
}
LOSSES = {
    **{name: getattr(losses, name) for name in losses.__all__ if name not in OTHERS},
    "hard triplets": lambda *a, **k: losses.triplet_loss(*a, **k, mining="hard"),
    "soft minimum": lambda *a, **k: losses.silhouette_loss(*a, **k, temperature=1.0),
    "chebyshev": lambda *a, **k: losses.silhouette_loss(*a, **k, metric="chebyshev"),
    "leave one out": lambda *a, **k: losses.prototypical_loss(*a, **k, num_support=None),
}
ENCODERS = {
    "conv4": {},
    "conv4, linear head of unit length": {"dim": 8, "normalize": True},
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("options", ENCODERS.values(), ids=ENCODERS.keys())
def test_gradient_of_a_compiled_step(options, loss, compiled_as_for_users):
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.random((CLASSES * DRAWINGS, 28, 28, 1)))
    labels = jnp.repeat(jnp.arange(CLASSES), DRAWINGS)
    graph, params, rest = nnx.split(encoders.Conv4(features=16, rngs=nnx.Rngs(0), **options), nnx.Param, ...)
    params, rest = jax.tree.map(
        lambda a: a.astype(jnp.float64) if jnp.issubdtype(a.dtype, jnp.floating) else a, (params, rest)
    )

    @partial(jax.jit, compiler_options=compiled_as_for_users)
    def value_and_gradient(params):
        def objective(params):
            return loss(nnx.merge(graph, params, rest, copy=True)(images), labels, num_clusters=CLASSES)

        return jax.value_and_grad(objective)(params)

    value, gradient = value_and_gradient(params)
    assert value.dtype == jnp.float64
    direction = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), params)
    step = 1e-7
    ahead, behind = (
        value_and_gradient(jax.tree.map(lambda a, d, s=s: a + s * d, params, direction))[0] for s in (step, -step)
    )
    along = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    np.testing.assert_allclose(along, (ahead - behind) / (2 * step), rtol=1e-5)
