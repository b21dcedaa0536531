"""Train an encoder on batches of P classes x K drawings with any loss of `(embeddings, labels)`.

A loss that takes `proxies`, vectors of the classes, has them learned beside the encoder.

The loop is functional: a `TrainState` goes in, another comes out, and whatever is random in step `t` follows from
the seed and `t` alone. So a checkpoint of the state is the whole run: killed at any moment and started again on as many
cores, it ends with the same weights and the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx

from clusterjax import fewshot
from experiments.encoders import ENCODERS
from experiments.losses import Loss, proxies_for, takes_proxies
from experiments.messages import first_line, say
from experiments.runs import DivergedError, RunError, write
from experiments.settings import Training

# Steps of one compiled call. On a CPU a step alone spends a third of its time on getting its memory from the system.
STEPS_PER_CALL = 25


class Examples(Protocol):
    """What a part of any data set has."""

    @property
    def images(self) -> np.ndarray:
        """`[classes, examples, ...]`."""
        ...


class Best(NamedTuple):
    """The weights that did best on the validation classes so far.

    Attributes:
        score: [], their 20-way 1-shot accuracy there, -1 before the first look.
        step: [], when.
        variables: parameters and batch statistics.
    """

    score: jax.Array
    step: jax.Array
    variables: nnx.State


class Learned(NamedTuple):
    """What the optimiser moves.

    Attributes:
        encoder: its parameters, an `nnx.State`.
        proxies: [classes, d], or [classes, m, d], vectors of the classes; None where the loss takes none.
    """

    encoder: Any
    proxies: Any


class TrainState(NamedTuple):
    """All that a run is at one moment.

    Attributes:
        step: [], steps taken.
        params: see `Learned`.
        statistics: running means and variances of the batch norms.
        optimizer: optax' state.
        best: see `Best`.
    """

    step: jax.Array
    params: Learned
    statistics: nnx.State
    optimizer: optax.OptState
    best: Best


def create(
    config: Training, shape: tuple[int, ...], loss: Loss | None = None, num_classes: int = 0
) -> tuple[nnx.GraphDef, TrainState]:
    """The encoder's structure, and its state before the first step.

    Args:
        config: the settings.
        shape: of one example, as `shape_of` gives it.
        loss: what it will be trained with, and on how many classes: a loss may want vectors of them.
        num_classes: see there.
    """
    graph, params, statistics = nnx.split(encoder(config, shape), nnx.Param, ...)
    proxies = None
    if loss is not None and takes_proxies(loss):
        one = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        embedding = jax.eval_shape(lambda x: nnx.merge(graph, params, statistics, copy=True)(x), one)
        proxies = proxies_for(loss, config, num_classes, embedding.shape[1])
    best = Best(jnp.float32(-1), jnp.int32(0), nnx.merge_state(params, statistics))
    learned = Learned(params, proxies)
    moments = optimizer(config.learning_rate, config.steps).init(learned)
    return graph, TrainState(jnp.int32(0), learned, statistics, moments, best)


def encoder(config: Training, shape: tuple[int, ...]) -> nnx.Module:
    """The network with its first weights."""
    return ENCODERS[config.encoder](shape, dim=config.dim, normalize=config.normalize, rngs=nnx.Rngs(config.seed))


def check(config: Training, shape: tuple[int, ...]) -> None:
    """Try the encoder on shapes alone.

    Raises:
        RunError: it does not take such examples.
    """
    try:
        jax.eval_shape(lambda x: encoder(config, shape)(x), jax.ShapeDtypeStruct((1, *shape), jnp.float32))
    except Exception as error:  # whatever the layers of a network may raise
        what = f"--encoder {config.encoder} takes no examples of shape {shape}"
        raise RunError(f"{what}: {first_line(error)}.") from error


def compiled(config: Training) -> Training:
    """The settings that a compiled step depends on: not where a run lies, nor what it is given as it runs."""
    given = ("seed", "learning_rate")
    return Training(**{f.name: getattr(config, f.name) for f in fields(Training) if f.name not in given})


def variables(state: TrainState) -> nnx.State:
    """What the encoder is made of at that moment."""
    return nnx.merge_state(state.params.encoder, state.statistics)


def optimizer(rate: float | jax.Array, steps: int) -> optax.GradientTransformation:
    """Adam, its rate falling to zero along a cosine."""
    return optax.adam(optax.cosine_decay_schedule(rate, max(steps, 1)))  # pyright: ignore[reportArgumentType]


def sample_batch(key: jax.Array, images: jax.Array, classes: int, drawings: int) -> tuple[jax.Array, jax.Array]:
    """Drawings of some classes, class by class, as an encoder takes them; and which classes they are."""
    which, how = jax.random.split(key)
    chosen = jax.random.choice(which, images.shape[0], (classes,), replace=False)
    # the first of a random order; to sort all of 600 pictures takes longer than the rest of a step of a small network
    _, order = jax.lax.top_k(jax.random.uniform(how, (classes, images.shape[1])), drawings)
    return prepared(images[chosen[:, None], order].reshape(-1, *images.shape[2:])), chosen


def prepared(examples: jax.Array) -> jax.Array:
    """What an encoder takes: images in 0..1 with their channels last, whatever is not bytes as it is."""
    if examples.dtype != jnp.uint8:
        return examples
    examples = examples.astype(jnp.float32) / 255
    return examples[..., None] if examples.ndim == 3 else examples


def shape_of(images: np.ndarray | jax.Array) -> tuple[int, ...]:
    """The shape of one of them, `[classes, drawings, ...]`, as an encoder takes it."""
    return jax.eval_shape(prepared, jax.ShapeDtypeStruct((1, *images.shape[2:]), images.dtype)).shape[1:]


@partial(jax.jit, static_argnames=("graph", "loss", "config", "length"))
def take_steps(
    state: TrainState,
    images: jax.Array,
    key: jax.Array,
    rate: float | jax.Array,
    *,
    graph: nnx.GraphDef,
    loss: Loss,
    config: Training,
    length: int,
) -> tuple[TrainState, jax.Array]:
    """`length` steps; returns the new state and the loss of each. What step t draws follows from `key` and t.

    The rate at the start is not compiled in, so that one program serves all rates that are tried.
    """

    def step(state: TrainState, _):
        batch, chosen = sample_batch(jax.random.fold_in(key, state.step), images, config.classes, config.drawings)

        def objective(params: Learned):
            model = nnx.merge(graph, params.encoder, state.statistics, copy=True)
            embeddings = model(batch)
            if params.proxies is None:  # the classes of the batch are all there are
                labels = jnp.repeat(jnp.arange(config.classes), config.drawings)
                value = loss(embeddings, labels, num_clusters=config.classes)
            else:
                value = loss(embeddings, jnp.repeat(chosen, config.drawings), proxies=params.proxies)
            return value, nnx.state(model, nnx.Not(nnx.Param))

        (value, statistics), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
        updates, moments = optimizer(rate, config.steps).update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return state._replace(step=state.step + 1, params=params, statistics=statistics, optimizer=moments), value

    return jax.lax.scan(step, state, None, length=length)


@partial(jax.jit, static_argnames="graph")
def embed(graph: nnx.GraphDef, variables: nnx.State, images: jax.Array) -> jax.Array:
    """Embeddings `[classes * drawings, d]` of images `[classes, drawings, ...]`, norms as at test."""
    model = nnx.merge(graph, variables, copy=True)
    model.eval()
    embeddings = jax.lax.map(lambda drawings: model(prepared(drawings)), images)
    return embeddings.reshape(-1, embeddings.shape[-1])


def drawing_labels(images: jax.Array | np.ndarray) -> np.ndarray:
    """The class of every row of `embed`."""
    return np.repeat(np.arange(images.shape[0]), images.shape[1])


def train(
    config: Training,
    loss: Loss,
    part: Examples,
    validation: Examples | None,
    folder: Path,
    report: Callable[[str, int], None],
):
    """Train, or go on with the run that `folder` holds.

    Args:
        config: the settings; `steps`, `classes`, `drawings`, `seed`, ... of them matter here.
        loss: `loss(embeddings, labels, num_clusters=)` or `loss(embeddings, labels, proxies=)` -> scalar.
        part: the classes to learn from.
        validation: classes to choose the best weights by, or None for the last weights.
        folder: keeps `checkpoints/` and `log.jsonl`.
        report: called with a line of text and the number of steps taken, after every compiled call.

    Returns:
        The encoder's structure and the variables to use.
    """
    graph, state = create(config, shape_of(part.images), loss, len(part.images))
    key, rate = jax.random.key(config.seed), config.learning_rate
    config = compiled(config)
    images = jnp.asarray(part.images)
    log = folder / "log.jsonl"
    with ocp.CheckpointManager(
        (folder / "checkpoints").absolute(), options=ocp.CheckpointManagerOptions(max_to_keep=2)
    ) as manager:
        state = restore(manager, state)
        lines = keep_lines(log, int(state.step), config.validate_every)
        last = next((line["validation"] for line in reversed(lines) if "validation" in line), None)
        report(describe(lines[-1]["loss"] if lines else None, last), int(state.step))
        while int(state.step) < config.steps:
            done = int(state.step)
            stop = min(config.steps, next_stop(done, config.validate_every))
            start = time.perf_counter()
            state, values = take_steps(
                state, images, key, rate, graph=graph, loss=loss, config=config, length=stop - done
            )
            line = {"step": int(state.step), "loss": float(values.mean())}
            line["seconds"] = round(time.perf_counter() - start, 3)
            if not np.isfinite(line["loss"]):
                raise DivergedError(
                    f"The loss is {line['loss']} at step {line['step']}; lower --learning-rate or change the loss."
                )
            mark = stop == config.steps or stop % config.validate_every == 0
            if mark and validation is not None:
                state, last = keep_best(graph, state, validation)
                line["validation"] = last
            with log.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
            if mark:
                save(manager, state)
            report(describe(line["loss"], last), line["step"])
    chosen = variables(state) if validation is None else state.best.variables
    return graph, chosen


def describe(loss: float | None, validation: float | None) -> str:
    """What a progress bar says of the run."""
    loss_text = "" if loss is None else f"loss {loss:.4f}"
    return loss_text if validation is None else f"{loss_text}  validation {100 * validation:.1f} %"


def keep_best(graph: nnx.GraphDef, state: TrainState, validation: Examples) -> tuple[TrainState, float]:
    """Look at the validation classes, and keep the weights if they never did better; always the same episodes."""
    now = variables(state)
    images = jnp.asarray(validation.images)
    embeddings = embed(graph, now, images)
    way = min(20, images.shape[0])
    result = fewshot.evaluate(jax.random.key(0), embeddings, drawing_labels(images), way=way, shot=1, num_episodes=1000)
    score = float(result.mean)
    if score > float(state.best.score):
        state = state._replace(best=Best(jnp.float32(score), state.step, now))
    return state, score


def next_stop(step: int, validate_every: int) -> int:
    """Where the compiled call ends that starts at `step`: at the next look at the validation classes, if not before."""
    return min(step + STEPS_PER_CALL, (step // validate_every + 1) * validate_every)


def serializable(state: TrainState) -> dict[str, np.ndarray]:
    """A tree of plain arrays, which is what a checkpoint holds, with a digest of them all."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
    digest = hashlib.sha256(b"".join(leaf.tobytes() for leaf in leaves)).digest()
    return {**{str(i): leaf for i, leaf in enumerate(leaves)}, "digest": np.frombuffer(digest, np.uint8)}


def save(manager: ocp.CheckpointManager, state: TrainState) -> None:
    """Keep the state, whole or not at all."""
    try:
        manager.save(int(state.step), args=ocp.args.StandardSave(serializable(state)))
        manager.wait_until_finished()
    except Exception as error:  # a full disk comes as whatever the layer that met it raises
        raise RunError(
            f"No checkpoint can be written to {manager.directory} (is the disk full?); make room, and the same command "
            "goes on from the last one."
        ) from error


def restore(manager: ocp.CheckpointManager, state: TrainState) -> TrainState:
    """The newest checkpoint, or `state` where there is none."""
    step = manager.latest_step()
    if step is None:
        return state
    leaves, tree = jax.tree.flatten(state)
    try:
        saved = manager.restore(step, args=ocp.args.StandardRestore(serializable(state)))
        restored = jax.tree.unflatten(tree, [saved[str(i)] for i in range(len(leaves))])
        if not np.array_equal(serializable(restored)["digest"], saved["digest"]):
            raise ValueError("what it holds is not what was written")
    except Exception as error:
        folder = Path(manager.directory) / str(step)
        raise RunError(
            f"The checkpoint {folder} is damaged; delete that folder and the run goes on from the one before it, or "
            "from the start."
        ) from error
    return restored


def keep_lines(log: Path, step: int, validate_every: int) -> list[dict]:
    """The log up to `step`; what a killed run wrote after its last checkpoint is written again when those steps are."""
    texts = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    lines = [line for line in map(read_line, texts) if line and line["step"] <= step]
    expected, at = [], 0
    while at < step:
        at = min(step, next_stop(at, validate_every))
        expected.append(at)
    if [line["step"] for line in lines] != expected:
        say(f"{log} has lost lines; the curve and the seconds of this run are of those that are left.")
    write(log, "".join(json.dumps(line) + "\n" for line in lines))
    return lines


def read_line(text: str) -> dict | None:
    """A line of the log, or None for one that is damaged, such as the one that was being written at the end."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    whole = isinstance(line, dict) and isinstance(line.get("step"), int)
    return line if whole and isinstance(line.get("loss"), float) and isinstance(line.get("seconds"), float) else None
