"""What holds for every test of the package: strict promotion of kinds and ranks, which Flax and optax do not keep."""

import jax
import jaxtyping
import pytest

STRICT = ("test_contract", "test_distances", "test_fewshot", "test_losses", "test_partition", "test_silhouette")


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
