"""Partial responses: which fields of a reply a caller asked for with ``fields=``.

``a,b(c,d),e/f`` names fields of the reply, of messages within it, and of the elements of lists; ``*`` is every field.
Source: the ``fields`` system parameter of Google's APIs::

    fields = path {"," path}
    path   = name ["/" path | "." path | "(" fields ")"]

A mask is a tree of JSON names; a name without a branch stands for all that is below it, so ``a,a/b`` is ``a``. It is
read with the reply's schema at hand, because a name that the reply cannot have is a 400 and not an empty reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

import attrs

from gemtune.emulator.messages.errors import RpcError, violations
from gemtune.emulator.messages.schema import Schema

Mask = dict[str, "Mask"]  # by JSON name; an empty mask is everything there is
_PART = re.compile(r"[A-Za-z0-9_@*]+|[(),/.]")
_DEPTH = 50
_OPEN = frozenset({"Any", "Json", "Labels"})  # what is in there is not in the schema


def read_mask(text: str, schema: Schema, message: str | None) -> Mask:
    """Return the mask of a ``fields`` parameter.

    Args:
        text: as it was sent; empty for everything.
        schema: of the service.
        message: name of the reply's message; None for one that may have any fields.

    Raises:
        RpcError: 400 for a field that the message does not have, and for text that is no mask.
    """
    if not text:
        return {}
    parts = _PART.findall(text)
    reader = _MaskReader(schema, list(parts))
    if "".join(parts) != "".join(text.split()):
        raise _bad(text)
    mask = reader.fields(message, "")
    if reader.parts:
        raise _bad(text)
    return mask


def _bad(path: str) -> RpcError:
    text = f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'."
    error = violations([(path, text)])
    error.message = "Request contains an invalid argument."
    return error


@attrs.define
class _MaskReader:
    """Reads what is left of a mask, one part after the other."""

    schema: Schema
    parts: list[str]

    def fields(self, message: str | None, path: str) -> Mask:
        mask: Mask = {}
        while True:
            self.path(mask, message, path)
            if not self.parts or self.parts[0] != ",":
                return mask
            self.parts.pop(0)

    def path(self, mask: Mask, message: str | None, path: str) -> None:
        name = self.parts.pop(0) if self.parts else ""
        where = f"{path}.{name}" if path else name
        key, inner = _find(self.schema, message, name, where)
        whole = key in mask and not mask[key]
        below: Mask = {}
        if self.parts and self.parts[0] in "/.":
            self.parts.pop(0)
            self.path(below, inner, where)
        elif self.parts and self.parts[0] == "(":
            self.parts.pop(0)
            below = self.fields(inner, where)
            if not self.parts or self.parts.pop(0) != ")":
                raise _bad(where)
        mask[key] = {} if whole or not below else _merge(mask.get(key, {}), below)


def _merge(mask: Mask, other: Mask) -> Mask:
    return mask | {
        key: _merge(mask[key], below) if mask.get(key) and below else {} if key in mask else below
        for key, below in other.items()
    }


def _find(schema: Schema, message: str | None, name: str, path: str) -> tuple[str, str | None]:
    """Return the JSON name of a field and the message below it; None where the schema ends and anything may follow."""
    if not name or name in "(),/." or path.count(".") > _DEPTH:
        raise _bad(path or name)
    if name == "*" or message is None:
        return name, None
    spec = schema.messages[message].by_name.get(name) if message in schema.messages else None
    if spec is None:
        raise _bad(path)
    if spec.type in _OPEN:
        return spec.json_name, None
    return spec.json_name, spec.type  # the type of a scalar has no fields


def apply_mask(value: object, mask: Mask) -> object:
    """Return what a mask leaves of a JSON value; the type of an ``Any`` always stays."""
    if not mask:
        return value
    if isinstance(value, list):
        return [apply_mask(item, mask) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    return dict(_kept(cast("dict[str, object]", value), mask))


def _kept(value: dict[str, object], mask: Mask) -> Iterator[tuple[str, object]]:
    for key, item in value.items():
        if key == "@type" or key in mask:
            yield key, apply_mask(item, mask.get(key, {}))
        elif "*" in mask:
            yield key, apply_mask(item, mask["*"])
