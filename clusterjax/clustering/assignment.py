"""The nearest centroid of each point of a block."""

from __future__ import annotations

from functools import reduce

import jax
import jax.numpy as jnp

from clusterjax.arithmetic import matmul
from clusterjax.distances import FEW, squared_differences

# Scores that are compared one after the other, and so in one loop over the points.
TEAM = 20


def nearest(x: jax.Array, centroids: jax.Array, live: jax.Array, columns: jax.Array | None = None) -> jax.Array:
    """The first of the nearest live centroids of each point, [block]; by `columns` where `Blocks` have them."""
    k, d = centroids.shape
    columns = x.T if columns is None else columns
    if d <= FEW:
        scores = squared_differences(centroids, x[:, :-1]) + barred(live, x.dtype)
        return first_of_few(scores) if k <= TEAM else scores.argmin(0).astype(jnp.int32)
    rows = scoring(centroids, live)
    return first_of_few(matmul(rows, columns)) if k <= TEAM else two_of_many(rows, columns)[0]


def barred(live: jax.Array, dtype: jax.typing.DTypeLike) -> jax.Array:
    """What keeps the others out of a minimum, [k, 1]: infinity where a centroid is not live."""
    return jnp.where(live, 0, jnp.inf).astype(dtype)[:, None]


def scoring(centroids: jax.Array, live: jax.Array) -> jax.Array:
    """[k, d + 1], of which the product with the columns of a block is `(|x - c|^2 - |x|^2) / 2`.

    Centroids in rows, so that a minimum over them is one of whole vectors.
    """
    lengths = jnp.square(centroids).sum(1, keepdims=True)
    return jnp.concatenate([-centroids, lengths / 2 + barred(live, centroids.dtype)], 1)


def first_of_few(scores: jax.Array) -> jax.Array:
    """The number of the first of the smallest scores in each column, [k, m] -> [m]: one loop over the columns."""
    best, number = scores[0], jnp.zeros(scores.shape[1], jnp.int32)
    for row in range(1, len(scores)):
        closer = scores[row] < best
        best, number = jnp.where(closer, scores[row], best), jnp.where(closer, row, number)
    return number


def two_of_many(rows: jax.Array, columns: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The same for the scores `rows @ columns`, where the last number of a row is its bar; and the two smallest.

    A tournament: the winners of teams are compared, and then the members of the team that won. So all scores are gone
    through once; an `argmin` goes one by one, and a search for what equals the minimum takes them a second time.

    Returns:
        The numbers, [m]; their scores; and the smallest score of any other row.
    """
    teams = -(-len(rows) // TEAM)
    size = -(-len(rows) // teams)
    rows = jnp.pad(rows, [(0, teams * size - len(rows)), (0, 0)]).at[len(rows) :, -1].set(jnp.inf)
    scores = matmul(rows, columns).reshape(teams, size, -1)
    winners = reduce(jnp.minimum, [scores[:, place] for place in range(size)])
    smallest = winners.min(0, keepdims=True)
    team = _first_equal(winners, smallest)
    members = jnp.take_along_axis(scores, team[None, None, :], 0)[0]
    place = _first_equal(members, smallest)
    second = jnp.minimum(_without(winners, team).min(0), _without(members, place).min(0))
    return team * size + place, smallest[0], second


def _first_equal(values: jax.Array, sought: jax.Array) -> jax.Array:
    """The first row of each column that holds what is sought there; the last where none does."""
    # numbers as floats, whose minimum is the faster
    number = jnp.arange(len(values), dtype=values.dtype)[:, None]
    return jnp.where(values == sought, number, len(values) - 1).min(0).astype(jnp.int32)


def _without(values: jax.Array, row: jax.Array) -> jax.Array:
    """Infinity in one row of each column."""
    return jnp.where(jnp.arange(len(values), dtype=row.dtype)[:, None] == row[None, :], jnp.inf, values)
