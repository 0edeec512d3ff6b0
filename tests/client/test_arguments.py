"""What a client may be made from: an argument of another type is refused at once, by its name."""

import inspect

import attrs
import pytest

import gemtune
from gemtune import errors, types
from gemtune.batch.options import BatchSpec
from gemtune.resources.given import BatchOptions
from gemtune.sweep.asked.options import SweepArguments

WRONG = [5, 1.5, float("nan"), -1, True, b"bytes", [], {}, object(), "", "\0", "a\nb", "\N{CYRILLIC SMALL LETTER A}"]
ARGUMENTS = [name for name in inspect.signature(gemtune.Client).parameters if name != "self"]
RIGHT = {
    "trust_env": [True],
    "telemetry": [True],
    "vertexai": [True],
    "user_agent_suffix": [""],
    "project": [5],
    "trusted_hosts": [[], {}],
    "headers": [{}],
    "max_connections": [5],
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_of_another_type_is_refused_by_name(name):
    key = {} if name in {"api_key", "token", "credentials"} else {"api_key": "k"}
    for value in WRONG:
        if any(type(value) is type(right) and value == right for right in RIGHT.get(name, [])):
            continue
        with pytest.raises(errors.InvalidInput) as refused:
            gemtune.Client(**key, **{name: value})
        assert name in str(refused.value)
        assert refused.value.field == name


@pytest.mark.parametrize("name", ["tools", "safety_settings"])
@pytest.mark.parametrize("value", [5, object(), "ab", {"a": 1}, [3], lambda: 1, types.Tool()], ids=type)
async def test_tools_and_safety_settings_that_are_no_lists_of_them_are_refused_by_name(name, value):
    client = gemtune.Client(api_key="k")
    with pytest.raises(errors.InvalidInput, match=f"{name} must be a list of gemtune.types") as refused:
        await client.generate_content("gemini-x", "hi", **{name: value})
    assert refused.value.field == name


@pytest.mark.parametrize("method", [gemtune.Client.generate_content, gemtune.Client.stream_generate_content])
def test_the_signature_spells_out_what_may_frame_a_prompt(method):
    named = inspect.signature(method).parameters
    assert {"system_instruction", "generation_config", "tools", "timeout"} <= named.keys()
    assert "framing" not in named


@pytest.mark.parametrize("method", [gemtune.Client.batch, gemtune.Client.generate_many])
def test_the_signature_spells_out_the_options_of_a_batch_with_their_defaults(method):
    named = inspect.signature(method).parameters
    assert "options" not in named
    assert [*named][3] == "concurrency"
    assert {*BatchOptions.__annotations__} == {*named} - {"self", "model", "inputs", "prompts"}
    assert named["rpm"].annotation == "float | None"
    limiter = inspect.signature(gemtune.Limiter).parameters
    for name, default in {
        field.name: field.default for field in attrs.fields(BatchSpec) if field.name in named
    }.items():
        plain = default if isinstance(default, str | bool) else None
        assert named[name].default == (plain if name != "model" else inspect.Parameter.empty), name
    assert named["concurrency"].default == limiter["concurrency"].default


def test_the_signature_spells_out_the_options_of_a_sweep_with_their_defaults():
    named = inspect.signature(gemtune.Client.sweep).parameters
    assert [*named][:4] == ["self", "base_model", "data", "space"]
    assert not {"display_name", "validation_data", "queue", "options"} & {*named}  # which a sweep refuses
    for field in attrs.fields(SweepArguments):
        assert named[field.name].default == field.default, field.name
    with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
        gemtune.Client(api_key="k").sweep("m", [], epochs=3)


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ('client.batch("m", ["x"], conc', "concurrency="),
        ("client.batch(jour", "journal="),
        ('client.generate_content("m", "x", system_i', "system_instruction="),
        ('client.tune("m", [], display_n', "display_name="),
    ],
)
@pytest.mark.parametrize("jedi", [True, False])
def test_a_notebook_completes_the_options(code, wanted, jedi):
    completer = pytest.importorskip("IPython.core.completer", exc_type=ImportError)
    shell = completer.IPCompleter(namespace={"client": gemtune.Client(api_key="k")}, use_jedi=jedi)
    with completer.provisionalcompleter():
        assert wanted in {each.text for each in shell.completions(code, len(code))}


async def test_an_unknown_argument_of_a_prompt_is_refused():
    with pytest.raises(TypeError, match="temperature"):
        await gemtune.Client(api_key="k").generate_content("gemini-x", "hi", temperature=0.5)
