"""One clustering again and again, of references, halves or samples: side by side, with a bar where it is long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from clusterjax.threads import cores, in_parts
from clusterjax.typing import Array

Result = TypeVar("Result")

# So many distances or coordinates of points to centroids take seconds: what takes more says so beforehand.
LONG = 10**10
# Of what is long, for each thread: for the bar, which moves with every one that is done.
PARTS = 10


def to_centroids(shape: tuple[int, ...], ks: tuple[int, ...], num_restarts: int) -> int:
    """Coordinates of points compared with centroids, in some ten iterations of k-means for every k."""
    n, d = shape
    return 10 * n * d * sum(ks) * num_restarts


def repeated(
    function: Callable[..., Result],
    count: int,
    x: Array,
    ks: tuple[int, ...],
    num_restarts: int,
    *,
    known: bool,
    what: str,
    progress: bool | None,
) -> list[Result]:
    """`function` of `in_parts`, which clusters x for all ks once for each number.

    Args:
        function: for `in_parts`.
        count: how many repetitions.
        x: the points, or others of the same shape.
        ks: numbers of clusters.
        num_restarts: of each k-means.
        known: whether nothing is traced.
        what: they are, for the bar.
        progress: whether there is one. None: where it takes long.
    """
    threads = cores(x.shape[0] * (x.shape[1] + ks[-1]), known=known)
    is_long = count * to_centroids(x.shape, ks, num_restarts) > LONG
    shown = known and (is_long if progress is None else progress)
    return in_parts(function, count, threads, min(count, threads * PARTS) if shown else None, what)
