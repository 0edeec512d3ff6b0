"""Faults of single bytes, seen on a bare socket."""

import re
import socket
import ssl
import time

import attrs
import httpx
import pytest
import trustme

from gemtune.emulator import Fault, running_emulator

pytestmark = pytest.mark.socket

MODELS = b"GET /v1beta/models HTTP/1.1\r\nHost: localhost\r\n\r\n"


@attrs.frozen
class Received:
    """What came on a connection until its end, and how it ended."""

    data: bytes
    reset: bool

    @property
    def head(self):
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def body(self):
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def length(self):
        return int(re.search(rb"content-length: (\d+)", self.head)[1])


def receive(peer):
    data = b""
    try:
        while chunk := peer.recv(65536):
            data += chunk
    except ConnectionResetError:
        return Received(data, True)
    return Received(data, False)


@pytest.fixture(scope="module")
def emulator():
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def connect(emulator):
    """A function that opens a connection; those it opened are closed at the end."""
    peers = []

    def begin():
        peer = socket.create_connection((emulator.host, emulator.port), timeout=10)
        peers.append(peer)
        return peer

    yield begin
    for peer in peers:
        peer.close()


@pytest.fixture
def ask(emulator, connect):
    """A function that sends one request and tells what comes of it when a fault is followed."""

    def begin(**fault):
        scenario = emulator.app.faults.add(Fault(**fault))
        peer = connect()
        peer.sendall(MODELS)
        received = receive(peer)
        assert scenario.completed
        return received

    return begin


@pytest.fixture(scope="module")
def whole(emulator):
    return httpx.get(emulator.url + "/v1beta/models", headers={"accept-encoding": "identity"}).content


def test_a_reset_before_the_reply_leaves_no_byte(ask):
    assert ask(cut="reply") == Received(b"", True)


def test_a_reset_in_the_middle_of_the_headers_leaves_a_status_line_without_an_end(ask):
    received = ask(cut="headers")
    assert received.reset
    assert received.data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\n" not in received.data


def test_a_reset_in_the_middle_of_the_body_leaves_half_of_it(ask, whole):
    received = ask(cut="body")
    assert received.reset
    assert (received.length, received.body) == (len(whole), whole[: len(whole) // 2])


def test_a_body_can_be_shorter_than_its_length_says(ask, whole):
    received = ask(cut="length")
    assert not received.reset
    assert (received.length, received.body) == (len(whole), whole[: len(whole) // 2])


def test_a_body_without_a_length_can_be_cut_and_closed_in_good_order(ask, whole):
    received = ask(cut="end")
    assert not received.reset
    assert received.body == whole[: len(whole) // 2]
    assert b"content-length" not in received.head
    assert b"transfer-encoding" not in received.head
    assert b"\r\nconnection: close" in received.head


@pytest.mark.parametrize("cut", ["headers", "body", "length", "end"])
def test_any_reply_can_be_cut(ask, cut):
    received = ask(cut=cut, error="overloaded_new")
    assert received.data.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


def test_a_cut_reply_was_to_a_request_that_was_carried_out(emulator, connect):
    body = b'{"baseModel":"models/gemini-1.0-pro-001","tuningTask":{"trainingData":{"examples":{"examples":[{"textInput":"1","output":"2"}]}}}}'  # noqa: E501
    emulator.app.faults.add(Fault(method="tunedModels.create", cut="reply"))
    peer = connect()
    head = b"POST /v1beta/tunedModels?tunedModelId=cut HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )
    peer.sendall(head + body)
    assert receive(peer) == Received(b"", True)
    assert httpx.get(emulator.url + "/v1beta/tunedModels/cut").status_code == 200


@pytest.mark.parametrize(
    "exact",
    ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "no HTTP at all", "\x00\xff", ""],
)
def test_any_bytes_can_stand_for_a_reply(ask, exact):
    assert ask(exact=exact) == Received(exact.encode("latin-1"), False)


def test_a_slow_body_comes_in_pieces(ask):
    started = time.monotonic()
    received = ask(status=200, body="0123456789", pace=(4, 0.05), then="close")
    assert received.body == b"4\r\n0123\r\n4\r\n4567\r\n2\r\n89\r\n0\r\n\r\n"
    assert time.monotonic() - started >= 0.1


def test_a_connection_can_be_closed_after_a_reply_that_promised_to_keep_it(ask, whole):
    received = ask(then="close")
    assert not received.reset
    assert received.data.endswith(b"\r\n0\r\n\r\n")
    assert b"connection" not in received.head.lower()


def test_a_connection_can_be_reset_under_the_next_request(emulator, connect, caplog):
    emulator.app.faults.add(Fault(then="reset"))
    peer = connect()
    peer.sendall(MODELS)
    data = b""
    while not data.endswith(b"\r\n0\r\n\r\n"):
        data += peer.recv(65536)
    before = len(emulator.app.requests)
    peer.sendall(MODELS)
    assert receive(peer) == Received(b"", True)
    assert len(emulator.app.requests) == before, "the request was not taken in"
    assert httpx.get(emulator.url + "/v1beta/models").status_code == 200
    assert caplog.messages == [], "the server finds nothing wrong with it"


def test_a_dropped_connection_is_closed_without_a_byte(ask):
    assert ask(drop=True).data == b""


@pytest.mark.parametrize("cut", ["reply", "headers", "body", "length", "end"])
def test_bytes_are_cut_under_encryption_too(tmp_path, cut):
    authority = trustme.CA()
    certificate = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with running_emulator(certfile=str(certificate)) as emulator:
        emulator.app.faults.add(Fault(cut=cut))
        with httpx.Client(base_url=emulator.url, verify=context) as http:
            if cut == "end":
                assert not http.get("/v1beta/models", headers={"accept-encoding": "identity"}).text.endswith("}\n")
            else:
                with pytest.raises(httpx.TransportError):
                    http.get("/v1beta/models")
            assert http.get("/v1beta/models").status_code == 200
