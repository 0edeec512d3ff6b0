"""A quota of so many jobs at a time, as a sweep meets it: never more at work, and a cancelled one frees its place."""

from collections import Counter

import pytest

from emulator.emulated import model_body
from emulator.vertex import BETA_JOBS, JOBS, job_body

MODELS = "/v1beta/tunedModels"
POINTS = 24
QUOTA = 4


async def test_on_the_gemini_api_a_sweep_runs_as_many_jobs_as_the_quota_lets_and_is_refused_the_rest(start):
    api = await start(max_concurrent_jobs=QUOTA)
    left, refused = list(range(POINTS)), 0
    while left:
        body = model_body(hyperparameters={"epochCount": 1 + left[0] % 5})
        reply = await api.call("POST", MODELS, body, params={"tunedModelId": f"point-{left[0]}"})
        if reply.status_code == 200:
            left.pop(0)
            continue
        assert (reply.status_code, reply.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
        refused += 1
        assert (await api.get("/_emulator"))["states"]["CREATING"] == QUOTA
        api.app.advance(1)
    api.app.advance(100)
    assert (await api.get("/_emulator"))["states"] == {"ACTIVE": POINTS}
    assert refused


@pytest.mark.parametrize("free", ["cancel", "delete"])
async def test_on_the_gemini_api_a_job_that_is_cancelled_or_deleted_frees_its_place_at_once(start, free):
    api = await start(max_concurrent_jobs=1)
    made = await api.create(id="first")
    api.app.advance(5)
    await api.refused(429, "POST", MODELS, model_body())
    if free == "cancel":
        assert (await api.call("POST", f"/v1/{made['name']}:cancel")).status_code == 200
    else:
        assert (await api.call("DELETE", f"{MODELS}/first")).status_code == 200
    await api.create(id="second")
    await api.refused(429, "POST", MODELS, model_body())


async def test_a_job_that_failed_frees_its_place(start):
    api = await start(max_concurrent_jobs=1)
    await api.call("POST", "/_emulator/faults", {"method": "tunedModels.create", "job": {"fail_at_step": 2}})
    await api.create(id="first")
    await api.refused(429, "POST", MODELS, model_body())
    api.app.advance(3)
    await api.create(id="second")


def works(look):
    return look["state"] == "JOB_STATE_RUNNING" and look["tuningJobState"] != "TUNING_JOB_STATE_WAITING_FOR_QUOTA"


async def test_on_vertex_ai_a_sweep_queues_and_no_more_jobs_work_than_the_quota_lets(start_vertex):
    vertex = await start_vertex(vertex_concurrent_jobs=QUOTA)
    for number in range(POINTS):
        await vertex.tune(job_body(spec={"hyperParameters": {"epochCount": 1 + number % 5}}), path=BETA_JOBS)
    at_work = Counter()
    for _ in range(200):
        vertex.app.advance(5)
        looks = (await vertex.get(BETA_JOBS))["tuningJobs"]
        at_work[sum(map(works, looks))] += 1
        if all(look["state"] == "JOB_STATE_SUCCEEDED" for look in looks):
            break
    assert {look["state"] for look in looks} == {"JOB_STATE_SUCCEEDED"}
    assert max(at_work) == QUOTA == at_work.most_common(1)[0][0]


async def test_on_vertex_ai_the_next_job_begins_as_soon_as_a_cancelled_one_is_over(start_vertex):
    vertex = await start_vertex(vertex_concurrent_jobs=2)
    first, second, third, fourth = [await vertex.tune(path=BETA_JOBS) for _ in range(4)]
    vertex.app.advance(20)
    await vertex.call("POST", f"/v1/{second['name']}:cancel")
    vertex.app.advance(2)
    assert not works(await vertex.look(third, "v1beta1"))  # it is CANCELLING for two steps
    vertex.app.advance(0.5)
    assert works(await vertex.look(third, "v1beta1"))
    assert works(await vertex.look(first, "v1beta1"))
    assert not works(await vertex.look(fourth, "v1beta1"))


async def test_on_vertex_ai_a_full_quota_that_refuses_has_room_once_a_cancelled_job_is_over(start_vertex):
    vertex = await start_vertex(vertex_concurrent_jobs=2, vertex_quota="refuse")
    first, _ = [await vertex.tune() for _ in range(2)]
    await vertex.refused(429, "POST", JOBS, job_body())
    vertex.app.advance(10)
    await vertex.call("POST", f"/v1/{first['name']}:cancel")
    vertex.app.advance(2.4)
    await vertex.tune()
    await vertex.refused(429, "POST", JOBS, job_body())


async def test_on_vertex_ai_with_a_job_gone_the_place_of_every_project_is_its_own(start_vertex):
    vertex = await start_vertex(vertex_concurrent_jobs=1)
    await vertex.tune()
    elsewhere = await vertex.tune(path=BETA_JOBS.replace("123456789012", "another-project"))
    vertex.app.advance(20)
    assert works(await vertex.look(elsewhere, "v1beta1"))
