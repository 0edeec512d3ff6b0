"""A service of the tests: a function behind a real client, that answers, fails and waits as it is told."""

import json
from collections import Counter, defaultdict, deque
from typing import Any

import anyio
import httpx

import gemtune

MODEL = "models/gemini-3.7-flash"


def envelope(code: int, status: str, message: str = "no", *details: object) -> httpx.Response:
    """An error of Google's form."""
    return httpx.Response(
        code, json={"error": {"code": code, "message": message, "status": status, "details": list(details)}}
    )


def quota(quota_id: str, value: str = "10", retry_delay: str | None = None) -> httpx.Response:
    """A 429 that names its quota."""
    details: list[object] = [
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": quota_id, "quotaValue": value}],
        }
    ]
    if retry_delay:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_delay})
    return envelope(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", *details)


class Service:
    """Answers a prompt with ``re: prompt``, unless ``steps`` holds something else for it, each used up once."""

    def __init__(self, seconds: float = 1.0):
        self.seconds: dict[str, float] = defaultdict(lambda: seconds)
        self.steps: dict[str, deque[Any]] = defaultdict(deque)
        self.always: Any = None
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.keep_bodies = True
        self.in_flight = self.peak = self.answered = 0

    def client(self, **options: Any) -> gemtune.Client:
        options = {"api_key": "key"} | options
        return gemtune.Client(base_url="http://127.0.0.1", transport=httpx.MockTransport(self), **options)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        text = body["contents"][-1]["parts"][-1].get("text", "")
        self.asked[text] += 1
        if self.keep_bodies:
            self.bodies.append(body)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await anyio.sleep(self.seconds[text] if self.keep_bodies else self.seconds[""])
            step = self.steps[text].popleft() if self.steps.get(text) else self.always
            if callable(step):
                step = step()
            if isinstance(step, Exception):
                raise step
            self.answered += step is None
            return answer(text) if step is None else step
        finally:
            self.in_flight -= 1


def answer(text: str) -> httpx.Response:
    return httpx.Response(
        200,
        json={
            "candidates": [{"content": {"parts": [{"text": f"re: {text}"}], "role": "model"}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5, "totalTokenCount": 8},
        },
    )


async def collect(results: Any) -> list[Any]:
    return [result async for result in results]


async def run(client: Any, inputs: Any, **options: Any) -> list[Any]:
    async with client.batch(MODEL, inputs, **options) as results:
        return await collect(results)


async def into(found: list[Any], results: Any) -> None:
    """Collect into a list that is there although the iteration raises."""
    async for result in results:
        found.append(result)
