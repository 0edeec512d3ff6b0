"""The show of the issue: 24 points under a quota of 4, killed three times without warning, and resumed: 24 jobs.

``GEMTUNE_KILLS`` is how often it is killed.
"""

import json
import os
import random
import subprocess
import sys

import pytest

from gemtune.emulator import create_app, running_emulator
from gemtune.emulator.vertex.shelf import shelf_of
from gemtune.sweep.journal.folder import POINTS
from vertex.service import put

pytestmark = [pytest.mark.socket, pytest.mark.slow]

KILLS = min(int(os.environ.get("GEMTUNE_KILLS", "10")), 30) * 3 // 10
PROGRAM = """
import anyio, gemtune, json, sys
from gemtune.resources.vertex import labels

labels.SETTLED = 0.1  # here a list shows at once what was created
vertex = sys.argv[1] == "vertex"
base = "gemini-2.5-flash" if vertex else "models/gemini-1.0-pro-001"
rows = [(f"question {n}", f"answer {n % 5}") for n in range(12)]
space = {"epoch_count": [1, 2, 3, 4], "learning_rate_multiplier": [0.5, 0.7, 1.0, 1.4, 2.0, 2.8]}

async def main():
    often = dict(min_interval=0.05, freshness=0.2, terminal_freshness=0.1, queued_interval=0.1, max_rps=400)
    watch = gemtune.WatchPolicy(**often)
    more = dict(vertexai=True, project="my-project", location="us-central1", bucket="my-bucket") if vertex else {}
    async with gemtune.Client(base_url=sys.argv[2], token="t", watch=watch, **more) as client:
        sweep = client.sweep(base, rows, space=space, objective="loss", validation=None, journal="run")
        async with sweep:
            async for event in sweep:
                if event.kind != "point_progress":
                    print(event.kind, event.point.number, event.replayed, flush=True)
    print(json.dumps({each.point.number: each.state.value for each in sweep.points}), flush=True)

anyio.run(main)
"""


@pytest.fixture(params=["gemini", "vertex"])
def face(request):
    return request.param


@pytest.fixture
def server(face):
    # What lets a place come free: jobs of some steps, each of a few milliseconds.
    options = {"max_concurrent_jobs": 4, "vertex_concurrent_jobs": 4, "vertex_quota": "refuse"}
    with running_emulator(create_app(clock="real", step_seconds=0.01, queue_seconds=0.05, **options)) as running:
        put(running.app)
        yield running


def started(face, server, folder):
    command = [sys.executable, "-c", PROGRAM, face, server.url]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed_after(face, server, folder, lines):
    """Start it, and kill it after so many lines of what it says are no replay; return whether it was done before."""
    with started(face, server, folder) as process:
        for line in process.stdout:
            lines -= line.startswith(("point_started", "point_ended")) and line.endswith("False\n")
            if lines <= 0:
                process.kill()
                return False
    assert process.returncode == 0
    return True


def made(face, app):
    if face == "gemini":
        return sorted(app.store.tuned_models)
    return sorted(job.labels["gemtune-id"] for job in shelf_of(app.store).jobs.values())


def test_24_points_under_a_quota_of_4_killed_three_times_and_resumed_are_24_jobs(face, server, tmp_path):
    dice = random.Random(int(os.environ.get("GEMTUNE_SEED", "7")))
    for _ in range(KILLS):
        killed_after(face, server, tmp_path, dice.randrange(1, 12))
    with started(face, server, tmp_path) as process:
        said, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints
    assert json.loads(said.splitlines()[-1]) == {str(number): "trained" for number in range(24)}
    assert len(made(face, server.app)) == len(set(made(face, server.app))) == 24
    lines = (tmp_path / "run" / POINTS).read_text().splitlines()
    assert sum('"is":"ended"' in line for line in lines) == 24
