"""Calls through the client: retries, deadlines, budgets, and what each failure becomes; in virtual time."""

import json
import logging

import anyio
import httpx
import pytest

import gemtune
from gemtune import errors
from gemtune.emulator import Fault
from gemtune.http.auth.grant import Ready
from world import BASE, EXAMPLES, TOKEN, make_app, make_client, sent

pytestmark = pytest.mark.usefixtures("virtual_time")

REPLY = {"candidates": [{"content": {"parts": [{"text": "LXIV"}], "role": "model"}, "finishReason": "STOP"}]}
UNAVAILABLE = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}


class Script:
    """A transport that plays replies and exceptions in order, repeating the last one, and keeps the requests."""

    def __init__(self, *steps, seconds=0.0):
        self.steps = list(steps)
        self.requests = []
        self.seconds = seconds

    async def __call__(self, request):
        self.requests.append(request)
        await anyio.sleep(self.seconds)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.Response):
            return step
        status, body, *headers = step
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, content=content, headers=headers[0] if headers else {})


def scripted(script, **options):
    options = {"token": TOKEN} | options
    return gemtune.Client(base_url="http://127.0.0.1", transport=httpx.MockTransport(script), **options)


@pytest.mark.both_backends
async def test_a_read_is_repeated_until_it_succeeds(virtual_time):
    script = Script((503, UNAVAILABLE), (502, b"<html>"), httpx.ReadError("reset"), (200, {"name": "tunedModels/x"}))
    async with scripted(script) as client:
        assert (await client.tuned_models.get("x")).name == "tunedModels/x"
    assert len(script.requests) == 4
    assert 0 < virtual_time() < 1 + 2 + 4


async def test_a_huge_error_body_keeps_its_status_also_before_a_stream():
    page = b"<html>" + b"x" * 300_000
    async with scripted(Script((403, page))) as client:
        with pytest.raises(errors.PermissionDenied) as whole:
            await client.generate_content("gemini-x", "hi")
        with pytest.raises(errors.PermissionDenied) as streamed:
            await anext(client.stream_generate_content("gemini-x", "hi"))
    assert len(str(whole.value)) < 2000
    assert len(str(streamed.value)) < 2000


async def test_a_read_that_keeps_failing_gives_up_after_five_attempts_and_says_so():
    script = Script((503, UNAVAILABLE))
    async with scripted(script) as client:
        with pytest.raises(errors.Unavailable, match=r"overloaded.*\(5 attempts\)") as caught:
            await client.tuned_models.get("x")
    assert caught.value.attempts == len(script.requests) == 5


async def test_a_server_that_asks_to_wait_is_obeyed_to_the_second(virtual_time):
    hinted = {"error": {"code": 429, "message": "Please retry in 38s.", "status": "RESOURCE_EXHAUSTED"}}
    script = Script((429, hinted), (200, REPLY))
    async with scripted(script) as client:
        assert (await client.generate_content("gemini-3.7-flash", "LXIII")).text == "LXIV"
    assert 38 <= virtual_time() <= 43


async def test_a_server_that_asks_to_wait_too_long_is_not_waited_for(virtual_time):
    hinted = {"error": {"code": 429, "message": "Please retry in 61s.", "status": "RESOURCE_EXHAUSTED"}}
    script = Script((429, hinted))
    async with scripted(script) as client:
        with pytest.raises(errors.QuotaExhausted) as caught:
            await client.generate_content("gemini-3.7-flash", "LXIII")
    assert caught.value.retry_after == 61
    assert len(script.requests) == 1
    assert virtual_time() == 0


async def test_a_daily_quota_fails_at_once():
    body = {"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED", "details": [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure",
         "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}  # fmt: skip
    script = Script((429, body))
    async with scripted(script) as client:
        with pytest.raises(errors.QuotaExhausted) as caught:
            await client.generate_content("gemini-3.7-flash", "LXIII")
    assert caught.value.scope == "day"
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("step", "requests"),
    [
        (httpx.ConnectError("refused"), 5),
        ((503, UNAVAILABLE), 5),
        (httpx.ReadError("reset"), 3),
        ((504, b""), 3),
        ((200, b'{"candidates": ['), 2),
        ((200, b"<html>login</html>", {"content-type": "text/html"}), 2),
        ((400, {"error": {"status": "INVALID_ARGUMENT"}}), 1),
    ],
)
async def test_generating_is_repeated_at_most_twice_where_it_may_have_been_billed(step, requests):
    script = Script(step)
    async with scripted(script) as client:
        with pytest.raises(errors.CallError) as caught:
            await client.generate_content("gemini-3.7-flash", "LXIII")
    assert len(script.requests) == caught.value.attempts == requests


async def test_a_plain_prompt_sends_nothing_but_the_prompt():
    script = Script((200, REPLY))
    async with scripted(script) as client:
        await client.generate_content("gemini-3.7-flash", "LXIII")
    assert json.loads(script.requests[0].content) == {"contents": [{"parts": [{"text": "LXIII"}], "role": "user"}]}


async def test_a_whole_request_is_sent_as_it_is():
    script = Script((200, REPLY))
    request = gemtune.types.GenerateContentRequest(contents="LXIII", service_tier="flex", extra={"later": 1})
    async with scripted(script) as client:
        await client.generate_content("gemini-3.7-flash", request)
        sent_body = json.loads(script.requests[0].content)
        assert (sent_body["serviceTier"], sent_body["later"]) == ("flex", 1)
        with pytest.raises(errors.InvalidInput, match="whole GenerateContentRequest"):
            await client.generate_content("gemini-3.7-flash", request, cached_content="cachedContents/x")


WRITES = {
    "update": lambda client: client.tuned_models.update("x", description="new"),
    "delete": lambda client: client.tuned_models.delete("x"),
    "transfer": lambda client: client.tuned_models.transfer_ownership("x", "a@b.c"),
    "share": lambda client: client.permissions.create("x", role="READER", email_address="a@b.c"),
    "reshare": lambda client: client.permissions.update("tunedModels/x/permissions/1", role="WRITER"),
    "unshare": lambda client: client.permissions.delete("tunedModels/x/permissions/1"),
    "cancel": lambda client: client.operations.cancel("tunedModels/x/operations/1"),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    "step", [httpx.ReadError("reset"), (502, b"<html>"), (500, {"error": {"status": "INTERNAL"}}), (200, b"")]
)
async def test_a_write_whose_fate_is_unknown_is_left_to_the_caller(write, step):
    script = Script(step)
    async with scripted(script) as client:
        with pytest.raises(errors.AmbiguousOutcome, match="may have been carried out") as caught:
            await WRITES[write](client)
    assert str(caught.value).count("tunedModels.") == 1
    assert len(script.requests) == 1


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_that_surely_did_not_happen_is_repeated(write):
    script = Script(httpx.ConnectError("refused"), (503, UNAVAILABLE), (200, {}))
    async with scripted(script) as client:
        await WRITES[write](client)
    assert len(script.requests) == 3


async def test_every_method_takes_its_own_policy_and_timeout(virtual_time):
    script = Script((503, UNAVAILABLE))
    async with scripted(script, retry=gemtune.RetryPolicy(attempts=3)) as client:
        with pytest.raises(errors.Unavailable):
            await client.tuned_models.get("x", retry=gemtune.RetryPolicy(attempts=1))
        assert len(script.requests) == 1
        with pytest.raises(errors.Unavailable):
            await client.tuned_models.get("x")
        assert len(script.requests) == 4
        with pytest.raises(errors.InvalidInput, match="timeout"):
            await client.tuned_models.get("x", timeout=-1)
        assert len(script.requests) == 4


async def test_a_timeout_bounds_the_whole_call_with_all_its_attempts(virtual_time):
    script = Script((503, UNAVAILABLE), seconds=4)
    async with scripted(script) as client:
        with pytest.raises(errors.CallError):
            await client.tuned_models.get("x", timeout=10)
    assert virtual_time() <= 10.05
    slow = Script((200, {}), seconds=100)
    async with scripted(slow) as client:
        before = virtual_time()
        with pytest.raises(errors.DeadlineExceeded) as caught:
            await client.tuned_models.get("x", timeout=7)
        assert isinstance(caught.value, TimeoutError)
        assert virtual_time() - before == pytest.approx(7, abs=0.1)


async def test_a_connection_cut_short_by_the_callers_own_time_is_a_time_out():
    class Slow:
        async def __call__(self, request):
            await anyio.sleep(0.51)
            raise httpx.ConnectTimeout("slow")

    async with scripted(Slow()) as client:
        with pytest.raises(errors.DeadlineExceeded, match="before a connection was made") as caught:
            await client.tuned_models.get("x", timeout=0.5)
        assert caught.value.failure is errors.Failure.NOT_SENT
        with pytest.raises(errors.ConnectFailed):
            await client.tuned_models.get("x", timeout=50, retry=gemtune.RetryPolicy(attempts=1))


async def test_when_everything_fails_the_budget_ends_the_retries():
    script = Script((503, UNAVAILABLE))
    async with scripted(script) as client:
        for _ in range(100):
            with pytest.raises(errors.Unavailable):
                await client.tuned_models.get("x")
        assert len(script.requests) == 100 + 500 // 14
        script.steps = [(200, {})]
        for _ in range(20):
            await client.tuned_models.get("x")
        assert client.statistics().retry_budget == 500 % 14 + 20


async def test_a_cancelled_call_is_never_repeated():
    script = Script((200, {}), seconds=100)
    async with scripted(script) as client:
        with anyio.move_on_after(1):
            await client.tuned_models.get("x")
        await anyio.sleep(1000)
        assert len(script.requests) == 1
        script.steps = [(503, UNAVAILABLE)]
        with anyio.move_on_after(100.3):
            await client.tuned_models.get("x")
        sent_by_then = len(script.requests)
        await anyio.sleep(1000)
        assert len(script.requests) == sent_by_then


class Renewable:
    kind, source = "token callable", ""
    """A credential with a second token in reserve."""

    def __init__(self):
        self.generation = 1

    def ready(self):
        return Ready(self.generation, (("authorization", f"Bearer ya29.token-number-{self.generation}"),))

    async def renew(self, generation):
        if self.generation == 2:
            return False
        self.generation = 2
        return generation == 1


async def test_a_refused_token_is_renewed_once_and_the_call_replayed_uncounted():
    refused = (401, {"error": {"status": "UNAUTHENTICATED"}})
    script = Script(refused, (200, {"name": "tunedModels/x"}))
    async with scripted(script) as client:
        client._caller.credentials = Renewable()
        assert (await client.tuned_models.get("x", retry=gemtune.RetryPolicy(attempts=1))).name == "tunedModels/x"
    tokens = [request.headers["authorization"] for request in script.requests]
    assert tokens == ["Bearer ya29.token-number-1", "Bearer ya29.token-number-2"]
    script = Script(refused)
    async with scripted(script) as client:
        client._caller.credentials = Renewable()
        with pytest.raises(errors.Unauthenticated):
            await client.tuned_models.get("x")
    assert len(script.requests) == 2


async def test_a_redirect_is_refused_and_the_credential_stays():
    script = Script((307, b"", {"location": "https://evil.example/steal"}))
    async with scripted(script) as client:
        with pytest.raises(errors.UnexpectedRedirect, match="evil.example"):
            await client.tuned_models.get("x")
    assert len(script.requests) == 1


async def test_a_reply_of_the_wrong_type_names_its_path_and_not_its_content():
    body = {"name": "tunedModels/x", "tuningTask": {"snapshots": [{"step": "secret words"}]}}
    script = Script((200, body))
    async with scripted(script) as client:
        with pytest.raises(errors.MalformedResponse, match=r"snapshots\[0\]\.step") as caught:
            await client.tuned_models.get("x")
    assert "secret words" not in str(caught.value)


async def test_no_secret_is_in_any_message_log_or_representation(caplog):
    caplog.set_level(logging.DEBUG)
    echo = {"error": {"code": 400, "message": f"bad token {TOKEN}", "status": "INVALID_ARGUMENT"}}
    script = Script((503, UNAVAILABLE), (400, echo))
    async with scripted(script) as client:
        with pytest.raises(errors.BadRequest) as caught:
            await client.tuned_models.get("x")
        shown = [repr(client), str(client.settings), repr(client.settings), repr(client._caller), caplog.text]
    assert TOKEN not in " ".join([*shown, str(caught.value), repr(caught.value.__dict__)])
    assert "attempt 1 failed" in caplog.text


async def test_a_closed_client_says_so():
    client = scripted(Script((200, {})))
    await client.tuned_models.get("x")
    await client.aclose()
    await client.aclose()
    with pytest.raises(errors.MisuseError, match="closed"):
        await client.tuned_models.get("x")


BAD_INPUT = [
    lambda client: client.tuned_models.get("tunedModels/../models/x"),
    lambda client: client.generate_content("models/x?key=1", "hi"),
    lambda client: client.generate_content("gemini-3.7-flash", []),
    lambda client: client.generate_content("gemini-3.7-flash", 5),
    lambda client: client.tuned_models.update("x"),
    lambda client: client.tuned_models.update("x", display_name="x" * 41),
    lambda client: client.tuned_models.update("x", temperature=1.5),
    lambda client: client.tuned_models.update("x", top_k=0),
    lambda client: client.tuned_models.list(page_size=0).all(),
    lambda client: client.tuned_models.transfer_ownership("x", "nobody"),
    lambda client: client.permissions.create("x", role="READER"),
    lambda client: client.permissions.create("x", role="KING", email_address="a@b.c"),
    lambda client: client.permissions.create("x", role="READER", email_address="a@b", grantee_type="EVERYONE"),
    lambda client: client.operations.get("tunedModels/x"),
    lambda client: client.tune(BASE, []),
    lambda client: client.tune(BASE, EXAMPLES, tuned_model_id="Not Allowed"),
    lambda client: client.tune(BASE, EXAMPLES, if_exists="adopt"),
    lambda client: client.tune(BASE, EXAMPLES, temperature=2),
    lambda client: client.tune(BASE, [("1", "x" * 5001)]),
    lambda client: client.tune(BASE, "/no/such/file.csv"),
    lambda client: client.tune(BASE, "nul\0.csv"),
    lambda client: client.tune(BASE, EXAMPLES, display_name=5),
    lambda client: client.tune(BASE, EXAMPLES, description=5),
    lambda client: client.tune(BASE, EXAMPLES, hyperparameters={"epoch_count": 5}),
    lambda client: client.tune(BASE, EXAMPLES, display_name="half \ud800"),
    lambda client: client.tune(BASE, {"text_input": 1, "output": 2}),
    lambda client: client.generate_content("gemini-3.7-flash", "half \ud800"),
    lambda client: client.generate_content("gemini-3.7-flash", "hi", system_instruction="half \ud800"),
    lambda client: client.generate_content("gemini-3.7-flash", "hi", retry=3),
    lambda client: client.generate_content("gemini-3.7-flash", "hi", timeout=10**400),
    lambda client: client.tuned_models.list(filter="half \ud800").all(),
    lambda client: client.permissions.create("x", role=None, email_address="a@b.c"),
    lambda client: client.permissions.create("x", role="READER", email_address="a@b.c", grantee_type=5),
]


@pytest.mark.parametrize("call", BAD_INPUT, ids=range(len(BAD_INPUT)))
async def test_bad_input_is_refused_before_anything_is_sent(call):
    script = Script((200, {}))
    async with scripted(script) as client:
        with pytest.raises(errors.InvalidInput) as caught:
            await call(client)
    assert caught.value.field
    assert script.requests == []


@pytest.mark.parametrize(
    "options", [{"retry": 3}, {"timeouts": 5}, {"watch": 1}, {"ssl_context": 5}, {"project": 5.5}], ids=str
)
def test_a_client_refuses_an_option_of_another_type(options):
    with pytest.raises(errors.SettingsError, match=next(iter(options))):
        scripted(Script((200, {})), **options)


async def test_many_examples_are_checked_and_written_off_the_event_loop():
    app = make_app()
    async with make_client(app) as client:
        job = await client.tune(BASE, [(str(number), str(number + 1)) for number in range(5000)])
        assert job.progress.total_steps == 5000 * 5 // 4


async def test_pages_are_fetched_as_they_are_wanted_and_the_token_goes_back():
    app = make_app()
    async with make_client(app) as client:
        for number in range(5):
            await client.tune(BASE, EXAMPLES[:1], tuned_model_id=f"m{number}")
        before = len(sent(app, "tunedModels.list"))
        pager = client.tuned_models.list(page_size=2)
        assert len(sent(app, "tunedModels.list")) == before
        assert len([model async for model in pager]) == 5
        assert len(sent(app, "tunedModels.list")) == before + 3
        sizes = [len(page) async for page in pager.pages()]
        assert sizes == [2, 2, 1]
        pages = pager.pages()
        first = await anext(pages)
        rest = [model.name async for page in pager.pages(first.next_page_token) for model in page]
        assert len({model.name for model in first} | set(rest)) == 5


async def test_a_list_without_an_end_is_ended():
    script = Script((200, {"tunedModels": [{"name": "tunedModels/a"}], "nextPageToken": "again"}))
    async with scripted(script) as client:
        with pytest.raises(errors.MalformedResponse, match="does not end"):
            await client.tuned_models.list().all()
    assert len(script.requests) == 2


async def test_sharing_changing_and_deleting_a_model():
    app = make_app()
    async with make_client(app) as client:
        await client.tune(BASE, EXAMPLES, tuned_model_id="mine", description="old")
        changed = await client.tuned_models.update("mine", description="new", temperature=0.2)
        assert (changed.description, changed.temperature) == ("new", 0.2)
        assert sent(app, "tunedModels.patch")[0].query == [("updateMask", "description,temperature")]
        permissions = client.tuned_models.permissions
        reader = await permissions.create("mine", role="READER", email_address="ada@example.com")
        assert (await permissions.get(reader.name)).email_address == "ada@example.com"
        assert (await permissions.update(reader.name, role="WRITER")).role == "WRITER"
        assert [item.role async for item in permissions.list("mine")] == ["OWNER", "WRITER"]
        await permissions.delete(reader.name)
        everyone = await permissions.create("mine", role="READER", grantee_type="EVERYONE")
        assert everyone.email_address == ""
        await client.tuned_models.transfer_ownership("mine", "eve@example.com")
        with pytest.raises(errors.PermissionDenied):
            await client.tuned_models.delete("mine")


async def test_what_cannot_be_counted_names_the_model_on_which_it_can():
    app = make_app()
    async with make_client(app) as client:
        await client.tune(BASE, EXAMPLES, tuned_model_id="mine")
        with pytest.raises(errors.NotSupported, match=BASE):
            await client.count_tokens("tunedModels/mine", "hi")
        assert (await client.count_tokens(BASE, "hello there")).total_tokens > 0
        assert sent(app, "models.countTokens")


async def test_a_base_that_cannot_be_tuned_is_told_with_those_that_can():
    app = make_app()
    async with make_client(app) as client:
        with pytest.raises(errors.TuningUnavailable, match="gemini-1.0-pro-001"):
            await client.tune("gemini-3.7-flash", EXAMPLES)
    app = make_app(models=[model for model in make_app().store.base_models.values() if "3.7" in model.name])
    async with make_client(app) as client:
        with pytest.raises(errors.TuningUnavailable, match="Vertex AI"):
            await client.tune("gemini-3.7-flash", EXAMPLES)


@pytest.mark.parametrize("given", [None, "mine"])
@pytest.mark.parametrize("losses", [1, 2, 5])
async def test_a_creation_whose_answer_is_lost_creates_one_model(given, losses):
    app = make_app()
    async with make_client(app) as client:
        app.faults.add(Fault(method="tunedModels.create", status=502, act=True, times=losses))
        job = await client.tune(BASE, EXAMPLES, tuned_model_id=given, display_name="number generator")
        models = await client.tuned_models.list().all()
        assert [model.name for model in models] == [job.name]
        assert (await job).state == "ACTIVE"
        ids = {dict(entry.query)["tunedModelId"] for entry in sent(app, "tunedModels.create")}
        assert len(ids) == 1


async def test_an_id_that_is_taken_is_an_error_or_adopted_as_wished():
    app = make_app()
    async with make_client(app) as client:
        first = await client.tune(BASE, EXAMPLES, tuned_model_id="mine")
        with pytest.raises(errors.AlreadyExists, match="adopt"):
            await client.tune(BASE, EXAMPLES, tuned_model_id="mine")
        again = await client.tune(BASE, EXAMPLES, tuned_model_id="mine", if_exists="adopt")
        assert again.name == first.name
        await again
        with pytest.raises(errors.AlreadyExists, match="another base"):
            await client.tune("gemini-1.5-flash-001-tuning", EXAMPLES, tuned_model_id="mine", if_exists="adopt")
        assert len(sent(app, "tunedModels.create")) == 1
