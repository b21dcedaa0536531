"""What holds for every test of the package: strict promotion of kinds and ranks, which Flax and optax do not keep.

And fixtures that several files want.
"""

import gc
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jaxtyping
import pytest
from cifar_stand_ins import COUNTS
from stand_ins import NAMES, made_up

from experiments.data import characters, cifar, glyphs, omniglot

STRICT = (
    "test_agreement",
    "test_clustering",
    "test_contract",
    "test_distances",
    "test_fewshot",
    "test_indices",
    "test_losses",
    "test_partition",
    "test_retrieval",
    "test_selection",
    "test_silhouette",
)


# Most of the suite's time is LLVM's, on programs that run once on a few points: compiled like this it takes half of it.
# A flag of XLA's, what it is in the tests, and what it is for users.
QUICK = {
    "xla_cpu_use_fusion_emitters": ("false", True),
    "xla_backend_optimization_level": ("0", 3),
    "xla_cpu_parallel_codegen_split_count": ("1", 32),
}
# So many, and a long test has room for its own; they are counted after every so many tests, for it takes time.
MANY_MAPS = 30_000
COUNTED_EVERY = 20
# Seconds of compiling from which a program is kept for the other workers.
WORTH = 0.2


def pytest_configure(config):
    """What one worker or child has compiled the others read, from a folder of this run, which its end removes."""
    # two workers have two cores; threads of the oracles would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # a trace makes many objects and few cycles: to look for those as often as Python does takes a tenth of the time
    gc.set_threshold(200_000, 20, 20)
    if hasattr(config, "workerinput") or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    if "XLA_FLAGS" not in os.environ:
        flags = [f"--{name}={value}" for name, (value, _) in QUICK.items()]
        together = " ".join(flags)
        os.environ["XLA_FLAGS"] = together if _is_known(together) else " ".join(filter(_is_known, flags))
    folder = tempfile.mkdtemp(prefix="clusterjax-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    # not every little one: to write it down costs as much
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = str(WORTH)
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    jax.config.update("jax_compilation_cache_dir", folder)  # this process has read its environment already
    jax.config.update("jax_persistent_cache_min_compile_time_secs", WORTH)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _is_known(flags):
    """Whether this XLA has them: one that it does not know ends its process."""
    command, environment = [sys.executable, "-c", "import jax; jax.devices()"], {**os.environ, "XLA_FLAGS": flags}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


torn_down = itertools.count()


@pytest.hookimpl(trylast=True)  # when what a test has put in place of `Path.read_bytes` is gone
def pytest_runtest_teardown(item):
    """Compiled programs are let go before a process runs out of memory maps: at Linux's 65 530 XLA crashes.

    They are counted where there is a list of them; the dear ones are not compiled anew, they lie in this run's folder.
    """
    maps = Path("/proc/self/maps")
    if next(torn_down) % COUNTED_EVERY == 0 and maps.exists() and maps.read_bytes().count(b"\n") > MANY_MAPS:
        jax.clear_caches()


@pytest.fixture
def compiled_as_for_users():
    """Options for `jax.jit` where it matters how a user's program is compiled."""
    flags = os.environ.get("XLA_FLAGS", "").split()
    return {name: users for name, (value, users) in QUICK.items() if f"--{name}={value}" in flags}


@pytest.fixture(autouse=True)
def strict(request):
    """No silent promotion inside the package."""
    if not request.node.path.name.startswith(STRICT):
        yield
        return
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def x64():
    """Double precision inside one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def unchecked():
    """Annotations not run inside one test, as for a user: they would refuse bad input before the function does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def small_omniglot(monkeypatch):
    """An Omniglot of four characters."""
    monkeypatch.setattr(omniglot, "known", lambda: NAMES)


@pytest.fixture
def small_cifar(monkeypatch):
    """CIFAR with all its classes and a few pictures of each."""
    for name, few in COUNTS.items():
        monkeypatch.setitem(cifar.SETS, name, cifar.SETS[name]._replace(counts=few))


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine without Omniglot and CIFAR, and a glyph set that costs nothing."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLUSTERJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLUSTERJAX_OMNIGLOT_URL", "http://127.0.0.1:1")  # nobody listens
    monkeypatch.setenv("CLUSTERJAX_CIFAR_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    names = [
        f"{script}/U+0000"
        for part in json.loads((characters.SPLITS / "scripts.json").read_text()).values()
        for script in part
    ]
    monkeypatch.setattr(glyphs, "draw", lambda: made_up(names))
    return tmp_path
