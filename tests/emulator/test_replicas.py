"""Reads that lag, lack and forget, and clocks that are wrong."""

import httpx
import pytest

from emulator.emulated import model_body
from gemtune.emulator import create_app
from gemtune.emulator.trouble.replicas import SkewedClock
from gemtune.emulator.world.clock import SteppedClock

NAME = "tunedModels/mine"


def emulated(**options):
    app = create_app(clock="stepped", **options)
    return app, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1/v1beta/")


async def create(http, id="mine"):
    reply = await http.post(f"tunedModels?tunedModelId={id}", json=model_body(), headers={"x-goog-api-key": "k"})
    assert reply.status_code == 200
    return reply.json()["name"]


async def get(http, path):
    return await http.get(path, headers={"x-goog-api-key": "k"})


def shown(body):
    return [each["step"] for each in body["tuningTask"].get("snapshots", [])]


async def test_a_step_is_shown_only_after_the_lag():
    app, http = emulated(publish_lag_seconds=10, step_seconds=1)
    await create(http)
    app.advance(12)
    late = shown((await get(http, NAME)).json())
    assert late == list(range(1, len(late) + 1))
    assert 0 < len(late) <= 2
    app.advance(10_000)
    assert (await get(http, NAME)).json()["state"] == "ACTIVE"


async def test_a_stale_replica_shows_an_earlier_truth():
    app, http = emulated(stale_reads=0.5, stale_seconds=50, step_seconds=5)
    await create(http)
    app.advance(70)
    counts = {len(shown((await get(http, NAME)).json())) for _ in range(40)}
    assert len(counts) > 3
    assert app.replicas.disturbed > 5


async def test_snapshots_are_missing_only_while_a_job_runs():
    app, http = emulated(hole_reads=1.0, step_seconds=5)
    operation = await create(http)
    app.advance(61)
    model, running = (await get(http, NAME)).json(), (await get(http, operation)).json()
    whole = list(range(1, 13))
    assert set(shown(model)) < set(whole)
    assert len(running["metadata"]["snapshots"]) < len(whole)
    app.advance(10_000)
    body = (await get(http, NAME)).json()
    assert shown(body) == list(range(1, len(shown(body)) + 1))


async def test_a_list_leaves_models_out_and_no_get_does():
    _, http = emulated(list_gaps=0.5)
    for number in range(20):
        await create(http, f"model-{number}")
    listed = (await get(http, "tunedModels?pageSize=100")).json()["tunedModels"]
    assert 0 < len(listed) < 20
    assert (await get(http, "tunedModels/model-3")).status_code == 200


@pytest.mark.parametrize("status", [403, 404])
async def test_a_model_may_be_out_of_sight_for_a_moment(status):
    _, http = emulated(hidden_reads=0.5, hidden_status=status)
    await create(http)
    assert {(await get(http, NAME)).status_code for _ in range(30)} == {200, status}


async def test_the_same_seed_gives_the_same_disorder():
    async def run():
        _, http = emulated(seed=3, hidden_reads=0.5)
        await create(http)
        return [(await get(http, NAME)).status_code for _ in range(20)]

    assert await run() == await run()


async def test_a_clock_may_be_wrong():
    clock = SteppedClock()
    assert SkewedClock(clock, -300).now() == clock.now() - 300 * 10**9
    app = create_app(clock=SkewedClock(clock, 3600))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1/v1beta/") as http:
        await create(http)
        assert (await get(http, NAME)).json()["createTime"].startswith("2024-03-14T16:")
