"""Security rule: no secret is in any log, message, representation, attribute, pickle or traceback.

The canaries stand in this module's globals only: one in a frame's local variables was put there by gemtune.
"""

import contextlib
import gc
import json
import logging
import pickle
import traceback
from datetime import UTC, datetime, timedelta

import anyio
import google.auth.exceptions
import google.oauth2.credentials
import httpx
import pytest
from google.oauth2 import service_account

import gemtune
from gemtune import errors
from gemtune.http.auth.google import GoogleSource
from gemtune.http.auth.grant import Ready
from gemtune.http.wire import Wire
from proofs.faulty import FAULTS, HANG
from proofs.leaks import found_in

KEY = "AIzaCANARY-of-an-API-key-0123456789"
TOKEN = "ya29.CANARY-of-an-access-token-0123456789"
REFRESH = "1//CANARY-of-a-refresh-token"
SECRET = "GOCSPX-CANARY-of-a-client-secret"
PASSWORD = "CANARY-of-a-proxy-password"
CANARIES = (KEY, TOKEN, REFRESH, SECRET, PASSWORD)
ECHO = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": f"bad {KEY} {TOKEN}", "details": [
    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": f"BAD {TOKEN}", "metadata": {KEY: TOKEN}},
    {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": f"{KEY}{TOKEN}"}]}}  # fmt: skip
ENDS = {
    **{fault.name: fault.end for fault in FAULTS},
    "400 that echoes": lambda: httpx.Response(400, json=ECHO),
    "404 in HTML that echoes": lambda: httpx.Response(404, text=f"<p>{KEY} {TOKEN}</p>"),
    "401": lambda: httpx.Response(401, json={"error": {"code": 401, "status": "UNAUTHENTICATED"}}),
    "redirect": lambda: httpx.Response(307, headers={"location": f"https://evil.example/{KEY}?t={TOKEN}"}),
    "redirect to a host that echoes": lambda: httpx.Response(307, headers={"location": f"https://{KEY}.{TOKEN}/"}),
    "200 of a wrong type": lambda: httpx.Response(200, json={"name": {}, "models": 1, "candidates": 1, "metadata": 1}),
    "unknown encoding": lambda: httpx.Response(200, headers={"content-encoding": "br"}, stream=httpx.ByteStream(b"x")),
    "a bug": lambda: RuntimeError("a bug in a transport of the user's"),
    "an exception group": lambda: ExceptionGroup("several", [OSError("x")]),
}
CALLS = {
    "get": lambda client: client.tuned_models.get("x"),
    "patch": lambda client: client.tuned_models.update("x", description="new"),
    "tune": lambda client: client.tune("models/x", [("1", "2")]),
    "generate": lambda client: client.generate_content("gemini-3.7-flash", "hi"),
    "stream": lambda client: anext(client.stream_generate_content("gemini-3.7-flash", "hi")),
    "list": lambda client: client.models.list().all(),
    "batch": lambda client: client.batches.create("models/x", ["hi"]),
    "results": lambda client: anext(client.batches.results("x")),
    "upload": lambda client: client.files.upload(b"content"),
    "download": lambda client: client.files.download("x"),
}
CREDENTIALS = {"api_key": lambda: {"api_key": KEY}, "token": lambda: {"token": TOKEN}}


def shown_by(error, secrets=CANARIES):
    """Where an exception shows secrets; in a function, because the locals of the test's frame are looked at, too."""
    return [place for secret in secrets for place in found_in(secret, error)]


def playing(end):
    async def play(request):
        made = end()
        if made is HANG:
            await anyio.sleep_forever()
        if isinstance(made, Exception):
            raise made
        return made

    return httpx.MockTransport(play)


async def failing(end, call, credential):
    """Make a call that fails; the exception is all that comes back, the client is closed."""
    async with gemtune.Client(
        base_url="http://127.0.0.1", transport=playing(ENDS[end]), **CREDENTIALS[credential]()
    ) as client:
        try:
            await CALLS[call](client)
        except Exception as error:  # noqa: BLE001 - bugs of transports, too
            return error, [repr(client), str(client.settings), repr(client.settings), repr(client._caller)]
    return None, []


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("end", ENDS)
async def test_no_secret_is_in_what_a_failed_call_leaves(end, call, credential, caplog):
    caplog.set_level(1)
    error, shown = await failing(end, call, credential)
    if call == "download" and end.startswith("200 ") and "HTML" not in end and error is None:
        return  # the content of a file may be anything
    assert error is not None
    secret = {"api_key": KEY, "token": TOKEN}[credential]
    assert shown_by(error, [secret]) == []
    assert secret not in caplog.text
    assert secret not in " ".join(shown)
    if isinstance(error, errors.GemtuneError):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))


@pytest.mark.parametrize("cut", ["cancelled", "timeout"])
@pytest.mark.parametrize("credential", CREDENTIALS)
async def test_no_secret_is_in_the_traceback_of_a_cancellation(virtual_time, cut, credential):
    error = None
    with anyio.move_on_after(1), contextlib.suppress(errors.DeadlineExceeded):
        async with gemtune.Client(
            base_url="http://127.0.0.1", transport=playing(lambda: HANG), **CREDENTIALS[credential]()
        ) as client:
            try:
                await client.tuned_models.get("x", timeout=0.5 if cut == "timeout" else 100)
            except BaseException as caught:
                error = caught
                raise
    assert error is not None
    assert shown_by(error) == []


WRONG = {
    "plain http": lambda: gemtune.Client(api_key=KEY, base_url="http://example.com"),
    "plain http, token": lambda: gemtune.Client(token=TOKEN, base_url="http://example.com"),
    "two credentials": lambda: gemtune.Client(api_key=KEY, token=TOKEN),
    "a key with a line break": lambda: gemtune.Client(api_key=KEY + "\r\nx-evil: 1"),
    "a token with a line break": lambda: gemtune.Client(token=TOKEN + "\r\nx-evil: 1"),
    "a token with a space": lambda: gemtune.Client(token=TOKEN + " and more"),
    "a token as bytes": lambda: gemtune.Client(token=TOKEN.encode()),
    "a key in the address": lambda: gemtune.Client(api_key=KEY, base_url=f"https://example.com/?key={KEY}"),
    "a password in the address": lambda: gemtune.Client(api_key=KEY, base_url=f"https://me:{PASSWORD}@example.com"),
    "a bad project": lambda: gemtune.Client(token=TOKEN, project="x\r\nx-evil: 1"),
    "a bad suffix": lambda: gemtune.Client(token=TOKEN, user_agent_suffix="x\r\nx-evil: 1"),
    "bad time-outs": lambda: gemtune.Client(token=TOKEN, timeouts=gemtune.Timeouts(call=-1)),
    "token in place of credentials": lambda: gemtune.Client(credentials=TOKEN),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("environment", [False, True], ids=["", "key in the environment"])
def test_no_secret_is_in_the_refusal_of_a_setting(wrong, environment, monkeypatch):
    if environment:
        monkeypatch.setenv("GOOGLE_API_KEY", KEY)
        monkeypatch.setenv("GEMINI_API_KEY", KEY + "2")
    with pytest.raises(errors.SettingsError) as caught:
        WRONG[wrong]()
    assert shown_by(caught.value) == []


TOKENS = {
    "raises": lambda: int("x"),
    "bad characters": lambda: f"{TOKEN}\nx",
    "expired": lambda: (TOKEN, datetime.now(UTC) - timedelta(1)),
    "no datetime": lambda: (TOKEN, "tomorrow"),
    "a list": lambda: [TOKEN],
}


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("answer", TOKENS)
async def test_no_secret_is_in_the_failure_of_a_token_callable(kind, answer):
    async def later():
        return TOKENS[answer]()

    token = TOKENS[answer] if kind == "plain" else later
    async with gemtune.Client(base_url="http://127.0.0.1", token=token) as client:
        with pytest.raises(errors.CredentialsError) as caught:
            await client.tuned_models.get("x")
        assert shown_by(caught.value) == []


@pytest.fixture(scope="module")
def private_key():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return type("Key", (), {"value": pem.decode()})


def user_credentials():
    return google.oauth2.credentials.Credentials(
        None, refresh_token=REFRESH, client_id="id", client_secret=SECRET, token_uri="https://127.0.0.1:9/token"
    )


async def test_no_secret_of_a_user_s_credentials_is_in_the_failure_of_their_refresh(monkeypatch, caplog):
    monkeypatch.setattr("gemtune.http.auth.google.PAUSES", (0.0,))
    caplog.set_level(1)
    async with gemtune.Client(base_url="http://127.0.0.1", credentials=user_credentials()) as client:
        with pytest.raises(errors.CredentialsError) as caught:
            await client.tuned_models.get("x")
        shown = repr(client) + repr(client._caller) + str(client.settings) + caplog.text
    assert shown_by(caught.value) == []
    assert REFRESH not in shown
    assert SECRET not in shown


async def test_no_part_of_a_service_account_s_key_is_in_the_failure_of_its_refresh(monkeypatch, caplog, private_key):
    monkeypatch.setattr("gemtune.http.auth.google.PAUSES", (0.0,))
    caplog.set_level(1)
    facts = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": private_key.value,
             "token_uri": "https://127.0.0.1:9/token", "project_id": "p"}  # fmt: skip
    credentials = service_account.Credentials.from_service_account_info(facts)
    del facts
    async with gemtune.Client(base_url="http://127.0.0.1", credentials=credentials) as client:
        with pytest.raises(errors.CredentialsError) as caught:
            await client.tuned_models.get("x")
        shown = repr(client) + repr(client._caller) + caplog.text
    found = shown_by(caught.value, private_key.value.splitlines()[1:-1])
    assert found == []
    assert not any(line in shown for line in private_key.value.splitlines())
    assert "assertion" not in "".join(traceback.format_exception(caught.value))


def test_a_token_endpoint_s_answer_is_not_repeated(monkeypatch):
    """google-auth puts the endpoint's whole answer into its error; ours keeps its first words and drops the error."""
    source = GoogleSource(credentials=user_credentials())

    def refused(self, request):
        raise google.auth.exceptions.RefreshError("invalid_grant: Bad Request", {"token": TOKEN})

    monkeypatch.setattr(google.oauth2.credentials.Credentials, "refresh", refused)
    with pytest.raises(errors.CredentialsError, match="invalid_grant") as caught:
        source.fetch(False)
    assert shown_by(caught.value) == []


@pytest.mark.parametrize("proxy", ["http://me:{}@127.0.0.1:9", "socks5://me:{}@127.0.0.1:9", "me:{}@127.0.0.1:9"])
async def test_no_proxy_password_is_in_a_failed_call(monkeypatch, proxy, caplog):
    caplog.set_level(1)
    monkeypatch.setenv("HTTPS_PROXY", proxy.format(PASSWORD))
    once = gemtune.RetryPolicy(attempts=1)
    async with gemtune.Client(base_url="https://example.com", token=TOKEN, retry=once) as client:
        with pytest.raises(errors.GemtuneError) as caught:
            await client.tuned_models.get("x")
        shown = repr(client) + repr(client._caller) + repr(client._caller.wire) + caplog.text
    assert shown_by(caught.value) == []
    assert PASSWORD not in shown
    assert TOKEN not in shown


HOLDERS = {
    "Client": lambda: gemtune.Client(api_key=KEY),
    "Client with a token": lambda: gemtune.Client(token=TOKEN),
    "Settings": lambda: gemtune.Client(api_key=KEY).settings,
    "Ready": lambda: Ready(1, (("authorization", f"Bearer {TOKEN}"),)),
    "Caller": lambda: gemtune.Client(token=TOKEN)._caller,
    "Wire": lambda: Wire("https://example.com"),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_what_holds_a_secret_neither_shows_nor_pickles_it(name):
    holder = HOLDERS[name]()
    for text in (repr(holder), str(holder), f"{holder}", repr(vars(holder)) if hasattr(holder, "__dict__") else ""):
        assert not any(canary in text for canary in CANARIES)
    try:
        data = pickle.dumps(holder)
    except TypeError:
        return
    assert not any(canary.encode() in data for canary in CANARIES)


@pytest.mark.usefixtures("virtual_time")
async def test_a_secret_is_found_where_it_is(caplog):
    """The oracle can fail: a careless function is found out by its local variables."""
    careless = {"__name__": "gemtune.careless"}
    exec("def fail(token):\n    headers = {'authorization': token}\n    raise ValueError('x')", careless)
    with pytest.raises(ValueError, match="x") as caught:
        careless["fail"](TOKEN)
    assert len(found_in(TOKEN, caught.value)) >= 3
    assert found_in(TOKEN, ValueError(TOKEN))
    logging.getLogger("gemtune").warning(TOKEN)
    assert TOKEN in caplog.text
    assert json.dumps(ECHO).count(TOKEN) == 4
    gc.collect()
