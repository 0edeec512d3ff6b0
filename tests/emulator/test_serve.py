"""The emulator on a real socket."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import types
import urllib.request

import anyio
import anyio.to_thread
import httpx
import pytest
import trustme
from google.oauth2 import service_account

from emulator.emulated import model_body, prompt, tutorial_body
from gemtune.emulator import Fault, running_emulator, serve
from gemtune.emulator.serve import main

pytestmark = pytest.mark.socket


def test_the_tutorial_runs_over_a_socket():
    with running_emulator(clock="stepped") as emulator, httpx.Client(base_url=emulator.url) as http:
        created = http.post("/v1beta/tunedModels", content=tutorial_body(), headers={"accept-encoding": "identity"})
        assert len(created.content) == 296
        assert created.headers["transfer-encoding"] == "chunked"
        assert created.headers.get_list("date") == ["Thu, 14 Mar 2024 15:11:02 GMT"]
        assert created.headers.get_list("server") == ["scaffolding on HTTPServer2"]
        assert http.post("/_emulator/clock", json={"advance": 100}).status_code == 200
        operation = http.get("/v1/" + created.json()["name"]).json()
        assert operation["metadata"]["completedPercent"] == 100
        with http.stream(
            "POST", f"/v1beta/{operation['response']['name']}:streamGenerateContent?alt=sse", json=prompt("1")
        ) as r:
            events = [line for line in r.iter_lines() if line]
        assert all(json.loads(event.removeprefix("data: "))["candidates"] for event in events)
    with pytest.raises(httpx.ConnectError):
        httpx.get(emulator.url)


@pytest.mark.both_backends
async def test_it_runs_for_the_length_of_an_async_block():
    async with running_emulator(seed=3) as emulator, httpx.AsyncClient(base_url=emulator.url) as http:
        assert (await http.get("/v1beta/models")).status_code == 200
        assert emulator.app.settings.seed == 3


def test_a_dropped_connection_is_really_dropped():
    with running_emulator() as emulator, httpx.Client(base_url=emulator.url) as http:
        emulator.app.faults.add(Fault(drop=True), Fault(method="tunedModels.create", drop=True, act=True))
        with pytest.raises(httpx.TransportError):
            http.get("/v1beta/models")
        with pytest.raises(httpx.TransportError):
            http.post("/v1beta/tunedModels?tunedModelId=mine", json=model_body([("1", "2")]))
        assert http.get("/v1beta/tunedModels/mine").json()["name"] == "tunedModels/mine"


def test_a_stream_can_break_off_in_the_middle():
    with running_emulator(step_seconds=0, queue_seconds=0) as emulator, httpx.Client(base_url=emulator.url) as http:
        http.post("/v1beta/tunedModels?tunedModelId=mine", json=model_body([("1", "2")]))
        emulator.app.faults.add(Fault(after=1, drop=True))
        received = []
        path = "/v1beta/tunedModels/mine:streamGenerateContent?alt=sse"
        with pytest.raises(httpx.RemoteProtocolError), http.stream("POST", path, json=prompt("1")) as reply:
            received.extend(reply.iter_lines())
        assert emulator.app.requests[-1].status == 200


def test_it_stops_with_a_request_under_way():
    before = set(threading.enumerate())
    with running_emulator(clock="stepped") as emulator:
        emulator.app.faults.add(Fault(delay=1000))
        with pytest.raises(httpx.TimeoutException):
            httpx.get(emulator.url + "/v1beta/models", timeout=0.2)
    assert set(threading.enumerate()) <= before


def test_it_speaks_https(tmp_path):
    authority = trustme.CA()
    certificate = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    with running_emulator(certfile=str(certificate)) as emulator:
        context = ssl.create_default_context(cafile=str(trusted))
        assert emulator.url.startswith("https://")
        assert httpx.get(emulator.url + "/v1beta/models", verify=context).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_announces_itself_in_a_file_and_ends_on_a_signal(tmp_path, number):
    ready = tmp_path / "ready.json"
    options = ["--ready-file", str(ready), "--clock", "stepped", "--seed", "7"]
    # As a shell starts the background jobs of a script: with Ctrl-C ignored.
    script = 'trap "" INT; exec "$0" -m gemtune.emulator "$@"'
    command = ["sh", "-c", script, sys.executable, *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "listening on http://127.0.0.1:" in process.stderr.readline()
            (line,) = ready.read_text().splitlines()
            facts = json.loads(line)
            assert (list(facts), facts["pid"]) == (["url", "pid", "version"], process.pid)
            assert httpx.get(facts["url"] + "/_emulator/clock").json()["clock"].startswith("SteppedClock")
        finally:
            os.kill(process.pid, number)
        assert process.wait(10) == 130
    assert list(tmp_path.iterdir()) == [ready]


@pytest.mark.parametrize("argv", [["--clock", "sundial"], ["--port", "1", "--host", "256.0.0.1"], ["--port", "70000"]])
def test_a_bad_option_ends_the_command_with_2_and_one_line(argv, capsys):
    assert main(argv) == 2
    assert capsys.readouterr().err.startswith("error: ")


OURS = '{"url": "http://127.0.0.1:1", "pid": 1, "version": "0"}\n'


@pytest.mark.parametrize("text", ["a year of work", OURS, "", "{}", '{"url": 1}', "[" * 100_000, "null", "[1, 2, 3]"])
@pytest.mark.parametrize("argv", [["--port", "99999"], ["--host", "256.0.0.1"], ["--clock", "sundial"]])
def test_what_lies_at_the_ready_file_stays_if_the_emulator_cannot_start(argv, text, tmp_path, capsys):
    ready = tmp_path / "ready.json"
    ready.write_text(text)
    assert main([*argv, "--ready-file", str(ready)]) == 2
    assert ready.read_text() == text
    assert list(tmp_path.iterdir()) == [ready]
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "replaced"),
    [(None, True), ("", True), (OURS, True), ("a year of work", False), ("{}", False), ("[" * 100_000, False)],
    ids=["nothing", "empty", "ours", "text", "object", "deep"],
)
def test_a_ready_file_replaces_only_what_an_emulator_wrote(text, replaced, tmp_path, capsys, monkeypatch):
    ready, seen = tmp_path / "ready.json", []
    if text is not None:
        ready.write_text(text)

    def run(server, sockets):
        seen.append(ready.exists())  # the address of an earlier run is gone before anybody can be misled
        sockets[0].close()

    monkeypatch.setattr("uvicorn.Server.run", run)
    assert main(["--ready-file", str(ready)]) == (130 if replaced else 2)
    assert seen == ([False] if replaced else [])
    if not replaced:
        assert ready.read_text() == text
        assert "something else is there" in capsys.readouterr().err


def test_a_link_at_the_ready_file_does_not_lead_to_another_file(tmp_path, monkeypatch):
    precious, ready = tmp_path / "precious", tmp_path / "ready.json"
    precious.write_text(OURS)
    ready.symlink_to(precious)
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: sockets[0].close())
    assert main(["--ready-file", str(ready)]) == 130
    assert precious.read_text() == OURS


def test_without_uvicorn_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ImportError, match=r"pip install 'gemtune\[emulator\]'"), running_emulator():
        pass
    assert serve.main(["--port", "0"]) == 2


def test_options_for_an_emulator_that_exists_are_refused():
    with running_emulator() as emulator, pytest.raises(TypeError, match="seed"):
        running_emulator(emulator.app, seed=1)


def test_a_service_account_of_its_own_signs_in_at_the_emulator(tmp_path, monkeypatch):
    with running_emulator(auth="required") as emulator:
        account = tmp_path / "account.json"
        emulator.write_credentials(account, "my-project")
        assert account.stat().st_mode & 0o777 == 0o600
        facts = json.loads(account.read_text())
        assert (facts["project_id"], facts["token_uri"]) == ("my-project", f"{emulator.url}/token")
        credentials = service_account.Credentials.from_service_account_file(account, scopes=["cloud-platform"])
        credentials.refresh(ThroughUrllib())
        jobs = f"{emulator.url}/v1/projects/my-project/locations/us-central1/tuningJobs"
        with httpx.Client() as http:
            assert http.get(jobs).status_code == 401
            assert http.get(jobs, headers={"authorization": f"Bearer {credentials.token}"}).status_code == 200


@pytest.mark.parametrize("text", ['{"type": "service_account", "private_key_id": "3f0a"}', "notes", "[]"])
def test_a_real_account_is_never_overwritten(text, tmp_path, capsys):
    account = tmp_path / "account.json"
    account.write_text(text)
    assert main(["--credentials", str(account)]) == 2
    assert capsys.readouterr().err == (
        f"error: --credentials {account}: something else is there; remove it, or choose another name\n"
    )
    assert account.read_text() == text


def test_credentials_where_no_file_can_be_made_are_refused(tmp_path, capsys):
    assert main(["--credentials", str(tmp_path / "missing" / "account.json")]) == 2
    assert "no file can be made there" in capsys.readouterr().err


class ThroughUrllib:
    """google-auth's way to send a request, on the standard library alone."""

    def __call__(self, url, method="GET", body=None, headers=None, **_):
        request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
        with urllib.request.urlopen(request) as reply:
            return types.SimpleNamespace(status=reply.status, headers=dict(reply.headers), data=reply.read())


async def test_cancelled_while_it_starts_it_is_stopped(monkeypatch):
    loop, begun, go_on, started = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), threading.Event()
    before, usual = set(threading.enumerate()), serve.RunningEmulator.start

    def start(emulator):
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(60)
        usual(emulator)
        started.set()

    monkeypatch.setattr(serve.RunningEmulator, "start", start)
    entering = asyncio.create_task(running_emulator().__aenter__())
    await begun.wait()
    entering.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert await anyio.to_thread.run_sync(started.wait, 60)
    assert [thread.name for thread in set(threading.enumerate()) - before if "emulator" in thread.name] == []
