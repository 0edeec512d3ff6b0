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
    if len("".join(parts)) != len("".join(text.split())):
        raise _bad([text])
    reader = _MaskReader(schema, parts)
    mask = reader.fields(message, [])
    if reader.at < len(parts):
        raise _bad([text])
    return mask


def _bad(path: list[str]) -> RpcError:
    where = ".".join(path)
    text = f"Error expanding 'fields' parameter. Cannot find matching fields for path '{where}'."
    error = violations([(where, text)])
    error.message = "Request contains an invalid argument."
    return error


@attrs.define
class _MaskReader:
    """Reads a mask, one part after the other, and each part once.

    A path is a list of names and becomes a string only in an error: as a string it would be copied at every name below.
    """

    schema: Schema
    parts: list[str]
    at: int = 0

    def fields(self, message: str | None, path: list[str]) -> Mask:
        mask: Mask = {}
        while True:
            self.path(mask, message, path)
            if not self.take(","):
                return mask

    def path(self, mask: Mask, message: str | None, path: list[str]) -> None:
        """Read one path and add it to a mask."""
        name = self.parts[self.at] if self.at < len(self.parts) else ""
        self.at += 1
        where = [*path, name]
        key, inner = _find(self.schema, message, name, where)
        # Named before without a branch: it is wanted whole, whatever else is said about it.
        whole = key in mask and not mask[key]
        below: Mask = {}
        if self.take("/") or self.take("."):
            self.path(below, inner, where)
        elif self.take("("):
            below = self.fields(inner, where)
            if not self.take(")"):
                raise _bad(where)
        if whole or not below:
            mask[key] = {}
        else:
            _merge(mask.setdefault(key, {}), below)

    def take(self, part: str) -> bool:
        """Go past a part if it is the next one."""
        if self.at < len(self.parts) and self.parts[self.at] == part:
            self.at += 1
            return True
        return False


def _merge(mask: Mask, other: Mask) -> None:
    """Add what another mask names, in place: a copy for every path would cost the square of their number."""
    for key, below in other.items():
        if key in mask and not (mask[key] and below):
            mask[key] = {}
        elif key in mask:
            _merge(mask[key], below)
        else:
            mask[key] = below


def _find(schema: Schema, message: str | None, name: str, path: list[str]) -> tuple[str, str | None]:
    """Return the JSON name of a field and the message below it; None where the schema ends and anything may follow."""
    if not name or name in "(),/." or len(path) > _DEPTH:
        raise _bad(path)
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
