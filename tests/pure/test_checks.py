"""What an argument must be is said with one formula, whoever checks it."""

import math
from pathlib import Path

import pytest

from gemtune import checks
from gemtune.errors import InvalidInput, SettingsError

REFUSED = [
    (checks.seconds, -1, {}, "x must be a positive number of seconds, not -1"),
    (checks.seconds, True, {}, "x must be a positive number of seconds, not True"),
    (checks.seconds, math.nan, {"endless": True}, "x must be a positive number of seconds, not nan"),
    (checks.seconds, math.inf, {}, "x must be a positive number of seconds, not inf"),
    (checks.seconds, -1, {"zero": True}, "x must be a number of seconds, 0 or more, not -1"),
    (checks.seconds, 1e9, {"below": 1e6}, "x must be a positive number of seconds below 1,000,000, not 1000000000.0"),
    (checks.number, "3", {}, "x must be a positive number, not '3'"),
    (checks.number, math.inf, {}, "x must be a positive number, not inf"),
    (checks.fraction, 1.01, {}, "x must be a number from 0 to 1, not 1.01"),
    (checks.whole, 0, {}, "x must be a positive whole number, not 0"),
    (checks.whole, 2.0, {}, "x must be a positive whole number, not 2.0"),
    (checks.whole, -1, {"least": 0}, "x must be a whole number, 0 or more, not -1"),
    (
        checks.whole,
        9,
        {"most": 8, "note": "a byte has no more"},
        "x must be a whole number from 1 to 8 (a byte has no more), not 9",
    ),
    (checks.flag, 1, {}, "x must be True or False, not 1"),
    (checks.string, b"x", {}, "x must be a string, not bytes"),
    (checks.file_path, "", {}, "x must be the path of a file, not ''"),
    (checks.file_path, None, {}, "x must be the path of a file, not None"),
]


@pytest.mark.parametrize(("check", "value", "limits", "message"), REFUSED)
def test_what_is_refused_is_refused_in_the_same_words(check, value, limits, message):
    with pytest.raises(InvalidInput) as raised:
        check("x", value, **limits)
    assert str(raised.value) == message
    assert raised.value.field == "x"


@pytest.mark.parametrize(
    ("check", "value", "limits"),
    [
        (checks.seconds, 0.001, {}),
        (checks.seconds, 0, {"zero": True}),
        (checks.seconds, math.inf, {"endless": True}),
        (checks.number, 2, {}),
        (checks.fraction, 0, {}),
        (checks.fraction, 1, {}),
        (checks.whole, 8, {"most": 8}),
        (checks.whole, 0, {"least": 0}),
        (checks.flag, False, {}),
        (checks.string, "", {}),
        (checks.file_path, Path("a"), {}),
    ],
)
def test_what_is_accepted_comes_back(check, value, limits):
    assert check("x", value, **limits) == value


def test_one_of_some_words_names_them_all():
    assert checks.one_of("order", "input", "completed", "input") == "input"
    with pytest.raises(InvalidInput, match="^order must be 'a', 'b' or 'c', not 'd'$"):
        checks.one_of("order", "d", "a", "b", "c")


def test_the_field_of_an_error_is_the_argument_alone_and_its_class_can_be_chosen():
    with pytest.raises(SettingsError) as raised:
        checks.whole("RetryPolicy.attempts", 0, error=SettingsError)
    assert raised.value.field == "attempts"


def test_a_number_that_python_itself_refuses_to_write_is_refused_all_the_same():
    with pytest.raises(InvalidInput, match="^x must be a positive number, not int$"):
        checks.number("x", 10**10_000)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 10_000, "'" + "x" * 57 + "...'"),
        ([1] * 1000, "list"),
        ({"password": "hunter2"}, "dict"),
        ("\u202e", r"'\u202e'"),
    ],
)
def test_what_is_long_secret_or_invisible_is_not_copied_into_a_message(value, shown):
    assert checks.shown(value) == shown
