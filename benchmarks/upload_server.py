"""A server for uploads that costs next to nothing: it counts the bytes of a body and holds none of them.

It knows as much of Cloud Storage's JSON API as an upload needs: no object is there, a session begins, a piece has
arrived, and the last one makes the object, with the checksum that came with it. Prints its URL and serves until its
standard input is closed.
"""

import asyncio
import json
import re
import sys


def reply(status: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of a reply."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Uploads(asyncio.Protocol):
    """Reads the head of each request, and counts what follows it."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.head = b""
        self.left = 0
        self.verb = self.target = ""
        self.headers: dict[str, str] = {}

    def data_received(self, data: bytes) -> None:
        if self.left:
            taken = min(self.left, len(data))
            self.left -= taken
            if self.left:
                return
            self.answer()
            data = data[taken:]
        self.head += data
        while (end := self.head.find(b"\r\n\r\n")) >= 0:
            first, *lines = self.head[:end].decode("latin-1").split("\r\n")
            rest, self.head = self.head[end + 4 :], b""
            self.verb, self.target, _ = first.split(" ")
            self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            if self.headers.get("transfer-encoding") == "chunked":
                raise SystemExit("the benchmark's clients announce the length of what they send")
            length = int(self.headers.get("content-length", 0))
            if len(rest) < length:
                self.left = length - len(rest)
                return
            self.head = rest[length:]
            self.answer()

    def answer(self) -> None:
        self.transport.write(self.reply())

    def reply(self) -> bytes:
        if self.verb == "GET":
            return reply("404 Not Found", b'{"error": {"code": 404, "message": "No such object"}}')
        if self.verb == "POST":
            location = f"http://{self.headers['host']}/upload/storage/v1/b/bench/o?uploadType=resumable&upload_id=x"
            return reply("200 OK", location=location)
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", self.headers.get("content-range", ""))
        if found is not None and int(found[2]) + 1 < int(found[3]):
            return reply("308 Resume Incomplete", range=f"bytes=0-{found[2]}")
        size = found[3] if found is not None else self.headers["content-length"]
        sent = self.headers.get("x-goog-hash", "")
        made = {"bucket": "bench", "name": "train.jsonl", "generation": "1", "size": size}
        return reply("200 OK", json.dumps(made | {"crc32c": sent.removeprefix("crc32c=")}).encode())


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Uploads, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    closed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), closed.set)
    async with server:
        await closed.wait()


if __name__ == "__main__":
    asyncio.run(main())
