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


def can_be_asked(name):
    """Of points and labels alone, with the gradient of its value: class vectors leave no choices to rounding."""
    parameters = inspect.signature(getattr(losses, name)).parameters
    return list(parameters)[1:2] == ["labels"] and "proxies" not in parameters and name != "circle_loss"


LOSSES = {
    **{name: getattr(losses, name) for name in filter(can_be_asked, losses.__all__)},
    "hard triplets": partial(losses.triplet_loss, mining="hard"),
    "soft minimum": partial(losses.silhouette_loss, temperature=1.0),
    "chebyshev": partial(losses.silhouette_loss, metric="chebyshev"),
    "leave one out": partial(losses.prototypical_loss, num_support=None),
}


def two_layers(rngs):
    """So little that every loss can be tried on it."""
    return nnx.Sequential(
        lambda images: images.reshape(len(images), -1),
        nnx.Linear(28 * 28, 16, rngs=rngs),
        nnx.relu,
        nnx.Linear(16, 8, rngs=rngs),
    )


# Compiled as for users it takes a second each; in a quick suite those that gave trouble stand for the others.
OFTEN = ("silhouette_loss", "silhouette_ratio_loss", "chebyshev", "hard triplets", "multi_similarity_loss", "dunn_loss")
CASES = {
    **{
        f"two layers-{name}": pytest.param(two_layers, loss, marks=() if name in OFTEN else pytest.mark.slow)
        for name, loss in LOSSES.items()
    },
    "conv4-silhouette_loss": (partial(encoders.Conv4, features=16), LOSSES["silhouette_loss"]),
    **{
        f"conv4-{name}": pytest.param(partial(encoders.Conv4, features=16), LOSSES[name], marks=pytest.mark.slow)
        for name in ("silhouette_ratio_loss", "chebyshev", "prototypical_loss")
    },
    "conv4, linear head of unit length-silhouette_loss": (
        partial(encoders.Conv4, features=16, dim=8, normalize=True),
        LOSSES["silhouette_loss"],
    ),
    "resnet12-silhouette_loss": (partial(encoders.ResNet12, widths=(8, 8, 8, 8)), LOSSES["silhouette_loss"]),
    "cifar resnet-silhouette_loss": (
        partial(encoders.CifarResNet, (28, 28, 1), depth=8, width=8),
        LOSSES["silhouette_loss"],
    ),
    "densenet-silhouette_loss": pytest.param(
        partial(encoders.DenseNet, (28, 28, 1), depth=10, growth=8), LOSSES["silhouette_loss"], marks=pytest.mark.slow
    ),
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("encoder", "loss"), CASES.values(), ids=CASES.keys())
def test_gradient_of_a_compiled_step(encoder, loss, compiled_as_for_users):
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.random((CLASSES * DRAWINGS, 28, 28, 1)))
    labels = jnp.repeat(jnp.arange(CLASSES), DRAWINGS)
    graph, params, rest = nnx.split(encoder(rngs=nnx.Rngs(0)), nnx.Param, ...)
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
