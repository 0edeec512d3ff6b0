"""What a batch is given, and what it says of itself: limiters, wrong values, credentials that stumble, progress."""

import anyio
import pytest

import gemtune
from batch.service import MODEL, Service, collect, envelope, into, run
from gemtune import errors
from gemtune.batch import Limiter
from gemtune.batch.options import BatchOptions

pytestmark = pytest.mark.usefixtures("virtual_time")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"limiter": "x"}, "limiter"),
        ({"policy": {}}, "BatchPolicy"),
        ({"journal": 5}, "journal"),
        ({"journal": ""}, "journal"),
        ({"retry_failed": "no"}, "retry_failed"),
        ({"rpd": 1.5}, "rpd"),
        ({"rpd": True}, "rpd"),
        ({"rpd": 0}, "rpd"),
        ({"temperature": 0.2}, r"no argument temperature; .* generation_config=GenerationConfig\(temperature=\.\.\.\)"),
        ({"top_k": 2, "jurnal": "x"}, r"no arguments top_k and jurnal; .*GenerationConfig\(top_k=\.\.\.\)"),
        ({"jurnal": "x"}, "no argument jurnal: it takes concurrency, .* journal,"),
        ({"generation_config": {"temperature": 0.2}}, r"generation_config .*GenerationConfig.*not.*dict"),
        ({"limiter": Limiter(), "rpm": 5}, "rpm, not both"),
        ({"limiter": Limiter(), "concurrency": 5}, "concurrency, not both"),
    ],
    ids=str,
)
async def test_a_wrong_argument_is_named(wrong, says):
    async with Service().client() as client:
        with pytest.raises(errors.InvalidInput, match=says):
            client.batch(MODEL, ["a"], **wrong)


class Column:
    """Compares and counts as an array or a frame does: cell by cell, so that it is neither true nor false."""

    def __eq__(self, other):
        return self

    __hash__ = None

    def __bool__(self):
        raise ValueError("the truth value of a Column is ambiguous")

    def __len__(self):
        return 2

    def __contains__(self, _):
        return True

    def __iter__(self):
        return iter((1, 2))


@pytest.mark.parametrize("name", sorted(BatchOptions.__annotations__))
async def test_a_column_in_the_place_of_an_argument_is_refused_by_the_argument_s_name(name):
    async with Service().client() as client:
        with pytest.raises(errors.InvalidInput, match=f"(?i){name.replace('_', '_?')}|a part must be"):
            client.batch(MODEL, ["a"], **{name: Column()})


@pytest.mark.parametrize("usual", [{}, {"concurrency": "auto"}, {"rpm": None}, {"policy": None}, {"limiter": None}])
async def test_arguments_that_say_as_usual_keep_the_limiter_of_the_client(usual):
    limiter = Limiter(concurrency=2)
    async with Service().client(limiter=limiter) as client:
        assert client.batch(MODEL, ["a"], **usual).limiter is limiter
        own = client.batch(MODEL, ["a"], **usual | {"concurrency": 3}).limiter
        assert (own.limit, own is limiter) == (3, False)


async def test_a_limiter_may_stand_beside_numbers_that_are_not_given():
    limiter = Limiter(concurrency=2)
    async with Service().client() as client:
        await run(client, ["a"] * 6, limiter=limiter, rpm=None, concurrency="auto")
    assert limiter.statistics().accepted == 6


# Credentials that stumble


class Tokens:
    """A token callable that fails where it is told."""

    def __init__(self, *bad):
        self.bad, self.asked = bad, 0

    async def __call__(self):
        self.asked += 1
        if self.asked in self.bad:
            raise RuntimeError("the metadata server stumbled")
        return f"token{self.asked}"

    def client(self):
        client = Service().client(api_key=None, token=self)
        client._caller.credentials._clock = anyio.current_time
        return client


async def test_a_token_callable_that_fails_once_stops_nothing():
    tokens = Tokens(1)
    async with tokens.client() as client:
        found = await run(client, [f"p{n}" for n in range(60)], concurrency=4)
    assert [len(found), all(result.ok for result in found), tokens.asked] == [60, True, 2]


async def test_a_token_callable_that_keeps_failing_stops_the_run_after_some_tries_and_says_why(virtual_time):
    tokens, seen = Tokens(*range(1, 100)), []

    async def look(results):
        await anyio.sleep(5)
        seen.append(results.statistics().limit)

    async with (
        tokens.client() as client,
        anyio.create_task_group() as tasks,
        client.batch(MODEL, ["a"] * 100, concurrency=4) as results,
    ):
        tasks.start_soon(look, results)
        with pytest.raises(errors.BatchStopped, match="token callable failed with RuntimeError"):
            await into([], results)
    assert 10 <= virtual_time() <= 40
    assert 3 <= tokens.asked <= 12
    assert seen[0].startswith("no credential for now: the token callable failed")


async def test_a_credential_that_was_never_there_stops_the_run_at_once(virtual_time):
    async def token():
        raise errors.CredentialsError("run: gcloud auth login")

    async with Service().client(api_key=None, token=token) as client:
        with pytest.raises(errors.BatchStopped, match="gcloud auth login"):
            await run(client, ["a"] * 100)
    assert virtual_time() < 1


# Progress


async def test_the_total_of_an_iterator_does_not_shrink_as_it_is_read():
    async with Service().client() as client, client.batch(MODEL, iter(["a"] * 200), concurrency=4) as results:
        for _ in range(160):
            await anext(results)
        assert results.statistics().total == 200


async def test_the_order_of_the_input_says_which_item_it_waits_for():
    service, limits = Service(), []
    service.seconds["p2"] = 100.0

    async def look(results):
        await anyio.sleep(60)
        limits.append(results.progress.limit)

    async with (
        service.client() as client,
        anyio.create_task_group() as tasks,
        client.batch(MODEL, [f"p{n}" for n in range(200)], concurrency=4, order="input") as results,
    ):
        tasks.start_soon(look, results)
        assert [result.index for result in await collect(results)] == list(range(200))
    assert limits == ["waiting for item 2, to restore the order of the input"]


async def test_once_all_rows_are_read_it_waits_for_replies_or_for_the_service_and_then_for_nothing(virtual_time):
    service, limits = Service(), {}
    service.always = lambda: envelope(503, "UNAVAILABLE", "no") if 10 <= virtual_time() < 100 else None
    service.steps["slow"].append(None)
    service.seconds["slow"] = 9.5

    async def look(results):
        for second in (9, 60):
            await anyio.sleep(second - virtual_time())
            limits[second] = results.statistics().limit

    async with service.client() as client:
        batch = client.batch(MODEL, ["slow", *(f"p{n}" for n in range(8))], concurrency=20)
        service.seconds |= {f"p{n}": 10.0 for n in range(8)}
        async with anyio.create_task_group() as tasks, batch as results:
            tasks.start_soon(look, results)
            found = await collect(results)
            limits["end"] = results.statistics().limit
    assert all(result.ok for result in found)
    assert limits == {
        9: "waiting for the last replies",
        60: "the service does not answer; one request at a time asks whether it is back",
        "end": "",
    }


@pytest.mark.parametrize("hungry", [True, False])
async def test_a_consumer_that_waits_in_an_outage_is_not_what_holds_it_back(virtual_time, hungry):
    service, limits = Service(), []
    service.always = lambda: envelope(503, "UNAVAILABLE", "no") if 5 <= virtual_time() < 100 else None

    async def look(results):
        await anyio.sleep(60)
        limits.append(results.statistics().limit)

    async with (
        service.client() as client,
        anyio.create_task_group() as tasks,
        client.batch(MODEL, [f"p{n}" for n in range(200)], concurrency=4, order="input") as results,
    ):
        tasks.start_soon(look, results)
        if not hungry:
            await anyio.sleep(70)
        assert len(await collect(results)) == 200
    away = "the service does not answer; one request at a time asks whether it is back"
    assert limits == [away if hungry else "waiting for the consumer"]


async def test_progress_is_the_statistics_of_the_moment():
    service = Service()
    service.steps["a"].append(envelope(400, "INVALID_ARGUMENT"))
    async with service.client() as client:
        batch = client.batch(MODEL, ["a", "b", "c"], concurrency=1)
        assert (batch.progress.done, batch.progress.total) == (0, 3)
        async with batch as results:
            await anext(results)
            await anext(results)
            progress = results.progress
            assert isinstance(progress, gemtune.batch.BatchStatistics)
            assert (progress.done, progress.failed, progress.in_flight, progress.parked) == (1, 1, 1, 0)
            assert progress == results.statistics()
