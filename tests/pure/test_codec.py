"""The codec against the API: observed bodies, the published field lists, the JSON mapping of single values."""

import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import attrs
import pytest

from gemtune import types
from gemtune.errors import InvalidInput, MalformedResponse
from gemtune.protocol.codec import decode, dumps, encode, loads, text
from gemtune.protocol.codec.shape import fields_of

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


FIELDS = golden("message_fields.json")
OUR_NAMES = {"Dataset": "TrainingData", "LogprobsResultCandidate": "LogprobsCandidate"}
SAMPLES = golden("tuned_models_observed.json")["samples"]
BATCHES = golden("batch_observed.json")
ERRORS = [item for item in golden("errors.json")["items"] if isinstance(item.get("body"), dict)]


@pytest.fixture(params=["fastest parser", "standard parser"])
def parser(request, monkeypatch):
    if request.param == "standard parser":
        monkeypatch.setattr(text, "_orjson", None)
    elif text._orjson is None:
        pytest.skip("orjson is not installed")


@attrs.frozen(kw_only=True)
class Newcomer(types.Message):
    """A message that the SDK does not have yet."""

    embedding_values: tuple[float, ...] = ()
    flags: tuple[bool, ...] = ()


@attrs.frozen(kw_only=True)
class Unsayable(types.Message):
    """A message with a type that JSON does not have."""

    number: complex = 0j


OBSERVED = {
    "list_tuned_models_2023": types.ListTunedModelsResponse,
    "create_operation_2023_b4_e3": types.Operation,
    "get_tuned_model_CREATING_2023": types.TunedModel,
    "create_operation_2024_b2_e5": types.Operation,
    "create_operation_2024_b4_e5": types.Operation,
    "generate_content_tuned_2024": types.GenerateContentResponse,
    "generate_content_tuned_2024_ja": types.GenerateContentResponse,
}


@pytest.mark.parametrize(("name", "cls"), OBSERVED.items())
@pytest.mark.usefixtures("parser")
def test_an_observed_body_comes_back_byte_for_byte_but_for_the_blanks(name, cls):
    compact = json.dumps(SAMPLES[name], separators=(",", ":"), ensure_ascii=False).encode()
    value = decode(cls, loads(json.dumps(SAMPLES[name], indent=2).encode()))
    assert dumps(encode(value)) == compact
    assert not value.extra


def test_every_observed_body_is_walked():
    others = {"operation_poll_progress_2023", "operation_final_progress_2024", "create_operation_2024_b2_e5_raw"}
    assert set(OBSERVED) | others == set(SAMPLES)
    raw = SAMPLES["create_operation_2024_b2_e5_raw"].encode()
    assert encode(decode(types.Operation, loads(raw))) == SAMPLES["create_operation_2024_b2_e5"]
    for poll in SAMPLES["operation_poll_progress_2023"] + SAMPLES["operation_final_progress_2024"]:
        metadata = {"completedPercent": poll["completedPercent"], "snapshots": [poll["lastSnapshot"]]}
        value = decode(types.CreateTunedModelMetadata, metadata)
        assert encode(value) == metadata
        assert value.snapshots[0].compute_time.nanoseconds % 1000 > 0


@pytest.mark.parametrize("name", ["create_inline", "create_file", "done_shape"])
def test_a_batch_operation_keeps_what_it_carries_as_plain_json(name):
    assert encode(decode(types.Operation, BATCHES[name])) == BATCHES[name]


def test_a_line_of_a_batch_result_holds_a_reply():
    reply = decode(types.GenerateContentResponse, BATCHES["result_file_line"]["response"])
    assert (reply.text, reply.usage_metadata.total_token_count) == ("...", 19)


@pytest.mark.parametrize("item", ERRORS, ids=lambda item: item["id"])
def test_an_observed_error_is_a_status(item):
    body = item["body"]["error"]
    status = decode(types.Status, body)
    assert encode(status) == {key: value for key, value in body.items() if value != []}
    assert (status.code, status.message) == (body["code"], body["message"])


def matches(field, kind):
    if isinstance(kind, list):
        return field.many and matches(attrs.evolve(field, many=False), kind[0])
    if isinstance(kind, dict):
        return field.kind == "enum" and {member.value for member in field.cls} == set(kind["enum"])
    plain = {
        "string": "str", "boolean": "bool", "int32": "int", "int64": "int64", "float": "float", "double": "float",
        "byte": "bytes", "google-datetime": "time", "google-duration": "str", "any": "json",
    }  # fmt: skip
    if kind == "object":
        return field.kind in {"json", "any"}
    if kind in plain:
        return field.kind == plain[kind]
    if field.kind == "message":
        return field.cls.__name__ in {OUR_NAMES.get(kind, kind), kind.replace("FunctionResponseBlob", "Blob")}
    return field.kind == "json"


@pytest.mark.parametrize("name", FIELDS)
def test_every_published_field_is_known_with_its_type(name):
    ours = {field.key: field for field in fields_of(getattr(types, OUR_NAMES.get(name, name)))}
    internal = {"_responseJsonSchema"}
    assert set(ours) - {"@type"} == set(FIELDS[name]) - internal
    assert [key for key, kind in FIELDS[name].items() if key in ours and not matches(ours[key], kind)] == []


def test_an_unknown_field_or_enum_string_at_any_depth_is_kept():
    body = {
        "name": "tunedModels/a",
        "state": "PAUSED",
        "tuningTask": {"snapshots": [{"step": 1, "gradientNorm": 0.5}], "priority": {"level": ["high", None]}},
        "labels": {"team": "blue"},
    }
    model = decode(types.TunedModel, body)
    assert encode(model) == body
    assert model.state == "PAUSED"
    assert not model.state.known
    assert model.extra == {"labels": {"team": "blue"}}
    assert model.tuning_task.snapshots[0].extra == {"gradientNorm": 0.5}


def test_null_is_absent():
    body = {"name": None, "state": None, "temperature": None, "tuningTask": None, "readerProjectNumbers": None}
    assert decode(types.TunedModel, body) == types.TunedModel()


def test_zeros_are_left_out_unless_the_field_has_presence():
    assert encode(types.TuningSnapshot(0, 0, 0.0)) == {}
    assert encode(types.TunedModel(temperature=0.0, top_k=0)) == {"temperature": 0.0, "topK": 0}
    assert encode(types.Candidate(index=0)) == {"index": 0}
    assert encode(types.GenerationConfig(temperature=0, thinking_config=types.ThinkingConfig(thinking_budget=0))) == {
        "temperature": 0,
        "thinkingConfig": {"thinkingBudget": 0},
    }


def test_an_empty_object_is_present():
    for cls, body in [
        (types.Tool, {"googleSearch": {}}),
        (types.TunedModel, {"tuningTask": {"hyperparameters": {}}}),
        (types.Part, {"functionCall": {"name": "f", "args": {}}}),
        (types.Part, {"text": ""}),
    ]:
        assert encode(decode(cls, body)) == body


def test_int64_is_read_in_both_forms_and_sent_as_strings():
    model = decode(types.TunedModel, {"readerProjectNumbers": ["9007199254740993", 42]})
    assert model.reader_project_numbers == (9007199254740993, 42)
    assert encode(model) == {"readerProjectNumbers": ["9007199254740993", "42"]}


@pytest.mark.parametrize(("name", "number"), [("Infinity", math.inf), ("-Infinity", -math.inf), ("NaN", math.nan)])
@pytest.mark.usefixtures("parser")
def test_floats_that_are_no_numbers_travel_by_name(name, number):
    snapshot = decode(types.TuningSnapshot, loads(b'{"step":1,"meanLoss":"%s"}' % name.encode()))
    assert repr(snapshot.mean_loss) == repr(number)
    assert dumps(encode(snapshot)) == b'{"step":1,"meanLoss":"%s"}' % name.encode()
    assert repr(decode(types.TuningSnapshot, loads(b'{"meanLoss":%s}' % name.encode())).mean_loss) == repr(number)


def test_an_integral_number_fits_both_an_integer_and_a_float():
    snapshot = decode(types.TuningSnapshot, {"step": 3.0, "epoch": "2", "meanLoss": 1})
    assert (snapshot.step, snapshot.epoch, snapshot.mean_loss) == (3, 2, 1.0)
    assert [type(x) for x in (snapshot.step, snapshot.epoch, snapshot.mean_loss)] == [int, int, float]


@pytest.mark.parametrize("text_form", ["+/8=", "-_8=", "+/8", "-_8"])
def test_base64_is_read_in_every_form_and_sent_in_the_standard_one(text_form):
    part = decode(types.Part, {"thoughtSignature": text_form})
    assert part.thought_signature == b"\xfb\xff"
    assert encode(part) == {"thoughtSignature": "+/8="}


def test_an_any_is_read_by_the_end_of_its_type_and_keeps_the_type():
    url = "type.googleapis.com/google.ai.generativelanguage.v1beta3."
    body = {
        "name": "tunedModels/a/operations/b",
        "metadata": {"@type": url + "CreateTunedModelMetadata", "totalSteps": 3, "eta": "soon"},
        "done": True,
        "response": {"@type": url + "TunedModel", "name": "tunedModels/a"},
    }
    operation = decode(types.Operation, body)
    assert encode(operation) == body
    assert operation.metadata == types.CreateTunedModelMetadata(total_steps=3, extra={"eta": "soon"})
    assert operation.response == types.TunedModel(name="tunedModels/a")
    assert "@type" not in encode(operation.response)


def test_an_any_made_here_gets_the_type_of_v1beta():
    operation = types.Operation(response=types.TunedModel(name="tunedModels/a"))
    assert encode(operation)["response"] == {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1beta.TunedModel",
        "name": "tunedModels/a",
    }


@pytest.mark.parametrize("other", [{"@type": "type.googleapis.com/x.Y", "a": 1}, {"a": 1}, {"@type": 5}, {"@type": []}])
def test_any_other_any_stays_plain(other):
    operation = decode(types.Operation, {"metadata": other, "response": other})
    assert operation.metadata == other
    assert encode(operation) == {"metadata": other, "response": other}


def test_a_reply_may_hold_what_a_caller_may_not_write():
    both = decode(types.Hyperparameters, {"learningRate": 0.001, "learningRateMultiplier": 1})
    assert (both.learning_rate, both.learning_rate_multiplier) == (0.001, 1.0)


SECRET = "the user's own words"


@pytest.mark.parametrize(
    ("cls", "body", "path"),
    [
        (types.TunedModel, [SECRET], "$ "),
        (types.TunedModel, {"name": {"x": SECRET}}, "$.name "),
        (types.TunedModel, {"state": 1}, "$.state "),
        (types.TunedModel, {"tuningTask": {"snapshots": [{}, {"step": SECRET}]}}, "$.tuningTask.snapshots[1].step "),
        (types.TunedModel, {"tuningTask": {"snapshots": SECRET}}, "$.tuningTask.snapshots "),
        (types.TunedModel, {"tuningTask": {"snapshots": [None]}}, "$.tuningTask.snapshots[0] "),
        (types.TunedModel, {"createTime": "2024-03-14"}, "$.createTime "),
        (types.TunedModel, {"createTime": 5}, "$.createTime "),
        (types.TunedModel, {"createTime": "2024-02-30T00:00:00Z"}, "$.createTime "),
        (types.TunedModel, {"createTime": "0001-01-01T00:00:00+01:00"}, "$.createTime "),
        (types.TunedModel, {"temperature": SECRET}, "$.temperature "),
        (types.TunedModel, {"temperature": True}, "$.temperature "),
        (types.TunedModel, {"temperature": 10**400}, "$.temperature "),
        (types.TunedModel, {"topK": True}, "$.topK "),
        (types.TunedModel, {"topK": 1.5}, "$.topK "),
        (types.TunedModel, {"topK": math.inf}, "$.topK "),
        (types.TunedModel, {"topK": " 1_0"}, "$.topK "),
        (types.TunedModel, {"readerProjectNumbers": ["1", SECRET]}, "$.readerProjectNumbers[1] "),
        (types.Operation, {"done": "true"}, "$.done "),
        (types.Operation, {"metadata": SECRET}, "$.metadata "),
        (types.Operation, {"response": {"@type": "x.TunedModel", "name": 1}}, "$.response.name "),
        (types.Operation, {"error": {"details": [SECRET]}}, "$.error.details[0] "),
        (types.Part, {"inlineData": {"data": "%%%"}}, "$.inlineData.data "),
        (types.Part, {"functionCall": {"name": "f", "args": [SECRET]}}, "$.functionCall.args "),
    ],
)  # fmt: skip
def test_a_wrong_type_is_named_by_its_path_and_the_value_stays_secret(cls, body, path):
    with pytest.raises(MalformedResponse) as caught:
        decode(cls, body)
    assert path in str(caught.value)
    assert cls.__name__ in str(caught.value)
    assert SECRET not in repr(caught.value)
    assert caught.value.__suppress_context__


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": [value]}
    return value


def test_what_is_handed_through_may_be_nested_64_deep():
    assert decode(types.Tool, {"googleSearch": nested(31), "new": nested(31)["a"]}).google_search == nested(31)
    for body, path in [({"googleSearch": nested(40)}, "$.googleSearch"), ({"new": nested(40)}, "$")]:
        with pytest.raises(MalformedResponse, match="at most 64 levels") as caught:
            decode(types.Tool, body)
        assert path in str(caught.value)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"a":', b"<html>Not Found</html>", b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 100_000,
     b"nul", b'{"a":1}x', b'"\xe2\x28"'],
    ids=repr,
)  # fmt: skip
def test_what_is_not_json_is_a_malformed_response(body):
    with pytest.raises(MalformedResponse) as caught:
        loads(body)
    assert "html" not in str(caught.value)


def test_an_integer_without_end_is_a_malformed_response(monkeypatch):
    monkeypatch.setattr(text, "_orjson", None)
    with pytest.raises(MalformedResponse):
        loads(b"1" * 5000)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("body", [b'\xef\xbb\xbf{"a":"\xc3\xa9"}', '{"a":"é"}'.encode("utf-16")], ids=["BOM", "UTF-16"])
def test_a_byte_order_mark_and_utf_16_are_understood(body):
    assert loads(body) == {"a": "é"}


@pytest.mark.usefixtures("parser")
def test_half_a_surrogate_pair_survives():
    body = loads(b'{"text":"\\ud800 \\u00e9"}')
    again = dumps(encode(decode(types.Part, body)))
    assert loads(again) == body
    assert dumps({"text": "é"}) == '{"text":"é"}'.encode()


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("value", [{"a": object()}, {"a": {1, 2}}, {"a": b"x"}])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(InvalidInput, match="this value cannot be written as JSON"):
        dumps(value)


@pytest.mark.usefixtures("parser")
def test_a_value_that_contains_itself_is_refused():
    value = {}
    value["a"] = value
    with pytest.raises(InvalidInput):
        dumps(value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (types.GenerationConfig(temperature="hot"), "GenerationConfig.temperature "),
        (types.GenerateContentRequest(contents="x", generation_config={"temperature": 1}), ".generationConfig "),
        (
            types.GenerateContentRequest(contents="x", tools=[types.Tool(), "search"]),
            "GenerateContentRequest.tools[1] ",
        ),
        (types.Tool(google_search=5), "Tool.googleSearch "),
        (types.Operation(response=5), "Operation.response "),
        (types.TuningSnapshot(1, 0, 0.5, datetime(2024, 1, 1)), "TuningSnapshot.computeTime "),  # noqa: DTZ001
        (types.Part(thought_signature="abc"), "Part.thoughtSignature "),
        (types.Part(text=5), "Part.text "),
        (types.Part(thought="yes"), "Part.thought "),
        (types.GenerationConfig(top_k=1.5), "GenerationConfig.topK "),
        (types.TunedModel(reader_project_numbers=["1"]), "TunedModel.readerProjectNumbers[0] "),
        (
            types.TrainingData(examples=types.TuningExamples(examples=[types.TuningExample("1", 2)])),
            ".examples[0].output ",
        ),
        (types.ListModelsResponse(models=5), "ListModelsResponse.models "),
    ],
)
def test_a_callers_wrong_type_is_named_before_anything_is_sent(value, path):
    with pytest.raises(InvalidInput) as caught:
        encode(value)
    assert path in str(caught.value)


def test_any_aware_datetime_is_sent_as_utc():
    snapshot = types.TuningSnapshot(1, compute_time=datetime(2024, 3, 14, 15, tzinfo=UTC))
    assert encode(snapshot) == {"step": 1, "computeTime": "2024-03-14T15:00:00Z"}


def test_the_wire_form_of_a_request_is_the_tutorials():
    request = types.TunedModel(
        display_name="number generator model",
        base_model="models/gemini-1.0-pro-001",
        tuning_task=types.TuningTask(
            hyperparameters=types.Hyperparameters(batch_size=2, learning_rate=0.001, epoch_count=5),
            training_data=types.TrainingData(
                examples=types.TuningExamples(examples=[types.TuningExample("1", "2"), types.TuningExample("3", "4")])
            ),
        ),
    )
    assert encode(request) == {
        "baseModel": "models/gemini-1.0-pro-001",
        "displayName": "number generator model",
        "tuningTask": {
            "trainingData": {
                "examples": {"examples": [{"textInput": "1", "output": "2"}, {"textInput": "3", "output": "4"}]}
            },
            "hyperparameters": {"epochCount": 5, "batchSize": 2, "learningRate": 0.001},
        },
    }  # fmt: skip


def test_values_and_codec_load_no_http_library():
    code = (
        "import sys, gemtune.protocol.codec, gemtune.protocol.sse, gemtune.types as t;"
        "[getattr(t, n) for n in t.__all__];"
        "print(sorted({'httpx','aiohttp','anyio','google','cattrs','tenacity','asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_new_message_needs_no_more_than_its_annotations():
    body = {"embeddingValues": [0.5, 1, "NaN"], "flags": [True, False]}
    value = decode(Newcomer, body)
    assert (value.embedding_values[:2], value.flags) == ((0.5, 1.0), (True, False))
    assert encode(value) == body
    with pytest.raises(MalformedResponse, match=r"\$\.embeddingValues\[1\] should be a number"):
        decode(Newcomer, {"embeddingValues": [1, "x"]})
    with pytest.raises(InvalidInput, match=r"Newcomer\.flags\[0\] should be true or false"):
        encode(Newcomer(flags=("yes",)))
    with pytest.raises(TypeError, match="no JSON form"):
        decode(Unsayable, {})


class Integer:
    """Another library's integer."""

    def __index__(self):
        return 7


def test_another_librarys_numbers_will_do():
    config = types.GenerationConfig(top_k=Integer(), temperature=Fraction(1, 2))
    assert dumps(encode(config)) == b'{"temperature":0.5,"topK":7}'


@pytest.mark.usefixtures("parser")
def test_what_is_nested_without_end_is_refused():
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InvalidInput, match="nested too deeply"):
        dumps(value)


def test_without_orjson_the_standard_parser_does(monkeypatch):
    monkeypatch.setitem(sys.modules, "orjson", None)
    assert text._fast_parser() is None
