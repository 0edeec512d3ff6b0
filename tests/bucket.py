"""Cloud Storage in memory, as an httpx transport: strict about what a client sends, and with failures of its own."""

import base64
import json
import re
from email.parser import BytesParser

import attrs
import httpx

from gemtune.datasets.upload.crc32c import Crc32c

__all__ = ["Bucket"]

PIECE = 256 * 1024
OBJECTS = "/storage/v1/b/my-bucket/o/"
UPLOADS = "/upload/storage/v1/b/my-bucket/o"


def _error(status: int, reason: str) -> httpx.Response:
    error = {"code": status, "message": reason, "errors": [{"message": reason, "domain": "global", "reason": reason}]}
    return httpx.Response(status, json={"error": error})


def crc32c(data: bytes) -> str:
    checksum = Crc32c()
    checksum.update(data)
    return str(checksum)


@attrs.define
class Session:
    """An upload in pieces."""

    name: str
    wanted: dict
    size: int
    data: bytearray = attrs.field(factory=bytearray)
    made: dict | None = None


@attrs.define(eq=False)
class Bucket(httpx.AsyncBaseTransport):
    """One bucket.

    Args:
        kept: How many bytes of each piece are kept: the answer says so.
        spoiled: Whether an object arrives with one byte changed.
        readable: Whether the client may look at objects.
        forgets: How many sessions are forgotten before their first piece.
    """

    kept: int | None = None
    spoiled: bool = False
    readable: bool = True
    forgets: int = 0
    objects: dict[str, bytes] = attrs.field(factory=dict)
    sessions: dict[str, Session] = attrs.field(factory=dict)
    log: list[str] = attrs.field(factory=list)
    made: int = 0
    received: int = 0
    largest: int = 0
    _generations: dict[str, int] = attrs.field(factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        self.largest = max(self.largest, len(body))
        assert request.headers["authorization"].startswith("Bearer ")
        assert not request.headers.get("content-type", "").startswith("application/json;") or json.loads(body)
        path, query = request.url.path, request.url.params
        if path.startswith(OBJECTS):
            return self._object(request.method, path.removeprefix(OBJECTS), query)
        if path != UPLOADS:
            self.log.append("no bucket")
            return _error(404, "The specified bucket does not exist.")
        self.received += len(body)
        if request.method == "PUT":
            return self._put(query["upload_id"], request.headers, body)
        assert query["ifGenerationMatch"] == "0"
        kind = query["uploadType"]
        self.log.append(kind)
        if kind == "resumable":
            return self._begin(json.loads(body), request.headers)
        head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
        message = BytesParser().parsebytes(head + body)
        facts, data = (part.get_payload(decode=True) for part in message.get_payload())
        return self._insert(json.loads(facts), data)

    def _object(self, verb: str, name: str, query: httpx.QueryParams) -> httpx.Response:
        self.log.append(verb.lower())
        if not self.readable:
            return _error(403, "forbidden")
        if name not in self.objects:
            return _error(404, "notFound")
        if verb == "DELETE":
            assert query["ifGenerationMatch"] == str(self._generations[name])
            del self.objects[name]
            return httpx.Response(204)
        return httpx.Response(200, json=self._facts(name))

    def _facts(self, name: str) -> dict[str, str]:
        data = self.objects[name]
        generation = str(self._generations[name])
        return {
            "bucket": "my-bucket",
            "name": name,
            "size": str(len(data)),
            "crc32c": crc32c(data),
            "generation": generation,
        }

    def _insert(self, wanted: dict, data: bytes) -> httpx.Response:
        if wanted["name"] in self.objects:
            return _error(412, "conditionNotMet")
        if wanted["crc32c"] != crc32c(data):
            return _error(400, "invalid")
        if self.spoiled:
            data = bytes([data[0] ^ 1]) + data[1:]
        self.made += 1
        self.objects[wanted["name"]] = bytes(data)
        self._generations[wanted["name"]] = self.made
        return httpx.Response(200, json=self._facts(wanted["name"]))

    def _begin(self, wanted: dict, headers: httpx.Headers) -> httpx.Response:
        if wanted["name"] in self.objects:
            return _error(412, "conditionNotMet")
        number = f"s{len(self.sessions)}/+="
        self.sessions[number] = Session(wanted["name"], wanted, int(headers["x-upload-content-length"]))
        named = base64.urlsafe_b64encode(number.encode()).decode()
        location = f"https://storage.googleapis.com{UPLOADS}?uploadType=resumable&upload_id={named}%3D"
        if self.forgets:
            self.forgets -= 1
            del self.sessions[number]
        return httpx.Response(200, headers={"location": location})

    def _put(self, number: str, headers: httpx.Headers, body: bytes) -> httpx.Response:
        session = self.sessions.get(base64.urlsafe_b64decode(number.removesuffix("=")).decode())
        ranged = headers["content-range"]
        asked = re.fullmatch(r"bytes \*/(\d+)", ranged)
        self.log.append("ask" if asked else "put")
        if session is None:
            return _error(410, "gone")
        if session.made is not None:
            return httpx.Response(200, json=session.made)
        if asked is None:
            start, end, size = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", ranged).groups())
            assert len(body) == end - start + 1
            assert size == session.size
            assert end + 1 == size or len(body) % PIECE == 0
            if start > len(session.data):
                return _error(503, "backendError")
            session.data[start:] = body if self.kept is None or end + 1 == size else body[: self.kept]
        if len(session.data) < session.size:
            said = {"range": f"bytes=0-{len(session.data) - 1}"} if session.data else {}
            return httpx.Response(308, headers=said)
        reply = self._insert(session.wanted, bytes(session.data))
        if reply.status_code == 200:
            session.made = json.loads(reply.content)
        return reply
