"""Plain JSON ⇄ values, one generated function per class."""

from __future__ import annotations

from typing import Any, TypeVar

from gemtune.errors import InvalidInput, MalformedResponse
from gemtune.protocol.codec.generate import Function, make_decoder, make_encoder
from gemtune.protocol.codec.scalars import Wrong
from gemtune.protocol.codec.spelling import respelled
from gemtune.types.message import Message

M = TypeVar("M", bound=Message)

# Made on first use: there are some eighty classes, and most programs need a handful.
_decoders: dict[type[Message], Function] = {}
_encoders: dict[type[Message], Function] = {}


def decode(cls: type[M], value: object) -> M:
    """Make a value from parsed JSON.

    Unknown fields and enum strings are kept, null is absent.

    Args:
        cls: The message class.
        value: What ``loads`` returned.

    Raises:
        MalformedResponse: A value has a wrong type; the error has its JSON path and never the value.
    """
    try:
        made: M = (_decoders.get(cls) or _decoder(cls))(value)
    except Wrong as wrong:
        raise MalformedResponse(
            f"the reply does not hold a {cls.__name__}: {wrong.where('$')} should be {wrong.expected}"
        ) from None
    return made


def decode_lenient(cls: type[M], value: object) -> M:
    """Make a value from parsed JSON whose keys may be spelled in camelCase or in snake_case."""
    return decode(cls, respelled(cls, value))


def encode(value: Message) -> dict[str, Any]:
    """Make plain JSON from a value, in the order of the API's field numbers.

    Args:
        value: Any message.

    Raises:
        InvalidInput: A field holds a value of a wrong type.
    """
    cls = type(value)
    try:
        made: dict[str, Any] = (_encoders.get(cls) or _encoder(cls))(value)
    except Wrong as wrong:
        raise InvalidInput(f"{wrong.where(cls.__name__)} should be {wrong.expected}") from None
    return made


def _decoder(cls: type[Message]) -> Function:
    if cls not in _decoders:
        _decoders[cls] = make_decoder(cls, _decoder)
    return _decoders[cls]


def _encoder(cls: type[Message]) -> Function:
    if cls not in _encoders:
        _encoders[cls] = make_encoder(cls, _encoder)
    return _encoders[cls]
