"""JSON answers: equal by value, whatever their spelling, all of it or some fields."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.errors import InvalidInput
from gemtune.metrics import HeldOutRow, json_equal

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | st.text(max_size=5)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def row(expected: str) -> HeldOutRow:
    return HeldOutRow(key=1, number=1, request={}, question="?", expected=expected)


@pytest.mark.parametrize(
    ("answer", "expected", "same"),
    [
        ('{"b": 2, "a": 1}', '{"a": 1, "b": 2}', True),
        ('```json\n{"a": 1.0}\n```', '{"a": 1}', True),
        ('Here it is:\n```json\n{"a": 1}\n```\nAnything else?', '{"a": 1}', True),
        ('```\n{"a": 1}\n```\nor\n```\n{"a": 2}\n```', '{"a": 1}', False),
        ('Here: {"a": 1}', '{"a": 1}', False),
        ("[1, 2]", "[2, 1]", False),
        ("[1, 2]", "[1, 2, 3]", False),
        ("1e2", "100", True),
        ("0.1", "0.10", True),
        ("1e400", "1e500", False),
        ("0.1", "0.1000000000000000055", False),
        ("9007199254740993", "9007199254740992.0", False),
        ("true", "1", False),
        ("[false]", "[0]", False),
        ('{"a": null}', "{}", False),
        ('"A"', '"a"', False),
        ("nonsense", "{}", False),
        ("NaN", "0", False),
        ("", "{}", False),
        ("\ufeff[]", "[]", True),
    ],
)
def test_values_are_compared_and_not_their_spelling(answer, expected, same):
    assert json_equal().score(answer, row(expected)) is same


@pytest.mark.parametrize("expected", ["not json", "", "NaN", "{'a': 1}"])
def test_a_row_that_expects_no_json_has_no_score(expected):
    assert json_equal().score("{}", row(expected)) is None


def test_an_answer_that_nests_without_end_is_wrong_and_no_trouble():
    assert json_equal().score("[" * 100_000, row("[]")) is False
    deep = "[" * 900 + "]" * 900
    assert json_equal().score(deep, row(deep)) is True


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ('{"name": "Ada", "address": {"city": "London", "zip": 1}, "id": 7}', True),
        ('{"name": "Ada", "address.city": "London"}', True),
        ('{"name": "Ada", "address": {"city": "Paris"}}', False),
        ('{"name": "Ada"}', False),
        ('["name"]', False),
    ],
)
def test_some_fields_can_be_compared(answer, right):
    expected = row('{"name": "Ada", "address": {"city": "London"}, "id": 1}')
    assert json_equal(fields=["name", "address.city"]).score(answer, expected) is right


def test_some_fields_can_be_left_out():
    metric = json_equal(ignore=["id", "meta.time"])
    expected = row('{"a": 1, "meta": {"by": "x"}}')
    assert metric.score('{"a": 1, "id": 2, "meta": {"time": 3, "by": "x"}}', expected) is True
    assert metric.score('{"a": 2, "id": 2, "meta": {"by": "x"}}', expected) is False
    assert metric.about.endswith("whatever the order of its keys, except for id, meta.time")


def test_fields_that_are_none_are_refused():
    for bad, message in (
        ({"fields": []}, "fields is empty"),
        ({"ignore": [1]}, "ignore must be names of fields, not 1"),
    ):
        with pytest.raises(InvalidInput, match=message):
            json_equal(**bad)
    with pytest.raises(InvalidInput, match="fields and ignore cannot both be given"):
        json_equal(fields="a", ignore="b")


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_a_value_is_equal_to_itself_however_it_is_written(value, indent, ascii_only):
    written = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert json_equal().score(f"```json\n{written}\n```", row(json.dumps(value, sort_keys=True))) is True


@given(VALUES, VALUES)
def test_equality_goes_both_ways(one, other):
    first, second = json.dumps(one), json.dumps(other)
    assert json_equal().score(first, row(second)) is json_equal().score(second, row(first))
