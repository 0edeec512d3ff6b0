"""What a working exchange looks like, on aiohttp, on httpx's pool and on a transport of the user's."""

import asyncio
import gc
import gzip
import json
import os
import threading
import traceback
import warnings
import zlib

import anyio
import httpx
import pytest

from gemtune.errors import (
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    Failure,
    MalformedResponse,
    MisuseError,
    SettingsError,
)
from gemtune.http.wire import Wire

pytestmark = [
    pytest.mark.socket,
    pytest.mark.filterwarnings("ignore:Async generator 'httpcore:ResourceWarning"),
]
both = pytest.mark.both_backends

BODY = json.dumps({"text": "näh" * 5000}).encode()


@both
async def test_a_request_arrives_as_it_was_given_and_the_reply_comes_back(serve, wire_to, reply, answering):
    server = serve(answering(reply(BODY, b"X-Goog-Thing: yes", b"Vary: a", b"Vary: b")))
    wire = wire_to(server)
    got = await wire.send(
        "PATCH",
        "/v1beta/tunedModels/a-b?updateMask=displayName%2Cdescription",
        [("content-type", "application/json"), ("x-goog-api-key", "k")],
        b'{"a": 1}',
        timeout=5,
    )
    assert (got.status, got.body, got.headers["x-goog-thing"], got.headers["vary"][-1]) == (200, BODY, "yes", "b")
    head, body = server.requests[0].split(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert head.split(b"\r\n")[0] == (b"PATCH /v1beta/tunedModels/a-b?updateMask=displayName%2Cdescription HTTP/1.1")
    assert body == b'{"a": 1}'
    assert b"accept-encoding: gzip" in lines
    assert b"host: 127.0.0.1:%d" % server.port in lines
    assert sum(line.startswith(b"x-goog-api-key") for line in lines) == 1
    assert b"cookie" not in head.lower()


@both
@pytest.mark.parametrize("form", ["length", "chunked", "until close"])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("size", [0, 1, 70_000, 900_000])
async def test_a_body_is_the_same_in_every_form_of_transfer(serve, wire_to, form, zipped, size):
    body = os.urandom(size // 2) + bytes(size - size // 2)
    sent = gzip.compress(body) if zipped else body
    head = b"HTTP/1.1 200 OK\r\n" + (b"content-encoding: gzip\r\n" if zipped else b"")
    data = {
        "length": head + b"content-length: %d\r\n\r\n" % len(sent) + sent,
        "chunked": head
        + b"transfer-encoding: chunked\r\n\r\n"
        + (b"%x\r\n%s\r\n" % (len(sent), sent) if sent else b"")
        + b"0\r\n\r\n",
        "until close": head + b"connection: close\r\n\r\n" + sent,
    }[form]

    async def handle(connection):
        await connection.request()
        await connection.send(data)

    got = await wire_to(serve(handle)).send("GET", "/x", {}, None, timeout=5)
    assert got.body == body


@both
@pytest.mark.parametrize("body", [None, b"", b"x", b"y" * 3_000_000])
async def test_a_request_body_of_any_size_arrives(serve, wire_to, reply, answering, body):
    server = serve(answering(reply()))
    await wire_to(server).send("POST", "/x", {"content-type": "text/plain"}, body, timeout=5)
    assert server.requests[0].partition(b"\r\n\r\n")[2] == (body or b"")


@both
@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary", b"308 Permanent"])
async def test_a_redirect_is_handed_over_and_not_followed(serve, wire_to, reply, answering, status):
    elsewhere = serve(answering(reply()))
    location = b"location: " + elsewhere.origin.encode() + b"/x"
    server = serve(answering(reply(b"", location, status=status)))
    got = await wire_to(server).send("GET", "/x", {"x-goog-api-key": "k"}, None, timeout=5)
    assert got.status == int(status[:3])
    assert elsewhere.accepted == 0
    assert len(server.requests) == 1


@both
async def test_cookies_are_not_kept(serve, wire_to, reply, answering):
    server = serve(answering(reply(b"", b"set-cookie: a=b; Path=/")))
    wire = wire_to(server)
    for _ in range(2):
        await wire.send("GET", "/x", {}, None, timeout=5)
    assert b"a=b" not in server.requests[1]


@both
async def test_one_after_another_requests_share_a_connection(serve, wire_to, echo):
    server = serve(echo)
    wire = wire_to(server)
    for number in range(20):
        assert (await wire.send("GET", f"/{number}", {}, None, timeout=5)).body == b"/%d" % number
    assert server.accepted == 1


@both
async def test_many_at_once_each_get_their_own_answer_within_the_limit_of_connections(serve, wire_to, echo):
    server = serve(echo)
    wire = wire_to(server, max_connections=7)
    got = {}

    async def one(number):
        got[number] = (await wire.send("GET", f"/{number}", {}, None, timeout=5)).body

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(one, number)
    assert got == {number: b"/%d" % number for number in range(100)}
    assert server.accepted <= 7


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("with_reset", [False, True])
async def test_a_stale_connection_is_reported_as_such_and_not_repeated_by_the_engine(
    serve, wire_to, reply, method, with_reset
):
    async def handle(connection):
        await connection.request()
        await connection.send(reply())
        await connection.request()
        if with_reset:
            connection.reset()

    server = serve(handle)
    wire = wire_to(server)
    await wire.send(method, "/x", {}, None, timeout=5)
    with pytest.raises(ConnectionLost) as caught:
        await wire.send(method, "/x", {}, None, timeout=5)
    assert caught.value.reason == "stale"
    assert caught.value.failure is Failure.AMBIGUOUS
    assert len(server.requests) == 2
    await wire.send(method, "/x", {}, None, timeout=5)


async def test_what_arrives_unasked_on_an_idle_connection_is_never_taken_for_an_answer(serve, wire_to, reply):
    idle, sent = threading.Event(), threading.Event()

    async def handle(connection):
        while request := await connection.request():
            await connection.send(reply(request.split(b" ")[1]))
            if connection.number == 1:
                await asyncio.to_thread(idle.wait, 5)
                await connection.send(reply(b"unasked"))
                sent.set()

    server = serve(handle)
    wire = wire_to(server)
    assert (await wire.send("GET", "/a", {}, None, timeout=5)).body == b"/a"
    idle.set()
    await anyio.to_thread.run_sync(sent.wait, 5)
    await anyio.sleep(0.02)
    assert (await wire.send("GET", "/b", {}, None, timeout=5)).body == b"/b"
    assert server.accepted == 2


@both
@pytest.mark.parametrize("origin", ["http://example.com", "ftp://127.0.0.1", "127.0.0.1:80", "https://u:p@host"])
def test_an_address_that_would_leak_a_credential_is_refused(origin):
    with pytest.raises(SettingsError):
        Wire(origin)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://generativelanguage.googleapis.com/", "https://generativelanguage.googleapis.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost", "http://localhost"),
        ("https://gateway.example/gemini/", "https://gateway.example/gemini"),
    ],
)
def test_an_address_is_kept_in_normal_form(given, kept):
    assert Wire(given).origin == kept


async def test_a_wire_says_when_it_is_used_after_closing_in_another_loop_or_after_a_fork(serve, echo):
    wire = Wire(serve(echo).origin)
    await wire.send("GET", "/x", {}, None, timeout=5)

    def elsewhere():
        with pytest.raises(MisuseError, match="another event loop"):
            anyio.run(lambda: wire.send("GET", "/x", {}, None, timeout=5))

    await anyio.to_thread.run_sync(elsewhere)
    wire._home = (wire._home[0] - 1, wire._home[1])
    with pytest.raises(MisuseError, match="fork"):
        wire.check()
    wire._home = (os.getpid(), wire._home[1])
    await wire.aclose()
    await wire.aclose()
    with pytest.raises(MisuseError, match="closed"):
        await wire.send("GET", "/x", {}, None, timeout=5)


@both
async def test_no_secret_stays_in_an_error_or_its_traceback(serve, wire_to, reply, answering):
    server = serve(answering(b"HTTP/1.1 nonsense\r\n\r\n"))
    wire = wire_to(server)
    with pytest.raises(MalformedResponse) as caught:
        await wire.send("GET", "/x", {"x-goog-api-key": "canary"}, None, timeout=5)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in report.stack if "gemtune" in frame.filename and "tests" not in frame.filename]
    assert frames
    assert all("canary" not in value for frame in frames for value in frame.locals.values())
    assert "canary" not in repr(wire) + repr(caught.value)


# Streams


async def piecewise(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for piece in (b"data: 1\n\n", b"data: 2\n\n"):
        await connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await connection.server.step.acquire_async()
    await connection.send(b"0\r\n\r\n")
    await connection.request()


class Step:
    """Lets the server go on when the test says so."""

    def __init__(self):
        self.semaphore = threading.Semaphore(0)

    def release(self):
        self.semaphore.release()

    async def acquire_async(self):
        await asyncio.to_thread(self.semaphore.acquire, timeout=2)


@both
async def test_a_stream_is_read_while_it_arrives(serve, wire_to):
    server = serve(piecewise)
    server.step = Step()
    async with await wire_to(server).open("POST", "/s?alt=sse", {}, b"{}", timeout=5, idle=5) as stream:
        assert stream.status == 200
        assert await stream.read() == b"data: 1\n\n"
        server.step.release()
        assert await stream.read() == b"data: 2\n\n"
        server.step.release()
        assert await stream.read() == b""
        assert await stream.read() == b""


@both
async def test_a_zipped_stream_gives_each_piece_when_it_is_flushed(serve, wire_to):
    async def handle(connection):
        await connection.request()
        packer = zlib.compressobj(wbits=31)
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in (b"one", b"two", b""):
            data = packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH if piece else zlib.Z_FINISH)
            await connection.send(b"%x\r\n%s\r\n" % (len(data), data))
        await connection.send(b"0\r\n\r\n")
        await connection.request()

    async with await wire_to(serve(handle)).open("GET", "/s", {}, None, timeout=5, idle=5) as stream:
        assert await stream.read_start(100) == b"onetwo"


@both
async def test_silence_within_a_stream_ends_it(serve, wire_to):
    server = serve(piecewise)
    server.step = Step()
    async with await wire_to(server).open("GET", "/s", {}, None, timeout=5, idle=0.1) as stream:
        await stream.read()
        with pytest.raises(DeadlineExceeded):
            await stream.read()
    server.step.release()
    server.step.release()


@both
async def test_a_stream_that_breaks_off_says_so_and_its_start_can_be_read_in_bounded_form(serve, wire_to, reply):
    async def handle(connection):
        await connection.request()
        await connection.send(reply(b"x" * 10, length=20))

    wire = wire_to(serve(handle))
    async with await wire.open("GET", "/s", {}, None, timeout=5, idle=5) as stream:
        assert await stream.read_start(7) == b"x" * 7
    async with await wire.open("GET", "/s", {}, None, timeout=5, idle=5) as stream:
        assert await stream.read_start(20) == b"x" * 10
    async with await wire.open("GET", "/s", {}, None, timeout=5, idle=5) as stream:
        assert await stream.read() == b"x" * 10
        with pytest.raises(ConnectionLost):
            await stream.read()
    assert wire.statistics().connections == 0


@both
async def test_a_closed_stream_cannot_be_read_and_its_connection_is_gone(serve, wire_to):
    server = serve(piecewise)
    server.step = Step()
    wire = wire_to(server)
    stream = await wire.open("GET", "/s", {}, None, timeout=5, idle=5)
    await stream.aclose()
    await stream.aclose()
    with pytest.raises(MisuseError):
        await stream.read()
    assert wire.statistics().connections == 0
    server.step.release()
    server.step.release()


@both
async def test_a_dropped_stream_warns_and_gives_its_place_back(serve, wire_to):
    server = serve(piecewise)
    server.step = Step()
    wire = wire_to(server, max_connections=1)
    stream = await wire.open("GET", "/s", {}, None, timeout=5, idle=5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del stream
        gc.collect()
    assert [str(one.message) for one in caught if one.category is ResourceWarning][:1] == [
        f"unclosed <StreamReply 200 from 127.0.0.1:{server.port}, open>"
    ]
    with anyio.fail_after(5):
        stream = await wire.open("GET", "/s", {}, None, timeout=5, idle=5)
    await stream.aclose()
    for _ in range(4):
        server.step.release()


# Other transports


@both
async def test_a_mock_transport_serves(wire_to):
    def handle(request):
        assert request.headers["x-goog-api-key"] == "k"
        return httpx.Response(418, json={"path": request.url.raw_path.decode()})

    wire = wire_to("https://generativelanguage.googleapis.com", transport=httpx.MockTransport(handle))
    got = await wire.send("GET", "/v1beta/models?pageSize=1", {"x-goog-api-key": "k"}, None, timeout=5)
    assert (got.status, json.loads(got.body)) == (418, {"path": "/v1beta/models?pageSize=1"})


@both
async def test_an_asgi_application_serves(wire_to):
    async def app(scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": scope["path"].encode() + b" " + body})

    wire = wire_to("http://127.0.0.1", transport=httpx.ASGITransport(app))
    assert (await wire.send("POST", "/x", {}, b"hello", timeout=5)).body == b"/x hello"


@both
@pytest.mark.parametrize(
    ("raised", "error", "failure"),
    [
        (httpx.ConnectError("no"), ConnectFailed, Failure.NOT_SENT),
        (httpx.ConnectTimeout("no"), ConnectFailed, Failure.NOT_SENT),
        (httpx.PoolTimeout("no"), ConnectFailed, Failure.NOT_SENT),
        (httpx.ProxyError("407 Proxy Authentication Required"), ConnectFailed, Failure.FATAL),
        (httpx.ProxyError("503 Service Unavailable"), ConnectFailed, Failure.NOT_SENT),
        (httpx.ReadTimeout("no"), DeadlineExceeded, Failure.AMBIGUOUS),
        (httpx.ReadError("no"), ConnectionLost, Failure.AMBIGUOUS),
        (httpx.WriteError("no"), ConnectionLost, Failure.AMBIGUOUS),
        (httpx.RemoteProtocolError("Server disconnected"), ConnectionLost, Failure.AMBIGUOUS),
        (httpx.RemoteProtocolError("illegal status line"), MalformedResponse, Failure.AMBIGUOUS),
    ],
)
async def test_a_transports_exception_becomes_ours_without_the_request(wire_to, raised, error, failure):
    def handle(request):
        raised.request = request
        raise raised

    wire = wire_to("https://host.example", transport=httpx.MockTransport(handle))
    with pytest.raises(error) as caught:
        await wire.send("GET", "/x", {"x-goog-api-key": "k"}, None, timeout=5)
    assert caught.value.failure is failure
    assert caught.value.__context__ is caught.value.__cause__ is None


async def test_a_bug_in_a_users_transport_is_not_disguised(wire_to):
    def handle(request):
        raise LookupError("mine")

    wire = wire_to("https://host.example", transport=httpx.MockTransport(handle))
    with pytest.raises(LookupError, match="mine"):
        await wire.send("GET", "/x", {}, None, timeout=5)
