"""Files and batches of the Gemini API in a state file: a value that is not what it was is refused, or harmless."""

import json
import shutil
from pathlib import Path

import httpx
import pytest

from emulator.batching import MODEL, inline, requests
from emulator.test_damaged_states import OTHERS, InThread, leaves
from gemtune.emulator import BatchFate, Fault, create_app
from gemtune.emulator.world.keeping.state import dump, restore, seal

pytestmark = pytest.mark.slow

CREATE = f"/v1beta/{MODEL}:batchGenerateContent"
START = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
END = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> tuple[dict, Path]:
    """A state with a file and batches that are over, cancelled and under way, and the folder of their contents."""
    folder = tmp_path_factory.mktemp("kept")
    app = create_app(clock="stepped", gzip=False, state=folder / "state.json")
    app.faults.add(Fault(method="models.batchGenerateContent", batch=BatchFate(failed_lines=(1,))))
    with httpx.Client(transport=InThread(app), base_url="http://127.0.0.1") as http:
        url = http.post("/upload/v1beta/files", headers=START, json={}).headers["x-goog-upload-url"]
        name = http.post(url, headers=END, content=requests("one", "two")).json()["file"]["name"]
        for source, advanced in (
            ({"fileName": name}, 100),
            (inline("one"), 100),
            ({"fileName": name}, 5),
            (inline("x"), 3),
        ):
            batch = http.post(CREATE, json={"batch": {"inputConfig": source}}).json()
            app.advance(advanced)
            if advanced == 5:
                http.post(f"/v1beta/{batch['name']}:cancel")
        assert http.post(CREATE, json={"batch": {"inputConfig": inline("y")}}).status_code == 200
    return json.loads(dump(app.clock, app.store))["state"], folder / "state.json.objects"


def restored(state, folder: Path, to: Path):
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    app = create_app(clock="stepped", gzip=False)
    app.store.objects.depot.folder = to
    restore(app.clock, app.store, seal(state).encode())
    return app


def everything_readable(app):
    with httpx.Client(transport=InThread(app), base_url="http://127.0.0.1") as http:
        for _ in range(2):
            for file in http.get("/v1beta/files").json().get("files", []):
                assert http.get(f"/v1beta/{file['name']}:download?alt=media").status_code in (200, 400, 403, 404)
            for batch in http.get("/v1beta/batches").json().get("operations", []):
                assert http.get(f"/v1beta/{batch['name']}").status_code in (200, 404)
            app.advance(1000)
        assert http.post(CREATE, json={"batch": {"inputConfig": inline("y")}}).status_code in (200, 429)


def test_a_state_is_the_same_after_a_round_trip(kept, tmp_path):
    state, folder = kept
    again = restored(state, folder, tmp_path / "again")
    assert json.loads(dump(again.clock, again.store))["state"]["shelves"]["gemini"] == state["shelves"]["gemini"]
    everything_readable(again)


@pytest.mark.parametrize("kind", ["files", "batches"])
@pytest.mark.parametrize("other", OTHERS, ids=repr)
def test_a_value_of_another_type_is_refused_or_harmless_even_under_a_right_checksum(kept, tmp_path, kind, other):
    state, folder = kept
    # Of equal parts of several batches those of the first one stand for all.
    every = [path for path in leaves(state["shelves"]["gemini"][kind]) if len(path) > 1]
    paths = [path for path in every if path[0] == 0 or path[1] in ("input", "end", "cancelled")]
    assert len(paths) > 12
    for path in paths:
        damaged = json.loads(json.dumps(state))
        holder = damaged["shelves"]["gemini"][kind]
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = other
        try:
            app = restored(damaged, folder, tmp_path / "damaged")
        except ValueError:
            continue
        everything_readable(app)
