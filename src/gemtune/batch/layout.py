"""What the columns of a row are: the prompt, or parts of it, and the key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

import attrs

from gemtune.batch.inputs import Row, checked_key, request_fields
from gemtune.batch.keys import Key
from gemtune.errors import InvalidInput
from gemtune.remedy import Argument, Remedy

_FIELD: Final = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


@attrs.frozen(kw_only=True)
class Layout:
    """What the columns of a row are.

    A row with ``contents`` is a request, and text and numbers beside its fields are the user's own, as are all other
    columns beside a prompt. A row with ``request`` holds a whole request, sent as it stands.

    Args:
        prompt: The column with the prompt; None takes ``prompt``.
        key: The column with the key; None takes ``key`` if there is one.
        template: Instead of a column, a string with ``{column}`` in it; ``{{`` and ``}}`` stand for braces.
    """

    prompt: str | None = None
    key: str | None = None
    template: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.template is not None and not any(found[1] for found in _FIELD.finditer(self.template)):
            raise InvalidInput(
                f"template {self.template!r:.60} names no column: write {{column}} to insert its text",
                field="template",
            )

    @property
    def key_column(self) -> str:
        """The column with the key."""
        return "key" if self.key is None else self.key

    @property
    def named(self) -> frozenset[str]:
        """The columns that it needs."""
        if self.template is not None:
            asked = {found[1] for found in _FIELD.finditer(self.template) if found[1] is not None}
        else:
            asked = {self.prompt or "prompt"}
        return frozenset(asked if self.key is None else {*asked, self.key})

    def check(self, first: Mapping[str, object], *, table: bool) -> None:
        """Look for the named columns in the first row: a name that was mistyped would fail every row.

        Raises:
            InvalidInput: One is not there, or it is not clear which column of a table has the prompt.
        """
        if self.key is not None:
            _column(first, self.key, "key")
        if table or self.prompt is not None or self.template is not None:
            self._request(first)

    def row(self, value: object) -> Row:
        """Return the row that a line stands for, or an InvalidInput if it does not stand for one."""
        if isinstance(value, str) and self.template is None:
            return value
        columns = {"prompt": value} if isinstance(value, str) else value
        if not isinstance(columns, Mapping):
            return InvalidInput(f"a line is a JSON object or string, not {value!r:.60}")
        try:
            key = self._key(columns)
        except InvalidInput as error:
            return error
        try:
            request = self._request(columns)
        except InvalidInput as error:
            request = error
        return request if key is None else (key, request)

    def _key(self, value: Mapping[str, object]) -> Key | None:
        key = value.get(self.key_column)
        if key is None or key == "":
            return None  # an empty cell is no key, or every row without one would repeat it
        try:
            return checked_key(key)
        except InvalidInput:
            raise InvalidInput(
                f"the key in column {self.key_column!r} is {key!r:.60}: it must be a str or an integer", field="key"
            ) from None

    def _request(self, value: Mapping[str, object]) -> Row:
        if self.template is not None:
            return _FIELD.sub(partial(_filled, value), self.template)
        if self.prompt is None and "request" in value:
            return value["request"]
        # A column without a name is the index that pandas writes.
        columns = {name: item for name, item in value.items() if name not in ("", self.key_column)}
        # A table of the user's may have a column of this name for something else: naming the prompt settles it.
        if self.prompt is None and "contents" in columns:
            return request_fields(columns)
        return _column(columns, self.prompt or "prompt", "prompt")


def _column(columns: Mapping[str, object], name: str, argument: str) -> object:
    if name not in columns:
        what = f"there is no column {name!r}, only {_names(columns)}"
        raise InvalidInput(what, Remedy("choose one of these for ", Argument(argument)), field=name)
    return columns[name]


def _filled(value: Mapping[str, object], found: re.Match[str]) -> str:
    name = found[1]
    if name is None:
        return found[0][0]
    item = _column(value, name, "template")
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(repr, columns)) or "none"
