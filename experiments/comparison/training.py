"""From settings to an embedding of classes that nobody trained on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import losses, train
from experiments.comparison.settings import Config
from experiments.runs import DivergedError


class Trained(NamedTuple):
    """An encoder, and what it cost.

    Attributes:
        embed: examples `[classes, examples, ...]` -> `[classes * examples, d]`.
        seconds: of training; of the first run of these settings that of compiling, too.
    """

    embed: Callable[[np.ndarray], jax.Array]
    seconds: float


class Part(NamedTuple):
    """What `train.train` wants of a data set."""

    images: np.ndarray


def untrained(config: Config, seen: np.ndarray) -> Trained:
    """The encoder before its first step."""
    graph, state = train.create(config, train.shape_of(seen))
    return Trained(lambda examples: train.embed(graph, train.variables(state), jnp.asarray(examples)), 0.0)


def head(config: Config, seen: jax.Array) -> Trained:
    """A head, in one go: it takes seconds."""
    loss = losses.find(config)
    graph, state = train.create(config, train.shape_of(seen), loss, len(seen))
    start = time.perf_counter()
    state, values = train.take_steps(
        state, seen, jax.random.key(config.seed), config.learning_rate,
        graph=graph, loss=loss, config=train.compiled(config), length=config.steps,
    )  # fmt: skip
    if not np.isfinite(np.asarray(values)).all():
        raise DivergedError(f"--loss {config.loss}: the loss is not finite; lower --learning-rate.")
    seconds = time.perf_counter() - start
    return Trained(lambda examples: train.embed(graph, train.variables(state), jnp.asarray(examples)), seconds)


def network(
    config: Config, learn: np.ndarray, validation: np.ndarray, folder: Path, report: Callable[[str, int], None]
) -> Trained:
    """A network from its first layer on, with checkpoints; the weights that did best on the validation classes."""
    start = time.perf_counter()
    loss = losses.find(config)
    graph, chosen = train.train(config, loss, Part(learn), Part(validation), folder, report)
    return Trained(lambda examples: train.embed(graph, chosen, jnp.asarray(examples)), time.perf_counter() - start)
