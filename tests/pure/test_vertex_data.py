"""Training data for Vertex AI: what becomes of rows of any kind, and what is refused."""

import json
import threading
import tracemalloc
import types

import pytest

import gemtune
from gemtune.datasets import vertex
from gemtune.datasets.headings import Choice
from gemtune.datasets.reading import source_of
from gemtune.datasets.upload.crc32c import Crc32c
from gemtune.datasets.upload.spool import spool
from gemtune.errors import InvalidInput
from gemtune.types import Content, GenerateContentRequest, Part


def written(data, method="supervised", **choice):
    """What is uploaded, and the report."""
    given = {"input": None, "output": None, "heading": None, "delimiter": None} | choice
    chosen = Choice.of(given["input"], given["output"], heading=given["heading"], delimiter=given["delimiter"])
    spooled = spool(source_of(data, chosen), chosen, method)
    with spooled.file:
        content = spooled.read(0, spooled.size)
        assert spooled.file.read() == b""
    checksum = Crc32c()
    checksum.update(content)
    assert spooled.crc32c == str(checksum)
    return content, spooled.report


def examples(data, method="supervised", **choice):
    content, _ = written(data, method, **choice)
    return [json.loads(line) for line in content.splitlines()]


def refusal(data, method="supervised", **choice):
    with pytest.raises(InvalidInput) as caught:
        written(data, method, **choice)
    return str(caught.value)


def turn(role, *parts):
    return {"role": role, "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def example(*turns, **more):
    """An example of so many turns, the user's and the model's by turns."""
    roles = ["user", "model"] * len(turns)
    return {"contents": [turn(role, each) for role, each in zip(roles, turns, strict=False)], **more}


def pair(question="a", better="x", worse="y", **more):
    completions = [{"score": score, "completion": turn("model", text)} for score, text in ((1, better), (0, worse))]
    return {"contents": [turn("user", question)], "completions": completions, **more}


@pytest.fixture
def file(tmp_path):
    def write(*lines, name="train.jsonl"):
        path = tmp_path / name
        path.write_bytes(b"".join(one if isinstance(one, bytes) else f"{json.dumps(one)}\n".encode() for one in lines))
        return path

    return write


def image(uri):
    return {"type": "image_url", "image_url": {"url": uri}}


USER = Content(role="user", parts=(Part(text="a"),))
MODEL = Content(role="model", parts=(Part(text="x"),))
CALL = {"functionCall": {"name": "weather", "args": {"city": "Bern"}}}
ANSWER = {"functionResponse": {"name": "weather", "response": {"sky": "blue"}}}
PICTURE = {"fileData": {"mimeType": "image/png", "fileUri": "gs://b/a.png"}}
TOOLS = [{"functionDeclarations": [{"name": "weather"}]}]
RIGHT = [
    example("a", "x"),
    example("a", "x", "b", "y", systemInstruction={"parts": [{"text": "Be brief."}]}),
    {"contents": [turn("user", "a"), turn("model", CALL), turn("user", ANSWER), turn("model", "blue")], "tools": TOOLS},
    {"contents": [turn("user", "what is this?", PICTURE), turn("model", "a cat")]},
    {"system_instruction": {"parts": [{"text": "Be brief."}]}, **example("a", "x")},
]


def test_a_file_that_is_right_is_uploaded_byte_by_byte(file):
    odd = b'{ "contents":[{"parts":[{"text":"\\u00e9"}]} , {"role":"model","parts":[{"text":"1.0"}]}]}\r\n'
    path = file(*RIGHT, odd, json.dumps(example("no", "end")).encode())
    content, report = written(path)
    assert content == path.read_bytes()
    assert str(report) == ("7 rows of train.jsonl; input = column 'contents: user', output = 'contents: model'")


def test_preference_pairs_that_are_right_are_uploaded_byte_by_byte(file):
    path = file(pair(), pair("b", system_instruction={"parts": [{"text": "Be brief."}]}))
    assert written(path, "preference")[0] == path.read_bytes()


@pytest.mark.parametrize("place", [0, 1, 5])
@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        (b"\n", []),
        ({"prompt": "p", "completion": 1.0}, [example("p", "1.0")]),
        ({"id": 7, **example("p", "q")}, [example("p", "q")]),
        (
            example("p", "q", systemInstruction={"role": "system", "parts": [{"text": "s"}]}),
            [example("p", "q", systemInstruction={"parts": [{"text": "s"}]})],
        ),
    ],
)
def test_from_the_first_line_that_has_to_change_on_a_copy_is_uploaded(file, place, line, becomes):
    lines = [*RIGHT[:place], line, *RIGHT[place:]]
    path = file(*lines)
    before = path.read_bytes()
    assert examples(path) == [*RIGHT[:place], *becomes, *RIGHT[place:]]
    assert path.read_bytes() == before


def test_a_mark_at_the_beginning_is_not_uploaded(file):
    assert examples(file(b"\xef\xbb\xbf", *RIGHT)) == RIGHT


@pytest.mark.parametrize(
    "data",
    [
        [("a", "x")],
        [{"prompt": "a", "completion": "x"}],
        {"prompt": ["a"], "completion": ["x"]},
        [example("a", "x")],
        [[turn("user", "a"), turn("model", "x")]],
        [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "x"}]}],
        [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "x"}]],
        [{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "x"}]}],
        [types.SimpleNamespace(text_input="a", output="x")],
        [[USER, MODEL]],
        [GenerateContentRequest(contents=(USER, MODEL))],
    ],
)
def test_rows_of_any_kind_become_conversations(data):
    assert examples(data) == [example("a", "x")]


def test_a_csv_file_is_converted(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("prompt,completion,id\na,1.50,7\n", encoding="utf-8")
    content, report = written(path)
    assert json.loads(content) == example("a", "1.50")
    assert str(report) == "1 row of rows.csv; input = column 'prompt', output = 'completion'; left out: 'id'"


def test_long_texts_are_allowed_here():
    assert examples([("a" * 50_000, "x" * 6_000)]) == [example("a" * 50_000, "x" * 6_000)]


def test_a_set_that_was_read_is_training_data():
    assert examples(gemtune.datasets.read([("a", "x")])) == [example("a", "x")]


def test_a_chat_of_openai_keeps_its_turns_calls_and_files():
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Bern?"}, image("gs://b/a.png")]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": '{"sky": "blue"}'},
        {"role": "assistant", "content": "blue"},
    ]
    tools = [{"type": "function", "function": {"name": "weather"}}]
    turns = [turn("user", "Bern?", PICTURE), turn("model", CALL), turn("user", ANSWER), turn("model", "blue")]
    assert examples([{"messages": messages, "tools": tools}]) == [
        {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": turns, "tools": TOOLS}
    ]


PROMPT = [{"role": "user", "content": "a"}]
BETTER, WORSE = [{"role": "assistant", "content": "x"}], [{"role": "assistant", "content": "y"}]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a", "chosen": "x", "rejected": "y"},
        {"id": 1, "prompt": "a", "chosen": "x", "rejected": "y"},
        {"prompt": PROMPT, "chosen": BETTER, "rejected": WORSE},
        {"chosen": PROMPT + BETTER, "rejected": PROMPT + WORSE},
        {"prompt": "a", "chosen": PROMPT + BETTER, "rejected": PROMPT + WORSE},
        {"input": {"messages": PROMPT}, "preferred_output": BETTER, "non_preferred_output": WORSE},
        pair(),
    ],
)
def test_preferences_of_any_layout_become_pairs(row, file):
    assert examples([row], "preference") == examples(file(row), "preference") == [pair()]


def test_a_table_of_preferences_is_converted(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("prompt,chosen,rejected\na,x,y\n", encoding="utf-8")
    assert examples(path, "preference") == [pair()]
    assert examples(path, "supervised") == [example("a", "x")]


def test_the_report_calls_the_turns_as_the_layout_does():
    _, report = written([{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}])
    assert (report.input, report.output) == (("messages: user",), ("messages: assistant",))


@pytest.mark.parametrize("of_file", [False, True])
def test_the_report_of_preferences_names_both_answers(of_file, file):
    row = {"id": 1, "system": "s", "prompt": "a", "chosen": "x", "rejected": "y"}
    _, report = written(file(row) if of_file else [row], "preference")
    columns = "input = columns 'system' + 'prompt', output = 'chosen', preferred to 'rejected'; left out: 'id'"
    assert columns in str(report)
    assert report.notes == ()


@pytest.mark.parametrize("worse", ["rejected", "Non-Preferred Output"])
@pytest.mark.parametrize("of_file", [False, True])
def test_worse_answers_that_supervised_tuning_leaves_out_are_noted(worse, of_file, file):
    row = {"prompt": "a", "chosen": "x", worse: "y"}
    _, report = written(file(row) if of_file else [row])
    said = f"{worse!r} is left out, as the method is 'supervised'; to learn from both answers, use 'preference'"
    assert report.notes == (said,)
    _, chosen = written([row], output="chosen", input="prompt")
    assert chosen.notes == (), "whoever names the columns knows what they leave out"


WRONG_URI = "must be a file in Cloud Storage, 'gs://bucket/name', not 'https://x/a.png'"


@pytest.mark.parametrize(
    ("row", "place", "said"),
    [
        ({"contents": []}, "contents", "must be a list of turns"),
        (
            example("a"),
            "contents",
            "ends with a turn of 'user': the last turn is what the model is to learn (role 'model')",
        ),
        ({"contents": [turn("bot", "a")]}, "contents[0].role", "is 'bot', and must be 'user' or 'model'"),
        ({"contents": [{"role": "user", "text": "a"}]}, "contents[0]", "holds 'text'; a turn has role and parts"),
        ({"contents": [turn("user")]}, "contents[0].parts", 'must be a list of parts such as {"text": "..."}'),
        (example("a", " "), "contents[1].parts", "is empty; fill it in or drop the row"),
        (example("a", {"text": 1}), "contents[1].parts[0].text", "must be a string"),
        (
            example({"inlineData": {}}, "x"),
            "contents[0].parts[0].inlineData",
            "cannot be learned: put the file into Cloud Storage (fileData)",
        ),
        (
            example({"executable_code": {}}, "x"),
            "contents[0].parts[0].executable_code",
            "cannot be learned, only text, fileData and calls",
        ),
        (
            example({"text": "a", **CALL}, "x"),
            "contents[0].parts[0]",
            "must hold one thing, such as text, and holds text, functioncall",
        ),
        (
            example({"fileData": {"mimeType": "image/png", "fileUri": "https://x/a.png"}}, "x"),
            "contents[0].parts[0].fileData.fileUri",
            WRONG_URI,
        ),
        (
            example({"file_data": {"file_uri": "gs://b/a.png"}}, "x"),
            "contents[0].parts[0].file_data.mimeType",
            "is missing; write what the file is, such as 'image/png'",
        ),
        (
            example("a", {"functionCall": {}}),
            "contents[1].parts[0].functionCall.name",
            "is missing; write the name of the function",
        ),
        (
            example("a", {"functionCall": {"name": "f", "args": []}}),
            "contents[1].parts[0].functionCall.args",
            "must be an object",
        ),
        (
            example("a", "x", systemInstruction={"parts": [CALL]}),
            "systemInstruction.parts[0].functionCall",
            "cannot be learned, only text",
        ),
        (example("a", "x", tools={}), "tools", 'must be a list of objects such as {"functionDeclarations": [...]}'),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "critic", "content": "x"}]},
            "messages[1].role",
            "is 'critic', and must be one of 'system', 'user' or 'assistant'",
        ),
        (
            {"messages": [{"role": "user", "content": [image("https://x/a.png")]}]},
            "messages[0].content[0]",
            "holds an image that is not in Cloud Storage: put it there (gs://bucket/name.png)",
        ),
        (
            {"messages": [{"role": "tool", "content": "a"}]},
            "messages[0]",
            "answers a call that is not there: write the name of the function, or its tool_call_id",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused_by_row_and_place(row, place, said, file):
    assert refusal(file(example("a", "x"), row)) == f"line 2: {place} {said}"
    assert refusal([example("a", "x"), row]) == f"row 2: {place} {said}"


@pytest.mark.parametrize(
    ("row", "place", "said"),
    [
        (
            pair() | {"contents": example("a", "b")["contents"]},
            "contents",
            "ends with a turn of 'model': the last turn is the question that the completions answer",
        ),
        (
            pair() | {"completions": pair()["completions"][:1]},
            "completions",
            "must be two answers, one with score 1 and one with score 0, not 1",
        ),
        (
            pair() | {"completions": pair()["completions"][:1] * 2},
            "completions",
            "must have the scores 1 (the better answer) and 0, not 1 and 1",
        ),
        (pair(question=PICTURE), "contents[0].parts[0].fileData", "cannot be learned, only text"),
        (pair(better=CALL), "completions[0].completion.parts[0].functionCall", "cannot be learned, only text"),
        ({"prompt": "a", "chosen": "x", "rejected": ""}, "rejected", "is empty; fill it in or drop the row"),
        ({"chosen": PROMPT + BETTER, "rejected": WORSE}, "rejected", "answers another question than chosen"),
    ],
)
def test_what_is_no_preference_is_refused_by_row_and_place(row, place, said, file):
    assert refusal(file(pair(), row), "preference") == f"line 2: {place} {said}"


def test_data_of_the_other_method_is_refused_with_the_way_to_use_it():
    assert refusal([{"prompt": "a", "completion": "x"}], "preference") == (
        "row 1: a preference pair has prompt, chosen and rejected, or contents and completions; the columns are "
        "'prompt', 'completion'; tune on answers alone with method='supervised'"
    )
    said = "row 1: expected an object with prompt, chosen and rejected, or with contents and completions"
    assert refusal([("a", "x")], "preference") == said
    assert "needs two answers" in refusal(gemtune.datasets.read([("a", "x")]), "preference")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{]\n", "line 2: this line is not JSON: Expecting property name enclosed in double quotes (column 2)"),
        (b'{"contents": "\xff"}\n', "line 2: this line is not UTF-8: save the file as UTF-8"),
        (b"[" * 100_000 + b"\n", "line 2: this line is nested too deeply"),
    ],
)
def test_lines_that_cannot_be_read_are_refused(file, line, said):
    assert refusal(file(example("a", "x"), line)) == said


def test_what_only_some_take_for_json_is_refused(file):
    assert "line 1" in refusal(file(example("a", {"functionCall": {"name": "f", "args": {"x": float("nan")}}})))
    assert "line 1" in refusal(file(example("a", "\ud800")))


def test_all_that_is_wrong_is_said_at_once_and_no_more_than_can_be_read(file):
    said = refusal(file(*[example("a")] * 7))
    assert said.startswith("training_data has 7 problems: line 1: contents ends with")
    assert "; line 5: contents ends" in said
    assert said.endswith("; and 2 more")
    assert refusal(file(*[example("a")] * 5000)).startswith("training_data has at least 1,000 problems: ")


def test_an_empty_file_is_refused(file):
    assert "training_data is empty" in refusal(file(b""))
    assert "training_data is empty" in refusal([])


def test_examples_that_occur_again_or_are_very_long_are_noted(file):
    _, report = written(file(example("a", "x"), example("b" * 524_289, "y"), example("a", "x")))
    long = "more than 524,288 characters, most likely too many tokens (131,072 at most), in line 2"
    assert report.notes == (
        "the same example comes again in line 3 (as 1)",
        f"{long}: the service drops such examples and counts them",
    )


def test_limits_are_those_of_vertex_ai(file, monkeypatch):
    monkeypatch.setattr(vertex, "MAX_EXAMPLES", 2)
    monkeypatch.setattr(vertex, "MAX_WITH_FILES", 1)
    assert refusal([("a", "x")] * 3) == "training_data has more than 2 examples: use fewer"
    assert refusal(file(example("a", "x"), example(PICTURE, "y"))) == (
        "training_data has more than 1 examples, some of them with files: use fewer"
    )
    monkeypatch.setattr("gemtune.datasets.upload.spool.MAX_BYTES", 100)
    assert refusal(file(example("a", "x" * 100))) == (
        "training_data is larger than the 100 bytes allowed: use fewer or shorter examples"
    )


def test_validation_data_is_limited_in_rows():
    def rows(count):
        return vertex.DataReport(rows=count)

    assert vertex.check_validation(rows(100), rows(30)) is None
    assert vertex.check_validation(None, rows(5000)) is None
    assert vertex.check_validation(rows(100), None) is None
    note = "there are 31 rows for 100 of training data, and Google documents 30 % at most"
    assert vertex.check_validation(rows(100), rows(31)) == note
    with pytest.raises(InvalidInput, match="more than the 5,000 allowed"):
        vertex.check_validation(None, rows(5001))


def test_a_check_that_nobody_waits_for_ends(file):
    path = file(*[example("a" * 1000, "x")] * 3000)
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(InterruptedError):
        spool(path, Choice(), "supervised", stopped)


def test_a_choice_of_columns_counts_for_lines_and_has_no_meaning_for_a_delimiter(file):
    assert examples(file({"Frage": "a", "Antwort": "x"}), input="Frage", output="Antwort") == [example("a", "x")]
    assert refusal(file({"prompt": "a", "completion": "x"}), delimiter=";") == (
        "delimiter has no meaning for train.jsonl: leave it out"
    )


def test_an_object_over_several_lines_is_read_as_a_whole(file):
    document = json.dumps([{"prompt": "a", "completion": "x"}], indent=1).encode()
    assert examples(file(document)) == [example("a", "x")]


@pytest.mark.parametrize("copied", [False, True])
def test_a_large_file_is_never_held(file, copied):
    lines = [example(f"{number} " + "a" * 16_000, "x") for number in range(1000)]
    path = file(*([b"\n"] if copied else []), *lines)
    assert path.stat().st_size > 16_000_000
    tracemalloc.start()
    try:
        spooled = spool(path, Choice(), "supervised")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    spooled.file.close()
    assert peak < 4_000_000
