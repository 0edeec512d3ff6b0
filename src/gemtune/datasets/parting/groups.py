"""Which group a row belongs to: a text that is the same for the same value, in whatever type and order it came.

A column of JSON may hold ``1`` in one row and ``"1"`` in the next, an object's fields come in any order, and a set has
none at all. If these were told apart, rows of one customer would stand on both sides of a split.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, time
from decimal import Decimal
from uuid import UUID

from gemtune.errors import InvalidInput
from gemtune.protocol.codec import dumps

_WORDS = (date, time, Decimal, UUID)  # a datetime is a date


def group_key(value: object, row: int) -> str | None:
    """Return the text that stands for a group, or None if the value is missing: None, NaN or an empty string.

    Args:
        value: What the row has as its group.
        row: The row's number, for messages.

    Raises:
        InvalidInput: Nobody can say when two such values are the same.
    """
    found = _plain(value, row)
    return None if found in {None, ""} else found


def _plain(value: object, row: int) -> str | None:
    if isinstance(value, enum.Enum):
        value = value.value
    tolist = getattr(value, "tolist", None)
    if callable(tolist):  # an array of numpy, or a scalar
        value = tolist()
    match value:
        case None | str() | int():
            return value if value is None else str(value).strip()
        case float():
            return None if math.isnan(value) else str(int(value) if value.is_integer() else value)
        case Mapping():
            fields = {str(name): _plain(field, row) for name, field in value.items()}
            return _spelled(sorted(fields.items()))
        case list() | tuple():
            return _spelled([_plain(each, row) for each in value])
        case AbstractSet():
            return _spelled(sorted(_plain(each, row) or "" for each in value))
    if isinstance(value, _WORDS):
        return str(value) if value == value else None  # noqa: PLR0124 - a date that is missing is not itself
    raise InvalidInput(
        f"row {row}: group_by gives a {type(value).__name__}, and nobody can say when two of these are the same: give "
        "a string or a number",
        field="group_by",
        row=row,
    )


def _spelled(value: object) -> str:
    return dumps(value).decode()
