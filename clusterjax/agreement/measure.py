"""A public function of two labelings, made from its kernel: what comes in, what is refused, jit, the docstring.

A kernel is a pure function of a `Table`, and of options of its own; it holds a formula and nothing else:

    @measure
    def purity_score(t: Table, **_: Unpack[Compared]) -> Scalar:
        ...

makes `purity_score(labels_true, labels_pred, *, num_classes=None, num_clusters=None, where=None)`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar, get_type_hints

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from clusterjax.agreement.contingency import Table, count, table
from clusterjax.arguments import as_labelings
from clusterjax.public import bound, checked, documented, dressed, options_of, static_of

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

ARGUMENTS = {
    "labels_true": "[n], the known class of each point: integers in [0, num_classes). A negative label, here or in "
    "`labels_pred`, takes no part. Where they are known, names of any other kind do: strings, floats, large integers.",
    "labels_pred": "[n], the cluster of each point, likewise, below num_clusters.",
    "num_classes": "static; may be left out when the labels are concrete. Ids without members are skipped.",
    "num_clusters": "likewise.",
    "where": "[n], False takes no part.",
}
VALUE_ERROR = (
    "labelings of different lengths or not one-dimensional, a label not below its number, traced labels without it, "
    "NaN for a label"
)
TYPE_ERROR = "traced labels that are not integers, names that cannot be sorted, a mask that is not boolean."


class Measure(Protocol[P, R_co]):
    """A function of two labelings and what its kernel takes by name."""

    def __call__(self, labels_true: ArrayLike, labels_pred: ArrayLike, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Its value."""
        ...


def measure(kernel: Callable[Concatenate[Table, P], R]) -> Measure[P, R]:
    """Make a public function of a kernel."""
    hints = get_type_hints(kernel, include_extras=True)
    options = options_of(kernel)
    signature = _signature(kernel, options)

    @functools.partial(jax.jit, static_argnames=static_of(options, hints))
    def compiled(cells, bad, **given):
        value = kernel(table(jnp.asarray(cells)), **given)  # type: ignore[call-arg]
        return jax.tree.map(lambda leaf: jnp.where(bad, jnp.nan, leaf), value)

    def function(*args, **kwargs):
        given = bound(kernel, signature, args, kwargs)
        labelings = as_labelings(*(given.pop(name) for name in ARGUMENTS))
        return compiled(*count(*labelings), **checked(given, hints))

    return dressed(function, kernel, signature, documented(kernel, ARGUMENTS, [VALUE_ERROR], TYPE_ERROR))


def _signature(kernel: Callable, options: dict[str, inspect.Parameter]) -> inspect.Signature:
    keyword, either = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter("labels_true", either, annotation="ArrayLike"),
        inspect.Parameter("labels_pred", either, annotation="ArrayLike"),
        inspect.Parameter("num_classes", keyword, default=None, annotation="int | None"),
        inspect.Parameter("num_clusters", keyword, default=None, annotation="int | None"),
        inspect.Parameter("where", keyword, default=None, annotation="Mask | None"),
        *options.values(),
    ]
    return inspect.Signature(parameters, return_annotation=inspect.signature(kernel).return_annotation)
