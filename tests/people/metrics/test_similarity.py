"""How alike texts are, by rapidfuzz, and what is said without it."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.errors import InvalidInput
from gemtune.metrics import HeldOutRow, resolve, similarity

RATIOS = ("ratio", "partial_ratio", "token_sort_ratio", "token_set_ratio", "levenshtein", "jaro_winkler")


def row(expected: str) -> HeldOutRow:
    return HeldOutRow(key=1, number=1, request={}, question="?", expected=expected)


@pytest.mark.parametrize(
    ("ratio", "answer", "score"),
    [
        ("ratio", "The cat sat", 1.0),
        ("ratio", "the  CAT\nsat", 1.0),
        ("ratio", "the cat sits", 1 - 3 / 23),  # without a, with i and s: 3 of 11 + 12 characters
        ("ratio", "xyz", 0.0),
        ("ratio", "", 0.0),
        ("levenshtein", "the bat sat", 1 - 1 / 11),
        ("token_sort_ratio", "sat the cat", 1.0),
        ("token_set_ratio", "sat the cat and sat", 1.0),
        ("partial_ratio", "I said the cat sat there", 1.0),
        ("jaro_winkler", "the cat sat", 1.0),
    ],
)
def test_texts_are_alike_by_the_ratio_that_is_named(ratio, answer, score):
    assert similarity(ratio).score(answer, row("the cat sat")) == pytest.approx(score)


def test_case_and_white_space_count_on_request():
    assert similarity(case=True).score("CAT", row("cat")) == 0
    assert similarity(space=True).score("a  b", row("a b")) < 1


def test_it_has_a_name_and_bounds_and_needs_an_expected_text():
    (metric,) = resolve("similarity")
    assert (metric.kind, metric.bounds, metric.score("x", row(""))) == ("mean", (0, 1), None)
    with pytest.raises(InvalidInput, match="ratio must be 'ratio'"):
        similarity("bleu")


def test_without_rapidfuzz_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidfuzz", None)
    with pytest.raises(InvalidInput, match=r"needs rapidfuzz.*pip install 'gemtune\[evaluate\]'"):
        resolve("similarity")


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(RATIOS))
def test_likeness_is_between_0_and_1_and_that_of_equal_texts_is_1(one, other, ratio):
    metric = similarity(ratio)
    if other:
        assert 0 <= metric.score(one, row(other)) <= 1
    if other.split() and any(letter.isalnum() for letter in other):
        assert metric.score(other, row(other)) == pytest.approx(1)


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_the_plain_ratio_goes_both_ways(one, other):
    metric = similarity()
    assert metric.score(one, row(other)) == pytest.approx(metric.score(other, row(one)))
