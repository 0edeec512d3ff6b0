"""``gemtune dashboard``: prints where it is, shows all jobs, and ends at once when it is told to."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import anyio
import httpx
import pytest

import gemtune
from gemtune.cli import main
from gemtune.cli.dashboard import _ended
from gemtune.emulator import create_app, running_emulator
from gemtune.web.serve import DashboardSite
from world import BASE, EXAMPLES

pytestmark = pytest.mark.socket


@pytest.fixture
def service(monkeypatch):
    with running_emulator(create_app(step_seconds=0, queue_seconds=0)) as emulator:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.url)
        monkeypatch.setenv("GOOGLE_API_KEY", "key-of-the-tests")
        yield emulator


async def tune(*names):
    async with gemtune.Client() as client:
        for name in names:
            await client.job((await client.tune(BASE, EXAMPLES, tuned_model_id=name)).name)


@contextmanager
def running(*arguments):
    command = [sys.executable, "-W", "error", "-m", "gemtune", "dashboard", "--no-open", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


@pytest.mark.slow
def test_it_shows_all_jobs_and_an_interrupt_ends_it_with_pages_open(service):
    anyio.run(tune, "first", "second")
    with running("--json") as (process, line), httpx.Client(trust_env=False, timeout=20) as browser:
        facts = json.loads(line)
        assert (facts["pid"], facts["url"].startswith("http://127.0.0.1:")) == (process.pid, True)
        assert browser.get(facts["url"]).status_code == 200
        assert browser.get(facts["url"], headers={"Host": "evil.example"}).status_code == 421
        with browser.stream("GET", f"{facts['url']}api/events") as page:
            lines = page.iter_lines()
            first = next(line for line in lines if line.startswith("data:"))
            shown = [job["name"] for job in json.loads(first.removeprefix("data: "))["jobs"]]
            assert shown == ["tunedModels/second", "tunedModels/first"]
            process.send_signal(signal.SIGINT)
            list(lines)  # to the end: the reply is whole, or this raises
        assert process.wait(20) == 130
        assert process.stderr.read() == "the dashboard has ended; the jobs continue\n"


@pytest.mark.slow
def test_elsewhere_it_needs_the_link_that_it_prints_and_prints_another_when_that_was_used(service):
    with running("--host", "0.0.0.0") as (process, line), httpx.Client(trust_env=False, timeout=20) as browser:
        link = httpx.URL(line.split()[4]).copy_with(host="127.0.0.1")
        assert browser.get(link.copy_with(query=None)).status_code == 401
        assert browser.get(link, follow_redirects=True).status_code == 200
        assert browser.get(link.copy_with(path="/api/jobs", query=None)).json()["jobs"] == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130
        warned, another, ended = process.stderr.read().splitlines()
    assert warned.startswith("note: other machines can open it")
    assert another.startswith("another browser? http://")
    assert link.params["key"] not in another
    assert ended == "the dashboard has ended; the jobs continue"


ENDLESS = """
import anyio
from starlette.applications import Starlette
from starlette.routing import Route
from gemtune.web.serve import DashboardSite, serve
from gemtune.web.streams import StreamEnd, message, stream_response


async def much():
    while True:
        yield message("x" * 1_000_000)


async def follow(request):
    return stream_response(much(), StreamEnd(), beat=60)


site = DashboardSite("127.0.0.1")
app = Starlette(routes=[Route("/", follow)])
anyio.run(serve, app, site.listen(), lambda: print(site.port, flush=True))
"""


@pytest.mark.slow
def test_a_browser_that_takes_nothing_does_not_keep_it_from_ending():
    with subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, text=True) as process:
        try:
            with socket.create_connection(("127.0.0.1", int(process.stdout.readline()))) as stalled:
                stalled.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert stalled.recv(15) == b"HTTP/1.1 200 OK"
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
        finally:
            process.kill()


def test_it_ends_by_itself_after_the_time_that_is_allowed(service, capsys):
    assert main(["dashboard", "--no-open", "--timeout", "50ms"]) == 124
    out, err = capsys.readouterr()
    assert out.startswith("The dashboard is at http://127.0.0.1:")
    assert err == "the dashboard has ended; the jobs continue\n"


@pytest.mark.parametrize("argv", [["--port", "70000"], ["--host", "256.1.1.1"], ["--host", "nowhere.invalid"]])
def test_what_keeps_it_from_starting_is_told_in_one_line(service, capsys, argv):
    assert main(["dashboard", "--no-open", *argv]) == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith("error: "), err.count("\n")) == ("", True, 1)


def test_a_refused_credential_is_told_before_anything_is_served(monkeypatch, capsys):
    with running_emulator(create_app(auth="strict")) as emulator:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.url)
        monkeypatch.setenv("GOOGLE_API_KEY", "unheard-of")
        assert main(["dashboard", "--no-open"]) == 3
    assert capsys.readouterr().out == ""


def test_without_the_extra_the_error_says_what_to_install(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith(("gemtune.web", "sse_starlette"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sse_starlette", None)
    assert main(["dashboard"]) == 1
    assert "pip install 'gemtune[web]'" in capsys.readouterr().err


def test_of_the_jobs_that_have_ended_the_newest_are_shown(service):
    async def newest():
        async with gemtune.Client() as client:
            return await _ended(client, 2), await _ended(client, 0)

    anyio.run(tune, "one", "two", "three")
    assert anyio.run(newest) == (["tunedModels/three", "tunedModels/two"], [])


@pytest.mark.parametrize(
    ("host", "locked", "link"),
    [
        ("127.0.0.1", False, r"http://127.0.0.1:9/"),
        ("localhost", False, r"http://localhost:9/"),
        ("::1", False, r"http://[::1]:9/"),
        ("127.0.0.1", True, r"http://127.0.0.1:9/?key="),
        ("10.0.0.1", False, r"http://10.0.0.1:9/?key="),
        ("box.example", False, r"http://box.example:9/?key="),
    ],
)
def test_a_link_holds_a_key_wherever_others_could_come_or_asking_costs(host, locked, link):
    site = DashboardSite(host, 9, locked=locked)
    assert site.link.startswith(link)
    assert ("key" in site.link) == ("key" in link)


def test_no_browser_is_opened_where_nobody_would_see_it(monkeypatch):
    from gemtune.web import serve

    for name in ("SSH_CONNECTION", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not serve.opens_browser()
    monkeypatch.setenv("DISPLAY", ":0")
    assert serve.opens_browser()
    monkeypatch.setitem(os.environ, "SSH_CONNECTION", "1 2 3 4")
    assert not serve.opens_browser()
