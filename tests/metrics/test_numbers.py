"""Numbers in answers: how people write them, which one counts, how far it may be off."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.errors import InvalidInput
from gemtune.metrics import HeldOutRow, number, numbers_in


def row(expected: str) -> HeldOutRow:
    return HeldOutRow(key=1, number=1, request={}, question="?", expected=expected)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The answer is 42.", ["42"]),
        ("-3", ["-3"]),
        ("\u22123", ["-3"]),
        ("3-5", ["3", "5"]),
        ("-$5.20", ["-5.20"]),
        ("$-5", ["-5"]),
        ("€ 7", ["7"]),
        ("1,234,567.89", ["1234567.89"]),
        ("12,34,567", ["1234567"]),
        ("1'234", ["1234"]),
        ("1\u202f234", ["1234"]),
        ("1 234 567", ["1234567"]),
        ("took 3 400 times", ["3", "400"]),
        ("1,2,3", ["1", "2", "3"]),
        ("1,2345", ["1", "2345"]),
        ("1.5e3", ["1500"]),
        ("2.5 × 10^-3", ["0.0025"]),
        (r"\boxed{12}", ["12"]),
        (".5", ["0.5"]),
        ("H2O", []),
        ("5km, 12%", ["5", "12"]),
        ("\uff11\uff12 and \u0663", ["12", "3"]),
        ("1e999999999", []),
        ("1e" + "9" * 5000, []),
        ("9" * 5000, ["9" * 5000]),
        ("1" + ",11" * 40_000 + ",5", ["1", *["11"] * 40_000, "5"]),  # which would be read anew from each of them
        (f"{2**1000:,}", [str(2**1000)]),
        ("none", []),
        ("10\u00b2", ["10"]),
    ],
)
def test_numbers_are_found_as_people_write_them(text, found):
    assert numbers_in(text) == [Decimal(each) for each in found]


def test_a_decimal_comma_is_read_on_request():
    assert numbers_in("1.234,50 und 2,5", ",") == [Decimal("1234.50"), Decimal("2.5")]
    assert number(decimal=",").score("2,50", row("2,5")) is True


@pytest.mark.parametrize(
    ("options", "answer", "right"),
    [
        ({}, "17 * 73 = 1,241", True),
        ({}, "1241.0", True),
        ({}, "1241, since 17 * 73", False),
        ({"which": "first"}, "1241, since 17 * 73", True),
        ({"which": "only"}, "1241, since 17 * 73", False),
        ({"which": "only"}, "1241, that is 1,241.0", True),
        ({}, "1242", False),
        ({"tolerance": 1}, "1242", True),
        ({"tolerance": 1}, "1242.1", False),
        ({"relative": 0.01}, "1253", True),
        ({"relative": 0.01}, "1254", False),
        ({"tolerance": 20, "relative": 0.01}, "1260", True),
        ({"tolerance": 20, "relative": 0.01}, "1262", False),
        ({}, "no idea", False),
        ({}, "-1241", False),
    ],
)
def test_the_number_that_counts_is_compared(options, answer, right):
    assert number(**options).score(answer, row("1241")) is right


def test_a_tolerance_includes_its_end_as_written():
    assert number(tolerance=0.1).score("0.9", row("0.8")) is True  # 0.9 - 0.8 and 0.3 are off in binary
    assert number(tolerance=0.3).score("0.5", row("0.2")) is True


def test_a_row_that_expects_no_number_has_no_score():
    assert number().score("5", row("five")) is None


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), "1", True])
def test_a_tolerance_that_is_none_is_refused(bad):
    with pytest.raises(InvalidInput, match="tolerance must be a number, 0 or more"):
        number(tolerance=bad)


def test_another_choice_of_the_number_is_refused():
    with pytest.raises(InvalidInput, match="decimal must be '.' or ',', not ';'"):
        numbers_in("1;5", ";")
    with pytest.raises(InvalidInput, match="which must be 'last', 'first' or 'only', not 'best'"):
        number(which="best")


@given(st.decimals(-1_000_000_000, 1_000_000_000, places=3), st.sampled_from(["{:,}", "{}", "{:e}", "about {:,}."]))
def test_a_number_is_read_as_python_writes_it(value, form):
    assert numbers_in(form.format(value)) == [value]


@given(st.text(max_size=60))
def test_any_text_can_be_searched(text):
    assert all(each.is_finite() for each in numbers_in(text))
    assert number().score(text, row(text)) in {True, None}
