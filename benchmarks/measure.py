"""How the benchmarks measure: rivals in turn in one process, compile time apart; peak memory in its own process."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
from rich.progress import track

RESULTS = Path(__file__).parent / "results"
# Seconds before each call: threads of the rival before it go on spinning for up to 0.2 s, on the cores of the next.
REST = 0.3


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call, its result awaited."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def in_turn(rivals: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, dict[str, float]]:
    """First call and median of the later ones for each rival; A B C A B C ..., so that a drift hits all alike."""
    first = {name: seconds(function) for name, function in rivals.items()}
    later: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in track(range(repeats), description="timing"):
        for name, function in rivals.items():
            time.sleep(REST)
            later[name].append(seconds(function))
    return {
        name: {"seconds": statistics.median(times), "first_call_seconds": first[name]} for name, times in later.items()
    }


def peak_megabytes(module: str, *arguments: str) -> float | None:
    """How far a fresh process's memory rises above what it held when the data lay ready; None if it fails (on macOS).

    On an accelerator, whose memory is not the process's, None too.

    `python -m module --memory arguments` must print what `report_peak` returns as its last line.
    """
    if jax.default_backend() != "cpu":
        return None
    command = [sys.executable, "-m", module, "--memory", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def report_peak(function: Callable[[], object]) -> float:
    """Megabytes by which one call raises this process's memory at its peak; an error where there is no /proc.

    Not by `getrusage`: its maximum is handed down by the process that started this one, and cannot be set back.
    """
    with contextlib.suppress(OSError):  # without it the peak so far stays, and the rise may come out too small
        Path("/proc/self/clear_refs").write_text("5")  # from here on the peak is that of what is held now
    before = _peak_kilobytes()
    jax.block_until_ready(function())
    return (_peak_kilobytes() - before) / 1024


def _peak_kilobytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def machine() -> dict:
    """What every row says of where it was measured."""
    told = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in told if "model name" in line), platform.processor())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    kind = "" if jax.default_backend() == "cpu" else f"{jax.devices()[0].device_kind}, "
    return {"device": f"{jax.default_backend()}, {kind}{model}, {cores} cores", "jax": jax.__version__}


def write(name: str, rows: Sequence[dict]) -> None:
    """Write the rows of one benchmark, and print them as a table; those of an accelerator beside those of a CPU."""
    RESULTS.mkdir(exist_ok=True)
    backend = jax.default_backend()
    name = name if backend == "cpu" else f"{name}.{backend}"
    (RESULTS / f"{name}.jsonl").write_text("".join(json.dumps({**row, **machine()}) + "\n" for row in rows))
    for row in rows:
        print("  ".join(f"{key} {value:.3g}" if isinstance(value, float) else f"{value}" for key, value in row.items()))
