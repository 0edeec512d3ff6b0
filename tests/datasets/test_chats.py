"""What a chat in another layout says stays what it says: which call was answered, and what stands beside the text."""

import pytest

from gemtune.datasets import convert


def call(number, name, arguments="{}"):
    return {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}


def answer(number, text):
    return {"role": "tool", "tool_call_id": number, "content": text}


def chat(*messages, **more):
    return {"messages": [{"role": "user", "content": "go"}, *messages, {"role": "assistant", "content": "ok"}], **more}


def issues(row, to="vertex"):
    conversion = convert([row], to=to)
    assert [*conversion] == []
    return [(issue.path, issue.code, issue.message) for issue in conversion.issues]


@pytest.mark.parametrize("written", [("1", "2", "3"), ("2", "1", "3"), ("3", "2", "1"), ("3", "1", "2")])
def test_answers_to_parallel_calls_come_in_the_order_of_the_calls_whichever_order_the_file_has(written):
    calls = {"role": "assistant", "tool_calls": [call("1", "f"), call("2", "f", '{"x": 1}'), call("3", "g")]}
    again = {"role": "assistant", "tool_calls": [call("2", "f", '{"x": 2}'), call("1", "f")]}
    row = chat(
        calls, *(answer(number, f"to {number}") for number in written), again, answer("1", "b"), answer("2", "a")
    )
    (example,) = convert([row], to="vertex")
    answers = [
        [(part["functionResponse"]["name"], part["functionResponse"]["response"]["result"]) for part in turn["parts"]]
        for turn in example["contents"]
        if "functionResponse" in turn["parts"][0]
    ]
    assert answers == [[("f", "to 1"), ("f", "to 2"), ("g", "to 3")], [("f", "a"), ("f", "b")]]


def test_an_answer_that_names_its_function_alone_stays_behind_those_that_name_their_call():
    calls = {"role": "assistant", "tool_calls": [call("1", "f"), call("2", "g")]}
    by_name = {"role": "tool", "name": "g", "content": "second"}
    (example,) = convert([chat(calls, by_name, answer("1", "first"))], to="vertex")
    results = [part["functionResponse"]["response"]["result"] for part in example["contents"][2]["parts"]]
    assert results == ["first", "second"]


@pytest.mark.parametrize("role", ["system", "tool"])
def test_an_image_in_a_system_or_tool_message_makes_its_row_wrong(role):
    image = {"type": "image_url", "image_url": {"url": "gs://bucket/a.png"}}
    calls = {"role": "assistant", "tool_calls": [call("1", "f")]}
    shown = {"role": role, "content": [{"type": "text", "text": "see"}, image], "tool_call_id": "1"}
    ((path, code, message),) = issues(chat(calls, shown))
    assert (path, code) == ("messages[2]", "invalid_part")
    assert "holds something else than text" in message


@pytest.mark.parametrize(
    "other", [{"type": "web_search"}, {"type": "function", "name": 1}, {"type": "custom", "name": "f"}]
)
def test_a_tool_that_is_no_function_makes_its_row_wrong(other):
    for tools in ([other], [{"type": "function", "function": {"name": "f"}}, other]):
        ((path, _, message),) = issues(chat(tools=tools))
        assert path == "tools"
        assert "holds what is no function: leave it out" in message


def test_a_function_may_be_declared_with_or_without_a_wrapping():
    tools = [{"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "g"}, {"name": "h"}]
    (example,) = convert([chat(tools=tools)], to="vertex")
    assert example["tools"] == [{"functionDeclarations": [{"name": "f"}, {"name": "g"}, {"name": "h"}]}]


def test_tools_that_vertex_ai_has_itself_stay():
    tools = [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}]
    (example,) = convert([chat(tools=tools)], to="vertex")
    assert example["tools"] == tools


def test_functions_beside_tools_are_not_left_out_in_silence():
    conversion = convert(
        [chat(tools=[{"type": "function", "function": {"name": "f"}}], functions=[{"name": "g"}])], to="vertex"
    )
    (example,) = conversion
    assert example["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert [(issue.path, issue.code, issue.severity) for issue in conversion.issues] == [
        ("functions", "left_out", "warning")
    ]
