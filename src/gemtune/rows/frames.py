"""Values that make the rows of a data frame, and frames made of rows.

``pandas.DataFrame(rows)`` and ``polars.DataFrame(rows)`` take dictionaries and dataclasses apart into columns. Of any
other objects they make a single column, or fail. A value that is shown to them as a dataclass is one to them; it stays
what it is to everybody else, and nothing is copied until a frame is made.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import make_dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from gemtune import checks
from gemtune.errors import InvalidInput

C = TypeVar("C")

FrameEngine: TypeAlias = Literal["pandas", "polars"]
"""A library of data frames."""

SNAPSHOT_COLUMNS = ("step", "epoch", "mean_loss", "compute_time")
"""The columns that a frame of snapshots has in any case."""


def rows_with(*columns: str) -> Callable[[type[C]], type[C]]:
    """Return a decorator after which a list of the class's values makes a frame with these columns."""

    def shown_as_dataclass(cls: type[C]) -> type[C]:
        fields = vars(make_dataclass(cls.__name__, columns))["__dataclass_fields__"]
        setattr(cls, "__dataclass_fields__", fields)  # noqa: B010 - no type checker need believe it
        return cls

    return shown_as_dataclass


def make_frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str], engine: FrameEngine | None = None) -> Any:
    """Return rows as a data frame of the library that is there.

    Args:
        rows: The rows; what one lacks is missing in the frame.
        columns: The columns, in their order; there are these even without rows.
        engine: ``pandas`` or ``polars``; by default pandas if it is installed, or else polars.

    Raises:
        InvalidInput: Neither is installed, or the one that was asked for is not.
    """
    if engine is not None:
        checks.one_of("engine", engine, "pandas", "polars")
    name, module = library("to_frame", ("pandas", "polars"), engine)
    cells = {column: [row.get(column) for row in rows] for column in columns}
    made = _of_pandas if name == "pandas" else _of_polars
    try:
        return made(module, cells)
    except UnicodeEncodeError:  # half of a surrogate pair, which a model may write: its columns hold UTF-8
        return made(module, {column: [_as_utf8(value) for value in values] for column, values in cells.items()})


def _of_pandas(module: Any, cells: Mapping[str, list[object]]) -> Any:
    # Of whole numbers with gaps pandas would make floats.
    whole = {
        column: {type(value) for value in values} == {int, type(None)} and not any(map(_is_long, values))
        for column, values in cells.items()
    }
    typed = {
        column: module.array(values, dtype="Int64") if whole[column] else values for column, values in cells.items()
    }
    return module.DataFrame(typed, columns=list(cells))


def _of_polars(module: Any, cells: Mapping[str, list[object]]) -> Any:
    # A column of polars has one type, and keys may have two: such a column is made of strings.
    return module.DataFrame({column: _of_one_type(values) for column, values in cells.items()})


def _of_one_type(values: list[object]) -> list[object]:
    kinds = {type(value) for value in values if value is not None}
    alike = len(kinds) <= 1 or kinds == {int, float}
    return values if alike and not any(map(_is_long, values)) else [v if v is None else str(v) for v in values]


def _is_long(value: object) -> bool:
    """Return whether a value is a whole number for which a column of a frame has no room, as a key may be."""
    return type(value) is int and value.bit_length() > 63


def _as_utf8(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def library(method: str, names: Sequence[str], wanted: str | None = None) -> tuple[str, Any]:
    """Return the first of some libraries that is installed, by its name, and itself.

    Args:
        method: What needs it, for the message.
        names: The modules, the preferred one first.
        wanted: The only one that will do; None takes any.

    Raises:
        InvalidInput: None of them is installed; the message says how to install one.
    """
    for name in [wanted] if wanted else names:
        with suppress(ModuleNotFoundError):
            return name, importlib.import_module(name)
    packages = [name.partition(".")[0] for name in ([wanted] if wanted else names)]
    what = (
        f"{method} needs {' or '.join(packages)}, and {'it is not' if len(packages) == 1 else 'neither is'} installed"
    )
    raise InvalidInput(f"{what}: pip install {packages[0]}", field="engine")
