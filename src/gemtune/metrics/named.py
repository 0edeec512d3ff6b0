"""Which metrics somebody means: names, metrics, functions of their own, or several of these."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from gemtune.errors import InvalidInput
from gemtune.metrics.labelling import labels
from gemtune.metrics.matching import contains, exact_match
from gemtune.metrics.numeric import number
from gemtune.metrics.similar import similarity
from gemtune.metrics.structure import json_equal
from gemtune.metrics.values import Metric, Scorer

MetricLike: TypeAlias = "str | Metric | Scorer"
"""A metric: its name, a ``Metric``, or a function (answer, row) of your own, plain or async."""
MetricsLike: TypeAlias = "MetricLike | Iterable[MetricLike] | Mapping[str, MetricLike]"
"""One metric, several, or several by the name that they are to have."""

NAMED: Final[Mapping[str, Callable[[], Metric]]] = {
    "contains": contains,
    "exact_match": exact_match,
    "json_equal": json_equal,
    "labels": labels,
    "number": number,
    "similarity": similarity,
}
"""What can be asked for by its name alone."""


def resolve(metrics: MetricsLike) -> list[Metric]:
    """Return the metrics that are meant.

    Args:
        metrics: A name, a ``Metric``, a function (answer, row) that returns a number, True, False or None, plain or
            async, several of these, or a mapping of the names that they are to have.

    Returns:
        The metrics, in the same order. A function is a metric under its own name.

    Raises:
        InvalidInput: There is no metric of that name, two have the same name, or something is no metric.

    Example:
        >>> def short(answer, row):
        ...     return len(answer) < 80
        >>> [metric.name for metric in resolve(["exact_match", short])]
        ['exact_match', 'short']
    """
    found: list[Metric]
    if isinstance(metrics, Mapping):
        found = [_renamed(_resolved(each), name) for name, each in metrics.items()]
    elif isinstance(metrics, str | Metric) or callable(metrics):
        found = [_resolved(metrics)]
    elif isinstance(metrics, Iterable) and not isinstance(metrics, bytes):
        found = [_resolved(each) for each in metrics]
    else:
        found = [_resolved(metrics)]
    names = [metric.name for metric in found]
    if not all(map(str.strip, names)):
        raise InvalidInput("metrics has one without a name: give it one", field="metrics")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(
            f"metrics has {twice!r} twice: give a dict to call them by names of your own, such as "
            f"{{'{twice}': ..., '{twice} 2': ...}}",
            field="metrics",
        )
    if not found:
        raise InvalidInput(f"metrics is empty: name at least one, such as {_all_names()}", field="metrics")
    return found


def _resolved(given: Any) -> Metric:
    if isinstance(given, Metric):
        return given
    if isinstance(given, str):
        return _by_name(given)
    if given in NAMED.values():
        return NAMED[given.__name__]()  # exact_match for exact_match()
    if callable(given) and not isinstance(given, type):
        _check_takes_both(given)
        return Metric(name=_name_of(given), score=given, about=_first_line(given))
    raise InvalidInput(
        f"metrics must be names, metrics or functions of (answer, row), not {type(given).__name__}", field="metrics"
    )


def _check_takes_both(function: Any) -> None:
    """Refuse a function that cannot be called: it would be known once all models have answered."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of some that are written in C, nobody knows
        return
    try:
        signature.bind("answer", "row")
    except TypeError:
        name = _name_of(function)
        raise InvalidInput(
            f"metrics: {name}{signature} must take two arguments, answer and row", field="metrics"
        ) from None


def _by_name(name: str) -> Metric:
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    if plain in NAMED:
        return NAMED[plain]()
    near = difflib.get_close_matches(plain, [*NAMED, "judge"], 1, 0.5)
    if "judge" in {plain, *near}:
        raise InvalidInput("a judge needs a model: metrics cannot name it alone", field="metrics")
    meant = f"did you mean {near[0]!r}?" if near else f"there are {_all_names()}"
    raise InvalidInput(f"metrics has no {name!r}; {meant}", field="metrics")


def _all_names() -> str:
    *most, last = NAMED
    return f"{', '.join(most)} and {last}"


def _name_of(function: Any) -> str:
    named = getattr(function, "func", function)  # of functools.partial
    name = getattr(named, "__name__", None) or type(named).__name__
    return "function" if name == "<lambda>" else str(name)


def _first_line(function: Any) -> str:
    text = function.__doc__ if hasattr(function, "__name__") else None
    return text.strip().partition("\n")[0] if isinstance(text, str) else ""


def _renamed(metric: Metric, name: object) -> Metric:
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"metrics must have names that are strings, not {name!r}", field="metrics")
    return attrs.evolve(metric, name=name)
