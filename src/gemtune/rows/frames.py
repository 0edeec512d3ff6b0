"""Values that make the rows of a data frame.

``pandas.DataFrame(rows)`` and ``polars.DataFrame(rows)`` take dictionaries and dataclasses apart into columns. Of any
other objects they make a single column, or fail. A value that is shown to them as a dataclass is one to them; it stays
what it is to everybody else, and nothing is copied until a frame is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import make_dataclass
from typing import TypeVar

C = TypeVar("C")


def rows_with(*columns: str) -> Callable[[type[C]], type[C]]:
    """Return a decorator after which a list of the class's values makes a frame with these columns."""

    def shown_as_dataclass(cls: type[C]) -> type[C]:
        fields = vars(make_dataclass(cls.__name__, columns))["__dataclass_fields__"]
        setattr(cls, "__dataclass_fields__", fields)  # noqa: B010 - no type checker need believe it
        return cls

    return shown_as_dataclass
