"""Requests of Vertex AI against the discovery documents: unknown methods, parameters and fields are refused."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

__all__ = ["BATCHES", "GENERATION", "METHODS", "SCHEMAS", "check_body", "check_request"]

_GOLDEN = Path(__file__).parent / "golden"
_DOCUMENT = json.loads((_GOLDEN / "aiplatform_schemas.json").read_text(encoding="utf-8"))
SCHEMAS = _DOCUMENT["schemas"]
GENERATION = json.loads((_GOLDEN / "aiplatform_generate.json").read_text(encoding="utf-8"))["schemas"]
_BATCHES = json.loads((_GOLDEN / "aiplatform_batches.json").read_text(encoding="utf-8"))
BATCHES = _BATCHES["schemas"]
_CURVES = "^projects/[^/]+/locations/[^/]+/tensorboards/[^/]+"
# The curves are no part of the extract: these are the requests of Google's own client, recorded from its notebooks.
_RECORDED = {
    "contexts.get": ("GET", "v1/{+name}", "^projects/[^/]+/locations/[^/]+/metadataStores/[^/]+/contexts/[^/]+$", []),
    "contexts.list": (
        "GET", "v1/{+parent}/contexts", "^projects/[^/]+/locations/[^/]+/metadataStores/[^/]+$", ["filter", "pageSize"]
    ),
    "timeSeries.list": (
        "GET", "v1/{+parent}/timeSeries", rf"{_CURVES}/experiments/[^/]+/runs/[^/]+$", ["pageSize", "pageToken"]
    ),
    "tensorboards.batchRead": ("GET", "v1/{+tensorboard}:batchRead", rf"{_CURVES}$", ["timeSeries"]),
    "timeSeries.export": (
        "POST", "v1/{+tensorboardTimeSeries}:exportTensorboardTimeSeries",
        rf"{_CURVES}/experiments/[^/]+/runs/[^/]+/timeSeries/[^/]+$", [],
    ),
    # The extract has the models without their PATCH.
    "models.patch": ("PATCH", "v1/{+name}", "^projects/[^/]+/locations/[^/]+/models/[^/]+$", ["updateMask"]),
}  # fmt: skip
_BODIES = {
    "timeSeries.export": {"pageSize", "pageToken"},
    "models.patch": {"defaultCheckpointId", "description", "displayName"},
}
_ASKED = "^projects/[^/]+/locations/[^/]+/(endpoints/[^/]+|publishers/[^/]+/models/[^/]+)$"
_INFERENCE = {
    name: {"verb": "POST", "path": f"v1/{{+model}}:{name}", "pattern": _ASKED, "query": [], "request": request}
    for name, request in (
        ("generateContent", "GenerateContentRequest"),
        ("streamGenerateContent", "GenerateContentRequest"),
        ("countTokens", "CountTokensRequest"),
    )
}
METHODS = (
    _DOCUMENT["methods"]
    | _BATCHES["methods"]
    | _INFERENCE
    | {
        name: {"verb": verb, "path": path, "pattern": pattern, "query": query}
        for name, (verb, path, pattern, query) in _RECORDED.items()
    }
)
_PLAIN = {
    "string": lambda value, kind: isinstance(value, str) and (kind != "int64" or re.fullmatch(r"-?[0-9]+", value)),
    "number": lambda value, _: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value, _: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value, _: isinstance(value, bool),
}


def method_of(verb: str, path: str) -> str:
    """The method that a request calls; AssertionError if there is none."""
    found = {}
    for name, method in METHODS.items():
        before, _, rest = method["path"].partition("{")
        after = rest.partition("}")[2]
        inner = path.removeprefix(f"/{before}").removesuffix(after) if path.endswith(after) else None
        if method["verb"] == verb and path.startswith(f"/{before}") and inner and re.match(method["pattern"], inner):
            found[len(after)] = name
    assert found, f"{verb} {path} is no method"
    return found[max(found)]  # a name may end in what looks like a custom method, but hardly in two


def check_request(verb: str, target: str, body: bytes | None) -> str:
    """Refuse a request that the documents do not know; return its method."""
    split = urlsplit(target)
    name = method_of(verb, split.path)
    method = METHODS[name]
    unknown = {key for key, _ in parse_qsl(split.query)} - {*method["query"], *_DOCUMENT["common_query"]}
    assert not unknown, f"{name} has no parameters {unknown}"
    if "request" in method:
        check_body(method["request"], json.loads(body or b"{}"), name, sent=True)
    elif body:
        assert set(json.loads(body)) <= _BODIES.get(name, set()), name
    return name


def check_body(schema: str, body: object, where: str, *, sent: bool) -> None:
    """Refuse fields that a message does not have, wrong types, and in a request what only the service sets."""
    assert isinstance(body, dict), where
    fields = SCHEMAS.get(schema) or GENERATION.get(schema) or BATCHES.get(schema)
    if fields is None:
        return  # beyond the extract: evaluations
    for key, value in body.items():
        field = fields.get(key)
        assert field is not None, f"{where}: {schema} has no field {key}"
        assert not (sent and field.get("readOnly")), f"{where}: only the service sets {schema}.{key}"
        _check_value(field, value, f"{where}.{key}", sent)


def _check_value(field: dict, value: object, where: str, sent: bool) -> None:
    if "ref" in field:
        check_body(field["ref"], value, where, sent=sent)
    elif field["type"] == "array":
        assert isinstance(value, list), where
        for item in value:
            _check_value(field["items"], item, where, sent)
    elif field["type"] == "object":
        assert isinstance(value, dict), where
        for item in value.values():
            if "type" in field.get("additionalProperties", {}) and field["additionalProperties"]["type"] != "any":
                _check_value(field["additionalProperties"], item, where, sent)
    elif field["type"] != "any":
        assert _PLAIN[field["type"]](value, field.get("format")), f"{where} is {value!r}"
        assert "enum" not in field or value in field["enum"], f"{where} is {value!r}"
