"""Vertex AI's part of a state file: a value that is not what it was is refused, or harmless."""

import json
from urllib.parse import quote

import httpx
import pytest

from emulator.test_damaged_states import OTHERS, InThread, leaves, restored
from emulator.test_vertex_batches import INPUT, batch_body
from emulator.test_vertex_batches import JOBS as BATCHES
from emulator.vertex import BETA_JOBS, PARENT, PREFER, TRAIN, job_body, preferences, put, supervised, turns
from gemtune.emulator import create_app
from gemtune.emulator.world.keeping.state import dump, seal


def a_state():
    app = create_app(clock="stepped", gzip=False)
    put(app, supervised(), TRAIN)
    put(app, preferences(), PREFER)
    with httpx.Client(transport=InThread(app), base_url="http://127.0.0.1") as http:
        spec = {"hyperParameters": {"epochCount": 2}}
        job = http.post(BETA_JOBS, json=job_body(spec=spec, labels={"a": "b"}, serviceAccount="a@b.example")).json()
        preference = {"baseModel": "gemini-2.5-flash", "preferenceOptimizationSpec": {"trainingDatasetUri": PREFER}}
        http.post(BETA_JOBS, json=preference)
        app.advance(1000)
        model = http.get(f"/v1/{job['name']}").json()["tunedModel"]
        name = model["model"].partition("@")[0]
        assert http.patch(f"/v1/{name}", json={"defaultCheckpointId": "1", "labels": {"c": "d"}}).status_code == 200
        endpoint = http.get(f"/v1/{model['endpoint']}").json()
        body = {"deployedModelId": endpoint["deployedModels"][0]["id"]}
        assert http.post(f"/v1/{endpoint['name']}:undeployModel", json=body).status_code == 200
        put(app, [{"request": {"contents": turns(text)}} for text in "abc"], INPUT)
        for advanced in (1000, 5, 3):  # one is over, one cancelled, one runs
            batch = http.post(BATCHES, json=batch_body(labels={"a": "b"})).json()
            app.advance(advanced)
            if advanced == 5:
                http.post(f"/v1/{batch['name']}:cancel")
        assert http.get(BATCHES).status_code == 200  # what is over has written its results
        # only with a state file do their bytes outlive the process
        for name in list(app.store.objects.buckets["my-bucket"].names()):
            assert http.delete(f"/storage/v1/b/my-bucket/o/{quote(name, safe='')}").status_code == 204
    return app


A_STATE = a_state()
KEPT = dump(A_STATE.clock, A_STATE.store).encode()


def stands_for_itself(shelf, path):
    """Whether a value is not like one that is tried already: one of many statistics, or of three equal jobs."""
    if shelf == "vertex":
        return path[0] != "data" or len(path) < 5
    return path[0] == 0 or len(path) < 2 or path[1] == "cancelled"


PATHS = [
    (shelf, *path)
    for shelf in ("vertex", "vertex_batches")
    for path in leaves(json.loads(KEPT)["state"]["shelves"][shelf])
    if stands_for_itself(shelf, path)
]


def everything_readable(app):
    with httpx.Client(transport=InThread(app), base_url="http://127.0.0.1") as http:
        for kind in ("tuningJobs", "models", "endpoints", "metadataStores/default/contexts", "batchPredictionJobs"):
            reply = http.get(f"/v1beta1/{PARENT}/{kind}")
            assert reply.status_code == 200, reply.text
            for each in next(iter(reply.json().values()), []):
                assert http.get(f"/v1/{each['name']}").status_code in (200, 404)
        for name in [*app.store.shelves["vertex"].jobs, *app.store.shelves["vertex_batches"].jobs]:
            assert http.post(f"/v1/{name}:cancel").status_code in (200, 400, 404)
        http.post("/_emulator/clock", json={"advance": 1000})
        assert http.get(BETA_JOBS).status_code == 200
        assert http.get(BATCHES).status_code == 200
        assert http.post(BETA_JOBS, json=job_body()).status_code == 200
        assert http.post(BATCHES, json=batch_body()).status_code == 200


def test_a_state_is_the_same_after_a_round_trip():
    again = restored(KEPT)
    kept, back = (json.loads(text)["state"] for text in (KEPT, dump(again.clock, again.store)))
    for shelf in ("vertex", "vertex_batches"):
        assert back["shelves"][shelf] == kept["shelves"][shelf]


@pytest.mark.parametrize("path", sorted(PATHS, key=str), ids=str)
def test_a_value_of_another_type_is_refused_or_harmless_even_under_a_right_checksum(path):
    for other in OTHERS:
        state = json.loads(KEPT)["state"]
        holder = state["shelves"]
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = other
        try:
            app = restored(seal(state).encode())
        except ValueError:
            continue
        everything_readable(app)


def changed(change):
    state = json.loads(KEPT)["state"]
    change(state["shelves"]["vertex"])
    return seal(state).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: kept["data"].pop(kept["jobs"][0]["data"]),
        lambda kept: kept["jobs"][0]["resolved"].pop("epoch_count"),
        lambda kept: kept["jobs"][0]["given"]["labels"].update(a=1),
    ],
    ids=["data gone", "hyperparameter gone", "label of another type"],
)
def test_what_does_not_belong_together_is_refused(change):
    with pytest.raises(ValueError):
        restored(changed(change))
