"""A wire that counts what every reply costs, whoever hears it."""

from __future__ import annotations

import json

import anyio
import attrs
import httpx

from sweep.emulated import Wire, kind_of

LATENCY = 0.3


@attrs.define
class Paying(Wire):
    """Counts the usage of all replies to questions; ``dearer`` times what the emulator says is billed."""

    price: tuple[float, float] = (0.0, 0.0)
    dearer: float = 1.0
    paid: float = 0.0
    dearest: float = 0.0
    under_way: int = 0
    at_once: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if kind_of(request) != "ask":
            return await super().handle_async_request(request)
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        try:
            await anyio.sleep(LATENCY)  # or else what is in flight together would be here one after the other
            return await self._billed(await super().handle_async_request(request))
        finally:
            self.under_way -= 1

    async def _carried_out(self, request: httpx.Request) -> None:
        with anyio.CancelScope(shield=True):
            reply = await self.inner.handle_async_request(request)
            await (self._billed(reply) if kind_of(request) == "ask" else reply.aread())

    async def _billed(self, reply: httpx.Response) -> httpx.Response:
        body = json.loads(await reply.aread())
        usage = body.get("usageMetadata")
        if usage is not None:
            for name, count in usage.items():
                usage[name] = round(count * self.dearer) if isinstance(count, int) else count
            answered = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
            cost = (usage.get("promptTokenCount", 0) * self.price[0] + answered * self.price[1]) / 1e6
            self.paid, self.dearest = self.paid + cost, max(self.dearest, cost)
        return httpx.Response(reply.status_code, content=json.dumps(body), headers={"content-type": "application/json"})
