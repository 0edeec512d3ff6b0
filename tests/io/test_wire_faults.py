"""Every way in which an exchange can break has one meaning: what was sent, and whether it may be repeated."""

import asyncio
import gzip
import socket
import time
import zlib

import anyio
import pytest

from gemtune.errors import (
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    Failure,
    MalformedResponse,
    ResponseTooLarge,
)

pytestmark = [
    pytest.mark.socket,
    pytest.mark.both_backends,
    # httpcore leaves generators of its own to the garbage collector; trio notices.
    pytest.mark.filterwarnings("ignore:Async generator 'httpcore:ResourceWarning"),
]

BODY = b'{"text": "' + b"x" * 1000 + b'"}'
HEAD = b"HTTP/1.1 200 OK\r\n"
ZIPPED = gzip.compress(BODY)
BOMB = gzip.compress(bytes(1 << 24))


def with_length(body: bytes, *headers: bytes) -> bytes:
    return HEAD + b"\r\n".join([*headers, b"content-length: %d" % len(body)]) + b"\r\n\r\n" + body


def zipped(body: bytes) -> bytes:
    return with_length(body, b"content-encoding: gzip")


def chunked(*chunks: bytes, encoding: bytes = b"identity") -> bytes:
    head = HEAD + b"transfer-encoding: chunked\r\ncontent-encoding: " + encoding + b"\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "error", "failure"),
    [
        pytest.param(b"", ConnectionLost, Failure.AMBIGUOUS, id="closed without a reply"),
        pytest.param(HEAD + b"content-le", ConnectionLost, Failure.AMBIGUOUS, id="closed within the head"),
        pytest.param(with_length(BODY)[:-9], ConnectionLost, Failure.AMBIGUOUS, id="body cut short"),
        pytest.param(chunked(BODY)[:-5], ConnectionLost, Failure.AMBIGUOUS, id="last chunk missing"),
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", MalformedResponse, Failure.AMBIGUOUS, id="not HTTP"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", MalformedResponse, Failure.AMBIGUOUS, id="bad status"),
        pytest.param(
            HEAD + b"x: " + b"y" * 200_000 + b"\r\n\r\n", MalformedResponse, Failure.AMBIGUOUS, id="long header"
        ),
        pytest.param(
            HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
            MalformedResponse,
            Failure.AMBIGUOUS,
            id="two lengths",
        ),
        pytest.param(zipped(b"not gzip at all"), MalformedResponse, Failure.AMBIGUOUS, id="no gzip"),
        pytest.param(zipped(ZIPPED[:-12]), MalformedResponse, Failure.AMBIGUOUS, id="gzip cut"),
        pytest.param(zipped(ZIPPED + ZIPPED[:-12]), MalformedResponse, Failure.AMBIGUOUS, id="second member cut"),
        pytest.param(zipped(ZIPPED[:-8] + bytes(8)), MalformedResponse, Failure.AMBIGUOUS, id="gzip checksum"),
        pytest.param(
            with_length(zlib.compress(BODY), b"content-encoding: gzip, gzip"),
            MalformedResponse,
            Failure.AMBIGUOUS,
            id="two encodings",
        ),
        pytest.param(with_length(BODY, b"content-encoding: br"), MalformedResponse, Failure.AMBIGUOUS, id="brotli"),
        pytest.param(zipped(BOMB), ResponseTooLarge, Failure.FATAL, id="gzip bomb"),
        pytest.param(chunked(BOMB, encoding=b"gzip"), ResponseTooLarge, Failure.FATAL, id="chunked gzip bomb"),
        pytest.param(HEAD + b"content-length: 10737418240\r\n\r\n", ResponseTooLarge, Failure.FATAL, id="10 GiB"),
        pytest.param(chunked(*[bytes(65536)] * 20), ResponseTooLarge, Failure.FATAL, id="long chunked"),
        pytest.param(HEAD + b"\r\n" + bytes(1_200_000), ResponseTooLarge, Failure.FATAL, id="long unbounded"),
    ],
)
async def test_a_broken_reply_has_one_meaning_and_the_request_is_sent_once(serve, wire_to, sent, error, failure):
    async def handle(connection):
        await connection.request()
        await connection.send(sent)

    server = serve(handle)
    wire = wire_to(server, max_body=1 << 20)
    with pytest.raises(error) as caught:
        await wire.send("GET", "/v1beta/models", {"x-goog-api-key": "canary"}, None, timeout=5)
    assert caught.type is error
    assert caught.value.failure is failure
    assert caught.value.__context__ is None
    assert len(server.requests) == 1
    assert wire.statistics().in_flight == 0


@pytest.mark.parametrize("sent", [b"", HEAD + b"content-le", with_length(BODY)[:500], chunked(BODY)[:500]])
async def test_a_reset_after_the_request_is_a_lost_connection(serve, wire_to, sent):
    async def handle(connection):
        await connection.request()
        await connection.send(sent)
        await anyio_sleep_tick()
        connection.reset()

    server = serve(handle)
    with pytest.raises(ConnectionLost) as caught:
        await wire_to(server).send("DELETE", "/v1beta/tunedModels/a", {}, None, timeout=5)
    assert caught.value.reason == "lost"
    assert caught.value.failure is Failure.AMBIGUOUS
    assert len(server.requests) == 1


async def anyio_sleep_tick() -> None:
    await asyncio.sleep(0.01)


async def test_a_refused_connection_sent_nothing(wire_to):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        wire = wire_to(f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(ConnectFailed, match="refuses") as caught:
            await wire.send("POST", "/x", {}, b"{}", timeout=5)
    assert caught.value.failure is Failure.NOT_SENT
    assert caught.value.reason == "refused"


@pytest.mark.parametrize(("connect_timeout", "timeout"), [(0.1, 300.0), (300.0, 0.1)])
async def test_a_handshake_that_never_ends_sent_nothing(serve, wire_to, connect_timeout, timeout):
    async def handle(connection):
        await connection.reader.read()  # accepts TCP, never speaks TLS

    server = serve(handle)
    wire = wire_to(f"https://127.0.0.1:{server.port}", connect_timeout=connect_timeout)
    before = time.monotonic()
    with pytest.raises((ConnectFailed, DeadlineExceeded)) as caught:
        await wire.send("POST", "/x", {}, b"{}", timeout=timeout)
    assert time.monotonic() - before < 100  # a slow machine is given a thousand times the shorter limit
    if timeout > connect_timeout:
        assert caught.value.failure is Failure.NOT_SENT
        assert caught.value.reason == "timeout"


async def drip_head(connection):
    await connection.request()
    for byte in with_length(BODY):
        await connection.send(bytes([byte]))
        await anyio_sleep_tick()


async def drip_body(connection):
    await connection.request()
    await connection.send(HEAD + b"content-length: 100000\r\n\r\n")
    while True:
        await connection.send(b"x")
        await anyio_sleep_tick()


async def silence(connection):
    while await connection.request():
        pass


@pytest.mark.parametrize("handle", [drip_head, drip_body, silence])
async def test_the_time_limit_is_a_wall_that_dripping_bytes_do_not_move(serve, wire_to, handle):
    server = serve(handle)
    wire = wire_to(server)
    before = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        await wire.send("POST", "/x", {}, b"{}", timeout=1.0)
    assert time.monotonic() - before < 100  # a slow machine is given a hundred times the limit
    assert caught.value.failure is Failure.AMBIGUOUS
    assert wire.statistics().connections == 0


@pytest.mark.parametrize(
    "target", ["x", "", "//a\r\nb: c", "/a b", "/../admin", "/a/./b", "/a#b", "/ü", "http://evil/"]
)
async def test_a_target_that_is_no_path_is_refused_before_anything_is_sent(serve, wire_to, echo, target):
    server = serve(echo)
    with pytest.raises(ValueError, match="not a request target"):
        await wire_to(server).send("GET", target, {}, None, timeout=5)
    assert server.accepted == 0


@pytest.mark.parametrize("headers", [{"x-goog-api-key": "a\r\nevil: 1"}, [("a\nb", "c")], {"a": "b\0"}])
async def test_a_header_with_a_line_break_is_refused_and_not_shown(serve, wire_to, echo, headers):
    server = serve(echo)
    with pytest.raises(ValueError, match="line breaks") as caught:
        await wire_to(server).send("GET", "/x", headers, None, timeout=5)
    assert "evil" not in str(caught.value)
    assert server.requests == []


async def test_after_a_failure_the_next_request_goes_through(serve, wire_to, reply):
    async def handle(connection):
        if connection.number > 1:
            while await connection.request():
                await connection.send(reply(b"fine"))
        await connection.request()

    wire = wire_to(serve(handle))
    with pytest.raises(ConnectionLost):
        await wire.send("GET", "/x", {}, None, timeout=5)
    with anyio.fail_after(5):
        assert (await wire.send("GET", "/x", {}, None, timeout=5)).body == b"fine"
