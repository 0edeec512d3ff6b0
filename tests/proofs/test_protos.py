"""Every request as Google's published protos read it, unknown fields refused, and every observed reply read by both."""

import itertools
import json
import re
from pathlib import Path

import httpx
import pytest
from google.ai import generativelanguage_v1beta as published
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2  # noqa: F401 - known to the pool from here on
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gemtune
from gemtune import types
from gemtune.protocol.codec import decode, dumps, encode
from gemtune.protocol.codec.shape import fields_of
from pure.test_codec_properties import values_of
from world import BASE, EXAMPLES, TOKEN, make_app

POOL = descriptor_pool.Default()
V1BETA = "google.ai.generativelanguage.v1beta."
HOMES = {
    "LogprobsCandidate": V1BETA + "LogprobsResult.Candidate",
    "ListOperationsResponse": "google.longrunning.ListOperationsResponse",
    "Operation": "google.longrunning.Operation",
    "PromptFeedback": V1BETA + "GenerateContentResponse.PromptFeedback",
    "Status": "google.rpc.Status",
    "TopCandidates": V1BETA + "LogprobsResult.TopCandidates",
    "TrainingData": V1BETA + "Dataset",
    "UsageMetadata": V1BETA + "GenerateContentResponse.UsageMetadata",
}
NEWER_MESSAGES = {"ModelStatus", "ToolCall", "ToolResponse"}
"""Messages of the discovery document of 2026-06-24 that google-ai-generativelanguage 0.12.1 does not have."""
NEWER = {
    "CodeExecutionResult": {"id"},
    "ExecutableCode": {"id"},
    "GenerateContentRequest": {"serviceTier", "store"},
    "GenerateContentResponse": {"modelStatus"},
    "GenerationConfig": {"responseFormat", "translationConfig"},
    "ImageConfig": {"imageSize"},
    "Part": {"mediaResolution", "toolCall", "toolResponse"},
    "ThinkingConfig": {"thinkingLevel"},
    "Tool": {"mcpServers"},
    "ToolConfig": {"includeServerSideToolInvocations"},
    "UsageMetadata": {"serviceTier"},
}
"""Fields that are newer than the protos."""
NEWER_VALUES = {("Candidate", "finishReason"): {"ESCALATION", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"}}
LEFT_OUT = {
    "CountTokensRequest": {"model"},
    "File": {"videoMetadata"},
    "GenerationConfig": {"responseJsonSchemaOrdered"},
    "TransferOwnershipRequest": {"name"},
}
"""Fields of the protos that we do not send: they stand in the path, or are Google's own."""
RECEIVED = {types.File, types.ListFilesResponse}
"""What is never sent whole. A digest is kept in the Base64 in which it came, because the service writes two kinds."""
ELSEWHERE = {types.Checkpoint, types.MeasuredSnapshot, types.ServedModel}
"""What handles on jobs of Vertex AI say: no message of the Gemini API."""
MESSAGES = [
    cls
    for cls in (getattr(types, name) for name in types.__all__)
    if isinstance(cls, type) and issubclass(cls, types.Message) and cls not in {types.Message, *ELSEWHERE}
]
KNOWN = [cls for cls in MESSAGES if cls.__name__ not in NEWER_MESSAGES and cls not in RECEIVED]


def descriptor(name):
    return POOL.FindMessageTypeByName(HOMES.get(name, V1BETA + name))


def parse(name, body):
    """Read JSON as Google's own library does, and refuse what it does not know."""
    message = message_factory.GetMessageClass(descriptor(name))()
    return json_format.Parse(json.dumps(body), message, ignore_unknown_fields=False, descriptor_pool=POOL)


def shown(message):
    return json.loads(json_format.MessageToJson(message, descriptor_pool=POOL))


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_our_fields_are_those_of_the_protos_but_for_the_listed_ones(cls):
    name = cls.__name__
    if name in NEWER_MESSAGES:
        with pytest.raises(KeyError):
            descriptor(name)
        return
    ours = {field.key: field for field in fields_of(cls) if field.key != "@type"}
    theirs = {field.json_name: field for field in descriptor(name).fields}
    assert set(ours) - set(theirs) == NEWER.get(name, set())
    assert set(theirs) - set(ours) == LEFT_OUT.get(name, set())
    for key in set(ours) & set(theirs):
        assert ours[key].many is (theirs[key].is_repeated and not is_map(theirs[key])), key
        if ours[key].kind == "enum":
            values = {value.name for value in theirs[key].enum_type.values}
            assert {member.value for member in ours[key].cls} - values == NEWER_VALUES.get((name, key), set())
            assert values <= {member.value for member in ours[key].cls}


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def is_duration(cls, field):
    theirs = next(one for one in descriptor(cls.__name__).fields if one.json_name == field.key)
    return theirs.message_type is not None and theirs.message_type.full_name == "google.protobuf.Duration"


def sendable(cls):
    """JSON of a message with the fields that both know, and with known enumeration strings."""
    known = {}
    for field in fields_of(cls):
        if field.key == "@type" or field.key in NEWER.get(cls.__name__, ()) or field.kind in {"json", "any"}:
            continue
        if field.kind == "enum":
            newer = NEWER_VALUES.get((cls.__name__, field.key), set())
            one = st.sampled_from([member.value for member in list(field.cls)[1:] if member.value not in newer])
        elif field.kind == "message":
            one = st.deferred(lambda field=field: sendable(field.cls))
        elif field.kind == "float":  # at the largest of all, Google's library cannot read what it has written
            one = st.floats(-(2.0**100), 2.0**100, width=32)
        elif is_duration(cls, field):
            one = st.integers(0, 10**6).map("{}s".format)
        else:
            known[field.key] = values_of(field)
            continue
        known[field.key] = st.lists(one, min_size=1, max_size=2) if field.many else one
    return st.fixed_dictionaries({}, optional=known)


def one_of_each_oneof(cls, body):
    """Keep the first of the fields that exclude each other, all the way down."""
    seen, kept = set(), {}
    theirs = {field.json_name: field for field in descriptor(cls.__name__).fields}
    classes = {field.key: field.cls for field in fields_of(cls) if field.kind == "message"}
    for key, value in body.items():
        group = theirs[key].containing_oneof
        if group is not None and len(group.fields) > 1:
            if group.name in seen:
                continue
            seen.add(group.name)
        if key in classes:
            many = isinstance(value, list)
            inner = [one_of_each_oneof(classes[key], item) for item in (value if many else [value])]
            value = inner if many else inner[0]  # noqa: PLW2901
        kept[key] = value
    return kept


@settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.sampled_from(KNOWN).flatmap(lambda cls: st.tuples(st.just(cls), sendable(cls))))
def test_what_we_encode_the_protos_read_and_what_they_write_we_decode(case):
    cls, body = case
    body = one_of_each_oneof(cls, body)
    value = decode(cls, body)
    message = parse(cls.__name__, encode(value))
    assert list(differences(value, message)) == []
    assert parse(cls.__name__, encode(decode(cls, shown(message)))) == message


GOLDEN = Path(__file__).parents[1] / "golden"
SAMPLES = json.loads((GOLDEN / "tuned_models_observed.json").read_text(encoding="utf-8"))["samples"]
ERRORS = json.loads((GOLDEN / "errors.json").read_text(encoding="utf-8"))["items"]
REPLIES = {
    "list_tuned_models_2023": types.ListTunedModelsResponse,
    "create_operation_2023_b4_e3": types.Operation,
    "get_tuned_model_CREATING_2023": types.TunedModel,
    "create_operation_2024_b2_e5": types.Operation,
    "create_operation_2024_b4_e5": types.Operation,
    "generate_content_tuned_2024": types.GenerateContentResponse,
    "generate_content_tuned_2024_ja": types.GenerateContentResponse,
}


@pytest.mark.parametrize("name", REPLIES)
def test_an_observed_reply_is_the_same_to_both(name):
    cls, body = REPLIES[name], json.loads(json.dumps(SAMPLES[name]).replace(".v1beta3.", ".v1beta."))
    theirs, ours = parse(cls.__name__, body), decode(cls, body)
    assert parse(cls.__name__, encode(ours)) == theirs
    assert decode(cls, shown(theirs)) == ours
    assert list(differences(ours, theirs)) == []


def test_every_observed_reply_is_read():
    others = {"operation_poll_progress_2023", "operation_final_progress_2024", "create_operation_2024_b2_e5_raw"}
    assert set(REPLIES) | others == set(SAMPLES)
    for poll in SAMPLES["operation_poll_progress_2023"] + SAMPLES["operation_final_progress_2024"]:
        body = {"completedPercent": poll["completedPercent"], "snapshots": [poll["lastSnapshot"]]}
        theirs, ours = parse("CreateTunedModelMetadata", body), decode(types.CreateTunedModelMetadata, body)
        assert list(differences(ours, theirs)) == []


WITH_BODY = [item for item in ERRORS if "error" in (item.get("body") or {})]


@pytest.mark.parametrize("item", WITH_BODY, ids=lambda item: item["id"])
def test_an_observed_error_is_the_same_to_both(item):
    body = dict(item["body"]["error"])
    body.pop("status", None)  # of google.rpc.Status's HTTP form only
    theirs, ours = parse("Status", body), decode(types.Status, body)
    assert (ours.code, ours.message) == (theirs.code, theirs.message)
    assert len(ours.details) == len(theirs.details)


def differences(ours, theirs, path="$"):
    """Every field in which a value of ours differs from a message of theirs."""
    for field in fields_of(type(ours)):
        if field.key == "@type" or field.key in NEWER.get(type(ours).__name__, ()):
            continue
        mine, where = getattr(ours, field.name), f"{path}.{field.key}"
        proto = next(one for one in theirs.DESCRIPTOR.fields if one.json_name == field.key)
        if proto.has_presence and not theirs.HasField(proto.name):
            if mine and not (field.kind == "enum" and mine == next(iter(field.cls))):
                yield where, mine, None
            continue
        other = getattr(theirs, proto.name)
        if mine is None and not other:
            continue  # proto3 without presence: absent and zero are one
        if field.kind == "any":
            other = opened(other)
        pairs = zip(mine, other, strict=True) if field.many else [(mine, other)]
        for number, (one, two) in enumerate(pairs):
            yield from unequal(field, one, two, f"{where}[{number}]" if field.many else where, proto)


def opened(packed):
    message = message_factory.GetMessageClass(POOL.FindMessageTypeByName(packed.type_url.rpartition("/")[2]))()
    packed.Unpack(message)
    return message


def unequal(field, one, two, where, proto):
    if isinstance(one, types.Message):
        yield from differences(one, two, where)
        return
    if field.kind == "time":
        one, two = divmod(one.nanoseconds, 10**9), (two.seconds, two.nanos)
    elif field.kind == "enum":
        two = proto.enum_type.values_by_number[two].name
    elif field.kind == "float":
        two = pytest.approx(two, rel=1e-6)
    elif hasattr(two, "ToJsonString"):
        two = two.ToJsonString()
    if one != two:
        yield where, one, two


METHODS = {
    "tunedModels.create": ("CreateTunedModelRequest", "tunedModel"),
    "tunedModels.get": ("GetTunedModelRequest", None),
    "tunedModels.list": ("ListTunedModelsRequest", None),
    "tunedModels.patch": ("UpdateTunedModelRequest", "tunedModel"),
    "tunedModels.delete": ("DeleteTunedModelRequest", None),
    "tunedModels.transferOwnership": ("TransferOwnershipRequest", "*"),
    "tunedModels.generateContent": ("GenerateContentRequest", "*"),
    "tunedModels.streamGenerateContent": ("GenerateContentRequest", "*"),
    "tunedModels.permissions.create": ("CreatePermissionRequest", "permission"),
    "tunedModels.permissions.get": ("GetPermissionRequest", None),
    "tunedModels.permissions.list": ("ListPermissionsRequest", None),
    "tunedModels.permissions.patch": ("UpdatePermissionRequest", "permission"),
    "tunedModels.permissions.delete": ("DeletePermissionRequest", None),
    "models.get": ("GetModelRequest", None),
    "models.list": ("ListModelsRequest", None),
    "models.generateContent": ("GenerateContentRequest", "*"),
    "models.streamGenerateContent": ("GenerateContentRequest", "*"),
    "models.countTokens": ("CountTokensRequest", "*"),
    "tunedModels.operations.get": (operations_pb2.GetOperationRequest, None),
    "tunedModels.operations.list": (operations_pb2.ListOperationsRequest, None),
    "tunedModels.operations.cancel": (operations_pb2.CancelOperationRequest, "*"),
}
"""The request message of each method, and which of its fields the body is (google.api.http)."""
SYSTEM = {"alt", "fields"}
EVERYTHING = types.GenerationConfig(temperature=0.5, top_p=0.9, top_k=3, max_output_tokens=9, stop_sequences=("x",))


async def use(client):
    """Call every method that there is, with as many of its arguments as there are."""
    job = await client.tune(
        BASE, EXAMPLES, tuned_model_id="mine", display_name="number generator", description="näxt",
        temperature=0.3, top_p=0.9, top_k=7,
        hyperparameters=gemtune.Hyperparameters(epoch_count=2, batch_size=2, learning_rate=0.001),
    )  # fmt: skip
    await client.operations.cancel(job.operation)
    await client.operations.get(job.operation)
    await client.operations.list("mine", page_size=3, filter="done=true").all()
    model = await (await client.tune(BASE, [{"text_input": "1", "output": "2"}], tuned_model_id="first"))
    again = gemtune.Hyperparameters(learning_rate_multiplier=2.5)
    await client.tune(model, EXAMPLES, hyperparameters=again)
    await client.tuned_models.get("mine")
    await client.tuned_models.list(page_size=1, filter="owner:me number").all()
    await client.tuned_models.update(
        "mine", display_name="", description="new", temperature=None, top_p=0.5, top_k=1,
        reader_project_numbers=(123, 2**40),
    )  # fmt: skip
    shared = await client.permissions.create("mine", role="READER", email_address="a@example.com", grantee_type="GROUP")
    await client.permissions.create("mine", role="READER", grantee_type="EVERYONE")
    await client.permissions.get(shared.name)
    await client.permissions.list("mine", page_size=1).all()
    await client.permissions.update(shared.name, role="WRITER")
    await client.permissions.delete(shared.name)
    await client.models.get(BASE)
    await client.models.list(page_size=2).all()
    contents = ["hello", types.Part(inline_data=types.Blob(mime_type="image/png", data=b"\x00\xff"))]
    safety = [types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_ONLY_HIGH")]
    for name, prompt, said in (("gemini-3.7-flash", contents, "be brief"), (model, "LXIII", None)):
        await client.generate_content(
            name, prompt, system_instruction=said, generation_config=EVERYTHING, safety_settings=safety
        )
        async for _piece in client.stream_generate_content(name, "LXIII"):
            pass
    await client.count_tokens("gemini-3.7-flash", contents, system_instruction="be brief")
    await client.tuned_models.transfer_ownership("mine", "eve@example.com")
    await client.tuned_models.delete("first")


@pytest.mark.usefixtures("virtual_time")
async def test_every_request_is_one_that_google_s_own_library_can_read():
    app = make_app()
    sent = []

    class Listening(httpx.ASGITransport):
        async def handle_async_request(self, request):
            sent.append(request)
            return await super().handle_async_request(request)

    async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=Listening(app)) as client:
        await use(client)
    assert {entry.method for entry in app.requests} == set(METHODS)
    failed = [(entry.method, entry.status) for entry in app.requests if entry.status != 200]
    assert failed == [("tunedModels.get", 404)] * 2, "the looks before the two creations under ids of our own"
    for request, entry in zip(sent, app.requests, strict=True):
        name, where = METHODS[entry.method]
        fields = {key: value for key, value in entry.query if key not in SYSTEM}
        body = json.loads(request.content) if request.content else None
        assert (body is None) == (where is None)
        message = json_format.ParseDict(
            {**fields, **(body if where == "*" else {where: body} if where else {})},
            name() if not isinstance(name, str) else message_factory.GetMessageClass(descriptor(name))(),
            ignore_unknown_fields=False,
        )
        assert message.ByteSize() > 0 or not (fields or body)


def test_a_field_that_the_protos_do_not_know_is_refused():
    with pytest.raises(json_format.ParseError, match="no field named"):
        parse("TunedModel", {"displayname": "x"})
    body = json.loads(dumps(encode(types.GenerateContentRequest(contents="hi", store=True))))
    with pytest.raises(json_format.ParseError, match="store"):
        parse("GenerateContentRequest", body)


def test_a_difference_between_the_two_is_seen():
    body = SAMPLES["get_tuned_model_CREATING_2023"]
    theirs = parse("TunedModel", body)
    theirs.tuning_task.hyperparameters.epoch_count += 1
    theirs.create_time.nanos += 1
    found = [where for where, _, _ in differences(decode(types.TunedModel, body), theirs)]
    assert found == ["$.createTime", "$.tuningTask.hyperparameters.epochCount"]


def test_the_lists_of_exceptions_hold_nothing_that_is_no_exception():
    for name, keys in itertools.chain(NEWER.items(), LEFT_OUT.items()):
        ours = {field.key for field in fields_of(getattr(types, name))}
        theirs = {field.json_name for field in descriptor(name).fields}
        assert all((key in ours) != (key in theirs) for key in keys)
    assert all(re.fullmatch("[A-Z]\\w+", name) for name in NEWER_MESSAGES)
    assert issubclass(published.TunedModel, object)
