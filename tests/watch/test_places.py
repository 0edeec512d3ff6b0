"""Where watchers live: a web application whose clients go away, a notebook's cells, a process that is killed."""

import json
import signal
import subprocess
import sys
from typing import Annotated

import anyio
import fastapi
import pytest
from fastapi.responses import StreamingResponse

import gemtune
from gemtune.config import WatchPolicy
from gemtune.emulator import create_app, running_emulator
from gemtune.watch import Watcher
from watch.service import Job, Service, named
from world import BASE, EXAMPLES

NAME = named("job0")


def make_web(watcher: Watcher) -> fastapi.FastAPI:
    """The endpoint as the documentation shows it; the watcher lives in the application's lifespan."""
    web = fastapi.FastAPI()

    @web.get("/jobs/{name}/events")
    async def stream(name: str, last_event_id: Annotated[str | None, fastapi.Header()] = None) -> StreamingResponse:
        async def lines():
            with watcher.subscribe([name], since=last_event_id, bookmarks=10) as events:
                async for event in events:
                    mark = f"id: {event.cursor}\n" if event.cursor else ""
                    yield f"event: {event.kind}\n{mark}data: {json.dumps(event.to_dict())}\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")

    return web


class Browser:
    """One request to an ASGI application, from which the client may go away."""

    def __init__(self, spec_version):
        self.spec_version = spec_version
        self.gone = anyio.Event()
        self.body = b""

    async def run(self, web, last_event_id=None):
        headers = [(b"last-event-id", last_event_id.encode())] if last_event_id else []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": self.spec_version},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/jobs/job0/events",
            "raw_path": b"/jobs/job0/events",
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        asked = False

        async def receive():
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if self.gone.is_set() and self.spec_version == "2.4":
                raise OSError("the client has gone")
            if message["type"] == "http.response.body" and not self.gone.is_set():
                self.body += message["body"]

        try:
            await web(scope, receive, send)
        except Exception as error:  # a 2.4 server swallows what its own send raised
            if not self.gone.is_set():
                raise
            assert type(error).__name__ == "ClientDisconnect"  # noqa: PT017

    @property
    def events(self):
        blocks = [
            dict(line.split(": ", 1) for line in block.split("\n"))
            for block in self.body.decode().split("\n\n")
            if block
        ]
        return [block | {"data": json.loads(block["data"])} for block in blocks]

    @property
    def steps(self):
        return [event["data"]["step"] for event in self.events if event["event"] == "snapshot"]


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
async def test_a_client_that_goes_away_leaves_nothing_and_comes_back_where_it_was(spec_version):
    service = Service()
    service.add(Job(NAME, gap=10.0, total=20))
    watcher = await Watcher(service, [NAME], policy=WatchPolicy()).start()
    web = make_web(watcher)
    async with anyio.create_task_group() as group:
        other, leaving = Browser(spec_version), Browser(spec_version)
        group.start_soon(other.run, web)
        group.start_soon(leaving.run, web)
        await anyio.sleep(100)
        assert watcher.statistics().subscribers == 2
        leaving.gone.set()
        await anyio.sleep(11)
        assert watcher.statistics().subscribers == 1, "at the latest the next bookmark shows that nobody is there"
        requests = len(service.calls)
        await anyio.sleep(30)
        assert len(service.calls) > requests, "the shared look goes on for the others"
        back = Browser(spec_version)
        await back.run(web, [event["id"] for event in leaving.events if "id" in event][-1])
        assert leaving.steps + back.steps == list(range(1, 21))
        assert back.events[-1]["event"] == "succeeded"
    assert other.steps == list(range(1, 21))
    again = Browser(spec_version)
    await again.run(web, back.events[-1]["id"])
    assert again.events == [], "there is nothing left to tell"
    await watcher.aclose()


async def test_a_last_event_id_is_anybodys_input_and_is_read_strictly():
    watcher = Watcher(Service(), [NAME], policy=WatchPolicy())
    for text in ("x", "j1.", "c1.abc", "j1." + "A" * 5000, "../../etc", "j1.Li4v.0.1..0"):
        with pytest.raises(gemtune.errors.InvalidInput):
            watcher.subscribe([NAME], since=text)


CELLS = [
    """
import gemtune, httpx
from gemtune.emulator import create_app
from gemtune import events
app = create_app(clock="scaled:20")
client = gemtune.Client(base_url="http://127.0.0.1", transport=httpx.ASGITransport(app), token="t")
policy = gemtune.WatchPolicy(freshness=0.2, min_interval=0.1, queued_interval=0.2, terminal_freshness=0.2, max_rps=50)
jobs = [await client.tune("models/gemini-1.0-pro-001", [("1", "2")] * 30, display_name=f"job {n}") for n in range(2)]
watcher = await client.watch(jobs, policy=policy).start()
reader = watcher.subscribe(kinds=["snapshot", "succeeded"])
first = await reader.next_batch(max_wait=5)
""",
    """
import time
time.sleep(0.5)  # a cell that is busy
second = await reader.next_batch(max_wait=5)
""",
    """
third = [event async for event in reader]
result = await watcher.wait()
await watcher.aclose()
seen = [*first, *second, *third]
steps = {job.name: [e.step for e in seen if e.job == job.name and e.kind == "snapshot"] for job in jobs}
import asyncio
left = [task for task in asyncio.all_tasks() if "gemtune" in task.get_name()]
print(len(first) > 0, len(second) > 0, all(s == list(range(1, len(s) + 1)) and s for s in steps.values()), left,
      sorted(event.kind for event in result.done.values()))
""",
]


@pytest.mark.slow
@pytest.mark.socket
@pytest.mark.filterwarnings("ignore")
def test_a_watcher_lives_across_the_cells_of_a_notebook():
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    printed = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    assert printed == "True True True [] ['succeeded', 'succeeded']\n"


VICTIM = """
import json, sys
import anyio, gemtune

async def main(url, resume, *names):
    quick = {"freshness": 0.1, "min_interval": 0.05, "queued_interval": 0.1, "terminal_freshness": 0.1, "max_rps": 100}
    policy = gemtune.WatchPolicy(**quick)
    async with gemtune.Client(base_url=url, token="t") as client:
        async with client.watch(names, policy=policy, resume=resume or None) as watcher:
            async for event in watcher:
                print(json.dumps({"event": event.to_dict(), "token": watcher.resume_token()}), flush=True)

anyio.run(main, *sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.socket
def test_a_process_that_was_killed_goes_on_without_a_loss():
    with running_emulator(create_app(clock="scaled:20")) as server:

        async def tune():
            async with gemtune.Client(base_url=server.url, token="t") as client:
                settings = gemtune.Hyperparameters(epoch_count=5, batch_size=2)
                return [(await client.tune(BASE, EXAMPLES, hyperparameters=settings)).name for _ in range(3)]

        names = anyio.run(tune)
        lines, token = [], ""
        for kill_after in (15, 40, 75, 10**9):
            command = [sys.executable, "-c", VICTIM, server.url, token, *names]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    lines.append(json.loads(line))
                    token = lines[-1]["token"]
                    if len(lines) >= kill_after:
                        process.send_signal(signal.SIGKILL)
                        break
        assert process.returncode == 0
    for name in names:
        mine = [line["event"] for line in lines if line["event"]["job"] == name]
        steps = [event["step"] for event in mine if event["kind"] == "snapshot"]
        assert sorted(set(steps)) == list(range(1, 39))
        assert mine[-1]["kind"] == "succeeded"
        seen = set()
        for event in mine:
            if event["kind"] == "snapshot":
                assert event["step"] not in seen or event["replayed"]
                seen.add(event["step"])
