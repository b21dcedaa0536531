"""Training: batches, checkpoints, and a run that is killed and goes on as if nothing had happened."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import benchmarks.losses
from clusterjax import losses
from experiments import train
from experiments.data import Part
from experiments.episodes.settings import Config
from experiments.losses import LOSSES
from experiments.runs import RunError

CONFIG = Config(steps=12, classes=4, drawings=3, validate_every=4)


def part(classes=6, seed=0):
    """Classes that differ: each has its own picture under noise."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 255, (classes, 1, 28, 28)) * (rng.random((classes, 20, 28, 28)) < 0.8)
    names = tuple(f"Script/character{i:02d}" for i in range(classes))
    return Part(pictures.astype(np.uint8), names, np.zeros(classes, np.int32), np.ones(classes, bool))


def run(folder: Path, config=CONFIG):
    """Train in `folder`; the leaves of the chosen variables, and the log without its clock."""
    folder.mkdir(parents=True, exist_ok=True)
    _, variables = train.train(config, losses.silhouette_loss, part(), part(seed=1), folder, lambda text, step: None)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return jax.tree.leaves(variables), [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole") / "run")


def same(ours, theirs):
    assert ours[1] == theirs[1]
    for a, b in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_holds_distinct_drawings_of_distinct_classes():
    images = jnp.broadcast_to(jnp.arange(7 * 20, dtype=jnp.uint8).reshape(7, 20, 1, 1), (7, 20, 28, 28))
    batch, chosen = train.sample_batch(jax.random.key(0), images, 5, 6)
    assert batch.shape == (30, 28, 28, 1)
    which = np.asarray(255 * batch[:, 0, 0, 0]).round().astype(int)
    assert len(set(which)) == 30
    classes = (which // 20).reshape(5, 6)
    assert (classes == classes[:, :1]).all()
    assert len(set(classes[:, 0])) == 5
    np.testing.assert_array_equal(chosen, classes[:, 0])


class Little(nnx.Module):
    """So small an encoder that every loss can train it."""

    def __init__(self, shape, *, dim, normalize, rngs):
        self.layer = nnx.Linear(math.prod(shape), dim, rngs=rngs)

    def __call__(self, images):
        return self.layer(images.reshape(len(images), -1))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains(name, monkeypatch):
    monkeypatch.setitem(train.ENCODERS, "conv4", Little)
    config, images = replace(CONFIG, steps=60, dim=8, classes=6, drawings=6), jnp.asarray(part().images)
    graph, state = train.create(config, train.shape_of(images), LOSSES[name], len(images))
    after, values = train.take_steps(
        state, images, jax.random.key(0), 2e-3, graph=graph, loss=LOSSES[name], config=config, length=60
    )
    assert values[-15:].mean() < values[:15].mean()
    assert isinstance(nnx.merge(graph, train.variables(after)), Little)


def test_proxies_are_learned_and_belong_to_the_classes_of_the_data():
    seen = []

    def loss(embeddings, labels, *, proxies):
        jax.debug.callback(lambda labels: seen.append(np.unique(labels)), labels)
        return losses.softmax_loss(embeddings, labels, proxies=proxies)

    images = jnp.asarray(part().images)
    config = replace(CONFIG, classes=2)
    graph, state = train.create(config, train.shape_of(images), loss, 6)
    assert state.params.proxies.shape == (6, 64)
    after, _ = train.take_steps(state, images, jax.random.key(0), 2e-3, graph=graph, loss=loss, config=config, length=3)
    jax.effects_barrier()
    assert sorted(map(tuple, seen)) == sorted(
        tuple(sorted(np.asarray(train.sample_batch(jax.random.fold_in(jax.random.key(0), i), images, 2, 3)[1])))
        for i in range(3)
    )
    assert (np.abs(after.params.proxies - state.params.proxies).max(1) > 0).all()


def test_training_learns(whole):
    log = whole[1]
    assert [line["step"] for line in log] == [4, 8, 12]
    assert log[-1]["loss"] < log[0]["loss"]
    assert all("validation" in line for line in log)


def test_a_run_in_two_parts_is_the_run_in_one(tmp_path, whole):
    # The first part stops after 8 of the 12 steps because its loss fails there: as good as a crash.
    calls = []

    def stop(text, step):
        calls.append(step)
        if step == 8:
            raise KeyboardInterrupt

    (tmp_path / "run").mkdir()
    with pytest.raises(KeyboardInterrupt):
        train.train(CONFIG, losses.silhouette_loss, part(), part(seed=1), tmp_path / "run", stop)
    same(run(tmp_path / "run"), whole)


def test_a_finished_run_is_not_run_again(tmp_path, whole):
    run(tmp_path / "run")
    before = (tmp_path / "run/log.jsonl").read_text()
    same(run(tmp_path / "run"), whole)
    assert (tmp_path / "run/log.jsonl").read_text() == before


@pytest.mark.parametrize("lines", [1, 2])
def test_killed_at_any_moment_it_ends_the_same(tmp_path, whole, lines):
    folder = tmp_path / "run"
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_train, pathlib; "
    script += f"test_train.run(pathlib.Path({str(folder)!r}))"
    child = subprocess.Popen([sys.executable, "-c", script], env=dict(os.environ), stderr=subprocess.DEVNULL)
    log = folder / "log.jsonl"
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline:
        if log.exists() and log.read_text().count("\n") >= lines:
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    with log.open("a") as stream:
        stream.write('{"step": 12, "lo')  # and it was writing a line
    same(run(folder), whole)


def cut(folder):
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(folder):
    """One bit of the largest file: where the weights are."""
    file = max((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_serves(tmp_path, whole, damage):
    folder = tmp_path / "run"
    run(folder)
    newest = max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name))
    damage(newest)
    with pytest.raises(RunError, match="delete that folder and the run goes on"):
        run(folder)
    newest.rename(tmp_path / "elsewhere")
    same(run(folder), whole)


def test_a_checkpoint_that_gives_other_numbers_than_were_written_is_refused(tmp_path):
    _, state = train.create(CONFIG, (28, 28, 1))
    with train.ocp.CheckpointManager(tmp_path / "checkpoints") as manager:
        saved = train.serializable(state)
        saved["1"] = saved["1"].copy()
        saved["1"].reshape(-1)[0] += 1
        manager.save(0, args=train.ocp.args.StandardSave(saved))
        manager.wait_until_finished()
        with pytest.raises(RunError, match="is damaged"):
            train.restore(manager, state)


@pytest.mark.parametrize("damage", ["nothing", "a line", "a line that is no line of ours", "all"])
def test_what_is_lost_of_the_log_is_said_and_the_rest_is_kept(tmp_path, whole, damage, capsys):
    folder = tmp_path / "run"
    run(folder)
    log = folder / "log.jsonl"
    lines = log.read_text().splitlines()
    lines[1] = {"a line": '{"step": 8, "lo', "a line that is no line of ours": "8"}.get(damage, lines[1])
    log.write_text("\n".join(lines) + "\n")
    if damage == "all":
        log.unlink()
    ours = run(folder)
    same((ours[0], whole[1]), whole)
    kept = {"nothing": [4, 8, 12], "all": []}.get(damage, [4, 12])
    assert [line["step"] for line in ours[1]] == kept
    assert ("has lost lines" in capsys.readouterr().err) == (damage != "nothing")


def test_no_room_for_a_checkpoint_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(train.ocp.CheckpointManager, "save", lambda *a, **k: 1 / 0)
    with pytest.raises(RunError, match="is the disk full"):
        run(tmp_path / "run")


def test_a_loss_that_is_not_finite_stops_the_run_with_a_sentence(tmp_path):
    def nan(embeddings, labels, *, num_clusters):
        return embeddings.sum() * jnp.nan

    with pytest.raises(RunError, match="The loss is nan at step 4"):
        train.train(CONFIG, nan, part(), None, tmp_path, lambda text, step: None)


def test_without_validation_the_last_weights_are_used(tmp_path):
    config = replace(CONFIG, steps=4)
    _, after_4 = train.train(config, losses.nca_loss, part(), None, tmp_path, lambda text, step: None)
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(after_4))
    assert "validation" not in (tmp_path / "log.jsonl").read_text()


def test_the_step_that_losses_are_timed_beside_is_one():
    state, values = jax.eval_shape(benchmarks.losses.conv4_step(60))
    assert (state.step.shape, values.shape) == ((), (1,))
