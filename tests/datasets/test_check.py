"""What a check of training data finds, and that nothing in a file can surprise it."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costs import operations
from gemtune.datasets import check, fix, load, reading
from gemtune.errors import InvalidInput


def turn(role, *parts):
    return {"role": role, "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def example(*turns, **more):
    roles = ["user", "model"] * len(turns)
    return {"contents": [turn(role, each) for role, each in zip(roles, turns, strict=False)], **more}


def chat(*messages, **more):
    return {"messages": [dict(zip(("role", "content"), each, strict=True)) for each in messages], **more}


def found(report, code):
    return [(issue.row, issue.path) for issue in report.issues if issue.code == code]


@pytest.fixture
def file(tmp_path):
    def write(*lines, name="train.jsonl"):
        path = tmp_path / name
        path.write_bytes(b"".join(one if isinstance(one, bytes) else f"{json.dumps(one)}\n".encode() for one in lines))
        return path

    return write


@pytest.mark.parametrize(
    ("row", "code", "path"),
    [
        ({"contents": None, "x": 1}, "missing_contents_list", "contents"),
        ({"contents": []}, "invalid_contents_list", "contents"),
        ({"contents": ["a"]}, "invalid_content_item", "contents[0]"),
        ({"contents": [{"role": "user"}]}, "content_item_missing_key", "contents[0].parts"),
        ({"contents": [{"role": "bot", "parts": [{"text": "a"}]}]}, "unrecognized_role", "contents[0].role"),
        ({"contents": [{"role": "user", "parts": []}]}, "missing_or_invalid_parts", "contents[0].parts"),
        ({"contents": [{"role": "user", "parts": ["a"]}]}, "invalid_part", "contents[0].parts[0]"),
        ({"contents": [{"role": "user", "parts": [{"text": " "}]}]}, "missing_text", "contents[0].parts"),
        (example("a", "b", systemInstruction=1), "invalid_system_instruction", "systemInstruction"),
        (example("a"), "no_answer", "contents"),
        (example("a", "b") | {"tools": 1}, "invalid_input", "tools"),
        ({"messages": []}, "invalid_contents_list", "messages"),
        ({"conversations": []}, "invalid_contents_list", "conversations"),
        (chat(("user", "a"), ("critic", "b")), "unrecognized_role", "messages[1].role"),
        (b'{"contents": \xff}\n', "not_utf8", ""),
        (b'{"contents": [}\n', "not_json", ""),
        (b'{"contents": NaN}\n', "invalid_contents_list", "contents"),
    ],
)
def test_a_wrong_row_is_an_error_with_googles_own_name_and_its_place(row, code, path, file):
    report = check(file(example("q", "a"), row))
    assert not report.ok
    assert [(one.code, one.path, one.row) for one in report.issues if one.severity == "error"] == [(code, path, 2)]


def test_every_wrong_row_is_listed_by_row_and_of_many_the_first_hundred(file):
    rows = [example("a")] * 250
    report = check(file(example("q", "a"), *rows))
    assert report.counts["no_answer"] == 250
    assert [row for row, _ in found(report, "no_answer")] == [*range(2, 102)]
    assert "error: no_answer, 250 rows" in str(report)


def test_rows_in_memory_are_checked_like_those_of_a_file():
    report = check([("a", "b"), ("c", ""), "nonsense", ("a", "b")])
    assert found(report, "missing_text") == [(2, "output")]
    assert found(report, "invalid_input") == [(3, "")]
    assert found(report, "duplicate_example") == [(4, "")]


def test_repeats_and_contradictions_are_warnings(file):
    report = check(file(example("q", "a"), example("q", "b"), example("q", "a"), example("p", "a")))
    assert report.ok
    assert found(report, "conflicting_output") == [(2, "")]
    assert found(report, "duplicate_example") == [(3, "")]


def test_what_tells_little_or_lies_is_a_warning():
    rows = [(f"question {number}", "positive") for number in range(99)] + [("odd", "negative")]
    assert found(check(rows), "class_imbalance") == [(None, "")]
    assert found(check(rows[:95] + [(f"x{n}", "negative") for n in range(20)]), "class_imbalance") == []
    assert found(check(rows[:3]), "few_examples") == [(None, "")]
    assert found(check(rows), "few_examples") == []
    assert found(check([("a", "nan"), ("b", " c")]), "maybe_empty") == [(1, "")]
    assert found(check([("a", "nan"), ("b", " c")]), "outer_space") == [(2, "")]
    assert found(check([chat(("system", "s"), ("user", "a"), ("assistant", "b")), example("a", "b")]), "few_examples")
    mixed = check([example("a", "b", systemInstruction={"parts": [{"text": "s"}]}), example("a", "b")])
    assert found(mixed, "missing_system_instruction") == [(None, "")]


def test_rows_that_are_too_long_are_named_before_the_service_drops_them(file):
    report = check(file(example("q", "a"), example("q" * 600_000, "a")))
    assert found(report, "too_long") == [(2, "")]
    assert report.ok


def test_turns_of_one_role_in_a_row_are_a_warning_and_in_a_chat_a_note(file):
    twice = {"contents": [turn("user", "a"), turn("user", "b"), turn("model", "c")]}
    assert found(check(file(twice)), "consecutive_turns") == [(1, "")]
    report = check([chat(("user", "a"), ("user", "b"), ("assistant", "c"))])
    assert found(report, "consecutive_turns") == [(1, "messages[1]")]
    assert [one.severity for one in report.issues if one.code == "consecutive_turns"] == ["note"]


def test_the_gemini_api_learns_pairs_of_limited_length_only():
    rows = [("a" * 40_001, "b"), ("a", "b" * 5_001), ("a", "b")]
    assert check(rows).ok
    report = check(rows, service="gemini")
    assert found(report, "too_long") == [(1, "input"), (2, "output")]
    several = chat(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    assert check([several]).ok
    assert not check([several], service="gemini").ok
    assert not check([{"prompt": "a", "chosen": "b", "rejected": "c"}], service="gemini").ok


def test_validation_data_is_checked_and_compared_with_the_training_data():
    rows = [(f"question {number}", "answer") for number in range(20)]
    report = check(
        rows, validation=[("question 3", "another answer"), ("new", ""), *((f"v{n}", "x") for n in range(7))]
    )
    assert found(report, "leakage") == [(4, "")]
    assert found(report, "validation_share") == [(None, "")]
    assert not report.ok
    assert found(report.validation, "missing_text") == [(2, "output")]
    assert not found(report.validation, "few_examples")


def test_preference_pairs_are_found_out_and_checked_as_such():
    report = check([{"prompt": "a", "chosen": "b", "rejected": "c"}, {"prompt": "a", "chosen": "b"}])
    assert (report.method, report.layout) == ("preference", "preference")
    assert [row for row, _ in found(report, "invalid_input")] == [2]


def test_a_file_that_is_no_training_data_is_one_error(file):
    report = check(file(b"PK\x03\x04", name="rows.csv"))
    assert found(report, "unreadable") == [(None, "")]
    assert "is a zip archive or a spreadsheet" in str(report)
    assert found(check(file(name="empty.jsonl")), "no_examples") == [(None, "")]
    assert not check([]).ok


def test_a_wrong_call_raises(tmp_path):
    with pytest.raises(InvalidInput, match="No such file"):
        check(tmp_path / "none.jsonl")
    with pytest.raises(InvalidInput, match="service"):
        check([("a", "b")], service="other")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="method"):
        check([("a", "b")], method="other")  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([".jsonl", ".json", ".csv", ".tsv", ".txt"]))
def test_no_bytes_of_a_file_make_a_check_raise(tmp_path_factory, data, suffix):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(data)
    report = check(path)
    assert report.to_dict()["ok"] is report.ok
    check(io.BytesIO(data or b"x"))


KEYS = """
    contents completions completion score role parts text messages content tool_calls function name id arguments tools
    functionCall functionResponse fileData fileUri mimeType systemInstruction conversations from value prompt chosen
    rejected weight image_url url input output
"""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab ", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=500, deadline=None)
@given(st.lists(JSON, min_size=1, max_size=3), st.sampled_from(["vertex", "gemini"]))
def test_no_json_makes_a_check_raise(tmp_path_factory, rows, service):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    report = check(path, service=service)
    str(report), report._repr_html_(), json.dumps(report.to_dict())


def test_a_report_is_text_html_and_json(file):
    report = check(file(example("q", "a"), {"contents": [{"role": "<b>", "parts": [{"text": "a"}]}]}))
    bundle = report._repr_mimebundle_(include=None, exclude=None)
    assert bundle["text/plain"] == str(report)
    assert "&lt;b&gt;" in bundle["text/html"]
    assert "<b>&#x27;" not in bundle["text/html"]
    assert json.loads(json.dumps(report.to_dict()))["counts"] == {"few_examples": 1, "unrecognized_role": 1}
    assert str(report).splitlines() == [
        "train.jsonl: 1 example, layout vertex, supervised, checked for Vertex AI",
        "error: unrecognized_role, 1 row",
        "  row 2, contents[0].role: is '<b>', and must be 'user' or 'model'",
        "warning: few_examples",
        "  only 1 example: Google advises 100 or more",
        "1 error, 1 warning",
    ]


def test_fixing_leaves_out_what_is_wrong_or_repeated_and_keeps_the_rest_to_the_byte(file, tmp_path):
    right = b'{ "contents" : [{"role":"user","parts":[{"text":"q"}]}, {"role":"model","parts":[{"text":"a"}]}] }\n'
    mend = example("m", "a", systemInstruction={"role": "system", "parts": [{"text": "s"}]})
    source = file(right, example("q"), right, mend)
    before = source.read_bytes()
    fixed = fix(source, tmp_path / "new.jsonl")
    assert source.read_bytes() == before
    lines = (tmp_path / "new.jsonl").read_bytes().splitlines(keepends=True)
    assert lines[0] == right
    assert json.loads(lines[1])["systemInstruction"] == {"parts": [{"text": "s"}]}
    assert (fixed.rows, fixed.left_out, fixed.repeats, fixed.mended) == (2, 1, 1, 1)
    assert [(one.row, one.code) for one in fixed.changes] == [
        (2, "no_answer"),
        (3, "duplicate_example"),
        (4, "mended"),
    ]
    assert check(tmp_path / "new.jsonl").ok


def test_fixing_never_writes_over_the_data(file):
    source = file(example("q", "a"))
    with pytest.raises(InvalidInput, match="is the data itself"):
        fix(source, source)


def test_a_check_costs_as_much_again_for_twice_the_rows(file):
    def rows(count):
        return file(*(example(f"question {number}", f"answer {number}") for number in range(count)), name="r.jsonl")

    once = operations(check, rows(200))
    assert operations(check, rows(800)) < 4.4 * once


@pytest.mark.parametrize("bad", [b"nonsense\n", b'{"contents": [\n', b"\n\xff\n"])
@pytest.mark.parametrize("good", [1, 3])
def test_a_bad_first_line_is_one_wrong_row(file, bad, good):
    path = file(bad, *(example(f"q{number}", "a") for number in range(good)))
    report = check(path)
    assert [issue.row for issue in report.issues if issue.severity == "error"] == [bad.count(b"\n")]
    assert report.stats.examples == good
    answers = {"prompt": "q", "chosen": "a", "rejected": "b"}
    assert load(file(bad, *[answers] * good)).method == "preference"


@pytest.mark.parametrize("text", ['[\n{"input":"q","output":"a"}\n]', '[\n{"input":"q","output":"a"},\n%s\n,\n%s]\n'])
def test_a_document_over_many_lines_is_read_as_a_whole(file, text):
    text = text.replace("%s", '{"input":"r","output":"b"}')
    assert check(file(text.encode())).stats.examples == text.count("input")


def test_a_line_that_is_too_long_is_one_row(file, monkeypatch):
    monkeypatch.setattr(reading, "LONGEST_LINE", 200)
    right = example("q", "a")
    report = check(file(example("q", "x" * 500), right, b" " * 300 + b"1\n", right, b"nonsense\n"))
    errors = [(issue.row, issue.message) for issue in report.issues if issue.severity == "error"]
    assert [row for row, _ in errors] == [1, 3, 5]
    assert ["at most 200 bytes" in message for _, message in errors] == [True, True, False]


@pytest.mark.parametrize("key", ["messages", "conversations"])
def test_an_empty_chat_in_memory_is_called_empty_as_in_a_file(file, key):
    said = [(1, key, "is empty: there is no turn in it")]
    for source in ([{key: []}], file({key: []})):
        assert [(issue.row, issue.path, issue.message) for issue in check(source).issues if issue.row] == said
