"""Quota and budget: who waits, how often the service is asked, and what is left out."""

from itertools import pairwise
from types import SimpleNamespace

import anyio
import pytest

from gemtune.datasets import Interval
from gemtune.errors import InvalidInput, QuotaExhausted
from gemtune.sweep import PointState, SweepPoint
from gemtune.sweep.running.board import SweepBoard
from gemtune.sweep.running.budget import BudgetLedger, PointCosts
from gemtune.sweep.running.planning import (
    AskSource,
    CreateNext,
    LeaveOut,
    NothingMore,
    SweepSituation,
    UncreatedPoint,
    WaitFor,
    next_step,
)
from gemtune.sweep.running.quota import CreationHold
from gemtune.sweep.running.record import PointRecord
from gemtune.types import DataStats, Hyperparameters
from sweep.emulated import FACES, ROWS, Gemini, GiveUp, Vertex, Wire, kinds

pytestmark = pytest.mark.anyio
LOSS = {"objective": "loss", "validation": None}


@pytest.fixture(params=FACES, ids=lambda face: face.name)
def face(request):
    return request.param


@pytest.mark.both_backends
@pytest.mark.usefixtures("virtual_time")
async def test_24_points_under_a_quota_of_4_wait_without_a_storm(face):
    wire = Wire(face.app(places=4))
    async with face.client(wire.app, wire) as client:
        space = {"epoch_count": [2, 3, 4, 5], "learning_rate_multiplier": [0.5, 0.7, 1.0, 1.4, 2.0, 2.8]}
        sweep = client.sweep(face.base, ROWS * 2, space=space, **LOSS)
        await sweep.run()
    assert [each.state for each in sweep.points] == [PointState.TRAINED] * 24
    assert len(face.jobs(wire.app)) == len(set(face.jobs(wire.app))) == 24
    refused = wire.seen["create"] - 24
    assert sweep.statistics().refused == refused
    # One refusal says that the quota is full; then one attempt for each job that ends, and one for each pause.
    assert refused <= 24 + wire.times[-1][0] / 15


@pytest.mark.usefixtures("virtual_time")
async def test_while_nothing_ends_a_full_quota_is_asked_for_ever_less_often(face):
    said = "429 RESOURCE_EXHAUSTED Quota exceeded for concurrent tuning jobs"
    wire = Wire(face.app(), lambda kind, _: said if kind == "create" else None)
    async with face.client(wire.app, wire) as client:
        async with client.sweep(face.base, ROWS, space={"epoch_count": list(range(1, 25))}, **LOSS) as sweep:
            with anyio.move_on_after(3600):
                await kinds(sweep)
        assert sweep.picture().points[0].state is PointState.WAITING
    times = [at for at, kind in wire.times if kind == "create"]
    assert len(times) <= 17  # 15, 30, 60, 120, 240 s, and then every 300 s
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] >= 15
    assert pauses[-1] >= 300


@pytest.mark.usefixtures("virtual_time")
async def test_a_place_that_becomes_free_while_a_creation_is_refused_is_not_missed():
    wire = Wire(Gemini.app(), lambda kind, count: "429 at last" if (kind, count) == ("create", 2) else None)
    async with Gemini.client(wire.app, wire) as client:
        sweep = client.sweep(Gemini.base, ROWS, space={"epoch_count": [1, 2]}, **LOSS)
        await sweep.run()
    _, refused, again = [at for at, kind in wire.times if kind == "create"]
    assert 10 <= again - refused < 13


@pytest.mark.usefixtures("virtual_time")
async def test_what_holds_the_sweep_back_is_said():
    async with (
        Gemini.client(Gemini.app(places=1)) as client,
        client.sweep(Gemini.base, ROWS * 3, space={"epoch_count": [3, 4]}, **LOSS) as sweep,
    ):
        waits = {sweep.picture().waiting_for async for _ in sweep}
    assert "waiting for a free place on the service" in waits
    assert sweep.picture().waiting_for == ""


@pytest.mark.usefixtures("virtual_time")
async def test_a_quota_of_zero_ends_the_sweep():
    said = "429 RESOURCE_EXHAUSTED Quota exceeded, limit: 0"
    wire = Wire(Gemini.app(), lambda kind, _: said if kind == "create" else None)
    async with Gemini.client(wire.app, wire) as client:
        with pytest.raises(QuotaExhausted):
            await client.sweep(Gemini.base, ROWS, space={"epoch_count": [1, 2]}, **LOSS).run()
    assert wire.seen["create"] == 1


@pytest.mark.usefixtures("virtual_time")
async def test_an_outage_at_creation_is_waited_out(face):
    begun = []

    def trouble(kind, _):
        begun.append(anyio.current_time())
        return "503" if kind == "create" and begun[-1] - begun[0] < 120 else None

    wire = Wire(face.app(), trouble)
    async with face.client(wire.app, wire) as client:
        sweep = client.sweep(face.base, ROWS, space={"epoch_count": [1, 2]}, **LOSS)
        await sweep.run()
    assert [each.state for each in sweep.points] == [PointState.TRAINED] * 2
    assert wire.seen["create"] < 15


@pytest.mark.usefixtures("virtual_time")
async def test_no_more_than_concurrency_run_at_a_time(face):
    most = 0
    async with (
        face.client(face.app()) as client,
        client.sweep(face.base, ROWS, space={"epoch_count": [1, 2, 3, 4, 5]}, concurrency=2, **LOSS) as sweep,
    ):
        async for _ in sweep:
            running = (PointState.RUNNING, PointState.WAITING)
            most = max(most, sum(each.state in running for each in sweep.points))
    assert most == 2


@pytest.mark.usefixtures("virtual_time")
async def test_what_the_budget_does_not_allow_is_left_out_and_a_smaller_point_still_fits(face):
    wire = Wire(face.app())
    async with face.client(wire.app, wire) as client:
        asked = {"space": {"epoch_count": [4, 40, 2]}, **LOSS}
        plan = await client.sweep(face.base, ROWS, **asked).plan()
        limit = plan.tokens.high * 6 / 46
        sweep = client.sweep(face.base, ROWS, token_budget=limit, **asked)
        said = []
        async with sweep:
            said = await kinds(sweep)
    assert [each.state for each in sweep.points] == [PointState.TRAINED, PointState.LEFT_OUT, PointState.TRAINED]
    assert "point_left_out 1" in said
    assert "tokens, and" in sweep.points[1].reason
    assert wire.seen["create"] == 2
    assert sweep.picture().tokens <= limit + 1


@pytest.mark.usefixtures("virtual_time")
async def test_money_is_as_hard_a_limit_as_tokens():
    async with Gemini.client(Gemini.app()) as client:
        asked = {"space": {"epoch_count": [4, 40]}, "prices": 5.0, **LOSS}
        plan = await client.sweep(Gemini.base, ROWS, **asked).plan()
        sweep = client.sweep(Gemini.base, ROWS, budget=plan.cost.high / 10, **asked)
        picture = await sweep.run()
    assert [each.state for each in sweep.points] == [PointState.TRAINED, PointState.LEFT_OUT]
    assert picture.cost <= plan.cost.high / 10
    assert "it may cost" in sweep.points[1].reason
    assert picture.currency == "USD"


@pytest.mark.usefixtures("virtual_time")
async def test_what_a_stopped_point_did_not_take_makes_room_for_another():
    async with Gemini.client(Gemini.app()) as client:
        asked = {"space": {"epoch_count": [20, 18]}, "concurrency": 1, **LOSS}
        plan = await client.sweep(Gemini.base, ROWS * 3, **asked).plan()
        sweep = client.sweep(Gemini.base, ROWS * 3, token_budget=plan.tokens.high * 0.8, stop=GiveUp(0), **asked)
        await sweep.run()
    assert [each.state for each in sweep.points] == [PointState.STOPPED, PointState.TRAINED]


@pytest.mark.usefixtures("virtual_time")
async def test_the_tokens_that_vertex_ai_counts_take_the_place_of_the_guess():
    async with Vertex.client(Vertex.app()) as client:
        asked = {"space": {"epoch_count": [2]}, **LOSS}
        sweep = client.sweep(Vertex.base, ROWS, **asked)
        await sweep.run()
        job = sweep.best_model
    assert sweep.picture().tokens == job.data_stats.billable_tokens * 2


@pytest.mark.usefixtures("virtual_time")
async def test_a_plan_says_what_a_sweep_will_take_and_sends_nothing(tmp_path):
    wire = Wire(Gemini.app())
    async with Gemini.client(wire.app, wire) as client:
        sweep = client.sweep(
            Gemini.base, ROWS, space={"epoch_count": [2, 4], "batch_size": [4]}, concurrency=3, prices=2.0, budget=1.0,
            journal=tmp_path / "sweep",
        )  # fmt: skip
        plan = await sweep.plan()
    assert (plan.points, plan.jobs_at_a_time, plan.within) == (2, 3, 2)
    assert plan.examples + plan.validation == len(ROWS)
    assert plan.tokens.low < plan.tokens.value < plan.tokens.high
    assert plan.cost.value == pytest.approx(plan.tokens.value * 2e-6)
    assert "no service says how it bills a cancelled job" in str(plan)
    assert str(plan).startswith("2 points, 3 jobs at a time")
    assert not wire.seen
    assert not (tmp_path / "sweep").exists()


@pytest.mark.usefixtures("virtual_time")
async def test_a_budget_needs_data_whose_tokens_can_be_known():
    async with Vertex.client(Vertex.app()) as client:
        with pytest.raises(InvalidInput, match="the budget cannot be kept"):
            await client.sweep(
                Vertex.base, "gs://my-bucket/train.jsonl", space={"epoch_count": [2]}, token_budget=9, **LOSS
            ).run()


@pytest.mark.usefixtures("virtual_time")
async def test_a_budget_needs_to_know_how_many_epochs_a_point_takes():
    wire = Wire(Vertex.app())
    async with Vertex.client(wire.app, wire) as client:
        sweep = client.sweep(
            Vertex.base, ROWS, space={"learning_rate_multiplier": [0.5, 1.0]}, token_budget=10_000, **LOSS
        )
        with pytest.raises(InvalidInput, match="the service would choose how many epochs point 0 takes"):
            await sweep.run()
    assert wire.seen["create"] == 0


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        ({"planned": [], "active": 3}, NothingMore()),
        ({"planned": [UncreatedPoint(0)], "active": 2, "places": 2}, WaitFor()),
        ({"planned": [], "active": 0, "more": True}, AskSource()),
        ({"planned": [], "active": 0, "more": True, "more_later": True}, WaitFor()),
        ({"planned": [UncreatedPoint(0, 101), UncreatedPoint(1, 100)], "active": 0}, CreateNext(1)),
        (
            {"planned": [UncreatedPoint(0, 101)], "active": 1},
            WaitFor(why="the budget: what runs may give back what it has reserved"),
        ),
        (
            {"planned": [UncreatedPoint(0, 101)], "active": 0},
            LeaveOut(0, "it may take 101 tokens, and 100 of the budget are left"),
        ),
        (
            {"planned": [UncreatedPoint(0)], "active": 0, "hold": CreationHold(until=30.0, ended=0, why="it")},
            WaitFor(30.0, "it"),
        ),
        (
            {"planned": [UncreatedPoint(0)], "active": 0, "ended": 1, "hold": CreationHold(until=3, ended=0)},
            CreateNext(0),
        ),
    ],
)
def test_what_comes_next_follows_from_what_is_known(seen, step):
    assert next_step(SweepSituation(now=0.0, **seen), BudgetLedger(tokens=100)) == step


def test_what_may_exist_already_is_looked_for_whatever_is_left_of_the_budget():
    budget = BudgetLedger(tokens=100)
    budget.hold(0, 200)  # an earlier run had a higher limit
    assert next_step(SweepSituation(now=0.0, planned=[UncreatedPoint(0)], active=0), budget) == CreateNext(0)


def billed(number, tokens, epochs, said=None):
    point = SweepPoint(number=number, values={}, hyperparameters=Hyperparameters(epoch_count=epochs))
    job = None if said is None else SimpleNamespace(data_stats=DataStats(billable_tokens=said))
    return PointRecord(point, f"id-{number}", tokens, epochs, job=job)


def test_what_the_service_bills_for_one_point_is_reserved_for_all():
    budget, once = BudgetLedger(tokens=100), Interval(8, 9, 10)
    board = SweepBoard(
        title="t", base_model="m", objective="loss", better="lower", budget=budget, costs=PointCosts(once=once)
    )
    board.records = {0: billed(0, 20, 2, said=25), 1: billed(1, 20, 2), 2: billed(2, 10, 1)}
    board.records[1].may_exist = True
    board.spend(board.records[0])
    assert [each.tokens for each in board.records.values()] == [50, 50, 25]
    assert [budget.held(number) for number in range(3)] == [50, 50, 0]
    assert board.most_tokens(Hyperparameters(epoch_count=3)) == 75
    assert not budget.fits(25)


@pytest.mark.usefixtures("virtual_time")
async def test_a_point_that_cannot_be_seen_any_more_keeps_what_it_holds_because_its_job_may_go_on():
    def hidden(kind, count):
        return "403 PERMISSION_DENIED You may not look." if kind == "look" and count > 3 else None

    wire = Wire(Gemini.app(), hidden)
    async with Gemini.client(wire.app, wire) as client:
        asked = {"space": {"epoch_count": [40]}, **LOSS}
        plan = await client.sweep(Gemini.base, ROWS, **asked).plan()
        sweep = client.sweep(Gemini.base, ROWS, token_budget=plan.tokens.high, **asked)
        picture = await sweep.run()
    assert "cannot be seen any more" in sweep.points[0].reason
    assert picture.tokens == pytest.approx(plan.tokens.high, abs=1)


def test_a_full_quota_is_waited_for_longer_each_time_and_as_long_as_the_service_asks():
    hold = CreationHold()
    pauses = []
    for _ in range(7):
        hold = hold.full(0.0, 0, None, 0.0)
        pauses.append(hold.until)
    assert pauses == [15, 30, 60, 120, 240, 300, 300]
    assert CreationHold().full(0.0, 0, 600.0, 0.0).until == 600
    assert CreationHold().full(0.0, 0, None, 1.0).until == 18
    assert CreationHold().full(0.0, 4, None, 0.0).over(1.0, 5)
    assert not CreationHold().out(0.0, None, 0.0).over(0.5, 99)
