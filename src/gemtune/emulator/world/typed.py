"""Values from outside (a fault in JSON, a state file), checked against the annotations of the class they are for.

A value of the wrong type that is taken breaks something later, far from its cause: a fault the next request, a state
the next look. The annotations already say what is right, so they are what is checked.
"""

from __future__ import annotations

import math
import types
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

_LARGEST = 1 << 63  # what no field of a message goes beyond, and what every conversion bears


def is_argument(attribute: attrs.Attribute[object], _value: object) -> bool:
    """Let through what an object is made of, and not what it makes of that: a filter for ``attrs.asdict``."""
    return attribute.init


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def check(value: Any, *names: str) -> None:
    """Check fields of an object; raises ValueError that names the first one with a value of the wrong type."""
    kind: Any = type(value)
    hints = _hints(kind)
    for name in names:
        given = getattr(value, name)
        if not fits(given, hints[name]):
            wanted = getattr(hints[name], "__name__", None) if isinstance(hints[name], type) else str(hints[name])
            raise ValueError(f"{name} must be {wanted}, not {given!r:.100}")


def fits(value: object, hint: Any) -> bool:
    """Return whether a value is what an annotation says; numbers must be finite and of at most 63 bits."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return True
    if hint is None or hint is type(None):
        return value is None
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in inner)
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and _is_moderate(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and _is_moderate(value)
    if origin is tuple and inner[-1] is not Ellipsis:
        return isinstance(value, tuple) and len(value) == len(inner) and all(map(fits, value, inner))
    if origin in (list, tuple):
        return isinstance(value, origin) and all(fits(each, inner[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    return isinstance(value, hint)


def _is_moderate(value: float) -> bool:
    return math.isfinite(value) and -_LARGEST <= value < _LARGEST
