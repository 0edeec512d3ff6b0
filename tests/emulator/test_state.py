"""Tuned models in a file, over restarts and kills."""

import json
import random
import signal
import subprocess
import sys
import threading
import time

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.emulated import BASE, bearer, model_body, prompt
from gemtune.emulator import Fault, create_app
from gemtune.emulator.serve import main
from gemtune.emulator.world.keeping import state
from gemtune.emulator.world.keeping.state import dump, restore, seal

LIST = "/v1beta/tunedModels"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.json"


async def everything(api, name="tunedModels/mine", **options):
    """All that can be read of a tuned model."""
    model = await api.get(f"/v1beta/{name}", **options)
    operations = await api.get(f"/v1/{name}/operations", **options)
    permissions = await api.get(f"/v1beta/{name}/permissions", **options)
    answer = (await api.call("POST", f"/v1beta/{name}:generateContent", prompt("two"), **options)).json()
    return model, operations, permissions, answer.get("candidates", answer)


async def test_everything_about_a_model_survives_a_restart(start, path):
    before = await start(state=path)
    body = model_body(
        hyperparameters={"epochCount": 3}, displayName="número", temperature=0.5, readerProjectNumbers=["7"]
    )
    await before.create(body, id="mine", **bearer("token"))
    grant = {"granteeType": "USER", "emailAddress": "ada@example.com", "role": "WRITER"}
    await before.call("POST", f"{LIST}/mine/permissions", grant)
    await before.call("PATCH", f"{LIST}/mine", {"description": "changed"})
    for seconds in (0, 5, 100):
        await before.call("POST", "/_emulator/clock", {"advance": seconds})
        after = await start(state=path)
        assert await everything(after) == await everything(before)
        after.app.advance(seconds)
        before.app.advance(seconds)
        assert await everything(after) == await everything(before)
    assert (await after.get(f"{LIST}/mine"))["state"] == "ACTIVE"


async def test_a_stepped_clock_stays_where_it_was(start, path):
    before = await start(state=path)
    await before.create(id="mine")
    await before.call("POST", "/_emulator/clock", {"advance": 7.0})
    after = await start(state=path)
    assert after.app.clock.now() == before.app.clock.now()
    assert (await after.get(f"{LIST}/mine"))["tuningTask"]["snapshots"][-1]["step"] == 5


@pytest.mark.parametrize("factor", [1, 1000])
async def test_a_running_clock_goes_on_as_if_it_had_never_stopped(start, path, factor):
    before = await start(state=path, clock=f"scaled:{factor}")
    await before.create(id="mine")
    kept = json.loads(path.read_text())
    kept = kept["state"]
    kept["clock"]["wall"] -= 60 * 10**9  # as if the process had been away for a minute
    path.write_text(seal(kept))
    after = await start(state=path, clock=f"scaled:{factor}")
    ahead = (after.app.clock.now() - kept["clock"]["time"]) / 1e9
    assert 60 * factor <= ahead < 70 * factor
    assert (await after.get(f"{LIST}/mine"))["state"] == "ACTIVE"


@pytest.mark.parametrize(
    ("fate", "seconds"),
    [({"fail_at_step": 3, "message": "no"}, 50), ({"stall_at_step": 3}, 50), ({"restart_at_step": 3}, 6),
     ({"losses": [3, 2, 1]}, 50), ({"hollow": True}, 50), ({"expire_at_step": 3}, 50)],
)  # fmt: skip
async def test_the_fate_of_a_job_survives_too(start, path, fate, seconds):
    before = await start(state=path)
    before.app.faults.add(Fault(method="tunedModels.create", job=fate))
    await before.create(id="mine")
    after = await start(state=path)
    for api in (before, after):
        api.app.advance(seconds)
    assert await everything(after) == await everything(before)


async def test_a_model_is_deleted_under_its_job_after_a_restart_too(start, path):
    before = await start(state=path)
    before.app.faults.add(Fault(method="tunedModels.create", job={"delete_at_step": 3}))
    await before.create(id="mine")
    after = await start(state=path)
    assert (await after.get(f"{LIST}/mine"))["state"] == "CREATING"
    after.app.advance(100)
    await after.refused(404, "GET", f"{LIST}/mine")


async def test_cancellation_deletion_and_reset_are_kept(start, path):
    before = await start(state=path)
    operation = await before.create(id="mine")
    await before.create(id="other")
    await before.call("POST", f"/v1/{operation['name']}:cancel")
    await before.call("DELETE", f"{LIST}/other")
    after = await start(state=path)
    assert [model["name"] for model in (await after.get(LIST))["tunedModels"]] == ["tunedModels/mine"]
    assert (await after.get(f"/v1/{operation['name']}"))["error"]["code"] == 1
    await after.call("POST", "/_emulator/reset")
    assert await (await start(state=path)).get(LIST) == {}


async def test_ids_and_pages_go_on_after_a_restart(start, path):
    api = await start(state=path)
    for _ in range(3):
        await api.create(model_body(displayName="same name"))
    token = (await api.get(LIST, params={"pageSize": 2}))["nextPageToken"]
    api = await start(state=path)
    for _ in range(3):
        await api.create(model_body(displayName="same name"))
    assert api.app.statistics()["tuned_models"] == 6
    rest = await api.get(LIST, params={"pageSize": 2, "pageToken": token})
    assert len(rest["tunedModels"]) == 2


async def test_only_changes_are_written(start, path, monkeypatch):
    api = await start(state=path)
    await api.create(id="mine")
    api.app.advance(100)
    written = []
    monkeypatch.setattr(state, "dump", lambda *kept: written.append(1) or dump(*kept))
    await everything(api)
    await api.get("/_emulator/requests")
    assert written == []
    await api.call("PATCH", f"{LIST}/mine", {"description": "d"})
    assert written == [1]


async def test_changes_at_the_same_time_are_all_kept_and_nothing_lies_about(start, path):
    api = await start(state=path)
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(lambda n: api.create(id=f"number-{n}"), number)
    assert (await start(state=path)).app.statistics()["tuned_models"] == 20
    assert [found.name for found in path.parent.iterdir()] == [path.name]


async def test_a_change_that_cannot_be_kept_is_an_error(start, tmp_path):
    api = await start(state=tmp_path / "gone" / "state.json")
    error = await api.refused(500, "POST", LIST, model_body())
    assert error["message"].startswith("The emulator cannot write its state: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"), ("[]", "version is None"), ("[" * 100_000, "nested too deeply"),
        ("[" * 900 + "]" * 900, "nested too deeply"),
        ('{"version": 1}', "version is 1, and this emulator knows version 2"),
        ('{"version": 2}', "checksum is wrong"), ('{"version": 2, "checksum": "a", "state": {}}', "checksum is wrong"),
        (seal({}), "damaged"), (seal(None), "damaged"),
        (seal({"clock": {}, "tuned_models": [{}], "numbers": 0}), "damaged"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_state_is_refused_by_name_and_left_alone(path, text, reason, capsys):
    path.write_text(text)
    with pytest.raises(ValueError, match=reason) as raised:
        create_app(state=path)
    assert str(path) in str(raised.value)
    assert main(["--state", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: the state file {path} cannot be used: ")
    assert path.read_text() == text


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3) | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["clock", "time", "wall", "numbers", "tuned_models", "job"]), inner)
        ),
    )
)
def test_any_json_is_a_state_or_refused(value):
    app = create_app(clock="stepped")
    try:
        restore(app.clock, app.store, seal(value).encode())
    except ValueError:
        assert app.store.tuned_models == {}


def test_a_state_is_the_same_after_a_round_trip():
    app = create_app(clock="stepped")
    again = create_app(clock="stepped")
    restore(again.clock, again.store, dump(app.clock, app.store).encode())
    kept, back = (json.loads(dump(each.clock, each.store))["state"] for each in (app, again))
    kept["clock"].pop("wall"), back["clock"].pop("wall")
    assert kept == back


def begin(path, tmp_path):
    """A process of its own, and its address."""
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "gemtune.emulator", "--state", str(path), "--ready-file", str(ready)]
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    process.stderr.readline()
    return process, json.loads(ready.read_text())["url"]


@pytest.mark.slow
@pytest.mark.socket
def test_what_was_answered_is_there_after_a_kill_at_any_moment(path, tmp_path):
    answered, asked, dice = set(), 0, random.Random(1)
    for _ in range(3):
        process, url = begin(path, tmp_path)
        with process:
            threading.Timer(dice.uniform(0.05, 0.4), process.send_signal, [signal.SIGKILL]).start()
            deadline = time.monotonic() + 10
            try:
                with httpx.Client(base_url=url) as http:
                    found = {
                        model["name"]
                        for model in http.get(LIST, params={"pageSize": 1000}).json().get("tunedModels", [])
                    }
                    assert answered <= found
                    while time.monotonic() < deadline:
                        asked += 1
                        reply = http.post(f"{LIST}?tunedModelId=number-{asked}", json=model_body([("1", "2")]))
                        answered.add(reply.json()["metadata"]["tunedModel"])
            except httpx.TransportError:
                pass  # killed
        assert process.returncode == -signal.SIGKILL
    assert answered
    app = create_app(state=path)
    assert answered <= set(app.store.tuned_models)
    assert len(app.store.tuned_models) <= asked
    assert all(model.base_model == BASE for model in app.store.tuned_models.values())


@pytest.mark.slow
@pytest.mark.socket
def test_two_processes_never_share_a_state(path, tmp_path):
    process, url = begin(path, tmp_path)
    try:
        with httpx.Client(base_url=url) as http:
            assert http.post(f"{LIST}?tunedModelId=a", json=model_body([("1", "2")])).status_code == 200
            with pytest.raises(ValueError, match="in use by another emulator"):
                create_app(state=path)
            assert http.post(f"{LIST}?tunedModelId=b", json=model_body([("1", "2")])).status_code == 200
            with pytest.raises(ValueError, match="in use by another emulator"):
                create_app(state=path)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert create_app(state=path).statistics()["tuned_models"] == 2


async def test_what_killed_writers_left_is_removed_and_nothing_else(start, path):
    left, others = path.with_name(path.name + ".ab_c1234.new"), ["state.json.new", "state.json.backup.new", "a.new"]
    left.write_text("half")
    for name in others:
        path.with_name(name).write_text("mine")
    api = await start(state=path)
    await api.create(id="mine")
    assert sorted(found.name for found in path.parent.iterdir()) == sorted([*others, path.name])
