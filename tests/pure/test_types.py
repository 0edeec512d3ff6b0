"""The values as people use them: constructors, prompts, the text of a reply, open enumerations, times."""

import pickle
from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest

from gemtune import types
from gemtune.errors import InvalidInput, NoText
from gemtune.types import (
    Blob,
    Candidate,
    Content,
    FinishReason,
    FunctionCall,
    GenerateContentRequest,
    GenerateContentResponse,
    Hyperparameters,
    Part,
    PromptFeedback,
    Timestamp,
    TunedModel,
    TunedModelState,
    TuningExample,
    TuningSnapshot,
)

HI = Content(parts=(Part(text="hi"),), role="user")
YES = Content(parts=(Part(text="yes"),), role="model")


def test_the_public_names_are_sorted_and_there():
    assert types.__all__ == sorted(types.__all__)
    assert dir(types) == types.__all__
    assert all(hasattr(types, name) for name in types.__all__)
    with pytest.raises(AttributeError, match="Tuner"):
        _ = types.Tuner


@pytest.mark.parametrize(
    ("given", "contents"),
    [
        ("hi", (HI,)),
        (Part(text="hi"), (HI,)),
        (YES, (YES,)),
        (["hi"], (HI,)),
        (("hi", YES, "hi"), (HI, YES, HI)),
        ((part for part in ["hi", YES]), (HI, YES)),
        (["hi", Part(text="ho")], (Content(parts=["hi", "ho"], role="user"),)),
        ([YES, "hi", "ho"], (YES, Content(parts=["hi", "ho"], role="user"))),
    ],
)
def test_a_prompt_is_made_of_text_parts_and_contents(given, contents):
    assert types.to_contents(given) == contents


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "empty"),
        (None, "NoneType"),
        (5, "int"),
        (b"hi", "bytes"),
        ({"parts": []}, "dict"),
        (["hi", b"ho"], "item 1 of the prompt is a bytes"),
        ([["hi"]], "item 0 of the prompt is a list"),
    ],
)
def test_what_is_no_prompt_is_refused_by_name(given, words):
    with pytest.raises(InvalidInput, match=words) as caught:
        GenerateContentRequest(contents=given)
    assert caught.value.field == "contents"


@pytest.mark.parametrize("parts", [5, b"x", {"text": "x"}, ["x", 5]])
def test_what_is_no_part_is_refused(parts):
    with pytest.raises(InvalidInput, match="part"):
        Content(parts=parts)


def test_a_list_is_wanted_where_one_string_is_given():
    with pytest.raises(InvalidInput, match=r"put it in \[ \]"):
        types.GenerationConfig(stop_sequences="END")


def test_a_system_instruction_is_a_content_without_a_role():
    request = GenerateContentRequest(contents="hi", system_instruction="Be short.")
    assert request.system_instruction == Content(parts="Be short.")
    assert GenerateContentRequest(contents="hi", system_instruction=YES).system_instruction is YES
    assert types.CountTokensRequest(contents="hi").contents == (HI,)
    assert types.CountTokensRequest(generate_content_request=request).contents == ()


def test_the_constructors_of_parts_say_what_they_make():
    call = FunctionCall(id="7", name="f", args={"a": 1})
    assert Part.from_text("x") == Part(text="x")
    assert Part.from_bytes(bytearray(b"x"), "image/png") == Part(inline_data=Blob(mime_type="image/png", data=b"x"))
    assert Part.from_uri("files/a").file_data.file_uri == "files/a"
    answer = Part.from_function_response(call, {"result": 2}).function_response
    assert (answer.id, answer.name, answer.response) == ("7", "f", {"result": 2})


def reply(*parts, **candidate):
    return GenerateContentResponse(candidates=(Candidate(content=Content(parts=parts), **candidate),))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (reply("LXIV"), "LXIV"),
        (reply(""), ""),
        (reply("a", Part(text="hm", thought=True), "b"), "ab"),
        (reply("a", Part(function_call=FunctionCall(name="f"))), "a"),
    ],
)
def test_the_text_is_the_first_candidates_without_thoughts(value, text):
    assert value.text == value.text_or_none == text


@pytest.mark.parametrize(
    ("value", "words", "finish", "block"),
    [
        (GenerateContentResponse(), "no reason", None, None),
        (
            GenerateContentResponse(prompt_feedback=PromptFeedback(block_reason=types.BlockReason.SAFETY)),
            r"blocked \(SAFETY\)", None, "SAFETY",
        ),
        (GenerateContentResponse(prompt_feedback=PromptFeedback()), "no reason", None, None),
        (GenerateContentResponse(candidates=(Candidate(),)), "unknown", None, None),
        (reply(finish_reason=FinishReason.MAX_TOKENS), "MAX_TOKENS; raise max_output_tokens", "MAX_TOKENS", None),
        (reply(Part(text="hm", thought=True), finish_reason=FinishReason.STOP), "STOP", "STOP", None),
        (
            reply(finish_reason=FinishReason("NEW_REASON"), finish_message="two\nlines\x1b[31m"),
            r"NEW_REASON: two lines \[31m$", "NEW_REASON", None,
        ),
        (reply(Part(function_call=FunctionCall(name="f"))), "calls functions instead", None, None),
    ],
)  # fmt: skip
def test_a_reply_without_text_says_why(value, words, finish, block):
    assert value.text_or_none is None
    with pytest.raises(NoText, match=words) as caught:
        _ = value.text
    assert (caught.value.finish_reason, caught.value.block_reason) == (finish, block)
    assert pickle.loads(pickle.dumps(caught.value)).finish_reason == finish


def test_function_calls_and_the_finish_reason_are_the_first_candidates():
    call = FunctionCall(name="f", args={"a": 1})
    value = reply("a", Part(function_call=call), finish_reason=FinishReason.STOP)
    assert value.function_calls == (call,)
    assert value.finish_reason is FinishReason.STOP
    assert (GenerateContentResponse().function_calls, GenerateContentResponse().finish_reason) == ((), None)
    assert GenerateContentResponse(candidates=(Candidate(),)).function_calls == ()


def test_two_learning_rates_exclude_each_other():
    with pytest.raises(InvalidInput, match="learning_rate and learning_rate_multiplier") as caught:
        Hyperparameters(learning_rate=0.001, learning_rate_multiplier=0.0)
    assert caught.value.field == "learning_rate_multiplier"
    assert Hyperparameters(learning_rate_multiplier=0.5).learning_rate is None


def test_an_unknown_string_of_an_enumeration_is_a_member_that_equals_it():
    paused = TunedModelState("PAUSED")
    assert paused == "PAUSED" == str(paused)
    assert paused == TunedModelState("PAUSED")
    assert hash(paused) == hash("PAUSED")
    assert (paused.known, TunedModelState.ACTIVE.known) == (False, True)
    assert (repr(paused), repr(TunedModelState.ACTIVE)) == ("TunedModelState('PAUSED')", "TunedModelState.ACTIVE")
    assert f"{paused} {TunedModelState.ACTIVE}" == "PAUSED ACTIVE"
    assert pickle.loads(pickle.dumps(paused)) == paused
    assert pickle.loads(pickle.dumps(TunedModelState.ACTIVE)) is TunedModelState.ACTIVE
    assert paused not in list(TunedModelState)
    with pytest.raises(ValueError, match="5"):
        TunedModelState(5)


def test_a_string_will_do_where_an_enumeration_is_wanted():
    setting = types.SafetySetting("HARM_CATEGORY_HARASSMENT", "BLOCK_NONE")
    assert setting.category is types.HarmCategory.HARM_CATEGORY_HARASSMENT
    assert types.ThinkingConfig(thinking_level="LOW").thinking_level is types.ThinkingLevel.LOW
    assert types.GenerationConfig(response_modalities=["TEXT"]).response_modalities == (types.ResponseModality.TEXT,)


def test_match_takes_values_apart():
    match TunedModel(state="ACTIVE", tuning_task=types.TuningTask(snapshots=[TuningSnapshot(3, 1, 0.5)])):
        case TunedModel(
            state=TunedModelState.ACTIVE,
            tuning_task=types.TuningTask(snapshots=(TuningSnapshot(step, epoch, mean_loss=loss),)),
        ):
            assert (step, epoch, loss) == (3, 1, 0.5)
        case _:
            pytest.fail("no match")
    match TuningExample("1", "2"):
        case TuningExample(text, output):
            assert (text, output) == ("1", "2")


def test_evolve_makes_a_changed_copy_and_leaves_the_original():
    model = TunedModel(name="tunedModels/a", state="CREATING", extra={"new": 1})
    done = attrs.evolve(model, state="ACTIVE")
    assert (done.state, done.name, done.extra) == (TunedModelState.ACTIVE, "tunedModels/a", {"new": 1})
    assert model.state is TunedModelState.CREATING


def test_the_repr_shows_what_differs_from_the_defaults():
    assert repr(TunedModel(name="tunedModels/a", state="ACTIVE")) == (
        "TunedModel(name='tunedModels/a', state=TunedModelState.ACTIVE)"
    )
    assert repr(TuningSnapshot(1, extra={"x": 1})) == "TuningSnapshot(step=1, extra={'x': 1})"
    assert repr(Blob(mime_type="image/png", data=b"x" * 99)) == "Blob(mime_type='image/png', data=<99 bytes>)"


def test_no_fields_is_one_shared_mapping_that_nobody_can_write():
    extra = TunedModel().extra
    assert pickle.loads(pickle.dumps(TunedModel())).extra is extra
    assert (extra, repr(extra), len(extra)) == ({}, "{}", 0)
    with pytest.raises(TypeError):
        extra["x"] = 1
    with pytest.raises(KeyError):
        extra["x"]


def test_a_model_tells_what_it_supports():
    model = types.Model(supported_generation_methods=["generateContent", "createTunedModel"])
    assert model.supports("createTunedModel")
    assert not model.supports("countTokens")


@pytest.mark.parametrize(
    "text",
    ["", "2024-03-14", "2024-03-14T15:11:23", "2024-03-14T15:11:23.Z", "2024-03-14T15:11:23.1234567890Z",
     "2024-03-14T24:11:23Z", "2024-03-14T15:11:60Z", "2024-03-14T15:11:23+25:00Z", "٢024-03-14T15:11:23Z",
     "2024-03-14T15:11:23Z\n"],
)  # fmt: skip
def test_what_is_not_rfc_3339_is_no_time(text):
    with pytest.raises(ValueError):
        Timestamp.parse(text)


def test_a_time_lives_in_utc():
    east = timezone(timedelta(hours=2))
    moment = Timestamp.of(datetime(2024, 3, 14, 17, 11, 23, 5, east))
    assert str(moment) == "2024-03-14T15:11:23.000005Z"
    assert Timestamp.of(moment) is moment
    assert moment.to_datetime().astimezone(east).hour == 17
    with pytest.raises(ValueError, match="give it a time zone"):
        Timestamp.of(datetime(2024, 3, 14))  # noqa: DTZ001


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_a_time_outside_the_calendar_is_refused(text):
    with pytest.raises(ValueError, match="years 1 to 9999"):
        Timestamp.parse(text)


def test_times_subtract_from_each_other_and_from_datetimes():
    moment = Timestamp.parse("2024-03-14T15:11:23.766989274Z")
    hour = timedelta(hours=1)
    assert repr(moment) == "Timestamp('2024-03-14T15:11:23.766989274Z')"
    assert moment.to_datetime() == datetime(2024, 3, 14, 15, 11, 23, 766989, UTC)
    assert moment.timestamp() == pytest.approx(moment.to_datetime().timestamp(), abs=1e-6)
    assert moment - Timestamp(moment.nanoseconds - 3600 * 10**9) == hour
    assert (moment.to_datetime() + hour) - moment == timedelta(hours=1, microseconds=0)
    assert moment - (moment.to_datetime() - hour) == hour
    assert (moment == "x", moment != "x") == (False, True)
    assert moment != datetime(2024, 3, 14)  # noqa: DTZ001
    with pytest.raises(TypeError):
        _ = moment < datetime(2024, 3, 14)  # noqa: DTZ001
    with pytest.raises(TypeError):
        _ = moment - 3


def test_a_long_list_is_shown_by_its_length_and_its_ends():
    task = types.TuningTask(snapshots=[types.TuningSnapshot(step, 0, 1.0, None) for step in range(1, 376)])
    assert len(repr(task)) < 300
    assert "375 of TuningSnapshot(step=1" in repr(task)
    assert "step=375" in repr(task)
