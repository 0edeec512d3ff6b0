"""The Vertex face against the discovery documents: its messages, its methods, and every body of a job's life."""

import pytest

from discovery import METHODS, SCHEMAS, check_body
from emulator.vertex import BETA_JOBS, CHECK, PARENT, TRAIN, job_body, preferences, supervised
from gemtune.emulator.vertex.face import VERTEX
from gemtune.emulator.vertex.messages.schema import SCHEMAS as OURS

BETA = OURS["v1beta1"]
# The names that a message has here, because the Gemini API or the SDK has one of that name.
RENAMED = {
    "TunedModel": "VertexTunedModel", "GoogleRpcStatus": "Status", "CancelTuningJobRequest": "Empty",
    "SupervisedTuningDatasetDistribution": "SupervisedDistribution",
}  # fmt: skip
UNSEEN = {
    "satisfiesPzi", "satisfiesPzs",  # of a zone: never seen in a body
    "totalBillableCharacterCount",  # of the character prices of 2024
}  # fmt: skip
PASSED_OVER = {"EvaluateDatasetRun"}  # any JSON is taken there


@pytest.mark.parametrize("name", sorted(SCHEMAS.keys() - PASSED_OVER))
def test_a_message_has_the_fields_of_the_discovery_document(name):
    ours = {field.json_name for field in BETA.messages[RENAMED.get(name, name)].fields}
    if name in ("TuningDataStats", "TuningJob"):  # oneofs of which this face offers a part
        missing = SCHEMAS[name].keys() - ours
        assert missing <= {"distillationDataStats", "reinforcementTuningDataStats", *UNSEEN}
        return
    assert ours == SCHEMAS[name].keys() - UNSEEN


@pytest.mark.parametrize("name", sorted(SCHEMAS.keys() - PASSED_OVER))
def test_an_enum_has_the_values_of_the_discovery_document(name):
    for key, field in SCHEMAS[name].items():
        spec = BETA.messages[RENAMED.get(name, name)].by_name.get(key)
        if "enum" in field and spec is not None:
            assert set(BETA.enums[spec.type]) == set(field["enum"])


def path_of(method):
    """A path that a method is bound to."""
    parts = [part.strip("^$").replace("[^/]+", "x") for part in [method["pattern"]]]
    return "/" + method["path"].partition("{")[0] + parts[0] + method["path"].partition("}")[2]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_is_bound_and_knows_its_query(name):
    method = METHODS[name]
    found = [match for face in VERTEX if (match := face.find(method["verb"], path_of(method)))]
    assert found, path_of(method)
    unknown = [each for each in method["query"] if found[0].route.query_name(each) is None]
    assert unknown in ([], ["gdcZone"])  # of a distributed cloud


@pytest.mark.parametrize("preference", [False, True])
async def test_every_body_of_a_jobs_life_is_one_that_the_document_knows(vertex, preference):
    lines = preferences if preference else supervised
    vertex.put(lines())
    vertex.put(lines()[:2], CHECK)
    spec = {"trainingDatasetUri": TRAIN, "validationDatasetUri": CHECK, "hyperParameters": {"epochCount": 2}}
    body = {"baseModel": "gemini-2.5-flash", "preferenceOptimizationSpec": spec} if preference else job_body(spec=spec)
    job = await vertex.tune(body | {"serviceAccount": "a@b.example", "labels": {"a": "b"}}, path=BETA_JOBS)
    check_body("TuningJob", job, "create", sent=False)
    seen = 0
    while job["state"] not in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED"):
        vertex.app.advance(0.7)
        job = await vertex.look(job, "v1beta1")
        check_body("TuningJob", job, "get", sent=False)
        listed = await vertex.get(BETA_JOBS)
        check_body("ListTuningJobsResponse", listed, "list", sent=False)
        assert listed["tuningJobs"] == [job]
        seen += 1
    assert seen > 20
    assert job["name"].startswith(PARENT)
