"""Threads change nothing but the time: the same numbers, in the caller's settings."""

from __future__ import annotations

import threading
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from numpy.testing import assert_array_equal

from clusterjax import gap_statistic, sweep_k, threads
from clusterjax.selection import bootstrap_instability, cluster_stability, prediction_strength, repetitions, sweep

KEY = jax.random.key(2)
CALLS = {
    "gap": partial(gap_statistic, max_clusters=3, num_references=4, num_restarts=1),
    "sweep": partial(sweep_k, ks=(2, 3, 4, 5), num_restarts=1),
    "strength": partial(prediction_strength, ks=(2, 3), num_splits=4, num_restarts=1),
    "instability": partial(bootstrap_instability, ks=(2, 3), num_bootstraps=4, num_restarts=1),
    "stability": partial(cluster_stability, num_clusters=3, num_bootstraps=4, num_restarts=1),
}


def points():
    return jax.random.normal(jax.random.key(0), (60, 3)) + 5 * jnp.eye(3)[jnp.arange(60) % 3]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_three_threads_say_what_one_says(call, monkeypatch):
    found = []
    for number in (1, 3):
        monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _, number=number: range(number), raising=False)
        found.append(jax.tree.leaves(call(KEY, points())))
    for one, three in zip(*found, strict=True):
        assert_array_equal(one, three)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_threads_have_the_settings_of_who_asks(call, monkeypatch):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: range(3), raising=False)
    with jax.enable_x64(True):
        found = call(KEY, points().astype(jnp.float64))
    floats = [leaf for leaf in jax.tree.leaves(found) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert floats
    assert all(leaf.dtype == jnp.float64 for leaf in floats)


def test_parts_are_run_at_once_and_come_in_order():
    together = threading.Barrier(3, timeout=20)

    def part(first, last, size):
        if last > first:
            together.wait()
        return int(first), int(last), size

    assert threads.in_parts(part, 8, 3) == [(0, 3, 3), (3, 6, 3), (6, 8, 3)]
    assert threads.in_parts(lambda first, last, size: (int(first), int(last), size), 8, 1) == [(0, 8, 8)]


def test_what_is_large_or_traced_is_left_to_xla(monkeypatch):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: range(3), raising=False)
    assert threads.cores(1000, known=True) == 3
    assert threads.cores(1000, known=False) == 1
    assert threads.cores(threads.SMALL + 1, known=True) == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert threads.cores(1000, known=True) == 1


def test_an_error_in_a_thread_is_raised():
    def part(first, last, size):
        if first:
            raise ValueError("bad part")
        return size

    with pytest.raises(ValueError, match="bad part"):
        threads.in_parts(part, 8, 3)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("number", [1, 3])
def test_progress_is_shown_where_it_is_wanted_or_long(call, number, monkeypatch, capsys):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: range(number), raising=False)
    quiet = call(KEY, points())
    assert capsys.readouterr().err == ""
    shown = call(KEY, points(), progress=True)
    assert "100%" in capsys.readouterr().err
    for one, other in zip(jax.tree.leaves(quiet), jax.tree.leaves(shown), strict=True):
        assert_array_equal(one, other)
    for module in (repetitions, sweep):
        monkeypatch.setattr(module, "LONG", 0)
    call(KEY, points())
    assert "100%" in capsys.readouterr().err
    call(KEY, points(), progress=False)
    assert capsys.readouterr().err == ""
