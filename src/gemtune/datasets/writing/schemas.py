"""Schemas of functions as Google has them, a part of OpenAPI 3.0, and as others have them, JSON Schema.

What may be null is ``nullable`` in the one and one more type in the other; and Google writes its types in capitals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

_DEEPEST: Final = 64
_NULL: Final = {"type": "null"}
_ABSENT: Final = frozenset(
    {
        "$ref", "$defs", "definitions", "oneOf", "allOf", "not", "const", "if", "then", "else", "patternProperties",
        "prefixItems", "contains", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems",
        "dependentRequired", "dependentSchemas",
    }
)  # fmt: skip
"""What JSON Schema can say and Google's schemas cannot."""


def to_google(declaration: Any) -> Any:
    """Return the declaration of a function with its parameters as Google has them."""
    return _declared(declaration, _google)


def to_json_schema(declaration: Any) -> Any:
    """Return the declaration of a function with its parameters as JSON Schema."""
    return _declared(declaration, _json_schema)


def beyond(declaration: object) -> set[str]:
    """Return the words of JSON Schema in a declaration that Google's schemas do not have, at any depth."""
    found: set[str] = set()

    def note(schema: dict[str, Any]) -> dict[str, Any]:
        found.update(schema.keys() & _ABSENT)
        return schema

    _declared(declaration, note)
    return found


def _declared(declaration: object, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if not isinstance(declaration, Mapping):
        return declaration
    return {key: _within(each, change) if key == "parameters" else each for key, each in declaration.items()}


def _within(schema: object, change: Callable[[dict[str, Any]], dict[str, Any]], depth: int = 0) -> Any:
    """Return a schema that was changed, and so were those within it."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return schema
    made = dict(schema)
    for key in ("items", "additionalProperties"):
        if key in made:
            made[key] = _within(made[key], change, depth + 1)
    if isinstance(made.get("properties"), Mapping):
        made["properties"] = {name: _within(each, change, depth + 1) for name, each in made["properties"].items()}
    if isinstance(made.get("anyOf"), list | tuple):
        made["anyOf"] = [_within(each, change, depth + 1) for each in made["anyOf"]]
    return change(made)


def _google(schema: dict[str, Any]) -> dict[str, Any]:
    null = False
    kinds = schema.get("type")
    if isinstance(kinds, list | tuple):
        others = [kind for kind in kinds if kind != "null"]
        if len(others) == 1:
            schema["type"], null = others[0], len(others) < len(kinds)
        elif others and "anyOf" not in schema:
            del schema["type"]
            schema["anyOf"], null = [{"type": kind} for kind in others], len(others) < len(kinds)
    choices = schema.get("anyOf")
    if isinstance(choices, list) and _NULL in choices and choices != [_NULL]:
        schema["anyOf"], null = [each for each in choices if each != _NULL], True
    if null:
        schema["nullable"] = True
        if isinstance(schema.get("enum"), list | tuple):
            schema["enum"] = [each for each in schema["enum"] if each is not None]
    return schema


def _json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("type"), str):
        schema["type"] = schema["type"].lower()
    if not {"type", "anyOf"} & schema.keys() or schema.pop("nullable", False) is not True:
        return schema
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], dict(_NULL)]
    if isinstance(schema.get("enum"), list | tuple):
        schema["enum"] = [*schema["enum"], None]
    return schema
