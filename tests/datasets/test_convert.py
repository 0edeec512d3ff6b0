"""Training data in other layouts: what stays, what is said to be lost, and that a way back leads back."""

import json

import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costs import operations
from gemtune import Client
from gemtune.datasets import check, convert, load
from gemtune.emulator import running_emulator
from gemtune.errors import InvalidInput

WEATHER = {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {}}}
TOOL = {"type": "function", "function": WEATHER}


def message(role, content, **more):
    return {"role": role, "content": content, **more}


def called(*names, text=None):
    calls = [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": '{"city": "Bern"}'}}
        for number, name in enumerate(names, 1)
    ]
    return message("assistant", text, tool_calls=calls)


def chat(*messages, **more):
    return {"messages": list(messages), **more}


def preference(question, better, worse):
    return {
        "input": {"messages": [message("user", question)]},
        "preferred_output": [message("assistant", better)],
        "non_preferred_output": [message("assistant", worse)],
    }


def image(url, **more):
    return {"type": "image_url", "image_url": {"url": url, **more}}


SIMPLE = chat(message("system", "Be brief."), message("user", "H2O?"), message("assistant", "water"))
TOOLS = chat(
    message("user", "Weather?"),
    called("weather"),
    message("tool", '{"sky": "blue"}', tool_call_id="call_1"),
    message("assistant", "Blue."),
    tools=[TOOL],
)
DATA_IMAGE = "data:image/png;base64,aGVsbG8="


def rows(data, to, **more):
    conversion = convert(data, to=to, **more)
    return [*conversion], conversion


def codes(conversion):
    return [(issue.row, issue.code) for issue in conversion.issues]


def test_a_chat_of_openai_becomes_an_example_that_vertex_ai_learns():
    (example,), conversion = rows([TOOLS], "vertex")
    assert example == {
        "contents": [
            {"role": "user", "parts": [{"text": "Weather?"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "Bern"}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"sky": "blue"}}}]},
            {"role": "model", "parts": [{"text": "Blue."}]},
        ],
        "tools": [{"functionDeclarations": [WEATHER]}],
    }
    assert codes(conversion) == [(1, "call_ids")]


def test_system_and_developer_messages_are_the_system_instruction_wherever_they_stand():
    given = chat(
        message("system", "A."), message("developer", "B."), message("user", "q"), message("system", "C."),
        message("assistant", "a"),
    )  # fmt: skip
    (example,), conversion = rows([given], "vertex")
    assert example["systemInstruction"] == {"parts": [{"text": "A.\n\nB.\n\nC."}]}
    assert [turn["role"] for turn in example["contents"]] == ["user", "model"]
    assert codes(conversion) == [(1, "moved")]


def test_turns_of_one_role_become_one_and_the_answers_to_parallel_calls_as_well():
    given = chat(
        message("user", "a"), message("user", "b"), called("f", "g"), message("tool", "1", tool_call_id="call_1"),
        message("tool", "2", tool_call_id="call_2"), message("assistant", "c"),
    )  # fmt: skip
    (example,), conversion = rows([given], "vertex")
    assert [(turn["role"], len(turn["parts"])) for turn in example["contents"]] == [
        ("user", 2), ("model", 2), ("user", 2), ("model", 1),
    ]  # fmt: skip
    assert codes(conversion) == [(1, "consecutive_turns"), (1, "call_ids")]


@pytest.mark.parametrize(
    ("weights", "learned", "said"), [("refuse", 0, ("error", "weight_zero")), ("learn", 1, ("warning", "weight_zero"))]
)
def test_an_answer_of_weight_0_is_never_learned_in_silence(weights, learned, said):
    given = chat(
        message("user", "q"), message("assistant", "bad", weight=0), message("user", "no"),
        message("assistant", "good", weight=1),
    )  # fmt: skip
    examples, conversion = rows([given], "vertex", weights=weights)
    assert len(examples) == learned
    assert [(issue.severity, issue.code) for issue in conversion.issues] == [said]


def test_images_need_cloud_storage_to_be_learned_and_nothing_to_be_sent(tmp_path):
    given = [
        chat(message("user", [{"type": "text", "text": "What?"}, image(uri, **more)]), message("assistant", "a cat"))
        for uri, more in (("gs://b/a.png", {}), (DATA_IMAGE, {}), ("https://x/a.png", {"detail": "low"}))
    ]
    examples, conversion = rows(given, "vertex")
    assert [example["contents"][0]["parts"][1] for example in examples] == [
        {"fileData": {"mimeType": "image/png", "fileUri": "gs://b/a.png"}}
    ]
    assert codes(conversion) == [(2, "file_not_in_cloud_storage"), (3, "file_not_in_cloud_storage")]

    requests, conversion = rows(given, "gemini")
    assert [request["contents"][0]["parts"][1] for request in requests[1:]] == [
        {"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x/a.png"}},
    ]
    assert codes(conversion) == [(3, "left_out")]

    examples, _ = rows(given, "vertex", files=tmp_path / "images", files_uri="gs://mine/images/")
    (file,) = (tmp_path / "images").iterdir()
    assert file.read_bytes() == b"hello"
    assert examples[1]["contents"][0]["parts"][1]["fileData"]["fileUri"] == f"gs://mine/images/{file.name}"


def test_preferences_of_openai_become_those_of_vertex_ai_with_their_tools():
    given = preference("q", "good", "bad")
    given["input"]["tools"] = [TOOL]
    (example,), conversion = rows([given], "vertex")
    assert example["completions"] == [
        {"score": 1, "completion": {"role": "model", "parts": [{"text": "good"}]}},
        {"score": 0, "completion": {"role": "model", "parts": [{"text": "bad"}]}},
    ]
    assert example["tools"] == [{"functionDeclarations": [WEATHER]}]
    assert (conversion.data.method, conversion.data.layout, conversion.lossless) == ("preference", "openai", True)


def test_what_has_no_place_is_said_by_row_and_place():
    given = [
        SIMPLE | {"parallel_tool_calls": False, "metadata": {"a": 1}},
        chat(message("user", "q", name="Ann"), message("assistant", "a")),
        TOOLS | {"tools": [{"type": "function", "function": {**WEATHER, "strict": True}}]},
    ]
    _, conversion = rows(given, "vertex")
    lost = [(issue.row, issue.path) for issue in conversion.issues if issue.code == "left_out"]
    assert lost == [(1, "parallel_tool_calls"), (1, "metadata"), (2, "messages[0].name"), (3, "tools")]
    assert not conversion.lossless


def test_old_functions_and_refusals_are_read():
    given = chat(
        message("user", "q"),
        message("assistant", None, function_call={"name": "weather", "arguments": "{}"}),
        message("function", "sunny", name="weather"),
        message("assistant", None, refusal="I cannot say."),
        functions=[WEATHER],
    )
    (example,), conversion = rows([given], "vertex")
    assert example["tools"] == [{"functionDeclarations": [WEATHER]}]
    assert example["contents"][2]["parts"][0]["functionResponse"]["response"] == {"result": "sunny"}
    assert example["contents"][3]["parts"] == [{"text": "I cannot say."}]
    assert conversion.lossless


@pytest.mark.parametrize(
    ("to", "row"),
    [
        ("pairs", {"text_input": "Be brief.\n\nH2O?", "output": "water"}),
        ("alpaca", {"instruction": "H2O?", "input": "", "output": "water", "system": "Be brief."}),
        (
            "sharegpt",
            {
                "conversations": [
                    {"from": "system", "value": "Be brief."},
                    {"from": "human", "value": "H2O?"},
                    {"from": "gpt", "value": "water"},
                ]
            },
        ),
        ("openai", SIMPLE),
    ],
)
def test_a_chat_can_be_had_in_any_layout_that_holds_it(to, row):
    (converted,), _ = rows([SIMPLE], to)
    assert converted == row


def test_a_row_that_fits_nowhere_is_left_out_and_the_others_are_not():
    several = chat(message("user", "a"), message("assistant", "b"), message("user", "c"), message("assistant", "d"))
    converted, conversion = rows([SIMPLE, several, TOOLS, SIMPLE], "pairs")
    assert (len(converted), conversion.rows, conversion.left_out) == (2, 2, 2)
    assert [issue.row for issue in conversion.issues if issue.severity == "error"] == [2, 3]
    with_one_answer, conversion = rows([SIMPLE], "preference")
    assert (with_one_answer, codes(conversion)) == ([], [(1, "no_place")])


def test_alpacas_two_texts_are_joined_and_that_is_said():
    given = [{"instruction": "Translate.", "input": "cat", "output": "chat"}]
    converted, conversion = rows(given, "openai")
    assert converted == [chat(message("user", "Translate.\n\ncat"), message("assistant", "chat"))]
    assert codes(conversion) == [(1, "columns_joined")]
    assert (conversion.data.layout, [*convert(given, to="alpaca")]) == ("alpaca", given)


def test_a_table_becomes_a_table_or_lines(tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text('id,question,answer\n1,"a, b",x\n2,c,y\n')
    conversion = convert(source, to="pairs").write(tmp_path / "new.csv")
    assert (tmp_path / "new.csv").read_text() == 'text_input,output\n"a, b",x\nc,y\n'
    assert codes(conversion) == [(None, "left_out")]
    convert(source, to="vertex").write(tmp_path / "new.jsonl")
    assert check(tmp_path / "new.jsonl").stats.examples == 2
    with pytest.raises(InvalidInput, match=r"let the name of the output end in \.jsonl"):
        convert(source, to="openai").write(tmp_path / "no.csv")
    assert not (tmp_path / "no.csv").exists()
    with pytest.raises(InvalidInput, match="is the data itself"):
        convert(source, to="pairs").write(source)


def test_lines_that_are_right_stay_as_they_are_to_the_byte(tmp_path):
    line = b'{ "contents": [{"role":"user", "parts":[{"text":"q"}]},{"role":"model","parts":[{"text":"a"}]}]}\n'
    source = tmp_path / "a.jsonl"
    source.write_bytes(line)
    assert [*convert(source, to="vertex").lines()] == [line]
    chats = tmp_path / "b.jsonl"
    chats.write_text(f"{json.dumps(TOOLS)}\n")
    assert [*convert(chats, to="openai").lines()] == [chats.read_bytes()]


def test_each_row_of_a_mixed_file_gets_the_layout_that_is_asked_for():
    asked, answered = {"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": [{"text": "a"}]}
    pair, alpaca = {"text_input": "q", "output": "a"}, {"instruction": "q", "input": "", "output": "a"}
    given = [SIMPLE, {"contents": [asked, answered]}, pair, alpaca]
    plain = chat(message("user", "q"), message("assistant", "a"))
    for data in (given, given[::-1]):
        converted, _ = rows(data, "openai")
        assert [row for row in converted if row != SIMPLE] == [plain, plain, plain]
        converted, _ = rows(data, "alpaca")
        assert [row for row in converted if row.get("system") is None] == [alpaca, alpaca, alpaca]
    mixed = [preference("q", "x", "y"), {"prompt": "q", "chosen": "x", "rejected": "y"}]
    assert rows(mixed, "openai")[0] == [preference("q", "x", "y")] * 2


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="to"):
        convert([SIMPLE], to="parquet")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="belong together"):
        convert([SIMPLE], to="vertex", files=tmp_path)
    with pytest.raises(InvalidInput, match="Cloud Storage"):
        convert([SIMPLE], to="vertex", files=tmp_path, files_uri="https://x")


# --- there and back again ---------------------------------------------------------------------------------------------

TEXT = st.text("abc {}\"'\\\n[]é漢:,1", min_size=1, max_size=12).filter(str.strip)
ARGUMENTS = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 9) | TEXT, max_size=2)


@st.composite
def openai_rows(draw):
    """A chat of OpenAI's: system or none, questions, answers, calls and their results."""
    messages = [message(draw(st.sampled_from(["system", "developer"])), draw(TEXT))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        messages.append(message("user", draw(TEXT)))
        names = draw(st.lists(st.sampled_from("fgh"), max_size=2))
        if names:
            functions = [{"name": name, "arguments": json.dumps(draw(ARGUMENTS))} for name in names]
            calls = [{"id": f"c{n}", "type": "function", "function": each} for n, each in enumerate(functions)]
            messages.append(message("assistant", draw(st.none() | TEXT), tool_calls=calls))
            results = st.one_of(TEXT, ARGUMENTS.map(json.dumps))
            messages += [message("tool", draw(results), tool_call_id=f"c{n}") for n in range(len(names))]
        messages.append(message("assistant", draw(TEXT)))
    return chat(*messages, **({"tools": [TOOL]} if draw(st.booleans()) else {}))


PREFERENCES = st.builds(preference, TEXT, TEXT, TEXT)
TARGETS = st.sampled_from(["vertex", "gemini", "openai", "sharegpt", "alpaca", "pairs", "preference"])


@settings(max_examples=300, deadline=None)
@given(st.one_of(openai_rows(), PREFERENCES), TARGETS)
def test_what_is_converted_without_loss_reads_back_as_the_same_example(row, to):
    examples = [*convert([row], to="vertex")]
    source = load(examples)
    conversion = convert(source, to=to)
    converted = [*conversion]
    if conversion.lossless and converted:
        assert [*convert(converted, to="vertex")] == examples


@settings(max_examples=300, deadline=None)
@given(st.one_of(openai_rows(), PREFERENCES))
def test_openais_rows_come_back_from_vertex_ai_as_they_were(row):
    def plain(value):
        """Without ids, with arguments as objects, and with the one name that both roles of a system message have."""
        for place, each in enumerate(value.get("messages", ())):
            each.pop("tool_call_id", None)
            each["role"] = "system" if each["role"] == "developer" else each["role"]
            for call in each.get("tool_calls", ()):
                call.pop("id")
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
            if each["role"] == "tool":
                each["content"] = _value(each["content"])
            assert place >= 0
        return value

    (back,) = convert([*convert([row], to="vertex")], to="openai")
    assert plain(json.loads(json.dumps(back))) == plain(json.loads(json.dumps(row)))


def _value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


ROUND = ["openai", "vertex", "sharegpt", "gemini"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4), st.permutations(ROUND))
def test_pairs_go_through_every_layout_and_come_back(pairs, way):
    data = [{"text_input": asked, "output": answered} for asked, answered in pairs]
    for to in [*way, "alpaca", "pairs"]:
        conversion = convert(data, to=to)
        data = [*conversion]
        assert conversion.lossless, (to, conversion.issues)
    assert data == [{"text_input": asked, "output": answered} for asked, answered in pairs]


def test_a_conversion_costs_as_much_again_for_twice_the_rows():
    def work(count):
        return [*convert([TOOLS] * count, to="vertex")]

    assert operations(work, 400) < 4.2 * operations(work, 100)


# --- the whole way ----------------------------------------------------------------------------------------------------


@pytest.mark.socket
@pytest.mark.parametrize("method", ["supervised", "preference"])
async def test_a_file_of_openai_is_converted_uploaded_and_tuned_on(tmp_path, method):
    supervised = [SIMPLE, TOOLS, chat(message("user", "And NaCl?"), message("assistant", "salt"))]
    given = supervised if method == "supervised" else [preference(f"q{n}", f"good{n}", f"bad{n}") for n in range(3)]
    source, target = tmp_path / "openai.jsonl", tmp_path / "train.jsonl"
    await anyio.Path(source).write_text("".join(f"{json.dumps(row)}\n" for row in given))
    conversion = await anyio.to_thread.run_sync(lambda: convert(source, to="vertex").write(target))
    assert conversion.rows == 3
    data = await anyio.to_thread.run_sync(load, target)
    async with running_emulator(buckets=["my-bucket"], clock="scaled:100000") as server:
        service = {"vertexai": True, "project": "my-project", "bucket": "my-bucket"}
        async with Client(base_url=server.url, token="anything", **service) as client:
            placed = await client.storage.upload(target, method=method)
            assert placed.data.rows == 3
            job = await client.tune("gemini-2.5-flash", data, method=method)
            assert job.data.rows == 3
            model = await job
            assert model.name
