"""The control endpoints, statistics and the clock."""

import itertools
import math

import anyio
import pytest

from emulator.emulated import bearer, model_body
from gemtune.emulator import RealClock, ScaledClock, SteppedClock, create_app
from gemtune.emulator.world.clock import make_clock

LIST = "/v1beta/tunedModels"


async def test_a_stepped_clock_is_read_and_advanced(api):
    before = await api.get("/_emulator/clock")
    after = (await api.call("POST", "/_emulator/clock", {"advance": 1.5})).json()
    assert int(after["nanoseconds"]) - int(before["nanoseconds"]) == 1_500_000_000
    assert before["time"] == "2024-03-14T15:11:02.714285Z"
    assert after["time"] == "2024-03-14T15:11:04.214285Z"


@pytest.mark.parametrize("body", [{}, {"advance": "x"}, {"advance": -1}, {"advance": True}, [], b"{"])
async def test_a_bad_advance_is_a_400_and_the_clock_stays(api, body):
    before = await api.get("/_emulator/clock")
    assert (await api.call("POST", "/_emulator/clock", body)).status_code == 400
    assert await api.get("/_emulator/clock") == before


async def test_a_clock_that_runs_by_itself_is_not_advanced(start):
    api = await start(clock="real")
    reply = await api.call("POST", "/_emulator/clock", {"advance": 1})
    assert reply.status_code == 400
    assert "only a stepped clock" in reply.json()["error"]["message"]


async def test_faults_are_given_read_back_and_cleared(api):
    faults = [{"method": "tunedModels.list", "status": 503}, {"method": "*", "delay": 1.0}]
    scenario = (await api.call("POST", "/_emulator/faults", faults)).json()
    unused = [fault | {"completed": False, "requests": []} for fault in faults]
    assert scenario == {"id": "1", "completed": False, "faults": unused}
    assert (await api.call("POST", "/_emulator/faults", {"bad": 1})).status_code == 400
    assert (await api.call("GET", LIST)).status_code == 503
    used = [unused[0] | {"completed": True, "requests": [1]}, unused[1]]
    assert await api.get("/_emulator/faults/1") == scenario | {"faults": used}
    everything = {"scenarios": [scenario | {"faults": used}], "pending": faults[1:], "followed": 1}
    assert await api.get("/_emulator/faults") == everything
    assert (await api.call("DELETE", "/_emulator/faults")).json()["pending"] == []
    assert (await api.call("GET", "/_emulator/faults/1")).status_code == 404


async def test_a_scenario_is_complete_when_all_its_faults_are_used_up(api):
    scenario = (
        await api.call("POST", "/_emulator/faults", {"*": [{"status": 429, "times": 2}, {"status": 503}]})
    ).json()
    completed = []
    for _ in range(3):
        await api.call("GET", LIST)
        completed.append((await api.get(f"/_emulator/faults/{scenario['id']}"))["completed"])
    assert completed == [False, False, True]
    faults = (await api.get(f"/_emulator/faults/{scenario['id']}"))["faults"]
    assert [step["requests"] for step in faults] == [[1, 2], [3]]


async def test_one_scenario_is_forgotten_without_the_others(api):
    first = (await api.call("POST", "/_emulator/faults", {"status": 429})).json()
    await api.call("POST", "/_emulator/faults", {"status": 503})
    assert (await api.call("DELETE", f"/_emulator/faults/{first['id']}")).json()["id"] == first["id"]
    assert (await api.call("GET", LIST)).status_code == 503


@pytest.mark.parametrize(
    "bad",
    [
        {"bad": 1},
        [{"status": 503}, {"bad": 1}],
        "text",
        {"error": "nonsense"},
        {"cut": "x"},
        {"pace": [0, 1]},
        {"then": 1},
    ],
)
async def test_a_bad_scenario_is_a_400_and_none_of_it_is_followed(api, bad):
    reply = await api.call("POST", "/_emulator/faults", bad)
    assert reply.status_code == 400
    assert (await api.get("/_emulator/faults"))["scenarios"] == []


async def test_requests_are_recorded_without_their_credentials(api):
    await api.call(
        "POST", LIST, model_body([("1", "2")]), params={"key": "secret1"}, headers={"x-goog-api-key": "secret2"}
    )
    await api.call("GET", LIST, **bearer("secret3"))
    await api.call("GET", "/nowhere")
    reply = await api.call("GET", "/_emulator/requests")
    create, listed, nowhere = reply.json()["requests"]
    assert "secret" not in reply.text
    assert (create["method"], create["status"], create["number"]) == ("tunedModels.create", 200, 1)
    assert '"textInput": "1"' in create["body"]
    assert (nowhere["method"], nowhere["status"]) == (None, 404)
    assert reply.json()["statistics"]["by_status"] == {"200": 2, "404": 1}
    assert (await api.get("/_emulator/requests", params={"method": "tunedModels.list"}))["requests"] == [listed]
    assert api.app.requests.of("tunedModels.list")[0].headers["authorization"] == "Bearer secret3"


async def test_the_journal_forgets_the_oldest_requests_but_counts_them(start):
    api = await start(request_log_size=2)
    for _ in range(5):
        await api.get(LIST)
    assert [entry.number for entry in api.app.requests] == [4, 5]
    assert api.app.statistics()["requests"] == 5


async def test_a_reset_forgets_everything_but_the_time(api):
    first = await api.create()
    api.app.faults.add({"status": 500})
    now = api.app.clock.now()
    assert (await api.call("POST", "/_emulator/reset")).status_code == 200
    assert api.app.statistics()["requests"] == 0
    assert await api.get(LIST) == {}
    assert api.app.clock.now() == now
    assert await api.create() == first


async def test_an_unknown_control_request_names_the_known_ones(api):
    reply = await api.call("GET", "/_emulator/nonsense")
    assert reply.status_code == 404
    assert "POST reset" in reply.json()["error"]["message"]


async def test_statistics_and_repr_tell_what_is_going_on(api):
    await api.create(id="a")
    assert (await api.get("/_emulator"))["states"] == {"CREATING": 1}
    assert repr(api.app) == "<Emulator SteppedClock(1710429062.714285) tuned_models=1 requests=1>"


@pytest.mark.parametrize(
    ("spec", "clock"),
    [("real", RealClock), ("stepped", SteppedClock), ("scaled:60", ScaledClock), ("scaled:0.5", ScaledClock)],
)
def test_a_clock_is_made_from_its_name(spec, clock):
    assert type(make_clock(spec)) is clock


@pytest.mark.parametrize("spec", ["", "real:1", "scaled", "scaled:", "scaled:x", "scaled:0", "scaled:-1", "sundial"])
def test_an_unknown_clock_is_refused(spec):
    with pytest.raises(ValueError, match="clock"):
        make_clock(spec)


@pytest.mark.parametrize("spec", ["real", "scaled:1000", "stepped"])
def test_a_clock_never_goes_back(spec):
    clock = make_clock(spec)
    times = [clock.now() for _ in range(100)]
    assert all(earlier <= later for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize("seconds", [-1, math.nan])
def test_a_stepped_clock_does_not_go_back(seconds):
    clock = SteppedClock()
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(seconds)


@pytest.mark.both_backends
async def test_sleepers_of_a_stepped_clock_wake_when_their_time_has_come_from_any_thread():
    clock = SteppedClock()
    woken = []

    async def sleeper(seconds):
        await clock.sleep(seconds)
        woken.append(seconds)

    async with anyio.create_task_group() as tasks:
        for seconds in (3, 1, 2):
            tasks.start_soon(sleeper, seconds)
        await anyio.wait_all_tasks_blocked()
        clock.advance(1)
        await anyio.wait_all_tasks_blocked()
        assert woken == [1]
        await anyio.to_thread.run_sync(clock.advance, 2)
    assert sorted(woken) == [1, 2, 3]


async def test_a_cancelled_sleeper_is_forgotten():
    clock = SteppedClock()
    with anyio.move_on_after(0):
        await clock.sleep(5)
    clock.advance(10)
    assert clock._sleepers == []


async def test_an_answer_takes_the_time_it_is_told_to(start):
    api = await start(answer_seconds=2.0)
    await api.tuned()
    statuses = []

    async def call():
        body = {"contents": [{"parts": [{"text": "1"}]}]}
        statuses.append((await api.call("POST", "/v1beta/tunedModels/tuned:generateContent", body)).status_code)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        assert statuses == []
        api.app.advance(2)
    assert statuses == [200] * 3
    assert api.app.statistics()["peak_in_flight"] == 3


def test_a_setting_that_does_not_exist_is_refused():
    with pytest.raises(TypeError, match="step_secnods"):
        create_app(step_secnods=1)
    with pytest.raises(ValueError, match="step_seconds"):
        create_app(step_seconds=-1)


async def test_the_application_answers_the_lifespan_protocol():
    app = create_app()
    sent, incoming = [], iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive():
        return next(incoming)

    async def send(message):
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
