"""What real machines have in their environment: stale certificates, odd proxies, few files, clients left open."""

import asyncio
import gc
import os
import resource
import subprocess
import sys
import textwrap
import warnings

import httpx
import pytest
import trustme

import gemtune
from gemtune.errors import ConnectFailed, MisuseError, SettingsError
from gemtune.http.engines import failures
from gemtune.http.environment import find_proxy, make_ssl_context

AUTHORITY = trustme.CA()
PEM = AUTHORITY.cert_pem.bytes()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize(
    ("content", "file", "folder"),
    [
        (None, "does not exist", "does not exist"),
        ({}, "is a directory: name it in SSL_CERT_DIR", "holds no certificate"),
        ({"readme": b"no"}, "is a directory", "holds no certificate"),
        (b"", "is empty", "is a file: name it in SSL_CERT_FILE"),
        (b"0\x82\x03\x01", "not in PEM format: convert it with: openssl x509 -inform der", "is a file"),
        (b"hello", "not in PEM format", "is a file"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no certificate", "is a file"),
    ],
)
def test_a_variable_of_certificates_that_leads_nowhere_is_named(monkeypatch, tmp_path, variable, content, file, folder):
    path = tmp_path / "certificates"
    if isinstance(content, dict):
        path.mkdir()
        for name, data in content.items():
            (path / name).write_bytes(data)
    elif content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(SettingsError) as caught:
        make_ssl_context(trust_env=True)
    assert f"{variable} names {str(path)!r}, which {''}" in str(caught.value)
    assert (file if variable == "SSL_CERT_FILE" else folder) in str(caught.value)
    assert "or unset the variable" in str(caught.value)
    make_ssl_context(trust_env=False)


def test_certificates_in_a_file_and_in_a_directory_of_any_names_are_trusted(monkeypatch, tmp_path):
    def known():
        return [found["serialNumber"] for found in make_ssl_context(trust_env=True).get_ca_certs()]

    before = len(known())
    (tmp_path / "ours.crt").write_bytes(PEM)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert len(known()) > 0
    monkeypatch.delenv("SSL_CERT_DIR")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ours.crt"))
    assert len(known()) > 0
    assert before > 0


async def test_a_call_ends_with_the_error_of_the_variable(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/cacert.pem")
    async with gemtune.Client(api_key="k" * 20, base_url="https://127.0.0.1:9") as client:
        with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
            await client.generate_content("gemini-x", "hi")


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("http://me:pa#ss@proxy:3128", "write them as %2F %3F %23 %40"),
        ("http://me:pa/ss@proxy:3128", "write them as %2F"),
        ("http://me:pa?ss@proxy:3128", "write them as %2F"),
        ("http://me:pa@ss@proxy:3128", "write them as %2F"),
        ("me:pa#ss@proxy:3128", "write them as %2F"),
        ("socks5://me:pass@proxy:1080", "socks5 proxies are not supported"),
        ("http://me:pass@:3128", "no address of a proxy"),
        ("http://me:pass@proxy:port", "no address of a proxy"),
        ("http://me:pass@proxy:99999", "no address of a proxy"),
        ("http://", "no address of a proxy"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_used_is_named_with_its_variable(monkeypatch, variable, proxy, said):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(SettingsError, match=said) as caught:
        find_proxy("https://api.example")
    assert str(caught.value).startswith(f"{variable} is '")
    assert not any(part in str(caught.value) for part in ("me:", ":pa", "ss@"))


async def test_a_proxy_whose_name_cannot_be_resolved_is_named_and_not_the_service(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.invalid:3128")
    once = gemtune.RetryPolicy(attempts=1)
    async with gemtune.Client(api_key="k" * 20, base_url="https://api.example", retry=once) as client:
        with pytest.raises(ConnectFailed, match=r"the proxy proxy.invalid:3128 .* HTTPS_PROXY") as caught:
            await client.models.get("x")
    assert caught.value.reason == "proxy"
    assert "secret" not in str(caught.value)


async def test_few_files_are_named_with_their_limit(monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    once = gemtune.RetryPolicy(attempts=1)
    async with gemtune.Client(api_key="k" * 20, base_url="http://127.0.0.1:9", retry=once) as client:
        with pytest.raises(ConnectFailed, match="refuses"):
            await client.models.get("x")
        taken = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        try:
            while len(taken) < 100:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:  # EMFILE
            pass
        try:
            with pytest.raises(
                ConnectFailed, match="ulimit -n, is 64.; lower concurrency, or raise the limit"
            ) as caught:
                await client.models.get("x")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for number in taken:
                os.close(number)
    assert caught.value.reason == "files"


def test_a_full_pool_is_named_with_its_setting():
    error = failures.translate(httpx.PoolTimeout(""), "api.example", 5)
    assert "raise max_connections" in str(error)


async def test_waiting_for_one_of_too_few_connections_is_named(serve, reply):
    release, arrived = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def handle(connection):
        while await connection.request() is not None:
            loop.call_soon_threadsafe(arrived.set)
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(release.wait(), loop))
            await connection.send(reply(b'{"name": "models/x"}'))

    server = serve(handle)
    once = gemtune.RetryPolicy(attempts=1)
    async with gemtune.Client(api_key="k" * 20, base_url=server.origin, max_connections=1, retry=once) as client:
        first = asyncio.create_task(client.models.get("x"))
        await arrived.wait()
        with pytest.raises(gemtune.errors.CallError, match="all that this client may open.*max_connections"):
            await client.models.get("x", timeout=0.2)
        release.set()
        await first


async def test_connections_that_died_idle_count_as_no_attempt_and_are_left_together(serve, reply):
    """A server that restarts closes all it had: a call that meets one is sent again on a new one."""
    begun, all_in = [], asyncio.Event()
    loop = asyncio.get_running_loop()

    async def handle(connection):
        await connection.request()
        begun.append(connection)
        early = len(begun) <= 5
        if early:
            if len(begun) == 5:
                loop.call_soon_threadsafe(all_in.set)
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(all_in.wait(), loop))
        await connection.send(reply(b'{"name": "models/x"}'))
        await connection.request()  # then it goes, with a request on its way
        if not early:
            await connection.send(reply(b'{"name": "models/x"}'))
        connection.reset()

    server = serve(handle)
    once = gemtune.RetryPolicy(attempts=1)
    async with gemtune.Client(api_key="k" * 20, base_url=server.origin, retry=once) as client:
        await asyncio.gather(*(client.models.get("x") for _ in range(5)))
        assert server.accepted == 5
        assert (await client.models.get("x")).name == "models/x"
        assert server.accepted == 6  # and none of the other four was tried


LEFT = """
import asyncio, sys, gemtune
BODY = b'{"name": "models/x"}'
async def handler(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%b" % (len(BODY), BODY))
async def main():
    global kept
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    client = gemtune.Client(api_key="k" * 20, base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await client.models.get("x")
    if sys.argv[1] == "global":
        kept = client
    if sys.argv[1] == "circle":
        circle = [client]
        circle.append(circle)
    server.close()
asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["local", "global", "circle"])
def test_a_client_left_open_says_so_in_our_words_and_nobody_else_complains(how, tmp_path):
    (tmp_path / "left.py").write_text(textwrap.dedent(LEFT))
    command = [sys.executable, "-W", "always::ResourceWarning", "left.py", how]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in done.stderr.splitlines() if "Warning" in line or "nclosed" in line]
    ours = [
        line for line in said if "gemtune Client was never closed" in line and "async with gemtune.Client()" in line
    ]
    assert len(ours) == 1, done.stderr
    assert not [line for line in said if "aiohttp" in line or "Unclosed" in line], done.stderr
    assert done.returncode == 0
    quiet = subprocess.run([sys.executable, *command[3:]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert quiet.stderr == ""


def test_a_client_is_closed_in_whatever_loop_and_used_in_its_own_only(serve, answering, reply):
    server = serve(answering(reply(b'{"name": "models/x"}')))
    client = gemtune.Client(api_key="k" * 20, base_url=server.origin)

    async def ask():
        return (await client.models.get("x")).name

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert asyncio.run(ask()) == "models/x"
        with pytest.raises(MisuseError, match=r"another event loop.*aclose\(\) closes this one in any loop"):
            asyncio.run(ask())
        asyncio.run(client.aclose())
        asyncio.run(client.aclose())
        with pytest.raises(MisuseError, match="closed"):
            asyncio.run(ask())
        assert client.statistics().connections == 0
        gc.collect()


HOSTS = [
    ("http://gateway.corp:4000", ["gateway.corp"], True),
    ("http://gateway.corp:4000", ["gateway.corp:4000"], True),
    ("http://gateway.corp:4000", "GATEWAY.corp", True),
    ("http://gateway.corp:4000", ["gateway.corp:4001"], False),
    ("http://gateway.corp:4000", ["corp", "other.corp"], False),
    ("http://10.0.0.5:4000/v1", ["10.0.0.5"], True),
    ("http://10.0.0.5", [], False),
    ("http://gateway.corp.evil.com", ["gateway.corp"], False),
]


@pytest.mark.parametrize(("url", "hosts", "taken"), HOSTS)
@pytest.mark.parametrize("by", ["argument", "variable"])
async def test_plain_http_goes_to_hosts_that_are_trusted(monkeypatch, url, hosts, taken, by):
    given = {"base_url": url} if by == "argument" else {}
    if by == "variable":
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", url)
    seen = []

    def app(request):
        seen.append(str(request.url))
        return httpx.Response(200, json={"name": "models/x"})

    def make():
        return gemtune.Client(api_key="k" * 20, transport=httpx.MockTransport(app), trusted_hosts=hosts, **given)

    if not taken:
        with pytest.raises(SettingsError, match="trusted_hosts"):
            make()
        return
    async with make() as client:
        await client.models.get("x")
        assert "trusted_hosts" in str(client.settings)
    assert seen[0].startswith(url)


def test_a_name_without_a_dot_is_of_ones_own_network_if_the_program_says_it(monkeypatch, caplog):
    gemtune.Client(api_key="k" * 20, base_url="http://llm-gateway:4000")
    assert "plain http" in caplog.text
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://llm-gateway:4000")
    with pytest.raises(SettingsError, match="trusted_hosts='llm-gateway'"):
        gemtune.Client(api_key="k" * 20)


@pytest.mark.parametrize("hosts", [[""], ["http://x"], ["*"], [5], 5, ["a b"]])
def test_what_is_no_host_is_refused(hosts):
    with pytest.raises(SettingsError, match="trusted_hosts"):
        gemtune.Client(api_key="k" * 20, trusted_hosts=hosts)


async def test_headers_of_ones_own_go_along_and_are_not_shown():
    seen = []

    def app(request):
        seen.append(request.headers)
        return httpx.Response(400, json={"error": {"message": "no: gateway-secret-1"}})

    own = {"X-Team": "search", "Authorization": "Bearer gateway-secret-1"}
    async with gemtune.Client(api_key="k" * 20, transport=httpx.MockTransport(app), headers=own) as client:
        with pytest.raises(gemtune.errors.BadRequest) as caught:
            await client.models.get("x")
        assert "gateway-secret" not in repr(client._caller)
    assert (seen[0]["x-team"], seen[0]["authorization"]) == ("search", "Bearer gateway-secret-1")
    assert seen[0]["x-goog-api-key"] == "k" * 20
    assert seen[0]["user-agent"].startswith("gemtune/")
    assert "gateway-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [{"x-goog-api-key": "k"}, {"User-Agent": "me"}, {"content-type": "x"}, {"Host": "x"}, {"a b": "x"},
     {"x": "a\r\nb: c"}, {"x": 5}, {"x": b"y"}, {5: "x"}, {"x": "1", "X": "2"}, [("x", "y")], "x: y",
     {"x": "ü"}, {"x": " y"}],
)  # fmt: skip
def test_no_header_takes_the_place_of_ours_or_breaks_the_request(headers):
    with pytest.raises(SettingsError, match="headers"):
        gemtune.Client(api_key="k" * 20, headers=headers)


def test_with_a_token_the_authorization_is_ours():
    with pytest.raises(SettingsError, match="Authorization is set by the client"):
        gemtune.Client(token="t", headers={"Authorization": "x"})


@pytest.mark.parametrize("by", ["argument", "variable"])
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ('"AIzaCanary"', "quotation mark"),
        ("'AIzaCanary'", "quotation mark"),
        ("\u201cAIzaCanary\u201d", "quotation mark"),
        ("AIza\nCanary", "line break"),
        ("AIza Canary", "space"),
        ("Bearer AIzaCanary", "Bearer"),
        ("AIzaCanary\u200b", "characters"),
        (b"AIzaCanary", "bytes"),
    ],
)
def test_a_key_that_was_copied_badly_is_refused_in_words(monkeypatch, key, said, by):
    if by == "variable" and isinstance(key, bytes):
        pytest.skip("variables are strings")
    if by == "variable":
        monkeypatch.setenv("GOOGLE_API_KEY", key)
    with pytest.raises(SettingsError, match=said) as caught:
        gemtune.Client(**({"api_key": key} if by == "argument" else {}))
    assert ("api_key" if by == "argument" else "GOOGLE_API_KEY") in str(caught.value)
    assert "Canary" not in str(caught.value)


@pytest.mark.parametrize("token", [b"ya29.canary", "ya29.\ncanary", '"ya29.canary"', "Bearer ya29.canary", ""])
def test_a_token_that_cannot_be_one_is_refused_in_words(token):
    with pytest.raises(SettingsError, match="^token") as caught:
        gemtune.Client(token=token)
    assert "canary" not in str(caught.value)


def test_what_surrounds_a_key_or_token_does_not_matter_and_a_project_may_be_a_number():
    assert gemtune.Client(api_key=" AIza \r\n").settings.api_key == "AIza"
    gemtune.Client(token="ya29\n")
    assert gemtune.Client(token="t", project=123456789012).settings.project == "123456789012"
