"""Files and batches of the Gemini API over plain httpx, as the emulator's tests ask for them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from emulator.emulated import Api, prompt

MODEL = "models/gemini-3.7-flash"
JSONL = "application/jsonl"


def requests(*texts: str) -> bytes:
    """The lines of an input file; the keys are k1, k2, ..."""
    lines = [{"key": f"k{number}", "request": prompt(text)} for number, text in enumerate(texts, start=1)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def begin(api: Api, *, size: int | None = None, version: str = "v1beta", **file: Any) -> httpx.Response:
    headers = {
        "x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start",
        "x-goog-upload-header-content-type": JSONL,
    }  # fmt: skip
    if size is not None:
        headers["x-goog-upload-header-content-length"] = str(size)
    return await api.call("POST", f"/upload/{version}/files", {"file": file}, headers=headers)


async def send(
    api: Api, url: str, command: str, data: bytes | AsyncIterator[bytes] = b"", offset: int | None = None
) -> httpx.Response:
    headers = {"x-goog-upload-command": command}
    if offset is not None:
        headers["x-goog-upload-offset"] = str(offset)
    return await api.http.post(url, content=data, headers=headers)


async def upload(api: Api, data: bytes, **file: Any) -> dict[str, Any]:
    """The file that an upload makes."""
    begun = await begin(api, size=len(data), **file)
    assert begun.status_code == 200, begun.text
    made = await send(api, begun.headers["x-goog-upload-url"], "upload, finalize", data, 0)
    assert made.status_code == 200, made.text
    return made.json()["file"]


async def create(api: Api, config: Any, *, model: str = MODEL, name: str = "b", **options: Any) -> dict[str, Any]:
    """The operation of a new batch."""
    body = {"batch": {"displayName": name, "inputConfig": config}}
    reply = await api.call("POST", f"/v1beta/{model}:batchGenerateContent", body, **options)
    assert reply.status_code == 200, reply.text
    return reply.json()


def inline(*texts: str) -> dict[str, Any]:
    """The input of a batch whose requests come with its creation."""
    every = [{"request": prompt(text), "metadata": {"key": f"k{n}"}} for n, text in enumerate(texts, start=1)]
    return {"requests": {"requests": every}}


async def batch_of(api: Api, *texts: str, **options: Any) -> str:
    """The name of a new batch whose requests come in a file."""
    file = await upload(api, requests(*texts))
    return (await create(api, {"fileName": file["name"]}, **options))["name"]


async def download(api: Api, name: str, **headers: str) -> httpx.Response:
    return await api.http.get(f"/v1beta/{name}:download", params={"alt": "media"}, headers=headers)


async def results(api: Api, name: str) -> list[dict[str, Any]]:
    """The lines of the results of a batch."""
    operation = await api.get(f"/v1beta/{name}")
    reply = await download(api, operation["response"]["responsesFile"])
    assert reply.status_code == 200, reply.text
    return [json.loads(line) for line in reply.text.splitlines()]


def text_of(line: dict[str, Any]) -> str:
    return line["response"]["candidates"][0]["content"]["parts"][0]["text"]
