"""The losses that an experiment takes by name, with their options from its settings."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import cache, partial

import jax
import jax.numpy as jnp

from clusterjax import INDICES, losses
from experiments.messages import first_line
from experiments.runs import RunError
from experiments.settings import Training

Loss = Callable[..., jax.Array]
# those of the library by their names, and the other indices as losses
LOSSES = {name: losses.validity_loss(name) for name in INDICES} | {
    name.removesuffix("_loss"): loss
    for name, loss in vars(losses).items()
    if inspect.isfunction(loss) and list(inspect.signature(loss).parameters)[1:2] == ["labels"]
}
# settings that are the loss's own
OPTIONS = (
    "metric", "power", "temperature", "target", "average", "margin", "neg_margin", "scale", "alpha", "gamma",
    "attraction", "mining",
)  # fmt: skip


def find(config: Training) -> Loss:
    """The loss that the settings name, with their options.

    Raises:
        RunError: there is none of that name, or it does not take an option that is set.
    """
    if config.loss not in LOSSES and ":" not in config.loss:
        raise RunError(f"--loss {config.loss}: choose one of {', '.join(sorted(LOSSES))}, none, or MODULE:FUNCTION.")
    module, _, attribute = config.loss.partition(":")
    try:
        function = LOSSES.get(config.loss) or getattr(importlib.import_module(module), attribute)
        taken = inspect.signature(function).parameters
    except Exception as error:  # whatever running a file of the user's may raise
        raise RunError(f"--loss {config.loss}: {first_line(error)}.") from error
    options = {option: value for option in OPTIONS if (value := getattr(config, option)) is not None}
    if unknown := options.keys() - taken.keys():
        raise RunError(f"--loss {config.loss} takes no --{' or --'.join(sorted(unknown))}; leave it out.")
    return bound(function, tuple(options.items()))


@cache
def bound(function: Loss, options: tuple[tuple[str, object], ...]) -> Loss:
    """The function with its options, one and the same for the same ones, so that nothing is compiled twice."""
    return partial(function, **dict(options)) if options else function


def takes_proxies(loss: Loss) -> bool:
    """Whether a loss wants vectors of the classes."""
    return "proxies" in inspect.signature(loss).parameters


def proxies_for(loss: Loss, config: Training, num_classes: int, dim: int) -> jax.Array | None:
    """Random vectors of the classes for a loss that takes some, of length 1 on average."""
    if not takes_proxies(loss):
        return None
    several = "SeveralProxies" in str(inspect.signature(loss).parameters["proxies"].annotation)
    shape = (num_classes, *([config.per_class] if several else []), dim)
    # another key than that of any step
    return jax.random.normal(jax.random.fold_in(jax.random.key(config.seed), 2**32 - 1), shape) / dim**0.5


def check(config: Training, num_classes: int, dim: int) -> None:
    """Try the loss on shapes alone, before an hour is spent on it.

    Raises:
        RunError: it fails on a batch, or returns something else than a number.
    """
    function = find(config)
    embeddings = jax.ShapeDtypeStruct((config.classes * config.drawings, dim), jnp.float32)
    labels = jax.ShapeDtypeStruct(embeddings.shape[:1], jnp.int32)
    try:
        if takes_proxies(function):
            proxies = jax.eval_shape(partial(proxies_for, function, config, num_classes, dim))
            loss = jax.eval_shape(function, embeddings, labels, proxies=proxies)
        else:
            loss = jax.eval_shape(partial(function, num_clusters=config.classes), embeddings, labels)
    except Exception as error:  # whatever a function of the user's may raise
        raise RunError(f"--loss {config.loss} with these options fails on a batch: {first_line(error)}.") from error
    if getattr(loss, "shape", None) != () or not jnp.issubdtype(loss.dtype, jnp.floating):
        raise RunError(f"--loss {config.loss} must return one number, a float, and not {loss}.")
