"""No web page that happens to be open on the developer's machine may command or read the emulator."""

import http.client
import json

import pytest

from gemtune.emulator import create_app, running_emulator
from gemtune.emulator.serve import main

FOREIGN_HOSTS = [
    "rebound.example", "rebound.example:80", "localhost.rebound.example", "127.0.0.1.nip.example", "x@rebound.example",
    "localhost@rebound.example", "rebound.example.", "REBOUND.example", "192.168.1.7", "10.0.0.1:8080", "[fe80::1]",
    "0.0.0.0", "x", "", " ", "[", "rebound.example#localhost", "rebound.example/localhost",
]  # fmt: skip
NEAR_HOSTS = ["localhost", "LOCALHOST:1", "localhost.", "app.localhost:3000", "127.0.0.1", "127.8.9.10:1", "[::1]:8080"]
FOREIGN_ORIGINS = [
    "https://page.example", "http://localhost.page.example", "null", "file://", "chrome-extension://abcdef",
    "https://127.0.0.1.page.example", "https://localhost@page.example", "", "localhost", "https://[",
]  # fmt: skip


async def status(api, verb="GET", path="/v1beta/models", **headers):
    return (await api.call(verb, path, headers={k.replace("_", "-"): v for k, v in headers.items()})).status_code


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("path", ["/v1beta/models", "/_emulator/requests", "/nothing/here"])
async def test_a_request_for_a_foreign_host_is_refused_and_leaves_no_trace(api, host, path):
    reply = await api.call("GET", path, headers={"host": host})
    assert reply.status_code == 403
    assert "answers only programs on this machine" in reply.json()["error"]["message"]
    assert len(api.app.requests) == 0


@pytest.mark.parametrize("host", NEAR_HOSTS)
async def test_this_machine_has_many_names(api, host):
    assert await status(api, host=host) == 200
    assert await status(api, origin=f"http://{host.rstrip('.')}") == 200


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_a_page_of_a_foreign_origin_is_refused_whatever_it_asks(api, origin):
    assert await status(api, origin=origin) == 403
    reply = await api.call("POST", "/_emulator/faults", [{"status": 500}], headers={"origin": origin})
    assert reply.status_code == 403
    assert api.app.faults.scenarios == {}


async def test_what_a_foreign_page_embeds_is_refused_and_a_link_to_the_emulator_is_not(api):
    assert await status(api, sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403
    assert await status(api, sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 200
    assert await status(api, sec_fetch_site="same-origin", sec_fetch_mode="cors") == 200


async def test_further_hosts_are_allowed_by_name_and_the_refusal_says_how(start):
    api = await start(allow_hosts=["Emulator", "gemini.test"])
    assert await status(api, host="emulator:8080") == 200
    assert await status(api, host="gemini.test") == 200
    assert await status(api, origin="http://emulator:3000") == 200
    reply = await api.call("GET", "/v1beta/models", headers={"host": "other:8080"})
    assert "--allow-host other, or create_app(allow_hosts=['other'])" in reply.json()["error"]["message"]
    with pytest.raises(TypeError, match="list of names"):
        create_app(allow_hosts="emulator")


@pytest.mark.socket
def test_the_address_it_listens_on_is_its_own_name():
    with running_emulator(host="127.0.0.9") as emulator:
        for host, expected in (("127.0.0.9", 200), ("localhost", 200), ("rebound.example", 403)):
            connection = http.client.HTTPConnection(emulator.host, emulator.port, timeout=10)
            connection.request("GET", "/v1beta/models", headers={"host": host})
            assert connection.getresponse().status == expected
            connection.close()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"])
@pytest.mark.parametrize("path", ["faults", "clock", "reset"])
async def test_control_wants_json_by_its_name(api, kind, path):
    await api.create(id="mine")
    reply = await api.http.post(f"/_emulator/{path}", content=b'{"status": 500}', headers={"content-type": kind})
    assert reply.status_code == 415
    assert "content-type: application/json" in reply.json()["error"]["message"]
    reply = await api.http.post(f"/_emulator/{path}", content=b"", headers={"content-type": "text/plain"})
    assert reply.status_code == 415
    assert api.app.statistics()["tuned_models"] == 1
    assert api.app.faults.scenarios == {}


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
async def test_json_is_taken_under_every_spelling_of_its_name_and_nothing_needs_none(api, kind):
    body = json.dumps([{"status": 500}]).encode()
    reply = await api.http.post("/_emulator/faults", content=body, headers={"content-type": kind})
    assert reply.status_code == 200
    assert (await api.http.post("/_emulator/reset")).status_code == 200


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("::", True), ("127.0.0.1", False), ("::1", False)])
def test_the_command_warns_if_other_machines_can_reach_it(host, warned, capsys, monkeypatch):
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: [each.close() for each in sockets])
    assert main(["--host", host]) == 130
    assert ("warning: with --host" in capsys.readouterr().err) is warned
