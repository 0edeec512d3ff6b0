"""Exact match, containment and JSON equality: which differences count, and which do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.errors import InvalidInput
from gemtune.metrics import HeldOutRow, Normalization, contains, exact_match, json_equal

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


def row(expected: str) -> HeldOutRow:
    return HeldOutRow(key=1, number=1, request={}, question="?", expected=expected)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("paris", "Paris"),
        ("**Paris.**", "Paris"),
        ("“Paris”.", "Paris"),
        ("`Paris`", "Paris"),
        ("```\nParis\n```", "Paris"),
        ("```text\nParis\n```\n", "Paris"),
        ("  New\n York ", "New York"),
        ("\uff11\uff12", "12"),
        ("don\u2019t", "don't"),
        ("\u22123", "-3"),
        ("STRASSE", "straße"),
        ("\u00bfQu\u00e9?", "que\u0301"),
        ("so\u00adft\u200b", "soft"),
        ("SS\u0301", "\u00df\u0301"),
        ("...", "..."),
    ],
)
def test_a_difference_in_spelling_does_not_count(answer, expected):
    assert exact_match().score(answer, row(expected)) is True


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("3", "-3"),
        ("5", ".5"),
        ("5", "$5"),
        ("5", "5%"),
        ("C", "C++"),
        ("12", "1 2"),
        ("coop", "co-op"),
        ("a and b", "'a' and 'b'"),
        ("```\na\n```\nor\n```\nb\n```", "a\n```\nor\n```\nb"),
        ("", "Paris"),
        ("Paris, France", "Paris"),
        ("?", "!"),
    ],
)
def test_what_may_carry_meaning_counts(answer, expected):
    assert exact_match().score(answer, row(expected)) is False


@pytest.mark.parametrize(
    ("option", "answer", "expected"),
    [
        ("case", "paris", "Paris"),
        ("space", "a  b", "a b"),
        ("unicode", "\uff11", "1"),
        ("punctuation", "Paris.", "Paris"),
        ("fences", "```\nParis\n```", "Paris"),
    ],
)
def test_an_option_makes_one_difference_count_and_no_other(option, answer, expected):
    assert exact_match(**{option: True}).score(answer, row(expected)) is False
    for other in {"case", "space", "unicode", "punctuation", "fences"} - {option}:
        assert exact_match(**{other: True}).score(answer, row(expected)) is True, other


def test_a_row_without_an_expected_text_has_no_score():
    assert [metric().score("x", row("")) for metric in (exact_match, contains, json_equal)] == [None] * 3


def test_an_option_that_is_neither_true_nor_false_is_refused():
    with pytest.raises(InvalidInput, match="case must be True or False, not 'no'"):
        exact_match(case="no")


def test_a_metric_says_what_makes_no_difference():
    said = "1 if the answer is the expected text, whatever its white space and code fences"
    assert exact_match(case=True, unicode=True, punctuation=True).about == said
    strict = exact_match(case=True, space=True, unicode=True, punctuation=True, fences=True)
    assert strict.about == "1 if the answer is the expected text, letter for letter"


@given(TEXTS, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_normalizing_twice_is_normalizing_once(text, case, space, unicode, punctuation, fences):
    plain = Normalization(case=case, space=space, unicode=unicode, punctuation=punctuation, fences=fences)
    assert plain(plain(text)) == plain(text)


@given(TEXTS.filter(str.strip))
def test_case_blanks_quotes_and_fences_around_an_answer_never_count(text):
    plain = Normalization()
    assert plain(f"  {text}\n") == plain(text)
    assert plain(f"```\n{plain(text)}\n```") == plain(plain(text))
    assert plain(text.upper().lower()) == plain(text.upper())
    assert plain(f"{plain(text)}.") in {plain(text), f"{plain(text)}."}


@given(TEXTS)
def test_an_answer_is_the_text_that_it_repeats(text):
    assert exact_match().score(text, row(text)) is (True if text else None)
    assert contains().score(text, row(text)) is (True if text else None)


@pytest.mark.parametrize(
    ("answer", "expected", "found"),
    [
        ("It is Paris, of course.", "paris", True),
        ("A comparison", "Paris", False),
        ("concatenate", "cat", False),
        ("concatenate a cat", "cat", True),
        ("the cat", "cat.", True),
        ("15", "5", False),
        ("-5", "5", False),
        ("3-5", "5", True),
        ("5.3", "5", False),
        ("0.5", "5", False),
        ("It is 5.", "5", True),
        ("1,5", "1", False),
        ("東京です", "東京", True),
        ("ไปกรุงเทพ", "กรุงเทพ", True),
        ("a C++ compiler", "C++", True),
        ("anything", "...", False),
    ],
)
def test_the_expected_text_is_found_as_words_of_its_own(answer, expected, found):
    assert contains().score(answer, row(expected)) is found


def test_words_that_are_part_of_others_are_found_on_request():
    assert contains(words=False).score("concatenate", row("cat")) is True
    assert contains(words=False, case=True).score("conCATenate", row("cat")) is False


LONG = 400_000
"""Characters of an answer that ran on until its limit; read in quadratic time, it would be under way for an hour."""


@pytest.mark.parametrize(
    "answer",
    ["```json\n{}" + " " * LONG + "x", "```\n" + " " * LONG, "~" * LONG, "```a\n" * (LONG // 5)],
    ids=["blanks after the content", "blanks alone", "tildes", "fences that never end"],
)
def test_an_answer_that_runs_on_is_read_once(answer):
    assert exact_match().score(answer, row("x")) is False
    assert json_equal().score(answer, row("{}")) is False


def test_a_fence_ends_with_as_many_marks_as_it_begins_with():
    assert exact_match().score("~~~~\nParis\n~~~~", row("Paris")) is True
    assert exact_match().score("~~~~\nParis\n~~~", row("Paris")) is False
    assert exact_match().score("```\n```", row("```\n```")) is True
    assert json_equal().score("As asked:\n  ```json\n{}\n  ```\nDone.", row("{}")) is True
    assert json_equal().score("```\n{}\n```\n```\n{}\n```", row("{}")) is False
