"""Vertex AI's messages: the observed bodies, both spellings, and every request against the discovery documents."""

import json
import logging
from pathlib import Path

import attrs
import pytest

from discovery import GENERATION, METHODS, SCHEMAS, check_body, check_request
from gemtune.errors import InvalidInput, MalformedResponse
from gemtune.protocol import vertex, vertex_inference
from gemtune.protocol.batches import vertex as batches
from gemtune.protocol.codec import decode, decode_lenient, dumps, encode, loads
from gemtune.protocol.codec.shape import fields_of
from gemtune.protocol.codec.spelling import respelled
from gemtune.types import (
    Blob,
    FunctionDeclaration,
    GenerateContentRequest,
    GenerationConfig,
    Part,
    SafetySetting,
    Tool,
)
from gemtune.types import vertex as types
from gemtune.types.message import Message
from gemtune.types.training import Checkpoint

OBSERVED = json.loads((Path(__file__).parents[1] / "golden" / "vertex_observed.json").read_text(encoding="utf-8"))
SAMPLES = {sample["id"]: sample["body"] for sample in OBSERVED["samples"]}
JOBS = (
    "create_pending", "get_running_early", "get_running_service_account", "get_cancelling", "get_cancelled",
    "get_succeeded_2024", "get_failed_after_training_2024", "tuned_model_with_checkpoints_documented",
)  # fmt: skip
LISTS = ("list_all", "list_order_is_update_time")
OTHERS = {
    "cancel_ok", "cancel_again_400", "list_location_denied", "create_bad_dataset_uri", "create_bad_adapter",
    "quota_429_sister_resource", "tensorboard_train_loss_series",
}  # fmt: skip
PLACE = "projects/my-project/locations/us-central1"
JOB = f"{PLACE}/tuningJobs/7729237860439556096"
MODEL = f"{PLACE}/models/225646724054515712@1"
RUN = f"{PLACE}/tensorboards/9000/experiments/e/runs/r"


def keys_in_order(value: object) -> object:
    """JSON with the order of its keys, which plain comparison does not see.

    The two keys of a content stand the other way round in the Gemini API, whose class we share.
    """
    if isinstance(value, dict):
        keys = sorted(value) if set(value) == {"parts", "role"} else value
        return [(key, keys_in_order(value[key])) for key in keys]
    return [keys_in_order(item) for item in value] if isinstance(value, list) else value


def unknown_fields(value: object) -> list[str]:
    """The fields, at any depth, that no class has."""
    if isinstance(value, tuple):
        return [name for item in value for name in unknown_fields(item)]
    if not isinstance(value, Message):
        return []
    own = [f"{type(value).__name__}.{name}" for name in value.extra]
    return own + [name for field in attrs.fields(type(value)) for name in unknown_fields(getattr(value, field.name))]


@pytest.mark.parametrize("name", JOBS)
def test_an_observed_job_comes_back_without_loss_and_in_its_order(name):
    job = decode_lenient(types.VertexTuningJob, loads(json.dumps(SAMPLES[name], indent=2).encode()))
    assert keys_in_order(encode(job)) == keys_in_order(SAMPLES[name])
    assert unknown_fields(job) == []


@pytest.mark.parametrize("name", LISTS)
def test_an_observed_list_comes_back_without_loss_and_in_its_order(name):
    page = decode_lenient(types.ListTuningJobsResponse, SAMPLES[name])
    assert keys_in_order(encode(page)) == keys_in_order(SAMPLES[name])
    assert unknown_fields(page) == []


def test_every_observed_body_of_tuning_is_walked():
    assert {name for name in SAMPLES if not name.startswith("batch_")} == {*JOBS, *LISTS} | OTHERS


def test_what_people_want_to_know_of_a_job_is_read():
    job = decode_lenient(types.VertexTuningJob, SAMPLES["get_succeeded_2024"])
    assert job.state.ended
    assert job.supervised_tuning_spec.hyper_parameters.epoch_count == 10
    assert job.supervised_tuning_spec.hyper_parameters.adapter_size.size == 8
    assert job.tuned_model.endpoint.endswith("/endpoints/5693131570647400448")
    assert job.tuning_data_stats.counted.total_billable_token_count == 96894
    two = decode_lenient(types.VertexTuningJob, SAMPLES["tuned_model_with_checkpoints_documented"])
    assert [(each.checkpoint_id, each.epoch, each.step) for each in two.tuned_model.checkpoints] == [
        ("1", 1, 10),
        ("2", 2, 20),
    ]


def test_keys_may_be_spelled_either_way_at_every_depth():
    mixed = {
        "tuned_model_display_name": "a",
        "preTunedModel": {"tuned_model_name": MODEL, "checkpointId": "2"},
        "supervised_tuning_spec": {
            "training_dataset_uri": "gs://b/t.jsonl",
            "hyperParameters": {"epoch_count": 3, "learning_rate_multiplier": "1.5", "adapterSize": "ADAPTER_SIZE_ONE"},
        },
        "labels": {"my_label": "x"},
        "tunedModel": {"checkpoints": [{"checkpoint_id": "1", "step": 10}]},
    }
    mixed["supervised_tuning_spec"]["hyperParameters"]["learning_rate_multiplier"] = 1.5
    job = decode_lenient(types.VertexTuningJob, mixed)
    assert unknown_fields(job) == []
    assert job.pre_tuned_model == types.PreTunedModel(tuned_model_name=MODEL, checkpoint_id="2")
    assert job.supervised_tuning_spec.hyper_parameters.epoch_count == 3
    assert job.labels == {"my_label": "x"}, "what is plain JSON keeps its keys"
    assert job.tuned_model.checkpoints[0].checkpoint_id == "1"
    assert "my_label" in dumps(encode(job)).decode()
    assert "display_name" not in dumps(encode(job)).decode()


def test_a_field_in_both_spellings_keeps_the_service_s_own_and_loses_neither():
    job = decode_lenient(types.VertexTuningJob, {"base_model": "old", "baseModel": "new"})
    assert job.base_model == "new"
    assert job.extra == {"base_model": "old"}
    assert respelled(types.VertexTuningJob, ["no", "object"]) == ["no", "object"]


def test_unknown_fields_and_words_are_kept_and_sent_back():
    body = {"name": JOB, "state": "JOB_STATE_THINKING", "veoTuningSpec": {"a": [1]}, "tunedModel": {"newer": True}}
    job = decode_lenient(types.VertexTuningJob, body)
    assert encode(job) == body
    assert not job.state.ended
    assert not job.state.known


def test_odd_statistics_neither_fail_a_look_nor_get_lost(caplog):
    body = {"name": JOB, "state": "JOB_STATE_RUNNING", "tuningDataStats": [1, 2]}
    with caplog.at_level(logging.WARNING, "gemtune"):
        job = decode_lenient(types.VertexTuningJob, body)
    assert job.extra == {"tuningDataStats": [1, 2]}
    assert encode(job) == body


def test_writing_is_strict():
    spec = types.SupervisedTuningSpec(
        training_dataset_uri="gs://b/t.jsonl", hyper_parameters=types.SupervisedHyperParameters(epoch_count="three")
    )
    with pytest.raises(InvalidInput, match=r"hyperParameters\.epochCount should be an integer"):
        encode(types.VertexTuningJob(supervised_tuning_spec=spec))
    with pytest.raises(MalformedResponse, match=r"\$\.state should be a string"):
        decode_lenient(types.VertexTuningJob, {"state": 3})


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 32])
def test_adapters_go_by_their_number(size):
    assert types.AdapterSize.of(size).size == size
    assert types.AdapterSize("ADAPTER_SIZE_SIXTY_FOUR").size is None


SENT = types.VertexTuningJob(
    tuned_model_display_name="my-job",
    description="d",
    base_model="gemini-2.5-flash",
    supervised_tuning_spec=types.SupervisedTuningSpec(
        training_dataset_uri="gs://b/t.jsonl",
        validation_dataset_uri="gs://b/v.jsonl",
        hyper_parameters=types.SupervisedHyperParameters(
            epoch_count=3, learning_rate_multiplier=1.5, adapter_size=types.AdapterSize.of(4)
        ),
        export_last_checkpoint_only=True,
    ),
    labels={"gemtune-id": "a" * 20},
    encryption_spec=types.EncryptionSpec(kms_key_name="projects/p/locations/l/keyRings/r/cryptoKeys/k"),
    service_account="a@b.iam.gserviceaccount.com",
)
PREFERRED = types.VertexTuningJob(
    pre_tuned_model=types.PreTunedModel(tuned_model_name=MODEL, checkpoint_id="2"),
    preference_optimization_spec=types.PreferenceOptimizationSpec(
        training_dataset_uri="gs://b/t.jsonl",
        validation_dataset_uri="gs://b/v.jsonl",
        hyper_parameters=types.PreferenceOptimizationHyperParameters(
            epoch_count=1, learning_rate_multiplier=0.5, adapter_size=types.AdapterSize.of(1), beta=0.1
        ),
        export_last_checkpoint_only=True,
    ),
)
ENDPOINT = f"{PLACE}/endpoints/55"
ASKED = GenerateContentRequest(
    model="tunedModels/x",
    contents=["hi", Part(inline_data=Blob(mime_type="image/png", data=b"x"))],
    system_instruction="be short",
    generation_config=GenerationConfig(temperature=0.5, top_k=3, max_output_tokens=10, stop_sequences=["x"], seed=7),
    safety_settings=[SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE")],
    tools=[Tool(function_declarations=[FunctionDeclaration(name="f", description="d", parameters={"type": "OBJECT"})])],
)
BATCH = f"{PLACE}/batchPredictionJobs/7"
CALLS = [
    vertex.create_tuning_job(PLACE, SENT),
    vertex.create_tuning_job(PLACE, PREFERRED),
    vertex.get_tuning_job(JOB),
    vertex.list_tuning_jobs(
        PLACE, page_size=5, page_token="t", filter='state="JOB_STATE_RUNNING"', fields=vertex.LIGHT
    ),
    vertex.cancel_tuning_job(JOB),
    vertex.get_model(MODEL),
    vertex.list_models(PLACE, page_size=5, page_token="t", filter="labels.a=b"),
    vertex.list_versions(MODEL, page_size=5, page_token="t"),
    vertex.list_checkpoints(MODEL, page_size=5, page_token="t"),
    vertex.update_model(MODEL, {"defaultCheckpointId": "2"}),
    vertex.delete_model(f"{PLACE}/models/77"),
    vertex.get_endpoint(f"{PLACE}/endpoints/55"),
    vertex.list_endpoints(PLACE, page_size=5, page_token="t", filter="labels.a=b"),
    vertex.get_context(f"{PLACE}/metadataStores/default/contexts/e"),
    vertex.list_runs(f"{PLACE}/metadataStores/default/contexts/e"),
    vertex.list_time_series(RUN),
    vertex.read_time_series([f"{RUN}/timeSeries/11", f"{RUN}/timeSeries/12"]),
    vertex.export_time_series(f"{RUN}/timeSeries/11", page_token="t"),
    batches.create_job(
        PLACE, display_name="d", model="publishers/google/models/gemini-2.5-flash", source="gs://b/in.jsonl",
        target="gs://b/out/", labels={"gemtune-id": "a"},
    ),
    batches.get_job(BATCH),
    batches.list_jobs(PLACE, page_size=5, page_token="t", filter='labels.gemtune-id="a"'),
    batches.cancel_job(BATCH),
    batches.delete_job(BATCH),
    vertex_inference.generate_content(ENDPOINT, ASKED),
    vertex_inference.stream_generate_content(f"{PLACE}/publishers/google/models/gemini-2.5-flash", ASKED),
    vertex_inference.count_tokens(ENDPOINT, GenerateContentRequest(contents="hi", system_instruction="short")),
]  # fmt: skip


def test_every_request_is_one_of_the_documented_methods_with_known_fields_only():
    assert [check_request(call.verb, call.target, call.body) for call in CALLS] == [call.method for call in CALLS]
    assert {call.method for call in CALLS} == set(METHODS)


def test_the_curves_of_one_tensorboard_are_asked_for_as_google_s_client_does():
    # recorded: google-cloud-aiplatform 2.7.0, TensorboardRun.read_time_series_data()
    call = vertex.read_time_series([f"{RUN}/timeSeries/11", f"{RUN}/timeSeries/12"])
    one, two = (f"{RUN}/timeSeries/{number}".replace("/", "%2F") for number in (11, 12))
    assert call.target == f"/v1/{PLACE}/tensorboards/9000:batchRead?timeSeries={one}&timeSeries={two}"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"service_tier": "FLEX"}, "service_tier"),
        ({"store": True}, "store"),
        ({"generation_config": GenerationConfig(enable_enhanced_civic_answers=True)}, "enable_enhanced_civic_answers"),
    ],
)
def test_what_only_the_gemini_api_can_be_asked_is_refused_by_name(given, field):
    for call in (vertex_inference.generate_content, vertex_inference.stream_generate_content):
        with pytest.raises(InvalidInput, match=f"{field} .*leave it out") as caught:
            call(ENDPOINT, GenerateContentRequest(contents="hi", **given))
        assert caught.value.field == field


# What a request of the Gemini API has and one of Vertex AI has not: it is refused, or left to the path.
GEMINI_ONLY = {
    "GenerateContentRequest": {"model", "serviceTier", "store"},
    "GenerationConfig": {"enableEnhancedCivicAnswers"},
}


@pytest.mark.parametrize("cls", [GenerateContentRequest, GenerationConfig, SafetySetting, FunctionDeclaration, Blob])
def test_fields_of_requests_that_vertex_ai_lacks_are_the_listed_ones(cls):
    name = cls.__name__
    assert {field.key for field in fields_of(cls)} - set(GENERATION[name]) == GEMINI_ONLY.get(name, set())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"baseModle": "x"}, "TuningJob has no field baseModle"),
        ({"supervisedTuningSpec": {"beta": 1}}, "SupervisedTuningSpec has no field beta"),
        ({"state": "JOB_STATE_RUNNING"}, "only the service sets TuningJob.state"),
        ({"supervisedTuningSpec": {"hyperParameters": {"epochCount": 3}}}, "epochCount is 3"),
    ],
)
def test_the_check_sees_what_is_wrong(body, said):
    with pytest.raises(AssertionError, match=said):
        check_request("POST", f"/v1beta1/{PLACE}/tuningJobs", json.dumps(body).encode())
    with pytest.raises(AssertionError, match="no method"):
        check_request("PUT", f"/v1beta1/{JOB}", None)
    with pytest.raises(AssertionError, match="no parameters"):
        check_request("GET", f"/v1beta1/{JOB}?mask=x", None)


@pytest.mark.parametrize("name", [*JOBS, *LISTS])
def test_the_observed_bodies_follow_the_documents_too(name):
    # v1beta1 of today knows every field that v1 has shown since 2024
    check_body("ListTuningJobsResponse" if name in LISTS else "TuningJob", SAMPLES[name], name, sent=False)


OURS = {
    "TunedModel": types.VertexTunedModel,
    "TunedModelCheckpoint": Checkpoint,
    "TuningJob": types.VertexTuningJob,
}
LEFT_OUT = {
    "TuningJob": {
        "distillationSpec", "fullFineTuningSpec", "partnerModelTuningSpec", "pipelineJob", "reinforcementTuningSpec",
        "satisfiesPzi", "satisfiesPzs", "veoLoraTuningSpec", "veoTuningSpec",
    },
    "TuningDataStats": {"distillationDataStats", "reinforcementTuningDataStats"},
}  # fmt: skip
"""Fields of what gemtune does not start; they are kept as they come."""


@pytest.mark.parametrize(
    "name", [name for name in SCHEMAS if name not in {"CancelTuningJobRequest", "GoogleRpcStatus"}]
)
def test_our_fields_are_those_of_the_documents_but_for_the_listed_ones(name):
    cls = OURS.get(name) or getattr(types, name)
    ours = {field.key: field for field in fields_of(cls)}
    assert set(SCHEMAS[name]) - set(ours) == LEFT_OUT.get(name, set())
    assert set(ours) <= set(SCHEMAS[name])
    for key, field in ours.items():
        theirs = SCHEMAS[name][key]
        assert field.many is (theirs.get("type") == "array"), key
        assert (field.kind == "int64") is (theirs.get("items", theirs).get("format") == "int64"), key
        if field.kind == "enum":
            assert {member.value for member in field.cls} == set(theirs["enum"]), key


def test_what_stands_around_a_job_keeps_what_it_does_not_know():
    body = {"name": MODEL, "versionId": "1", "baseModelSource": {"genieSource": {}}, "defaultCheckpointId": "2"}
    model = decode(types.VertexModel, body)
    assert model.default_checkpoint_id == "2"
    assert encode(model) == body
