"""The requests of the emulator's tests, over plain httpx: nothing of the SDK is used here."""

import json
from pathlib import Path
from typing import Any

import attrs
import httpx

from gemtune.emulator import Emulator

GOLDEN = Path(__file__).parent.parent / "golden"
SAMPLES = json.loads((GOLDEN / "tuned_models_observed.json").read_text(encoding="utf-8"))["samples"]
ERRORS = {item["id"]: item for item in json.loads((GOLDEN / "errors.json").read_text(encoding="utf-8"))["items"]}
BATCHES = json.loads((GOLDEN / "batch_observed.json").read_text(encoding="utf-8"))
METHODS = json.loads((GOLDEN / "generativelanguage-methods.json").read_text(encoding="utf-8"))["methods"]

BASE = "models/gemini-1.0-pro-001"
PAIRS = [
    ("1", "2"), ("3", "4"), ("-3", "-2"), ("twenty two", "twenty three"), ("two hundred", "two hundred one"),
    ("ninety nine", "one hundred"), ("8", "9"), ("-98", "-97"), ("1,000", "1,001"), ("10,100,000", "10,100,001"),
    ("thirteen", "fourteen"), ("eighty", "eighty one"), ("one", "two"), ("three", "four"), ("seven", "eight"),
]  # fmt: skip


def tutorial_body() -> bytes:
    """The body of the tutorial's create request: snake_case names and trailing commas."""
    return (GOLDEN / "tutorial_create_body.txt").read_bytes()


def examples(pairs: Any) -> dict[str, Any]:
    return {"examples": {"examples": [{"textInput": text, "output": output} for text, output in pairs]}}


def model_body(pairs: Any = PAIRS, *, base: str | None = BASE, hyperparameters: Any = None, **fields: Any) -> Any:
    """A TunedModel to create."""
    task = {"trainingData": examples(pairs)}
    if hyperparameters is not None:
        task["hyperparameters"] = hyperparameters
    return ({"baseModel": base} if base else {}) | {"tuningTask": task} | fields


def prompt(text: str, **fields: Any) -> dict[str, Any]:
    return {"contents": [{"parts": [{"text": text}]}]} | fields


@attrs.define
class Api:
    """One emulator and one client."""

    app: Emulator
    http: httpx.AsyncClient

    async def call(self, verb: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        if body is not None:
            options["content"] = body if isinstance(body, bytes) else json.dumps(body).encode()
            options["headers"] = {"content-type": "application/json"} | options.get("headers", {})
        return await self.http.request(verb, path, **options)

    async def get(self, path: str, **options: Any) -> Any:
        """The JSON of a GET that must succeed."""
        reply = await self.call("GET", path, **options)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def create(self, body: Any = None, *, id: str | None = None, **options: Any) -> dict[str, Any]:
        """The operation of a new tuned model."""
        query = {"tunedModelId": id} if id else {}
        reply = await self.call("POST", "/v1beta/tunedModels", body or model_body(), params=query, **options)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def tuned(self, body: Any = None, *, id: str = "tuned", **options: Any) -> str:
        """The name of a tuned model whose job is over."""
        name = (await self.create(body, id=id, **options))["metadata"]["tunedModel"]
        self.app.advance(100_000)
        return name

    async def refused(self, code: int, verb: str, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        """The error of a request that must be refused with this HTTP status."""
        reply = await self.call(verb, path, body, **options)
        assert reply.status_code == code, reply.text
        error = reply.json()["error"]
        assert error["code"] == code
        return error


def bearer(token: str, **headers: str) -> dict[str, dict[str, str]]:
    return {"headers": {"authorization": f"Bearer {token}"} | headers}
