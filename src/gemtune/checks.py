"""What an argument must be, said once, and always with one formula: "X must be ..., not ...".

Each function returns the value that it accepts and raises InvalidInput otherwise, or the subclass given as ``error``.
True and False are numbers to Python and never to these functions: whoever writes ``attempts=True`` means another thing.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Never, TypeGuard, TypeVar

import attrs

from gemtune.errors import InvalidInput

T = TypeVar("T")


def is_number(value: object) -> TypeGuard[float]:
    """Return whether something is a number other than NaN that a float can hold; infinity is one."""
    if isinstance(value, float):
        return not math.isnan(value)
    return is_whole(value)


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether something is a whole number that a float can hold; 3.0 is not."""
    # Whatever it counts is compared with times and shares, and float() raises OverflowError for a longer one.
    return isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 1024


def refuse(name: str, wanted: str, value: object, *, note: str = "", error: type[InvalidInput] = InvalidInput) -> Never:
    """Raise the error for an argument that is not what is wanted.

    Args:
        name: The argument, or ``Class.argument``.
        wanted: What it must be.
        value: What it is.
        note: What explains ``wanted``; it follows in parentheses.
        error: The class of the error.
    """
    explained = f"{wanted} ({note})" if note else wanted
    raise error(f"{name} must be {explained}, not {shown(value)}", field=name.rpartition(".")[2])


def about(error: InvalidInput, was: str, name: str) -> InvalidInput:
    """Return an error that speaks of an argument by another name, where a call passes its own on under that one."""
    message = re.sub(rf"\b{was}\b", name, error.message, count=1)
    return InvalidInput(message, *error.remedies, field=name if error.field == was else error.field, row=error.row)


def shown(value: object) -> str:
    """Return how a refused value reads in a message: plain values short, others by their type."""
    if isinstance(value, str):
        return ascii(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, float | bool | None) or (isinstance(value, int) and value.bit_length() <= 64):
        return repr(value)
    return type(value).__name__  # it may be long, secret, or costly to write


def number(
    name: str, value: object, *, below: float = math.inf, note: str = "", error: type[InvalidInput] = InvalidInput
) -> float:
    """Return a number above 0 and below a limit."""
    if is_number(value) and 0 < value < below:
        return float(value)
    refuse(name, f"a positive number{_limit(below)}", value, note=note, error=error)


def _limit(below: float) -> str:
    return "" if below == math.inf else f" below {below:,.15g}"


def fraction(name: str, value: object, *, note: str = "", error: type[InvalidInput] = InvalidInput) -> float:
    """Return a number from 0 to 1."""
    if is_number(value) and 0 <= value <= 1:
        return float(value)
    refuse(name, "a number from 0 to 1", value, note=note, error=error)


def seconds(
    name: str,
    value: object,
    *,
    zero: bool = False,
    endless: bool = False,
    below: float = math.inf,
    error: type[InvalidInput] = InvalidInput,
) -> float:
    """Return a duration.

    Args:
        name: The argument.
        value: Its value.
        zero: Whether 0 is one.
        endless: Whether infinity is one.
        below: What it must stay below.
        error: The class of the error.
    """
    if is_number(value) and (0 < value < below or (zero and value == 0) or (endless and value == math.inf)):
        return float(value)
    wanted = "a number of seconds, 0 or more" if zero else "a positive number of seconds"
    refuse(name, wanted + _limit(below), value, error=error)


def whole(
    name: str,
    value: object,
    *,
    least: int = 1,
    most: int | None = None,
    note: str = "",
    error: type[InvalidInput] = InvalidInput,
) -> int:
    """Return a whole number from ``least`` to ``most``."""
    if is_whole(value) and least <= value and (most is None or value <= most):
        return value
    if most is not None:
        wanted = f"a whole number from {least} to {most}"
    else:
        wanted = "a positive whole number" if least == 1 else f"a whole number, {least} or more"
    refuse(name, wanted, value, note=note, error=error)


def one_of(name: str, value: T, *words: str, error: type[InvalidInput] = InvalidInput) -> T:
    """Return one of some words."""
    if isinstance(value, str) and value in words:
        return value
    quoted = [*map(repr, words)]
    refuse(name, f"{', '.join(quoted[:-1])} or {quoted[-1]}", value, error=error)


def flag(name: str, value: object) -> bool:
    """Return True or False."""
    if isinstance(value, bool):
        return value
    refuse(name, "True or False", value)


def string(name: str, value: object) -> str:
    """Return a string."""
    if isinstance(value, str):
        return value
    refuse(name, "a string", value)


def file_path(name: str, value: object) -> str | os.PathLike[str]:
    """Return the path of a file as it was given, if the system can have a file of that name."""
    if isinstance(value, str | os.PathLike) and os.fspath(value):
        with suppress(UnicodeEncodeError):
            if b"\0" not in os.fsencode(value):
                return value
    refuse(name, "the path of a file", value)


def instance(name: str, value: object, kind: type[T], wanted: str, *, error: type[InvalidInput] = InvalidInput) -> T:
    """Return an object of a class; what it holds is never shown."""
    if isinstance(value, kind):
        return value
    raise error(f"{name} must be {wanted}, not {type(value).__name__}", field=name)


def validator(check: Callable[..., object], *args: Any, **limits: Any) -> Callable[[Any, Any, Any], None]:
    """Return one of these functions as a validator of an attrs field, which has the name of its argument."""

    def validate(_: object, field: attrs.Attribute[Any], value: object) -> None:
        check(field.alias, value, *args, **limits)

    return validate
