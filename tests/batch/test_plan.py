"""A plan: what a batch will take, before anything is spent; and an engine and a budget that are kept by it."""

import json
import logging

import attrs
import httpx
import pytest

from batch.service import MODEL, Service, collect
from gemtune import GenerationConfig, errors
from gemtune.batch import BatchPlan, TokenPrices
from gemtune.batch.files import FileRows
from gemtune.batch.planning.decision import EngineOutlook
from gemtune.batch.planning.outlook import AskingRate, outlook_of_local, outlook_of_server
from gemtune.batch.planning.planned import choose_engine
from gemtune.batch.planning.weighing import Weighed, readable_again
from gemtune.datasets.review.tokens import Characters, Interval
from gemtune.errors import BatchStopped, InvalidInput
from gemtune.resources.batches.service import BatchLimits
from gemtune.types import Part

DAY = 86_400.0
LIMITS = BatchLimits(requests=200_000, bytes=10**9, jobs=4, inline_bytes=0, hours=72)
PRICES = TokenPrices(per_million={"": (1.0, 10.0)}, currency="EUR", date="2026-11-28", source="the price page")
NOTHING = Interval(0.0, 0.0, 0.0)


async def planned(rows, service=None, **options):
    asked = options.pop("asked", {})
    service = service or Service()
    async with service.client() as client:
        plan = await client.batch(MODEL, rows, **options).plan(**asked)
    assert not service.asked
    return plan


async def test_a_plan_says_what_a_batch_takes_and_sends_nothing():
    rows = ["x" * 400] * 100 + [""]
    plan = await planned(rows, engine="auto", prices=PRICES, rpm=10, asked={"output_tokens": 50})
    assert (plan.requests, plan.unaskable, plan.counted, plan.jobs) == (100, 1, 0, 0)
    assert plan.input_tokens == Interval(40_000 / 6, 10_000, 16_000)
    assert plan.output_tokens == Interval(5000, 5000, 5000)
    assert plan.cost.value == pytest.approx((10_000 * 1 + 5000 * 10) / 10**6)
    assert plan.outlooks[1].cost.value == pytest.approx(plan.cost.value / 2)
    assert (plan.engine, plan.seconds.value, plan.limits) == ("local", 540, ("rpm (10)",))
    said = str(plan)
    assert "engine: local: it takes about 9 min 00 s from here" in said
    assert "requests: 100 to models/gemini-3.7-flash, and 1 that cannot be asked" in said
    assert "0.06 (0.06 to 0.07) EUR, by the prices you gave (2026-11-28, the price page)" in said
    assert "server: 5 min 00 s to 24 h 00 min, 0.03" in said
    assert "assumed: an answer has 50 tokens, as you say" in said
    assert json.loads(json.dumps(plan.to_dict()))["cost"]["value"] == pytest.approx(0.06)
    assert "plan of a batch" in plan._repr_mimebundle_()["text/html"]
    assert repr(plan).startswith("<BatchPlan local, 100 requests, ")


async def test_without_prices_there_is_no_cost_and_the_plan_says_why():
    plan = await planned(["x"], engine="auto")
    assert (plan.cost, plan.currency) == (None, "")
    assert "cost: no price is built in, and none was given" in str(plan)


async def test_what_frames_a_prompt_and_what_bounds_an_answer_counts_for_each_row():
    config = GenerationConfig(max_output_tokens=20)
    plan = await planned(["x" * 40] * 10, system_instruction="y" * 360, generation_config=config)
    assert plan.input_tokens.value == 10 * 100
    assert plan.output_tokens == Interval(10, 200, 200)


async def test_files_count_by_what_they_cost_and_are_named_among_the_assumptions():
    rows = [[Part(text="what?"), Part.from_bytes(b"0" * 3000, "image/png")]] * 2
    plan = await planned(rows)
    assert plan.input_tokens.value == pytest.approx(2 * (258 + 5 / 4))
    assert "each of 2 files takes 258 tokens; a video or a recording takes more" in plan.assumptions


@pytest.mark.parametrize("rows", [iter(["a"]), (one for one in "ab"), map(str, range(3))])
async def test_rows_that_can_be_read_only_once_have_no_plan_and_keep_their_rows(rows):
    async with Service().client() as client:
        with pytest.raises(InvalidInput, match="can be read only once: keep them in a list or a file") as caught:
            await client.batch(MODEL, rows, engine="auto").plan()
    assert caught.value.field == "inputs"
    assert next(rows)


def test_files_lists_and_dicts_are_read_again_and_pipes_and_generators_are_not(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("a\n")

    async def rows():
        yield "a"

    again = [["a"], {"k": "a"}, FileRows(path), range(3), {"k": "a"}.items()]
    assert [readable_again(each) for each in again] == [True] * 5
    assert [readable_again(each) for each in (FileRows("-"), rows(), iter([]), zip([]))] == [False] * 4


async def test_a_file_is_weighed_as_the_run_would_read_it(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"key":"a","prompt":"xxxx"}\n{"key":"b","promt":"y"}\nnonsense\n')
    plan = await planned(FileRows(path))
    assert (plan.requests, plan.unaskable, plan.input_tokens.value) == (1, 2, 1)


async def test_the_service_counts_a_sample_if_asked_and_the_ratio_holds_for_the_rest():
    counted = []

    def count(request):
        assert request.url.path.endswith(":countTokens")
        body = json.loads(request.content)
        body = body.get("generateContentRequest", body)
        counted.append(body)
        return httpx.Response(200, json={"totalTokens": 2 * len(body["contents"][0]["parts"][0]["text"])})

    import gemtune

    transport = httpx.MockTransport(count)
    async with gemtune.Client(api_key="key", base_url="http://127.0.0.1", transport=transport) as client:
        plan = await client.batch(MODEL, ["x" * n for n in range(1, 51)]).plan(count=10)
        every = await client.batch(MODEL, ["x" * n for n in range(1, 4)]).plan(count=10)
    assert (len(counted), plan.counted, every.counted) == (13, 10, 3)
    assert plan.input_tokens.value == pytest.approx(2 * sum(range(1, 51)))
    assert every.input_tokens == Interval(12, 12, 12)
    assert "from 10 that were counted" in str(plan)
    assert "as the service counted" in str(every)


async def test_a_service_that_does_not_count_is_the_error_of_the_call_and_no_group_of_errors():
    import gemtune

    transport = httpx.MockTransport(lambda _: httpx.Response(404, json={"error": {"code": 404, "message": "gone"}}))
    async with gemtune.Client(api_key="key", base_url="http://127.0.0.1", transport=transport) as client:
        with pytest.raises(errors.NotFound, match="gone"):
            await client.batch(MODEL, ["x"] * 20).plan(count=10)
        with pytest.raises(errors.NotFound, match="gone"):
            await gemtune.datasets.estimate_with(client, [("a", "b")] * 20, model=MODEL)


# What a journal holds

ROWS = {f"k{n}": "x" * 40 for n in range(10)}


async def answered(path, rows, **options):
    """Have a journal with the answers to some rows."""
    async with Service().client() as client, client.batch(MODEL, rows, journal=path, **options) as batch:
        await collect(batch)


async def test_what_the_journal_holds_is_not_asked_again_and_not_in_the_plan(tmp_path):
    path = tmp_path / "run.journal"
    assert (await planned(ROWS, journal=path)).held == 0
    await answered(path, dict([*ROWS.items()][:4]))
    before = path.read_bytes()
    plan = await planned(ROWS, journal=path, prices=PRICES, asked={"output_tokens": 1})
    assert (plan.requests, plan.held, plan.input_tokens.value, plan.output_tokens.value) == (6, 4, 60, 6)
    assert f"requests: 6 to {MODEL}; of 10 rows, 4 are in the journal" in str(plan)
    assert "journal" not in " ".join(plan.assumptions)
    assert path.read_bytes() == before
    assert (await planned(ROWS, journal=path, accept={"MAX_TOKENS"})).held == 0, "asked again by a stricter rule"
    await answered(path, ROWS)
    assert ((await planned(ROWS, journal=path)).held, (await planned([], journal=path)).held) == (10, 0)


async def test_a_journal_of_another_batch_is_refused_by_the_plan_as_by_the_run(tmp_path):
    path = tmp_path / "run.journal"
    await answered(path, ROWS)
    with pytest.raises(errors.JournalMismatch, match="was written with another system instruction"):
        await planned(ROWS, journal=path, system_instruction="be brief")
    with pytest.raises(errors.JournalMismatch, match="row 1, key 'k0', was answered before with another content"):
        await planned({"k0": "another"}, journal=path)
    path.write_bytes(b"")
    assert (await planned(ROWS, journal=path)).requests == 10


# What each engine would take


def weighed(requests, **options):
    return Weighed(requests=requests, **options)


@pytest.mark.parametrize(
    ("pace", "seconds", "limit"),
    [
        (AskingRate(rpm=60), 940, "rpm (60)"),
        (AskingRate(tpm=1000), 9940, "tpm (1,000)"),
        (AskingRate(rpm=60, tpm=1000), 9940, "tpm (1,000)"),
        (AskingRate(concurrency=10), 300, "concurrency (10)"),
        (AskingRate(concurrency=1, rpm=60), 3000, "concurrency (1)"),
        (AskingRate(), 60, "requests in flight"),
    ],
)
def test_the_limit_that_binds_says_how_long_the_local_engine_takes(pace, seconds, limit):
    tokens = Interval(100_000, 1000 + 1000 * 9940 / 60, 300_000)
    found = outlook_of_local(weighed(1000, tokens=tokens), NOTHING, pace, MODEL, None)
    assert found.seconds.value == pytest.approx(seconds)
    assert found.limits == (limit,)
    assert found.seconds.low <= found.seconds.value <= found.seconds.high
    assert (found.jobs, found.cost) == (0, None)


def test_a_limit_of_a_day_makes_runs_of_days():
    found = outlook_of_local(weighed(1001), NOTHING, AskingRate(rpd=500, rpm=600), MODEL, None)
    assert 2 * DAY < found.seconds.low < found.seconds.value < 2 * DAY + 600
    assert found.limits[1] == "rpd (500): 3 runs with one journal, a day apart"


@pytest.mark.parametrize(
    ("requests", "size", "jobs", "waves", "limits"),
    [
        (0, 0, 1, 1, ()),
        (200_000, 10**9, 1, 1, ()),
        (200_001, 10**8, 2, 1, ("200,000 requests a job",)),
        (1000, 3 * 10**9, 3, 1, ("1,000,000,000 bytes a job",)),
        (10**6, 10**9, 5, 2, ("200,000 requests a job", "4 jobs at a time")),
    ],
)
def test_the_server_engine_makes_as_many_jobs_as_the_limits_ask_for(requests, size, jobs, waves, limits):
    found = outlook_of_server(weighed(requests, bytes=size), NOTHING, LIMITS, MODEL, None)
    assert (found.jobs, found.seconds, found.limits) == (jobs, Interval(300 * waves, DAY * waves, DAY * waves), limits)


def test_a_batch_of_the_service_costs_half_and_a_client_without_them_says_so():
    one = weighed(1, characters=Characters(4, 0), tokens=Interval(10**6, 10**6, 10**6))
    answers = Interval(10**6, 10**6, 10**6)
    assert outlook_of_local(one, answers, AskingRate(), MODEL, PRICES).cost.value == pytest.approx(11)
    assert outlook_of_server(one, answers, LIMITS, MODEL, PRICES).cost.value == pytest.approx(5.5)
    dear = attrs.evolve(PRICES, batch_share=0.9)
    assert outlook_of_server(one, answers, LIMITS, MODEL, dear).cost.value == pytest.approx(9.9)
    assert "no batches" in outlook_of_server(one, answers, None, MODEL, PRICES).impossible


# Prices


def test_prices_come_as_a_pair_by_model_or_from_a_file(tmp_path):
    assert TokenPrices.of((1, 2)).of_model("models/x") == (1, 2)
    found = TokenPrices.of({"x": (1, 2), "tunedModels/y": {"input": 3, "output": 4}})
    assert (found.of_model("models/x"), found.of_model("tunedModels/y")) == ((1, 2), (3, 4))
    with pytest.raises(InvalidInput, match="there is no price for z, only for x, tunedModels/y"):
        found.of_model("models/z")
    path = tmp_path / "prices.json"
    path.write_text('{"per_million": {"x": [1, 2]}, "currency": "EUR", "date": "2026-11-28", "batch_share": 0.4}')
    found = TokenPrices.of(path)
    assert (found.of_model("x"), found.currency, found.dated, found.batch_share) == ((1, 2), "EUR", "2026-11-28", 0.4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0.3, "a price is the price of a million input tokens and of a million output tokens"),
        ({"x": 0.3}, "that of x is the price"),
        ((1, -2), "a price is"),
        ((1, True), "a price is"),
        ({"per_million": {"x": (1, 2)}, "curency": "EUR"}, "must be an object with per_million, currency"),
        ({"per_million": {"x": (1, 2)}, "batch_share": "half"}, "batch_share is no number"),
        ("no-such-file.json", "cannot be read"),
    ],
)
async def test_prices_that_are_none_are_refused_when_the_batch_is_made(given, said):
    async with Service().client() as client:
        with pytest.raises(InvalidInput, match=said) as caught:
            client.batch(MODEL, ["x"], prices=given)
    assert caught.value.field == "prices"


async def test_a_budget_without_prices_is_refused_and_so_is_one_that_is_none():
    async with Service().client() as client:
        with pytest.raises(InvalidInput, match="without prices nobody can say what is spent") as caught:
            client.batch(MODEL, ["x"], budget=5)
        assert caught.value.field == "budget"
        assert str(caught.value).endswith("is built in; give those of a million tokens with prices")
        for wrong in (0, -1, float("inf"), True, "5"):
            with pytest.raises(InvalidInput, match="budget must be a positive amount of money"):
                client.batch(MODEL, ["x"], budget=wrong, prices=(1, 2))
        with pytest.raises(InvalidInput, match="deadline must be a positive number of seconds"):
            client.batch(MODEL, ["x"], deadline=0)


# The engine


async def test_the_engine_is_chosen_when_the_batch_is_entered_and_is_said(caplog):
    caplog.set_level(logging.INFO, "gemtune.batch")
    async with Service(0.0).client() as client:
        batch = client.batch(MODEL, ["a", "b"], engine="auto")
        assert batch.engine == "auto"
        async with batch:
            assert batch.engine == "local"
            assert len(await collect(batch)) == 2
    assert "batch on models/gemini-3.7-flash: the engine is local: it takes about 1 s from here" in caplog.text


@pytest.mark.parametrize(
    ("options", "engine"),
    [
        ({}, "local"),
        ({"deadline": 2 * DAY}, "server"),
        ({"deadline": 3600}, "local"),
        ({"rpm": 1}, "server"),
    ],
)
async def test_many_rows_go_to_the_service_if_it_has_the_time(options, engine):
    async with Service().client() as client:
        spec, _ = await choose_engine(client.batch(MODEL, ["x"] * 3000, engine="auto", **options))
    assert spec.engine == engine


async def endless():
    while True:
        yield "x"


@pytest.mark.parametrize("source", ["sync", "async"])
@pytest.mark.parametrize(
    ("options", "engine"),
    [
        ({}, "local"),
        ({"deadline": 3600}, "local"),
        ({"deadline": DAY}, "server"),
        ({"deadline": DAY, "budget": 5, "prices": (1, 2)}, "local"),
    ],
)
async def test_rows_that_nobody_can_count_follow_the_plain_rule(source, options, engine):
    rows = (f"x{n}" for n in range(5000)) if source == "sync" else endless()
    async with Service().client() as client:
        spec, inputs = await choose_engine(client.batch(MODEL, rows, engine="auto", **options))
        assert spec.engine == engine
        assert await inputs.next() == ("x0" if source == "sync" else "x")
        await inputs.aclose()


async def test_few_rows_that_can_be_read_once_are_all_looked_at_and_none_is_lost():
    async with Service(0.0).client() as client:
        spec, inputs = await choose_engine(
            client.batch(MODEL, iter(["x"] * 900), engine="auto", rpm=1, deadline=2 * DAY)
        )
        assert (spec.engine, len([*inputs.iterable])) == ("server", 900)
        batch = client.batch(MODEL, (f"p{n}" for n in range(1500)), engine="auto", order="input")
        async with batch:
            assert [one.index for one in await collect(batch)] == [*range(1500)]


async def test_a_budget_for_the_service_needs_rows_that_can_be_weighed():
    async with Service().client() as client:
        batch = client.batch(MODEL, endless(), engine="server", budget=5, prices=(1, 2))
        with pytest.raises(InvalidInput, match="cannot be stopped halfway: give a list or a file"):
            await batch.start()
        with pytest.raises(InvalidInput, match="a budget of 0.000001 USD cannot be kept: server costs"):
            await client.batch(MODEL, ["x" * 1000] * 10, engine="server", budget=1e-6, prices=(1, 2)).start()


async def test_what_cannot_be_kept_is_refused_before_anything_is_sent():
    service = Service()
    async with service.client() as client:
        for engine in ("auto", "local"):
            with pytest.raises(InvalidInput, match="a deadline of 1 min 00 s cannot be kept: local takes"):
                await client.batch(MODEL, ["x"] * 1000, engine=engine, rpm=10, deadline=60).collect()
    assert not service.asked


# The budget


@pytest.mark.parametrize("once", [False, True])
async def test_a_run_of_the_local_engine_ends_when_its_budget_is_used_up_and_can_continue(tmp_path, once):
    service, rows = Service(0.0), [f"p{n}" for n in range(30)]
    # An answer of the tests has 3 tokens in its prompt, and 5 in it: 3 * 1 + 5 * 10 = 53 millionths.
    options = {"prices": (1.0, 10.0), "journal": tmp_path / "j", "concurrency": 1}
    async with service.client() as client:
        with pytest.raises(BatchStopped, match=r"its budget is used up \(0.000424 of 0.0004 USD, counted") as caught:
            await client.batch(MODEL, iter(rows) if once else rows, budget=400e-6, **options).collect()
        assert [one.text for one in caught.value.results] == [f"re: p{n}" for n in range(8)]
        assert "8 answered, 0 failed; they are in" in str(caught.value)
        assert "to continue, give a new budget" in str(caught.value)
        assert service.asked.total() == 8
        found = await client.batch(MODEL, rows, budget=1.0, order="input", **options).collect()
    assert [one.text for one in found] == [f"re: {prompt}" for prompt in rows]
    assert service.asked.total() == 30


def test_a_plan_is_a_value():
    outlooks = (
        EngineOutlook(engine="local", seconds=NOTHING),
        EngineOutlook(engine="server", seconds=NOTHING, impossible="there are none"),
    )
    options = {"model": MODEL, "why": "", "requests": 1, "unaskable": 0, "counted": 0, "outlooks": outlooks}
    plan = BatchPlan(engine="local", input_tokens=NOTHING, output_tokens=NOTHING, **options)
    assert plan == attrs.evolve(plan)
    assert "server: there are none" in str(plan)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        plan.engine = "server"
