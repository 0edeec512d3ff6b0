"""What every value that travels as JSON has in common.

A message is a frozen attrs class whose annotations say how each field travels; ``protocol.codec`` reads them:

- the JSON name is the field's name in camelCase, or ``metadata={"json": ...}``;
- ``T | None`` is a field with presence: None is absent, a zero is sent; any other is left out when zero;
- the fields stand in the order of the API's field numbers, which is the order of the JSON keys;
- what is plain JSON counts for equality but not for the hash;
- a field marked ``ELSEWHERE`` does not travel: the message has it from another service than the Gemini API;
- a reply may hold what a caller may not write, so decoding runs no validator and no converter.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final

import attrs

from gemtune.errors import InvalidInput

Json = Mapping[str, Any]
"""A JSON object that is handed through as it is."""

Int64 = Annotated[int, "int64"]
"""An integer that travels as a JSON string (proto3 JSON mapping)."""


class _Empty(Mapping[str, Any]):
    """The empty mapping, shared by all messages because nobody can write to it."""

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"

    def __reduce__(self) -> str:
        return "EMPTY"


EMPTY: Final[Json] = _Empty()
"""No fields: what ``extra`` and absent JSON objects hold."""


ELSEWHERE: Final[Mapping[str, Any]] = {"json": None}
"""Metadata of a field that the Gemini API does not have, and never gets: another service fills it in or reads it."""


@attrs.frozen
class AnyOf:
    """Mark a ``google.protobuf.Any`` field with the messages it may hold; all else stays plain JSON.

    Args:
        classes: Message classes whose names are the last part of the ``@type`` URL.
    """

    classes: tuple[type[Message], ...]


def as_tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return a tuple of the values; one string is refused, because its characters are never what is meant."""
    if isinstance(values, str | bytes):
        raise InvalidInput(f"this must be a list, not one {type(values).__name__}: put it in [ ]")
    if not isinstance(values, Iterable):
        raise InvalidInput(f"this must be a list, not {type(values).__name__}")
    return tuple(values)


@attrs.frozen(kw_only=True)
class Message:
    """A value of the remote API.

    Args:
        extra: Fields that this version of the SDK does not know, as plain JSON; sent back as they came.
    """

    SIDE: ClassVar[frozenset[str]] = frozenset()
    """Fields that are not what holds the answer: a value that does not fit is set aside in ``extra``."""

    extra: Json = attrs.field(default=EMPTY, hash=False)

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        # attrs writes a repr of every field; what is at its default would hide the rest.
        cls.__repr__ = _short_repr  # type: ignore[method-assign,assignment]


def _short_repr(self: Message) -> str:
    """Return the fields that differ from their defaults, in order, long bytes and long lists by their length.

    What people look at in a notebook says the useful in a line (``_facts``), if all its fields would not fit a cell.
    """
    whole = _all_fields(self)
    facts = getattr(self, "_facts", None)
    if facts is None or len(whole) <= _CELL:
        return whole
    unknown = f", extra=<{len(self.extra)} unknown>" if self.extra else ""
    return fit_a_cell(f"<{type(self).__name__} {facts()}", f"{unknown}>")


def fit_a_cell(shown: str, end: str = ">") -> str:
    """Return a representation and its end, the former cut if both are longer than a cell of a notebook takes."""
    whole = shown + end
    return whole if len(whole) <= _CELL else f"{shown[: _CELL - 3 - len(end)]}...{end}"


def as_html(value: object) -> str:
    """Return a representation as HTML, for a notebook."""
    return f"<code>{html.escape(repr(value))}</code>"


def _all_fields(self: Message) -> str:
    shown = []
    for field in (*attrs.fields(type(self))[1:], attrs.fields(type(self))[0]):
        value = getattr(self, field.name)
        if field.repr and value != field.default:
            shown.append(f"{field.name}={_short(value)}")
    return f"{type(self).__name__}({', '.join(shown)})"


def _short(value: object) -> str:
    if isinstance(value, bytes) and len(value) > _LONG_BYTES:
        return f"<{len(value)} bytes>"
    if isinstance(value, tuple) and len(value) > _LONG_LIST:
        return f"<{len(value)} of {value[0]!r} ... {value[-1]!r}>"
    return repr(value)


_CELL: Final = 200
_LONG_BYTES: Final = 32
_LONG_LIST: Final = 4
