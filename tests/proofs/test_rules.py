"""The security rules that concern the client, each a test: names, addresses, redirects, replies, headers, misuse."""

import asyncio
import contextlib
import gzip
import json
import multiprocessing
import os
import resource
import zlib

import anyio
import anyio.to_thread
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gemtune
from gemtune import errors
from gemtune.http.wire import Wire
from proofs.never_twice import World
from world import BASE, EXAMPLES, TOKEN, make_app, make_client

KEY = "AIzaSy-of-the-tests-0123456789"
HOSTILE = [
    "../../v1/models/x", "tunedModels/..", "tunedModels/../../../admin", "tunedModels/.", "https://evil.example/x",
    "//evil.example/x", "tunedModels/x?key=1", "tunedModels/x#y", "tunedModels/x%2e%2e", "tunedModels/a/b",
    "tunedModels/x\\y", "tunedModels/x@evil.example", "tunedModels/x:delete", "tunedModels/x\r\nx-evil: 1",
    "tunedModels/x\x00", "tunedModels/\uff58", "tunedModels/x y", "tunedModels/", "", "tunedModels/" + "x" * 300,
]  # fmt: skip


def scripted(step, **options):
    """A client that always gets the same answer, and the requests that it sent."""
    sent = []

    async def answer(request):
        sent.append(request)
        made = step(request) if callable(step) else step
        if isinstance(made, Exception):
            raise made
        return made

    options = {"token": TOKEN} | options
    client = gemtune.Client(base_url="http://127.0.0.1", transport=httpx.MockTransport(answer), **options)
    return client, sent


def ok(body, **options):
    return lambda request: httpx.Response(200, json=body, **options)


TAKERS = {
    "get": lambda client, name: client.tuned_models.get(name),
    "delete": lambda client, name: client.tuned_models.delete(name),
    "patch": lambda client, name: client.tuned_models.update(name, description="x"),
    "transfer": lambda client, name: client.tuned_models.transfer_ownership(name, "a@b.c"),
    "share": lambda client, name: client.permissions.create(name, role="READER", email_address="a@b.c"),
    "permission": lambda client, name: client.permissions.delete(f"{name}/permissions/1"),
    "operation": lambda client, name: client.operations.get(f"{name}/operations/1"),
    "cancel": lambda client, name: client.operations.cancel(f"{name}/operations/1"),
    "generate": lambda client, name: client.generate_content(name, "hi"),
    "base model": lambda client, name: client.tune(name, EXAMPLES),
    "tuned model id": lambda client, name: client.tune(BASE, EXAMPLES, tuned_model_id=name.rpartition("/")[2] + "/"),
    "job": lambda client, name: client.job(name).wait(),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("name", HOSTILE)
async def test_rule_names_are_data_a_hostile_name_of_the_user_sends_nothing(taker, name):
    client, sent = scripted(ok({}))
    async with client:
        with pytest.raises(errors.InvalidInput) as caught:
            await TAKERS[taker](client, name)
    assert caught.value.field
    assert sent == []
    assert "\r" not in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30).map("tunedModels/{}".format) | st.text(max_size=40))
def test_rule_names_are_data_no_name_at_all_leaves_its_path(name):
    try:
        checked = gemtune.protocol.names.tuned_model_name(name)
    except errors.InvalidInput:
        return
    url = httpx.URL(f"https://host.example/v1beta/{checked}:generateContent")
    assert url.host == "host.example"
    assert url.raw_path == f"/v1beta/{checked}:generateContent".encode()
    assert checked.count("/") == 1


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.usefixtures("virtual_time")
async def test_rule_names_are_data_also_a_hostile_operation_name_in_a_reply(name):
    operation = {"name": f"{name}/operations/1" if name else "evil", "metadata": {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1beta.CreateTunedModelMetadata",
        "tunedModel": name}}  # fmt: skip

    def answer(request):
        if request.method == "POST":
            return httpx.Response(200, json=operation)
        if request.url.path.endswith("/operations"):
            return httpx.Response(200, json={"operations": [operation]})
        return httpx.Response(404, json={"error": {"status": "NOT_FOUND"}})

    client, sent = scripted(answer)
    async with client:
        with contextlib.suppress(errors.GemtuneError), anyio.move_on_after(600):
            await (await client.tune(BASE, EXAMPLES))
        with contextlib.suppress(errors.GemtuneError):
            await client.job("mine").cancel()
    assert {request.url.host for request in sent} == {"127.0.0.1"}
    own = [request.url.path.removeprefix("/v1beta/tunedModels").split("/") for request in sent]
    assert all(len(parts) <= 3 and not any(set("?#%@\\\r\n") & set(part) for part in parts) for parts in own)
    assert all(name not in request.url.raw_path.decode() for request in sent if len(name) > 15)


async def test_rule_page_tokens_are_query_values_and_nothing_else():
    token = "x&key=stolen#/../../admin?\r\nx-evil: 1 %00"
    client, sent = scripted(
        lambda request: httpx.Response(
            200, json={"tunedModels": [], **({} if "pageToken" in request.url.params else {"nextPageToken": token})}
        )
    )
    async with client:
        assert await client.tuned_models.list().all() == []
    assert [request.url.path for request in sent] == ["/v1beta/tunedModels"] * 2
    assert dict(sent[1].url.params) == {"pageToken": token}


async def test_rule_redirects_are_never_followed_and_name_the_host_only():
    for status in (301, 302, 303, 307, 308):
        step = httpx.Response(status, headers={"location": "https://evil.example/take?it=all"})
        client, sent = scripted(lambda _, step=step: step)
        async with client:
            for call in (client.tuned_models.get("x"), client.generate_content("models/x", "hi")):
                with pytest.raises(errors.UnexpectedRedirect, match=r"evil\.example,") as caught:
                    await call
                assert "take" not in str(caught.value)
        assert len(sent) == 2


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example/x",
        "https://evil.example/x",
        "/a/../b",
        "/./a",
        "/a b",
        "/a\r\nb",
        "@evil.example/",
        "/a#b",
        "a",
        "",
    ],
)
async def test_rule_the_origin_never_changes(target):
    async def answer(request):
        raise AssertionError(request.url)

    wire = Wire("http://127.0.0.1", transport=httpx.MockTransport(answer))
    if target.startswith("//"):  # a path that begins with two slashes stays a path
        seen = []
        wire = Wire("http://127.0.0.1", transport=httpx.MockTransport(lambda r: seen.append(r) or httpx.Response(200)))
        await wire.send("GET", target, {}, None, timeout=1)
        assert seen[0].url.host == "127.0.0.1"
    else:
        with pytest.raises(errors.InvalidInput):
            await wire.send("GET", target, {}, None, timeout=1)
    await wire.aclose()


STRANGE = [
    "http://example.com", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://10.0.0.1", "ftp:x",
    "http://169.254.169.254", "http://[::ffff:10.0.0.1]", "https://x?key=1", "https://me@x", "https://x/#y", "//x",
    "x", "https://x/../y", "https://x\r\n.y", "http://2130706433.evil", "https://",
]  # fmt: skip


@pytest.mark.parametrize("url", STRANGE)
def test_rule_a_credential_goes_to_https_or_to_this_machine_only(url):
    with pytest.raises(errors.SettingsError):
        gemtune.Client(token=TOKEN, base_url=url)
    with pytest.raises(errors.SettingsError):
        gemtune.Client(api_key=KEY, base_url=url)


@pytest.mark.parametrize(
    "url", ["https://evil.example", "https://googleapis.com.evil.example", "https://evilgoogleapis.com"]
)
def test_rule_the_environment_cannot_send_a_credential_to_a_stranger(monkeypatch, url):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", url)
    with pytest.raises(errors.SettingsError, match="base_url="):
        gemtune.Client(token=TOKEN)


async def test_rule_the_key_is_in_its_header_and_never_in_a_url():
    client, sent = scripted(ok({"models": [], "tunedModels": [], "candidates": []}), token=None, api_key=KEY)
    async with client:
        await client.models.list().all()
        await client.tuned_models.list(filter="owner:me").all()
        await client.generate_content("models/x", "hi")
    for request in sent:
        assert request.headers["x-goog-api-key"] == KEY
        assert KEY not in str(request.url)
        assert "key" not in request.url.params
        assert "authorization" not in request.headers


@pytest.mark.parametrize("bad", ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\x00b", "\x7f", "é"])
def test_rule_no_line_break_or_control_character_enters_a_header(bad):
    for wrong in (
        {"token": TOKEN, "user_agent_suffix": bad},
        {"token": TOKEN, "project": bad},
        {"api_key": KEY + bad + KEY},
        {"token": TOKEN + bad + TOKEN},
    ):
        with pytest.raises(errors.SettingsError):
            gemtune.Client(**wrong)


@pytest.mark.parametrize("token", ["a\r\nx-evil: 1", "a b", "", None, b"bytes"], ids=repr)
async def test_rule_no_line_break_enters_a_header_from_a_token_callable(token):
    client, sent = scripted(ok({}), token=lambda: token)
    async with client:
        with pytest.raises(errors.CredentialsError):
            await client.tuned_models.get("x")
    assert sent == []


DEEP = b'{"name": "tunedModels/x", "other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BODIES = {
    "deep lists": DEEP,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a huge number": b'{"name": "tunedModels/x", "topK": ' + b"9" * 5000 + b"}",
    "a huge exponent": b'{"temperature": 1e999999}',
    "NaN": b'{"topK": NaN}',
    "a lone surrogate": b'{"name": "tunedModels/\\ud800"}',
    "a number for a text": b'{"name": 5}',
    "nothing but blanks": b" " * 1000,
    "bytes": bytes(range(256)),
    "a long text": b'"' + b"x" * 10**6 + b'"',
}


@pytest.mark.parametrize("status", [200, 400, 503])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.usefixtures("virtual_time")
async def test_rule_a_hostile_body_is_an_error_of_ours_or_a_value(status, body):
    client, _ = scripted(lambda request: httpx.Response(status, content=BODIES[body]))
    async with client:
        for call in (
            lambda: client.tuned_models.get("x"),
            lambda: client.generate_content("models/x", "hi"),
            lambda: client.tuned_models.list().all(),
            lambda: anext(client.stream_generate_content("models/x", "hi")),
        ):
            error = None
            try:
                await call()
            except errors.CallError as caught:
                error = caught
            assert len(str(error)) < 4000


@pytest.mark.parametrize("depth", [50, 200, 400, 900, 1000, 5000])
@pytest.mark.usefixtures("virtual_time")
async def test_rule_deep_details_of_an_error_do_not_break_the_error(depth):
    details = b"[" * depth + b"]" * depth
    body = b'{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT", "details": [' + details + b"]}}"
    client, _ = scripted(lambda request: httpx.Response(400, content=body))
    async with client:
        with pytest.raises(errors.CallError) as caught:
            await client.tuned_models.get("x")
        assert caught.value.status == 400
        assert "400" in str(caught.value)


@pytest.mark.parametrize("depth", [50, 200, 400, 900, 1000, 5000])
@pytest.mark.usefixtures("virtual_time")
async def test_rule_deep_replies_are_values_that_can_be_used_or_errors(depth):
    body = b'{"name": "tunedModels/x", "other": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    client, _ = scripted(lambda request: httpx.Response(200, content=body))
    async with client:
        try:
            model = await client.tuned_models.get("x", retry=gemtune.RetryPolicy(attempts=1))
        except errors.MalformedResponse:
            return
        assert model.name == "tunedModels/x"
        assert model == model  # noqa: PLR0124 - it goes all the way down
        hash(model)
        repr(model)


BOMBS = {
    "gzip": gzip.compress(b" " * (256 << 20), 9),
    "gzip in gzip": gzip.compress(gzip.compress(b" " * (64 << 20), 9), 9),
    "claims gzip": b" " * 100,
    "zlib": zlib.compress(b" " * 100),
    "cut gzip": gzip.compress(b"{}" * 1000)[:-20],
    "two members": gzip.compress(b"{}") + gzip.compress(b"{}"),
}


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("bomb", BOMBS)
async def test_rule_decompression_is_bounded(status, bomb):
    class Bombing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            headers = {"content-encoding": "gzip", "content-type": "application/json"}
            return httpx.Response(status, headers=headers, stream=httpx.ByteStream(BOMBS[bomb]))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    once = gemtune.RetryPolicy(attempts=1)
    async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=Bombing(), retry=once) as client:
        for call in (
            lambda: client.tuned_models.get("x"),
            lambda: anext(client.stream_generate_content("models/x", "hi")),
        ):
            with pytest.raises(errors.CallError):
                await call()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < (64 + 16) * 1024 * 2.5, f"{grown} KiB"


SAID = "\x1b[31mred\x1b[0m\x07 \x00 \u202egnp.exe \u2066x\u2069 \x9b31m \r\nSecond line \u2028third"


@pytest.mark.parametrize("status", [400, 403, 404, 409, 429, 500, 503])
@pytest.mark.usefixtures("virtual_time")
async def test_rule_what_the_server_says_is_untrusted_text(status):
    step = {"error": {"code": status, "message": SAID + "x" * 10_000, "status": "SOME\x1b[31m", "details": [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": SAID},
        {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": SAID}]}}  # fmt: skip
    client, _ = scripted(lambda request: httpx.Response(status, json=step))
    async with client:
        with pytest.raises(errors.CallError) as caught:
            await client.tuned_models.get("x")
    error = caught.value
    for text in (str(error), str(error.reason), str(error.request_id), json.dumps(error.details, ensure_ascii=False)):
        assert not any(char in text for char in "\x1b\x07\x00\x9b\u202e\u2066\r")
    assert len(str(error)) < 4000


@pytest.mark.usefixtures("virtual_time")
async def test_rule_what_a_failed_job_says_is_untrusted_text():
    app = make_app(queue_seconds=0)
    app.faults.add({"method": "tunedModels.create", "job": {"fail_at_step": 1, "message": SAID}})
    async with make_client(app) as client:
        job = await client.tune(BASE, EXAMPLES)
        with pytest.raises(errors.TuningFailed) as caught:
            await job
    assert not any(char in str(caught.value) for char in "\x1b\x07\x00\x9b\u202e\u2066\r")


async def test_misuse_a_client_of_another_event_loop_says_so():
    async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=World().way) as client:
        await client.models.list().all()

        def elsewhere():
            async def use():
                for call in (client.models.get("x"), anext(client.stream_generate_content("models/x", "hi"))):
                    with pytest.raises(errors.MisuseError, match="event loop"):
                        await call

            asyncio.run(use())

        await anyio.to_thread.run_sync(elsewhere)
        assert await client.models.list().all()


def after_the_fork(client, queue):
    async def use():
        try:
            await client.models.get("x")
        except errors.MisuseError as error:
            queue.put(str(error))

    asyncio.run(use())
    os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python warns of forks beside threads
async def test_misuse_a_client_used_after_a_fork_says_so():
    client, _ = scripted(ok({"models": []}))
    async with client:
        await client.models.list().all()
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()
        child = context.Process(target=after_the_fork, args=(client, queue))
        child.start()
        said = await anyio.to_thread.run_sync(queue.get)
        await anyio.to_thread.run_sync(child.join)
        assert "fork" in said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("used", [False, True])
async def test_misuse_a_client_used_in_the_fork_of_a_running_loop_says_so(used):
    client, _ = scripted(ok({"models": []}))
    async with client:
        if used:
            await client.models.list().all()
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                await client.models.get("x")
            except BaseException as error:  # noqa: BLE001 - the child has nobody to raise it to
                os.write(writing, f"{type(error).__name__}: {error}".encode())
            finally:
                os._exit(0)
        os.close(writing)
        said = await anyio.to_thread.run_sync(os.read, reading, 1000)
        await anyio.to_thread.run_sync(os.waitpid, child, 0)
        os.close(reading)
        assert said.startswith(b"MisuseError: no event loop is running in this process")
        assert b"fork" in said


@pytest.mark.parametrize("begun", [False, True])
async def test_misuse_a_closed_client_says_so_in_every_method(begun):
    client, sent = scripted(ok({"models": [], "name": "tunedModels/x"}))
    if begun:
        await client.models.list().all()
    stream, pager, job = client.stream_generate_content("models/x", "hi"), client.models.list(), client.job("x")
    await client.aclose()
    await client.aclose()
    before = len(sent)
    for call in (
        lambda: client.models.get("x"),
        lambda: client.generate_content("models/x", "hi"),
        lambda: client.tune(BASE, EXAMPLES),
        lambda: anext(stream),
        pager.all,
        job.refresh,
        job.wait,
        job.cancel,
    ):
        with pytest.raises(errors.MisuseError, match="closed"):
            await call()
    with pytest.raises(errors.MisuseError, match="closed"):
        async for _event in job.events():
            pass
    with pytest.raises(errors.MisuseError, match="closed"):
        await job
    assert len(sent) == before
