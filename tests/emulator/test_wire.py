"""The emulator's JSON: observed bodies come out as they were seen, byte for byte."""

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.emulated import BATCHES, ERRORS, GOLDEN, SAMPLES, model_body
from gemtune.emulator.gemini.messages import SCHEMA
from gemtune.emulator.messages import codec
from gemtune.emulator.messages.codec import (
    decode,
    encode,
    float32,
    format_timestamp,
    parse_timestamp,
)
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.messages.json_text import FrozenJson, dumps, parse_json
from gemtune.emulator.messages.schema import camel_case, snake_case

OBSERVED = {
    "list_tuned_models_2023": "ListTunedModelsResponse",
    "create_operation_2023_b4_e3": "Operation",
    "get_tuned_model_CREATING_2023": "TunedModel",
    "create_operation_2024_b2_e5": "Operation",
    "create_operation_2024_b4_e5": "Operation",
    "generate_content_tuned_2024": "GenerateContentResponse",
    "generate_content_tuned_2024_ja": "GenerateContentResponse",
}


def rewritten(message, body):
    return dumps(encode(SCHEMA, message, decode(SCHEMA, message, body)))


def as_observed(body):
    return (json.dumps(body, indent=2, ensure_ascii=False) + "\n").encode()


@pytest.mark.parametrize(("sample", "message"), OBSERVED.items())
def test_an_observed_body_comes_out_in_its_own_order_and_layout(sample, message):
    assert rewritten(message, SAMPLES[sample]) == as_observed(SAMPLES[sample])


def test_the_tutorials_first_answer_has_its_296_bytes():
    raw = SAMPLES["create_operation_2024_b2_e5_raw"].encode()
    assert len(raw) == 296
    assert rewritten("Operation", parse_json(raw)) == raw


@pytest.mark.parametrize("item", ERRORS.values(), ids=ERRORS)
def test_an_observed_error_comes_out_in_its_own_order_and_layout(item):
    assert rewritten("ErrorBody", item["body"]) == as_observed(item["body"])


@pytest.mark.parametrize("sample", ["create_inline", "create_file", "pending_2026_03", "done_file", "done_inline"])
def test_an_observed_batch_operation_comes_out_in_its_own_order_and_layout(sample):
    assert rewritten("Operation", BATCHES[sample]) == as_observed(BATCHES[sample])


@pytest.mark.parametrize("sample", ["operation_poll_progress_2023", "operation_final_progress_2024"])
def test_an_observed_snapshot_comes_out_in_its_own_order_and_layout(sample):
    for line in SAMPLES[sample]:
        assert rewritten("TuningSnapshot", line["lastSnapshot"]) == as_observed(line["lastSnapshot"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (16.613504, b"16.613504"), (1.0, b"1"), (100.0, b"100"), (-1.1145603e-06, b"-1.1145603e-06"), (0.0, b"0"),
        (0.026032856, b"0.026032856"), (0.95, b"0.95"), (1e-5, b"1e-05"), (math.nan, b'"NaN"'),
        (math.inf, b'"Infinity"'),
    ],
)  # fmt: skip
def test_a_float_is_written_in_its_shortest_32_bit_form(value, text):
    assert dumps(float32(value), pretty=False) == text


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_form_of_a_32_bit_float_reads_back_as_the_same_float(value):
    text = dumps(float32(value), pretty=False)
    assert struct.pack("<f", float(text)) == struct.pack("<f", value)
    digits = text.split(b"e")[0].lstrip(b"-0.").replace(b".", b"")
    assert len(digits) <= 9 or float(text).is_integer()


@given(st.integers(0, 253_402_300_799_999_999_999))
def test_a_timestamp_reads_back_and_has_0_3_6_or_9_digits(nanos):
    text = format_timestamp(nanos)
    assert parse_timestamp(text) == nanos
    _, _, fraction = text.removesuffix("Z").partition(".")
    assert len(fraction) in (0, 3, 6, 9)
    assert not fraction.endswith("000")


def test_zero_values_are_left_out_but_optional_fields_are_kept_at_zero():
    value = {"step": 1, "epoch": 0, "mean_loss": 0.0}
    assert encode(SCHEMA, "TuningSnapshot", value) == {"step": 1}
    assert encode(SCHEMA, "TunedModel", {"temperature": 0.0, "display_name": "", "reader_project_numbers": []}) == {
        "temperature": 0.0
    }
    assert encode(SCHEMA, "Candidate", {"index": 0}) == {"index": 0}
    assert dumps(encode(SCHEMA, "Empty", {})) == b"{}\n"


def test_int64_is_a_string_and_both_forms_are_read():
    assert encode(SCHEMA, "TunedModel", {"reader_project_numbers": [12]}) == {"readerProjectNumbers": ["12"]}
    assert decode(SCHEMA, "TunedModel", {"readerProjectNumbers": ["12", 13]}) == {"reader_project_numbers": [12, 13]}


def test_enums_are_written_as_numbers_when_asked_for_and_read_either_way():
    value = {"state": "ACTIVE"}
    assert encode(SCHEMA, "TunedModel", value, enum_numbers=True) == {"state": 2}
    assert decode(SCHEMA, "TunedModel", {"state": 2}) == decode(SCHEMA, "TunedModel", {"state": "ACTIVE"}) == value


def test_angle_brackets_are_escaped_and_other_scripts_are_not():
    assert dumps(["<六>"], pretty=False) == '["\\u003c六\\u003e"]'.encode()


def test_a_lone_surrogate_is_written_as_the_escape_it_was_read_from():
    assert dumps(json.loads('"a\\ud800b"'), pretty=False) == b'"a\\ud800b"'


@pytest.mark.parametrize(
    "text",
    ['{"a": 1,}', '{"a": [1, 2,],}', '{"a": "x,}",\n}', '{"a": "\\",]",}', '[{"b": 2,\n},\n]'],
)
def test_trailing_commas_are_passed_over_and_text_is_left_alone(text):
    strict = {'{"a": 1,}': {"a": 1}, '{"a": [1, 2,],}': {"a": [1, 2]}, '{"a": "x,}",\n}': {"a": "x,}"}}
    assert parse_json(text.encode()) == strict.get(text, {"a": '",]'} if text.startswith("{") else [{"b": 2}])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values, st.booleans())
def test_any_json_value_reads_back_from_either_layout(value, pretty):
    assert json.loads(dumps(value, pretty=pretty)) == value
    assert parse_json(dumps(value, pretty=pretty)) == value


@given(json_values)
def test_the_pretty_layout_is_that_of_two_spaces_per_level(value):
    plain = json.dumps(value, indent=2, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")
    assert dumps(value) == (plain + "\n").encode()


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b'{"a": NaN}', b"\xff", b"[" * 100_000, b'{"a" 1}'])
def test_a_body_that_is_not_json_is_a_400(body):
    with pytest.raises(RpcError, match="Invalid JSON payload received") as caught:
        parse_json(body)
    assert caught.value.code == 400


def test_an_unknown_field_is_refused_in_the_services_own_words():
    with pytest.raises(RpcError) as caught:
        decode(SCHEMA, "GenerateContentRequest", {"generationConfig": {"foo": 1}})
    assert encode(SCHEMA, "ErrorBody", caught.value.body) == ERRORS["unknown_field"]["body"]


def test_every_unknown_field_and_wrong_value_is_named_with_its_path():
    body = {"bar": 1, "contents": [{"parts": [{"text": 5}], "nope": []}], "generationConfig": {"temperature": "hot"}}
    with pytest.raises(RpcError) as caught:
        decode(SCHEMA, "GenerateContentRequest", body)
    assert caught.value.message.splitlines() == [
        'Invalid JSON payload received. Unknown name "bar": Cannot find field.',
        "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING), 5",
        "Invalid JSON payload received. Unknown name \"nope\" at 'contents[0]': Cannot find field.",
        "Invalid value at 'generation_config.temperature' (TYPE_FLOAT), \"hot\"",
    ]


def test_two_members_of_a_oneof_are_refused():
    with pytest.raises(RpcError, match="oneof field 'learning_rate_option' is already set") as caught:
        decode(SCHEMA, "Hyperparameters", {"learningRate": 0.001, "learningRateMultiplier": 1})
    assert caught.value.status == "INVALID_ARGUMENT"


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 1.5, True, "x", [], {}])
def test_a_value_that_is_no_int32_is_refused(value):
    with pytest.raises(RpcError, match="TYPE_INT32"):
        decode(SCHEMA, "Hyperparameters", {"epochCount": value})


messages = st.sampled_from(sorted(set(SCHEMA.messages) - {"Operation", "Status", "HttpStatus", "ErrorBody"}))


@given(st.data(), messages, st.booleans())
def test_any_message_reads_back_in_either_spelling_and_its_keys_follow_the_field_numbers(data, name, snake):
    value = data.draw(message_values(name))
    body = encode(SCHEMA, name, value)
    numbers = [SCHEMA.messages[name].by_name[key].number for key in body]
    assert numbers == sorted(numbers)
    spelled = respell(name, body) if snake else body
    assert encode(SCHEMA, name, decode(SCHEMA, name, json.loads(dumps(spelled)))) == body


def message_values(name, depth=0):
    optional = {f.name: field_values(f, depth) for f in SCHEMA.messages[name].fields if depth < 3 or not f.is_message}
    return st.fixed_dictionaries({}, optional=optional).map(lambda value: one_of_each(name, value))


def one_of_each(name, value):
    """At most one member of every oneof."""
    seen = set()
    kept = {}
    for key, item in value.items():
        oneof = SCHEMA.messages[name].by_name[key].oneof
        if oneof is None or oneof not in seen:
            kept[key] = item
            seen.add(oneof)
    return kept


def field_values(field, depth):
    text = st.text(st.characters(codec="utf-8"), max_size=5)
    scalars = {
        "string": text, "bytes": text, "bool": st.booleans(), "Duration": st.just("40s"),
        "int32": st.integers(-(2**31), 2**31 - 1), "int64": st.integers(-(2**63), 2**63 - 1),
        "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
        "double": st.floats(allow_nan=False, allow_infinity=False),
        "Timestamp": st.integers(0, 10**19), "Json": st.just({"any": [1]}),
        "Labels": st.dictionaries(text, text, max_size=2),
        "Any": st.just({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R"}),
    }  # fmt: skip
    if field.is_enum:
        one = st.sampled_from(sorted(SCHEMA.enums[field.type]))
    else:
        one = scalars[field.type] if field.type in scalars else message_values(field.type, depth + 1)
    return st.lists(one, max_size=2) if field.repeated else one


def respell(name, body):
    """The same JSON with the names of the proto."""
    spelled = {}
    for key, item in body.items():
        field = SCHEMA.messages[name].by_name[key]
        inner = item if field.repeated else [item]
        if field.is_message:
            inner = [respell(field.type, one) for one in inner]
        spelled[field.name] = inner if field.repeated else inner[0]
    return spelled


def test_the_fields_of_requests_are_those_of_the_published_schema():
    published = json.loads((GOLDEN / "message_fields.json").read_text(encoding="utf-8"))
    requests = [
        "TunedModel", "TunedModelSource", "TuningTask", "Hyperparameters", "Dataset", "TuningExamples", "TuningExample",
        "Permission", "GenerateContentRequest", "Content", "Part", "GenerationConfig", "SafetySetting",
        "CountTokensRequest", "Blob",
    ]  # fmt: skip
    for name in requests:
        known = set(SCHEMA.messages[name].by_name)
        assert name in published
        assert not set(published[name]) - known, name


@given(st.from_regex(r"[a-z]+(_[a-z]+){0,3}", fullmatch=True))
def test_the_two_spellings_of_a_name_lead_to_each_other(name):
    assert snake_case(camel_case(name)) == name
    assert snake_case(name) == name


async def test_the_snapshots_of_a_long_job_are_written_once(api, monkeypatch):
    name = await api.tuned(model_body([(str(n), str(n)) for n in range(500)]))
    first = await api.call("GET", f"/v1beta/{name}")
    made = []
    monkeypatch.setattr(codec, "float32", lambda value: made.append(value) or value)
    second = await api.call("GET", f"/v1beta/{name}")
    assert second.content == first.content
    assert len(second.json()["tuningTask"]["snapshots"]) == 625
    assert len(made) < 10


async def test_what_is_written_once_is_written_in_every_layout(api):
    name = await api.tuned()
    model, compact = await api.get(f"/v1beta/{name}"), await api.get(f"/v1beta/{name}", params={"prettyPrint": "false"})
    operation = await api.get(f"/v1/{api.app.store.tuned_models[name].operation_name}")
    snapshots = model["tuningTask"]["snapshots"]
    assert snapshots == compact["tuningTask"]["snapshots"] == operation["metadata"]["snapshots"]
    deep = (await api.call("GET", f"/v1/{api.app.store.tuned_models[name].operation_name}")).text
    assert '\n    "snapshots": [\n      {\n        "step": 1,\n' in deep
    assert '\n      "snapshots": [\n        {\n          "step": 1,\n' in deep


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=3), st.booleans())
def test_what_never_changes_is_written_like_anything_else_at_every_depth(value, pretty):
    frozen = FrozenJson(value)
    for around in (lambda each: {"a": {"b": each}}, lambda each: [each, {"c": [[each]]}], lambda each: each):
        assert dumps(around(frozen), pretty=pretty) == dumps(around(value), pretty=pretty)
