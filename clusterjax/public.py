"""A public function of points and labels, made from its kernel: what comes in, what is refused, jit, the docstring.

A kernel is a pure function of a checked `Partition`, and of options of its own; it holds a formula and nothing else.
Which arguments every such function has is said once, here:

    @public(needs=comparable)
    def silhouette_score(p: Partition, *, average: Average = "micro", **_: Unpack[Common]) -> Scalar:
        ...

makes `silhouette_score(x, labels, *, num_clusters=None, where=None, metric="euclidean", weights=None, average=...)`.
`Clustered`, `Measured`, `Weighted` or `Common` says which of the common arguments there are; a type checker sees them
through `Unpack`, and `help`, the docs pages and `inspect.signature` the whole. Options are checked by their
annotations: a `Literal` or bounds. Options that are strings or whole numbers, by their default or annotation, are
static, the others are traced. An option `proxies` holds a vector a class, and says how many classes there are. What is
said of an option in `ARGUMENTS` need not be said by each kernel that has it.
"""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, get_args, get_origin, get_type_hints

import jax
import numpy as np
from numpy.typing import ArrayLike

from clusterjax.arguments import (
    as_data,
    as_labels,
    as_proxies,
    as_sample_weights,
    check_diagonal,
    check_option,
    cluster_sizes,
    is_count,
)
from clusterjax.distances import precomputed, resolve
from clusterjax.partition import Nearest, Partition, partition

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

COMMON = {"num_clusters": None, "where": None, "metric": "euclidean", "weights": None}
ARGUMENTS = {
    "points": "[n, d].",
    "points or distances": '[n, d], or the distances [n, n] with `metric="precomputed"`.',
    "labels": "[n], integers in [0, num_clusters); a negative label takes no part.",
    "num_clusters": "static; may be left out when the labels are concrete. Ids without members are skipped.",
    "where": "[n], False takes no part, whatever the row holds.",
    "metric": "as in `pairwise_distances`; symmetric.",
    "metric of points": 'as in `pairwise_distances`, but not "precomputed".',
    "proxies": "{axes}, vectors of the classes, which are learned as the embedding is: gradients reach them. That of "
    "an id without members is a rival still. They are computed in the embeddings' kind of number.",
    "weights": "[n], at least 0: each point counts as if it stood there so many times. Left out, each counts once.",
    "gallery": "[m, d], points among which each row of `x` looks for its nearest; left out, among all others of `x`.",
    "gallery_labels": "[m], their labels; a negative one takes no part, one that no row of `x` has is one class more.",
    "max_class_size": "static, at least the points that the largest class has in the gallery; found when labels are "
    "concrete. Where they are traced it saves time: without it a class may be as large as the gallery.",
}
AS_MANY_AS_PROXIES = "static; may be left out, since it is the number of proxies."
VALUE_ERROR = "a label not below `num_clusters`, traced labels without it, shapes that do not fit"
TYPE_ERROR = "labels that are not integers, a mask that is not boolean."


class Public(Protocol[P, R_co]):
    """A function of points, labels and what its kernel takes by name."""

    def __call__(self, x: ArrayLike, labels: ArrayLike, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Its value."""
        ...


def public(
    *,
    needs: Callable[[np.ndarray], None] | None = None,
    points_for: str | None = None,
    metric: str = "euclidean",
    first: str = "x",
    ahead: Callable[..., Nearest | None] | None = None,
    settle: Callable[..., dict] | None = None,
) -> Callable[[Callable[Concatenate[Partition, P], R]], Public[P, R]]:
    """Make a public function of a kernel.

    Args:
        needs: raises where the sizes of the clusters, once they are known, leave nothing to measure.
        points_for: why distances alone will not do, as the beginning of a sentence.
        metric: the default.
        first: the name of the first argument.
        ahead: what may be found before the kernel is traced, of the same arguments as `partition` and the options.
        settle: the options after a look at the data, of the same arguments; it may refuse, or fill in what is left out.
    """

    def make(kernel: Callable[..., R]) -> Public[P, R]:
        hints = get_type_hints(kernel, include_extras=True)
        (family,) = get_args(hints.pop("_"))
        options = options_of(kernel)
        common = [name for name in COMMON if name in family.__annotations__]
        signature = _signature(kernel, first, family, {**COMMON, "metric": metric}, common, options)

        @functools.partial(jax.jit, static_argnames=("num_clusters", *static_of(options, hints)))
        def compiled(x, labels, where, weights, metric, num_clusters, found, **given):
            p = partition(x, labels, where, weights, metric, num_clusters)
            return kernel(p._replace(nearest=found), **given)

        def function(*args, **kwargs):
            given = bound(kernel, signature, args, kwargs)
            x, labels = given.pop(first), given.pop("labels")
            named = {name: given.pop(name, default) for name, default in COMMON.items()}
            checked(given, hints)
            resolved = resolve(named["metric"])
            if points_for and resolved.func is precomputed:
                raise ValueError(f"{points_for}: metric cannot be 'precomputed'")
            if "proxies" in given:
                given["proxies"], named["num_clusters"] = as_proxies(
                    given["proxies"], hints["proxies"], x, named["num_clusters"]
                )
            labels, where, k = as_labels(labels, named["where"], named["num_clusters"])
            x = as_data(x, len(labels), resolved)
            if resolved.func is precomputed:
                check_diagonal(x, where)
            weights = None if named["weights"] is None else as_sample_weights(named["weights"], len(labels))
            if needs is not None:
                sizes = cluster_sizes(labels, where, weights)
                if sizes is not None:
                    needs(sizes)
            if settle is not None:
                given = settle(x, labels, where, weights, resolved, k, **given)
            found = None if ahead is None else ahead(x, labels, where, weights, resolved, k, **given)
            return compiled(x, labels, where, weights, resolved, k, found, **given)

        said = [*common, *(name for name in options if name in ARGUMENTS)]
        return dressed(function, kernel, signature, _docstring(kernel, first, said, points_for, hints.get("proxies")))

    return make


def options_of(kernel: Callable) -> dict[str, inspect.Parameter]:
    """What it takes by name."""
    parameters = inspect.signature(kernel).parameters.items()
    return {name: parameter for name, parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


def static_of(options: dict[str, inspect.Parameter], hints: dict) -> list[str]:
    """The options that a trace must know."""
    return [
        name
        for name, option in options.items()
        if isinstance(option.default, str | int) or get_origin(hints[name]) is Literal or is_count(hints[name])
    ]


def bound(kernel: Callable, signature: inspect.Signature, args: tuple, kwargs: dict) -> dict:
    """All arguments by name.

    Raises:
        TypeError: they do not fit the signature.
    """
    try:
        given = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{kernel.__name__}() {error}") from None
    given.apply_defaults()
    return given.arguments


def checked(given: dict, hints: dict) -> dict:
    """Options, each as its annotation allows.

    Raises:
        ValueError: one is not.
    """
    for name, value in given.items():
        check_option(name, value, hints[name])
    return given


def dressed(function: Callable, kernel: Callable, signature: inspect.Signature, doc: str) -> Any:
    """The function with the name of its kernel, and what `help` shows of it."""
    functools.update_wrapper(function, kernel)
    del vars(function)["__wrapped__"]  # the documentation would be that of the kernel
    vars(function)["__signature__"] = signature
    function.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
    function.__doc__ = doc
    return function


def documented(kernel: Callable, arguments: dict[str, str], value_errors: list[str], type_error: str) -> str:
    """The kernel's docstring, with the arguments and errors that all functions of its family share."""
    parts = re.split(r"^(Args|Returns|Raises|Examples|Source):", inspect.getdoc(kernel) or "", flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    raised = _entries(sections.get("Raises", ""))
    own = [raised["ValueError"].rstrip(".")] if "ValueError" in raised else []
    sections["Args"] = _listed({**arguments, **_entries(sections.get("Args", ""))})
    sections["Raises"] = _listed({"ValueError": "; ".join([*value_errors, *own]) + ".", "TypeError": type_error})
    order = ("Args", "Returns", "Raises", "Examples", "Source")
    return parts[0] + "".join(f"{name}:{sections[name].rstrip()}\n\n" for name in order if name in sections)


def _signature(kernel, first, family, defaults, common, options) -> inspect.Signature:
    """That of the kernel, with points and labels for the partition, and the common arguments by name."""
    keyword, either = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    hints = {name: getattr(hint, "__forward_arg__", hint) for name, hint in family.__annotations__.items()}
    parameters = [
        inspect.Parameter(first, either, annotation="Points"),
        inspect.Parameter("labels", either, annotation="Labels"),
        *(inspect.Parameter(n, keyword, default=defaults[n], annotation=hints[n]) for n in common),
        *options.values(),
    ]
    return inspect.Signature(parameters, return_annotation=inspect.signature(kernel).return_annotation)


def _docstring(kernel: Callable, first: str, common: list[str], points_for: str | None, proxies: Any) -> str:
    """The kernel's, with what all functions of points share."""
    distances = "metric" in common and not points_for
    shared = {
        first: ARGUMENTS["points or distances" if distances else "points"],
        "labels": ARGUMENTS["labels"],
        **{name: ARGUMENTS[name] for name in common},
    }
    if "metric" in common and points_for:
        shared["metric"] = ARGUMENTS["metric of points"]
    value_errors = [VALUE_ERROR]
    if proxies is not None:
        axes = f"[{', '.join(proxies.__metadata__[0].axes)}]"
        shared |= {"num_clusters": AS_MANY_AS_PROXIES, "proxies": ARGUMENTS["proxies"].format(axes=axes)}
        value_errors = ["a label without a proxy, a `num_clusters` that is not their number, shapes that do not fit"]
    if "metric" in common:
        value_errors.append("an unknown metric" if distances else "an unknown or precomputed metric")
    if distances:
        value_errors.append("precomputed distances without a zero diagonal")
    return documented(kernel, shared, value_errors, TYPE_ERROR)


def _entries(section: str) -> dict[str, str]:
    """What a section of a docstring says of each name."""
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", section, flags=re.MULTILINE | re.DOTALL)
    return {name: text.strip() for name, text in found}


def _listed(entries: dict[str, str]) -> str:
    def wrapped(entry: str) -> str:
        return textwrap.fill(entry, 116, initial_indent=" " * 4, subsequent_indent=" " * 8, break_on_hyphens=False)

    return "\n" + "\n".join(wrapped(f"{name}: {' '.join(text.split())}") for name, text in entries.items())
