"""Read from a message class how each of its fields travels."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from gemtune.types.message import EMPTY, AnyOf, Message
from gemtune.types.openenum import OpenEnum
from gemtune.types.timestamp import Timestamp

Kind = Literal["str", "bool", "int", "int64", "float", "bytes", "time", "json", "enum", "message", "any"]

_SCALARS: dict[Any, Kind] = {
    str: "str",
    bool: "bool",
    int: "int",
    float: "float",
    bytes: "bytes",
    Timestamp: "time",
    Mapping: "json",
}
_ZEROS: dict[Kind, object] = {
    "str": "",
    "bool": False,
    "int": 0,
    "int64": 0,
    "float": 0.0,
    "bytes": b"",
    "json": EMPTY,
}


@attrs.frozen
class Field:
    """How one field travels.

    Args:
        name: The attribute.
        key: The JSON key.
        kind: The form of a value, or of each value of a list.
        cls: The enumeration, message or tuple of messages of an Any.
        many: Whether it is a list.
        presence: Whether None means absent; otherwise a zero does.
        default: What an absent field becomes.
        side: Whether the message is an answer without it, so that an odd value is set aside.
    """

    name: str
    key: str
    kind: Kind
    cls: Any
    many: bool
    presence: bool
    default: object
    side: bool = False


def fields_of(cls: type[Message]) -> list[Field]:
    """Return the fields that travel, without ``extra``, in the order of the JSON keys."""
    hints = get_type_hints(cls, include_extras=True)
    return [
        attrs.evolve(_field(attribute, hints[attribute.name]), side=attribute.name in cls.SIDE)
        for attribute in attrs.fields(cls)
        if attribute.name != "extra" and travels(attribute)
    ]


def travels(attribute: attrs.Attribute[Any]) -> bool:
    """Return whether the Gemini API has a field."""
    return attribute.metadata.get("json", "") is not None


def _field(attribute: attrs.Attribute[Any], hint: Any) -> Field:
    hint, marks = _unwrap(hint)
    presence = False
    # "T | None" means that the API tells absent from zero; a plain T does not.
    if get_origin(hint) in {Union, types.UnionType}:
        rest = tuple(arm for arm in get_args(hint) if arm is not types.NoneType)
        presence = len(rest) < len(get_args(hint))
        if not marks:
            hint, marks = _unwrap(rest[0])
    many = get_origin(hint) is tuple
    if many:
        hint, marks = _unwrap(get_args(hint)[0])
    kind, inner = _kind(hint, marks)
    # What callers must give may still be missing in a reply; the API's zero takes its place (proto3).
    default = attribute.default
    if default is attrs.NOTHING:
        default = () if many else next(iter(inner)) if kind == "enum" else _ZEROS.get(kind)
    return Field(
        attribute.name,
        attribute.metadata.get("json") or json_name(attribute.name),
        kind,
        inner,
        many,
        presence,
        default,
    )


def _unwrap(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        return inner, tuple(marks)
    return hint, ()


def _kind(hint: Any, marks: tuple[Any, ...]) -> tuple[Kind, Any]:
    # Annotated says what a Python type cannot: int64 travels as a string, an Any names its own class.
    for mark in marks:
        if isinstance(mark, AnyOf):
            return "any", mark.classes
        if mark == "int64":
            return "int64", None
    origin = get_origin(hint) or hint
    if origin in _SCALARS:
        return _SCALARS[origin], None
    if isinstance(hint, type) and issubclass(hint, OpenEnum):
        return "enum", hint
    if isinstance(hint, type) and issubclass(hint, Message):
        return "message", hint
    raise TypeError(f"no JSON form for {hint!r}")


def json_name(name: str) -> str:
    """Return the JSON name of a field (proto3 JSON mapping): ``display_name`` → ``displayName``."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
