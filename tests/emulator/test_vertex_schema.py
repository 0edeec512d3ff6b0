"""The Vertex face against the discovery documents: its messages, its methods, and every body of a job's life."""

import pytest

from discovery import BATCHES, GENERATION, METHODS, SCHEMAS, check_body
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


ASKED = {
    "GenerateContentRequest": "VertexGenerateRequest", "Content": "VertexContent", "Part": "VertexPart",
    "GenerationConfig": "VertexGenerationConfig", "SafetySetting": "VertexSafetySetting",
    "CountTokensRequest": "VertexCountRequest",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ASKED))
def test_a_request_for_an_answer_has_the_fields_of_the_discovery_document(name):
    ours = {field.json_name for field in OURS["v1"].messages[ASKED[name]].fields}
    # Clients name the model in the body as well.
    assert ours - {"model"} == GENERATION[name].keys() - {"model"}


PREDICTION = {
    "BatchPredictionJobInputConfig": "BatchPredictionInput", "BatchPredictionJobOutputConfig": "BatchPredictionOutput",
    "BatchPredictionJobOutputInfo": "BatchPredictionOutputInfo",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BATCHES))
def test_a_message_of_batch_prediction_has_the_fields_of_the_discovery_document(name):
    ours = {field.json_name for field in OURS["v1"].messages[PREDICTION.get(name, name)].fields}
    assert ours == BATCHES[name].keys() - UNSEEN


@pytest.mark.parametrize("name", sorted(SCHEMAS.keys() - PASSED_OVER))
def test_an_enum_has_the_values_of_the_discovery_document(name):
    for key, field in SCHEMAS[name].items():
        spec = BETA.messages[RENAMED.get(name, name)].by_name.get(key)
        if "enum" in field and spec is not None:
            assert set(BETA.enums[spec.type]) == set(field["enum"])


def paths_of(method):
    """A path for each thing that a method may be asked of."""
    start, _, rest = method["path"].partition("{")
    pattern = method["pattern"].strip("^$").replace("[^/]+", "x")
    before, _, choice = pattern.partition("(")
    things = [before + each for each in choice.rstrip(")").split("|")]
    return [f"/{start}{thing}{rest.partition('}')[2]}" for thing in things]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_is_bound_and_knows_its_query(name):
    method = METHODS[name]
    for path in paths_of(method):
        (found,) = [match for face in VERTEX if (match := face.find(method["verb"], path))]
        unknown = [each for each in method["query"] if found.route.query_name(each) is None]
        assert unknown in ([], ["gdcZone"])  # of a distributed cloud


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "tuningJobs:rebaseTunedModel"), ("GET", "tuningJobs/1/operations"),
        ("POST", "publishers/google/models/gemini-2.5-flash:computeTokens"),
    ],
)  # fmt: skip
async def test_a_method_that_is_not_offered_is_a_501(vertex, verb, path):
    error = await vertex.refused(501, verb, f"/v1beta1/{PARENT}/{path}", {} if verb == "POST" else None)
    assert error["status"] == "UNIMPLEMENTED"


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
