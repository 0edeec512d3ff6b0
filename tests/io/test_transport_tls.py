"""Certificates and proxies of real networks."""

import asyncio
import base64
import ssl

import pytest
import trustme

from gemtune.errors import ConnectFailed, Failure, SettingsError, TLSVerificationError, TransportError
from gemtune.http.environment import find_proxy

pytestmark = [pytest.mark.socket, pytest.mark.both_backends]


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "api.example").configure_cert(context)
    return context


@pytest.fixture
def cert_file(authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


async def test_an_unknown_authority_is_fatal_and_nothing_is_sent(serve, wire_to, echo, tls):
    server = serve(echo, tls=tls)
    with pytest.raises(TLSVerificationError, match="SSL_CERT_FILE") as caught:
        await wire_to(server).send("GET", "/x", {}, None, timeout=5)
    assert caught.value.failure is Failure.FATAL
    assert caught.value.__context__ is None
    assert server.requests == []


async def test_a_certificate_for_another_host_is_fatal(serve, wire_to, echo, authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    server = serve(echo, tls=context)
    with pytest.raises(TLSVerificationError):
        await wire_to(server, ssl_context=trusting).send("GET", "/x", {}, None, timeout=5)
    assert server.requests == []


async def test_a_private_authority_named_by_ssl_cert_file_is_trusted(serve, wire_to, echo, tls, cert_file, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", cert_file)
    got = await wire_to(serve(echo, tls=tls)).send("GET", "/x", {}, None, timeout=5)
    assert got.body == b"/x"


async def test_a_context_of_the_users_is_used(serve, wire_to, echo, tls, authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    wire = wire_to(serve(echo, tls=tls), ssl_context=context)
    assert (await wire.send("GET", "/x", {}, None, timeout=5)).body == b"/x"


@pytest.mark.parametrize("with_reset", [False, True])
async def test_a_handshake_cut_off_sent_nothing(serve, wire_to, with_reset):
    async def handle(connection):
        await connection.reader.read(10)
        if with_reset:
            connection.reset()

    server = serve(handle)
    with pytest.raises(ConnectFailed) as caught:
        await wire_to(f"https://127.0.0.1:{server.port}").send("POST", "/x", {}, b"{}", timeout=5)
    assert caught.value.failure is Failure.NOT_SENT


def connect_proxy(target, *, user=None, refusal=None):
    """A handler that opens tunnels, whatever their name, to a server of the test's."""

    async def handle(connection):
        head = await connection.request()
        if refusal:
            await connection.send(b"HTTP/1.1 " + refusal + b"\r\ncontent-length: 0\r\n\r\n")
            return
        if user is not None:
            wanted = b"proxy-authorization: basic " + base64.b64encode(user).lower()
            if wanted not in head.lower():
                await connection.send(b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n")
                return
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        await connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pump(source, sink):
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        try:
            await asyncio.gather(pump(connection.reader, writer), pump(reader, connection.writer))
        finally:
            writer.close()

    return handle


async def test_https_goes_through_the_proxy_of_the_environment(serve, wire_to, echo, tls, cert_file, monkeypatch):
    server = serve(echo, tls=tls)
    proxy = serve(connect_proxy(server, user=b"me:secret"))
    monkeypatch.setenv("SSL_CERT_FILE", cert_file)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{proxy.port}")
    wire = wire_to("https://api.example")
    for _ in range(2):
        assert (await wire.send("GET", "/x", {"x-goog-api-key": "canary"}, None, timeout=5)).body == b"/x"
    assert proxy.requests[0].startswith(b"CONNECT api.example:443 HTTP/1.1")
    assert len(proxy.requests) == 1
    assert b"canary" not in proxy.requests[0]
    assert b"proxy-authorization" not in server.requests[0].lower()
    assert "secret" not in repr(wire)


@pytest.mark.parametrize(
    ("refusal", "failure"),
    [
        (b"407 Proxy Authentication Required", Failure.FATAL),
        (b"403 Forbidden", Failure.NOT_SENT),
        (b"503 Down", Failure.NOT_SENT),
    ],
)
async def test_a_proxy_that_refuses_is_named_without_its_credentials(serve, wire_to, monkeypatch, refusal, failure):
    proxy = serve(connect_proxy(None, refusal=refusal))
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{proxy.port}")
    with pytest.raises(ConnectFailed, match="proxy") as caught:
        await wire_to("https://api.example").send("GET", "/x", {}, None, timeout=5)
    assert caught.value.failure is failure
    assert caught.value.reason == "proxy"
    assert "secret" not in str(caught.value)
    assert len(proxy.requests) == 1


async def test_a_tunnel_that_breaks_while_it_is_made(serve, wire_to, monkeypatch, anyio_backend_name):
    async def handle(connection):
        await connection.request()

    proxy = serve(handle)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    with pytest.raises(TransportError) as caught:
        await wire_to("https://api.example").send("GET", "/x", {}, None, timeout=5)
    # httpx does not tell a broken tunnel from a broken exchange: on trio it counts as perhaps sent.
    sent = anyio_backend_name == "trio"
    assert caught.value.failure is (Failure.AMBIGUOUS if sent else Failure.NOT_SENT)
    assert len(proxy.requests) == 1


async def test_this_machine_is_never_reached_through_a_proxy(serve, wire_to, echo, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert (await wire_to(serve(echo)).send("GET", "/x", {}, None, timeout=5)).body == b"/x"


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"https_proxy": "p:1"}, "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com,.googleapis.com"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "elsewhere"}, "http://p:1"),
    ],
)
def test_the_proxy_is_found_as_everywhere(monkeypatch, environment, proxy):
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_proxy("https://generativelanguage.googleapis.com") == proxy


def test_a_proxy_of_an_unknown_kind_is_refused_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:secret@p:1080")
    with pytest.raises(SettingsError, match="socks5") as caught:
        find_proxy("https://api.example")
    assert "secret" not in str(caught.value)


async def test_a_wire_that_shall_not_trust_the_environment_uses_no_proxy(wire_to, serve, echo, monkeypatch):
    proxy = serve(echo)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    wire = wire_to("https://nowhere.invalid", trust_env=False, connect_timeout=0.2)
    with pytest.raises(ConnectFailed) as caught:
        await wire.send("GET", "/x", {}, None, timeout=5)
    assert caught.value.failure is Failure.NOT_SENT
    assert proxy.accepted == 0
