"""A batch from the outside: what goes in, what comes out, and when; in virtual time."""

import anyio
import httpx
import pytest

import gemtune
from batch.service import MODEL, Service, collect, envelope, into, quota, run
from gemtune import errors
from gemtune.batch import Limiter
from gemtune.types import Content, GenerateContentRequest, GenerationConfig, Part

pytestmark = pytest.mark.usefixtures("virtual_time")


@pytest.mark.both_backends
async def test_every_input_has_one_result_and_a_failure_is_one_of_them():
    service = Service()
    service.steps["p3"].append(envelope(400, "INVALID_ARGUMENT", "too hot"))
    async with service.client() as client:
        results = await run(client, [f"p{n}" for n in range(10)])
    assert sorted(result.index for result in results) == list(range(10))
    by_index = {result.index: result for result in results}
    failed = by_index.pop(3)
    assert isinstance(failed.error, errors.BadRequest)
    assert "too hot" in str(failed.error)
    assert failed.response is None
    assert failed.attempts == 1
    assert {n: result.text for n, result in by_index.items()} == {n: f"re: p{n}" for n in by_index}
    assert {result.usage.total_token_count for result in by_index.values()} == {8}
    with pytest.raises(errors.BadRequest):
        failed.text  # noqa: B018


@pytest.mark.both_backends
async def test_results_come_as_they_are_completed_or_in_the_order_of_the_input():
    service = Service()
    service.seconds |= {f"p{n}": 10.0 - n for n in range(8)}
    prompts = [f"p{n}" for n in range(8)]
    async with service.client() as client:
        completed = await run(client, prompts, concurrency=8)
        ordered = await run(client, prompts, concurrency=8, order="input")
    assert [result.index for result in completed] == list(range(7, -1, -1))
    assert [result.index for result in ordered] == list(range(8))


async def test_restoring_the_order_holds_back_a_bounded_number_of_results():
    service = Service(0.1)
    service.seconds["p0"] = 500.0
    rows = (f"p{n}" for n in range(500))
    async with service.client() as client, client.batch(MODEL, rows, concurrency=8, order="input") as results:
        first = await anext(results)
        begun = service.asked.total()
        rest = await collect(results)
    assert begun == 4 * 8
    assert [first.index, *[result.index for result in rest]] == list(range(500))


async def test_rows_are_pulled_only_as_permits_free_up():
    service, pulled = Service(), []

    def rows():
        for n in range(100):
            pulled.append(n)
            yield f"p{n}"

    async with service.client() as client:
        batch = client.batch(MODEL, rows(), concurrency=4)
        await anyio.sleep(10)
        assert pulled == []
        assert service.asked.total() == 0
        async with batch as results:
            await anyio.sleep(0.5)
            assert len(pulled) == 4 + 1
            await anext(results)
            assert len(pulled) <= 8 + 1
            await collect(results)
    assert service.peak == 4
    assert pulled == list(range(100))


async def test_a_consumer_that_takes_its_time_stops_the_reading():
    service, pulled = Service(0.01), []

    def endless():
        while True:
            pulled.append(len(pulled))
            yield f"p{len(pulled)}"

    async with service.client() as client, client.batch(MODEL, endless(), concurrency=4) as results:
        await anyio.sleep(100)
        assert len(pulled) == 16
        assert results.statistics().waiting == 16
        assert results.statistics().limit == "waiting for the consumer"
        for _ in range(10):
            await anext(results)
        await anyio.sleep(100)
        assert len(pulled) == 26


@pytest.mark.both_backends
async def test_an_async_generator_is_read_by_one_task_and_closed_when_the_block_is_left():
    service, closed = Service(), []

    async def endless():
        n = 0
        try:
            with anyio.CancelScope():  # bears to be resumed by the task that entered it only
                while True:
                    await anyio.sleep(0.1)
                    yield f"k{n}", f"p{n}"
                    n += 1
        finally:
            closed.append(n)

    async with service.client() as client, client.batch(MODEL, endless(), concurrency=4) as results:
        async for result in results:
            assert result.text == f"re: p{result.key[1:]}"
            if result.index == 20:
                break
    assert len(closed) == 1
    assert service.in_flight == 0


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_an_input_that_breaks_ends_the_run_after_what_is_in_flight(kind):
    service = Service()

    def rows():
        yield from ("p0", "p1", "p2")
        raise ValueError("line 4 is not UTF-8")

    async def async_rows():
        for row in rows():
            yield row

    found = []
    inputs = rows() if kind == "sync" else async_rows()
    async with service.client() as client, client.batch(MODEL, inputs) as results:
        with pytest.raises(ValueError, match="line 4"):
            await into(found, results)
    assert sorted(result.index for result in found) == [0, 1, 2]


async def test_a_generator_that_breaks_while_it_is_closed_is_told():
    async def rows():
        try:
            yield "p0"
            yield "p1"
        finally:
            raise OSError("cannot close")

    async with Service().client() as client, client.batch(MODEL, rows(), concurrency=1) as results:
        with pytest.raises(OSError, match="cannot close"):
            await collect(results)


async def test_rows_of_every_form_are_asked():
    service = Service()
    config = GenerationConfig(temperature=0.5)
    rows = [
        "text",
        Part(text="part"),
        Content(parts=["content"], role="user"),
        ["list, ", Part(text="of two")],
        GenerateContentRequest(contents="request", generation_config=config, model="gemini-3.7-flash"),
        {"contents": [{"parts": [{"text": "json"}]}], "generation_config": {"temperature": 0.25}},
        {"contents": "short json", "generationConfig": {"temperature": 0.25}},
        ("my key", "keyed"),
        ("other key", {"contents": "keyed json"}),
    ]
    shared = {"generation_config": GenerationConfig(top_k=7), "system_instruction": "be brief"}
    async with service.client() as client:
        results = await client.generate_many(MODEL, rows, **shared)
    assert [result.error for result in results] == [None] * len(rows)
    assert [result.key for result in results] == [*range(7), "my key", "other key"]
    assert results[3].text == "re: of two"
    sent = {body["contents"][-1]["parts"][-1]["text"]: body for body in service.bodies}
    configs = [body.get("generationConfig") for body in sent.values()]
    assert configs.count({"topK": 7}) == 6
    assert sent["request"]["generationConfig"] == {"temperature": 0.5}
    assert sent["json"]["generationConfig"] == sent["short json"]["generationConfig"] == {"temperature": 0.25}
    assert {body["systemInstruction"]["parts"][0]["text"] for body in service.bodies} == {"be brief"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("", "row 2: the prompt is empty"),
        (7, "row 2: a prompt must be a str"),
        (b"bytes", "row 2: a prompt must be a str"),
        ((True, "x"), "row 2: a key is a str or an integer, not bool: write str(key)"),
        ((1.0, "x"), "row 2: a key is a str or an integer, not float"),
        ((None, "x"), "row 2: a key is a str or an integer, not NoneType"),
        ({"a", "b"}, "row 2: the parts of a prompt are a list, as a set has no order"),
        (("k", frozenset("ab")), "row 2, key 'k': the parts of a prompt are a list"),
        (("a", "b", "c"), "row 2: a tuple is a row"),
        (("k", None), "row 2, key 'k': a prompt must be a str"),
        (
            {"prompt": "x"},
            "row 2: the request has no contents, only 'prompt': a row is a prompt, a request, (key, prom",
        ),
        ({"key": "a", "prompt": "x"}, "row 2: the request has no contents, only 'key', 'prompt': a row is a prompt, "),
        ({"key": "a", "request": "x", "x": 1}, "row 2: the request has no contents, only 'key', 'request', 'x': a "),
        (("k", {"key": "a", "request": "x"}), "row 2, key 'k': the request has no contents, only 'key', 'request': "),
        ({"key": 1.5, "request": "x"}, "row 2: a key is a str or an integer, not float"),
        ({"key": "k", "request": {"contents": []}}, "row 2, key 'k': the request has no contents"),
        ({"contents": [{"parts": 7}]}, "row 2: this is not a GenerateContentRequest"),
        ({"contents": "x", "model": "models/other"}, "row 2: the request is for models/other"),
    ],
)
async def test_a_row_that_is_no_prompt_fails_alone_with_its_number_and_is_not_sent(row, message):
    service = Service()
    async with service.client() as client:
        results = await client.generate_many(MODEL, ["p0", row, "p2"])
    assert [result.ok for result in results] == [True, False, True]
    assert isinstance(results[1].error, errors.InvalidInput)
    assert str(results[1].error).startswith(message)
    assert results[1].error.row == 2
    assert results[1].attempts == 0
    assert service.asked.total() == 2


async def test_a_dict_of_prompts_is_rows_with_keys():
    async with Service().client() as client:
        results = await client.generate_many(MODEL, {"a": "x", "b": "y"})
    assert [(result.key, result.text) for result in results] == [("a", "re: x"), ("b", "re: y")]


@pytest.mark.both_backends
async def test_an_outage_of_a_minute_fails_no_item(virtual_time):
    service = Service()
    down: list[int] = []

    def maybe():
        if 10 <= virtual_time() < 70:
            down.append(1)
            return [envelope(503, "UNAVAILABLE"), httpx.ConnectError("refused"), httpx.ReadError("reset")][
                len(down) % 3
            ]
        return None

    service.always = maybe
    parked, found = 0, []
    rows = (f"p{n}" for n in range(2000))
    async with service.client() as client, client.batch(MODEL, rows, concurrency=50) as results:
        async for result in results:
            found.append(result)
            parked = max(parked, results.statistics().parked)
    assert len(found) == 2000
    assert [result.error for result in found if not result.ok] == []
    assert len(down) <= 200
    assert parked > 0
    assert sum(result.attempts for result in found) == service.asked.total()
    assert virtual_time() <= 40 + 60 + 30


async def test_a_quota_per_minute_is_waited_for_by_all_together(virtual_time):
    service, rejected = Service(0.1), []

    def throttled():
        if virtual_time() < 30:
            rejected.append(virtual_time())
            return quota("GenerateRequestsPerMinutePerProjectPerModel", "600", f"{30 - virtual_time():.0f}s")
        return None

    service.always = throttled
    async with service.client() as client:
        results = await run(client, [f"p{n}" for n in range(200)])
    assert all(result.ok for result in results)
    assert len(rejected) <= 50
    assert virtual_time() >= 30


DOOMS = {
    "a bad credential": (lambda: envelope(401, "UNAUTHENTICATED"), errors.Unauthenticated),
    "no access": (lambda: envelope(403, "PERMISSION_DENIED", "no access to tunedModels/x"), errors.PermissionDenied),
    "no model": (lambda: envelope(404, "NOT_FOUND", "Tuned model does not exist"), errors.NotFound),
    "no quota": (lambda: quota("RequestsPerMinute", "0"), errors.QuotaExhausted),
    "a quota per day": (lambda: quota("GenerateRequestsPerDayPerProjectPerModel"), errors.QuotaExhausted),
}


@pytest.mark.parametrize("doom", DOOMS)
async def test_what_dooms_all_items_stops_the_run_at_once_and_says_how_to_go_on(doom, virtual_time):
    reply, cause = DOOMS[doom]
    service = Service()
    rows = (f"p{n}" for n in range(10_000))
    async with service.client() as client, client.batch(MODEL, rows, concurrency=20) as results:
        for _ in range(40):
            await anext(results)
        service.always = reply
        with pytest.raises(errors.BatchStopped, match=r"40 answered, 0 failed; .*(journal=|in full|api_key)") as caught:
            await collect(results)
        with pytest.raises(StopAsyncIteration):
            await anext(results)
    assert isinstance(caught.value.__cause__, cause)
    assert service.asked.total() <= 40 + 2 * 20
    assert virtual_time() <= 4


async def test_what_was_in_flight_when_the_run_was_doomed_is_still_yielded():
    service = Service()
    service.seconds["slow"] = 30.0
    service.seconds["bad"] = 5.0
    service.steps["bad"].append(envelope(401, "UNAUTHENTICATED"))
    found = []
    async with service.client() as client, client.batch(MODEL, ["slow", "bad", *["p"] * 50], concurrency=2) as results:
        with pytest.raises(errors.BatchStopped):
            await into(found, results)
    assert found == [result for result in found if result.ok]
    assert found[-1].text == "re: slow"


async def test_on_error_raise_raises_the_first_failure_and_names_its_item():
    service = Service()
    service.steps["p2"].append(envelope(400, "INVALID_ARGUMENT"))
    async with (
        service.client() as client,
        client.batch(MODEL, {f"k{n}": f"p{n}" for n in range(9)}, on_error="raise") as r,
    ):
        with pytest.raises(errors.BadRequest) as caught:
            await collect(r)
    assert "key 'k2'" in caught.value.__notes__[0]


@pytest.mark.both_backends
async def test_drain_begins_nothing_more_and_yields_what_is_in_flight(virtual_time):
    service = Service(5.0)
    async with service.client() as client, client.batch(MODEL, map(str, range(1000)), concurrency=7) as results:
        await anext(results)
        results.drain()
        stats, since = results.statistics(), virtual_time()
        begun = stats.done + stats.in_flight
        rest = await collect(results)
    assert service.asked.total() == 1 + len(rest) == begun <= 2 * 7
    assert virtual_time() - since <= 5.0


@pytest.mark.both_backends
async def test_drain_may_come_before_anything_has_begun():
    service = Service()
    async with service.client() as client, client.batch(MODEL, ["a"] * 9) as results:
        results.drain()
        assert await collect(results) == []
    assert service.asked.total() == 0


async def test_drain_gives_up_what_is_parked():
    service = Service(0.1)
    service.always = lambda: httpx.ConnectError("refused")
    async with service.client() as client, client.batch(MODEL, map(str, range(1000)), concurrency=7) as results:
        await anyio.sleep(30)
        assert results.statistics().parked >= 6
        results.drain()
        assert await collect(results) == []
    assert results.limiter.statistics().in_flight == 0


async def test_drain_ends_when_the_last_one_in_flight_has_failed_for_now_although_others_are_parked(virtual_time):
    service = Service(3.0)
    service.always = lambda: httpx.ConnectError("refused")
    async with service.client() as client, client.batch(MODEL, map(str, range(1000)), concurrency=7) as results:
        await anyio.sleep(60)
        for _ in range(1000):
            if results.statistics().in_flight:
                break
            await anyio.sleep(0.1)
        assert results.statistics().in_flight == 1
        assert results.statistics().parked >= 6
        results.drain()
        since = virtual_time()
        assert await collect(results) == []
        assert virtual_time() - since <= 3.0


@pytest.mark.both_backends
async def test_leaving_the_block_early_gives_up_what_is_in_flight_at_once(virtual_time):
    service = Service(60.0)
    service.seconds["0"] = 1.0
    async with service.client() as client:
        async with client.batch(MODEL, map(str, range(1000)), concurrency=7) as results:
            async for result in results:
                assert result.key == 0
                break
        assert virtual_time() == 1.0
        assert service.in_flight == 0
        assert results.limiter.statistics().in_flight == results.limiter.statistics().waiting == 0


async def test_an_error_in_the_block_passes_as_it_is():
    async def reading(client):
        async with client.batch(MODEL, ["a", "b"]) as results:
            async for _ in results:
                raise KeyError("mine")

    async with Service().client() as client:
        with pytest.raises(KeyError, match="mine"):
            await reading(client)


async def test_an_item_has_its_own_deadline_with_all_attempts_and_waits(virtual_time):
    service = Service()
    service.seconds["slow"] = 50.0
    service.steps["crowded"].extend([quota("RequestsPerMinute", "600", "45s")] * 5)
    async with service.client() as client:
        results = await client.generate_many(MODEL, ["slow", "fast"], item_timeout=20.0)
        assert [result.ok for result in results] == [False, True]
        assert isinstance(results[0].error, errors.DeadlineExceeded)
        assert virtual_time() <= 20.5
        (late,) = await client.generate_many(MODEL, ["crowded"], item_timeout=20.0)
    assert isinstance(late.error, errors.DeadlineExceeded)
    assert "quota" in str(late.error)
    assert late.seconds == pytest.approx(20.0)


async def test_a_run_has_a_deadline_too_and_says_how_far_it_came(virtual_time):
    service = Service()
    async with service.client() as client, client.batch(MODEL, map(str, range(1000)), concurrency=10, timeout=5.5) as r:
        found = []
        with pytest.raises(errors.DeadlineExceeded, match=r"not done within 5.5 s; 50 answered, 0 failed"):
            await into(found, r)
    assert len(found) == 50
    assert virtual_time() == pytest.approx(5.5)


async def test_statistics_tell_how_far_it_is_how_fast_and_what_holds_it_back():
    service = Service()
    service.steps["7"].append(envelope(400, "INVALID_ARGUMENT"))
    async with (
        service.client() as client,
        client.batch(MODEL, [str(n) for n in range(1000)], concurrency=10) as results,
    ):
        for _ in range(100):
            await anext(results)
        await anyio.sleep(0.5)
        stats = results.statistics()
        assert (stats.done, stats.failed, stats.total) == (99, 1, 1000)
        assert stats.rate == pytest.approx(10, rel=0.2)
        assert stats.eta == pytest.approx(90, rel=0.2)
        assert stats.in_flight == 10
        assert stats.prompt_tokens == 3 * 99
        assert stats.output_tokens == 5 * 99
        assert stats.limit.startswith("10 requests are in flight")
        assert "99 done, 1 failed, 10 in flight" in repr(results)


async def test_two_batches_share_a_limiter_that_is_retuned_while_they_run():
    service, limiter = Service(), Limiter(concurrency=6)
    peaks = []
    async with service.client() as client, anyio.create_task_group() as tasks:

        async def one(name):
            async with client.batch(MODEL, [f"{name}{n}" for n in range(60)], limiter=limiter) as results:
                assert len(await collect(results)) == 60

        tasks.start_soon(one, "a")
        tasks.start_soon(one, "b")
        await anyio.sleep(5.5)
        peaks.append(service.peak)
        assert abs(sum(k.startswith("a") for k in service.asked) - sum(k.startswith("b") for k in service.asked)) <= 6
        limiter.limit = 20
        await anyio.sleep(3)
        peaks.append(service.peak)
    assert peaks == [6, 20]


async def test_a_batch_runs_once_and_in_a_block_only():
    async with Service().client() as client:
        batch = client.batch(MODEL, ["a"])
        with pytest.raises(errors.MisuseError, match="async with"):
            await anext(batch)
        with pytest.raises(errors.MisuseError, match="async with"):
            batch.drain()
        async with batch:
            pass
        with pytest.raises(errors.MisuseError, match="runs once"):
            async with batch:
                pass


@pytest.mark.parametrize(
    "wrong",
    [
        {"order": "random"},
        {"on_error": "ignore"},
        {"durability": "maybe"},
        {"timeout": 0},
        {"item_timeout": "5"},
        {"concurrency": 0},
        {"concurrency": 5000},
        {"rpm": -1},
        {"limiter": Limiter(), "rpm": 5},
        {"generation_config": GenerationConfig(temperature="hot")},
    ],
)
async def test_wrong_arguments_are_refused_before_anything_begins(wrong):
    async with Service().client() as client:
        with pytest.raises(errors.InvalidInput):
            client.batch(MODEL, ["a"], **wrong)


@pytest.mark.parametrize("inputs", ["one prompt", 7, None])
async def test_an_input_that_is_no_list_is_refused(inputs):
    async with Service().client() as client:
        with pytest.raises(errors.InvalidInput, match="iterable"):
            client.batch(MODEL, inputs)


async def test_no_credential_stops_the_run_with_the_advice_of_the_credential():
    def token():
        raise errors.CredentialsError("run: gcloud auth login")

    async with Service().client(api_key=None, token=token) as client:
        with pytest.raises(errors.BatchStopped, match="gcloud auth login"):
            await run(client, ["a"] * 100)


async def test_a_closed_client_is_misuse():
    client = Service().client()
    await client.aclose()
    with pytest.raises(errors.MisuseError, match="closed"):
        await run(client, ["a"])


async def test_a_tuned_model_is_asked_by_its_own_name():
    service = Service()
    async with service.client() as client:
        job = client.job("tunedModels/mine")
        async with client.batch(job, ["a"]) as results:
            assert results.model == "tunedModels/mine"
            assert len(await collect(results)) == 1
    assert isinstance(gemtune.Client, type)


async def test_a_batch_shares_the_limiter_of_its_client_and_asks_it_once_for_each_request():
    service, limiter = Service(), Limiter(concurrency=3)
    async with service.client(limiter=limiter) as client, anyio.create_task_group() as tasks:
        for n in range(4):
            tasks.start_soon(client.generate_content, MODEL, f"single {n}")
        assert len(await run(client, map(str, range(20)))) == 20
        assert service.peak == 3
    assert limiter.statistics().accepted == 24 == service.asked.total()
