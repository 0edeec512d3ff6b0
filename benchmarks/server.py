"""A server that costs next to nothing: a canned generateContent reply for every POST, keep-alive.

Prints its URL on a line of its own and serves until its standard input is closed.
"""

import asyncio
import json
import os
import sys

ANSWER = "LXIV is the Roman numeral that follows LXIII. " * 4
REPLY = {
    "candidates": [
        {
            "content": {"parts": [{"text": ANSWER}], "role": "model"},
            "finishReason": "STOP",
            "index": 0,
            "avgLogprobs": -0.0123456789,
            "safetyRatings": [
                {"category": "HARM_CATEGORY_HATE_SPEECH", "probability": "NEGLIGIBLE"},
                {"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"},
            ],
        }
    ],
    "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 52, "totalTokenCount": 54},
    "modelVersion": "gemini-3.7-flash",
    "responseId": "c2hvcnQgYW5kIHN0YWJsZQ",
}
_BODY = json.dumps(REPLY).encode()
_HEAD = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(_BODY)}\r\n\r\n"
CANNED = _HEAD.encode() + _BODY
DELAY = float(os.environ.get("GEMTUNE_BENCH_DELAY", "0"))
"""Seconds until an answer is sent."""


class Canned(asyncio.Protocol):
    """Finds the end of each request by its content-length and answers it with the same bytes."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            _, length, rest = self.received[: end + 2].lower().partition(b"\r\ncontent-length:")
            assert length, "the benchmark's clients announce the length of what they send"
            whole = end + 4 + int(rest[: rest.index(b"\r\n")])
            if len(self.received) < whole:
                return
            self.received = self.received[whole:]
            if DELAY:
                asyncio.get_running_loop().call_later(DELAY, self.transport.write, CANNED)
            else:
                self.transport.write(CANNED)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Canned, "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    closed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), closed.set)
    async with server:
        await closed.wait()


if __name__ == "__main__":
    asyncio.run(main())
