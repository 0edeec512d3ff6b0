"""Labels: which one an answer is, and the report of all of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.errors import InvalidInput
from gemtune.metrics import HeldOutRow, labels

PAIRS = st.lists(
    st.tuples(st.sampled_from(["a", "B", "c.", "zzz", ""]), st.sampled_from(["a", "b", "C", ""])), max_size=40
)


def row(expected: str) -> HeldOutRow:
    return HeldOutRow(key=1, number=1, request={}, question="?", expected=expected)


def test_the_report_of_a_known_case():
    """Figures of scikit-learn's classification_report(labels=[ham, spam, toast], zero_division=0)."""
    answers = ["spam", "Spam.", "ham", "ham", "ham", "toast", "dunno", "spam"]
    expected = ["spam", "spam", "spam", "ham", "ham", "ham", "ham", "toast"]
    report = labels().report([*zip(answers, expected, strict=True)])
    assert report.accuracy == 0.5
    assert [each.label for each in report.labels] == ["ham", "spam", "toast"]
    assert [each.rows for each in report.labels] == [4, 3, 1]
    assert [each.precision for each in report.labels] == pytest.approx([2 / 3, 2 / 3, 0])
    assert [each.recall for each in report.labels] == pytest.approx([0.5, 2 / 3, 0])
    assert [each.f1 for each in report.labels] == pytest.approx([4 / 7, 2 / 3, 0])
    assert report.macro_f1 == report.macro.f1 == pytest.approx(0.41269841)
    assert report.weighted.f1 == pytest.approx(0.53571429)
    assert report.answered == ("ham", "spam", "toast", "no label")
    assert report.confusion == ((2, 0, 1, 1), (1, 2, 0, 0), (0, 1, 0, 0))
    assert (report.unknown, report.strangers) == (1, (("dunno", 1),))


def test_without_strangers_the_confusion_is_square():
    report = labels().report([("a", "a"), ("a", "b")])
    assert (report.answered, report.confusion) == (("a", "b"), ((1, 0), (1, 0)))


def test_a_label_that_was_never_given_has_no_precision_and_counts_as_0():
    report = labels().report([("a", "a"), ("a", "b")])
    assert [each.precision for each in report.labels] == [0.5, None]
    assert report.macro.precision == 0.25


def test_a_known_label_that_does_not_occur_pulls_no_average():
    report = labels(["a", "b", "never"]).report([("a", "a"), ("b", "b")])
    assert report.macro_f1 == 1.0
    assert report.labels[2].f1 is None


def test_the_most_frequent_spelling_of_the_data_is_shown():
    assert labels().report([("x", "Spam"), ("x", "Spam"), ("x", "spam")]).labels[0].label == "Spam"
    assert labels().report([("x", "Spam"), ("x", "spam"), ("x", "spam")]).labels[0].label == "spam"


def test_a_label_called_no_label_keeps_its_column_apart():
    assert labels().report([("x", "no label")]).answered == ("no label", "(no label)")


def test_free_text_taken_for_labels_makes_no_matrix_of_a_hundred_million_cells():
    report = labels().report([(f"answer {number}", f"text {number % 201}") for number in range(1000)])
    assert (report.rows, report.unknown, len(report.labels)) == (1000, 1000, 201)
    assert (report.answered, report.confusion) == ((), ())


def test_no_rows_have_an_empty_report():
    report = labels().report([("a", ""), ("b", " ")])
    assert (report.rows, report.accuracy, report.macro, report.labels) == (0, None, None, ())


def test_an_answer_is_a_label_but_for_its_spelling():
    assert labels().score("**Spam.**", row("spam")) is True
    assert labels(case=True).score("Spam", row("spam")) is False
    assert labels().score("It is spam.", row("spam")) is False
    assert labels().score("x", row(" ")) is None


def test_a_label_within_another_one_is_not_meant():
    assert labels(["spam", "ham", "not spam"], find=True).score("It is not spam.", row("not spam")) is True


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("The mood is spam.", True),
        ("spam or ham", False),
        ("not spam, I think", False),
        ("spammer", False),
        ("SPAM", True),
    ],
)
def test_a_label_is_found_in_a_sentence_on_request_if_it_is_the_only_one(answer, right):
    assert labels(["spam", "ham", "not spam"], find=True).score(answer, row("spam")) is right


def test_known_labels_that_are_no_labels_are_refused():
    for bad, message in (
        ({"known": ["a", "A"]}, "known has 'a' and 'A', which count as the same"),
        ({"known": "ab"}, "known must be a list of labels, not 'ab'"),
        ({"known": [" "]}, "known must be labels, not ' '"),
        ({"known": []}, "known is empty"),
        ({"find": True}, "find needs the labels to look for"),
    ):
        with pytest.raises(InvalidInput, match=message):
            labels(**bad)


@given(PAIRS)
def test_the_sums_of_the_confusion_are_the_rows_and_its_diagonal_the_right_ones(pairs):
    metric = labels()
    report = metric.report(pairs)
    scores = [score for answer, wanted in pairs if (score := metric.score(answer, row(wanted))) is not None]
    assert report.rows == len(scores) == sum(map(sum, report.confusion))
    assert [sum(each) for each in report.confusion] == [each.rows for each in report.labels]
    assert all(len(each) == len(report.answered) for each in report.confusion)
    right = sum(counts[number] for number, counts in enumerate(report.confusion))
    assert right == sum(scores)
    assert report.accuracy == (right / len(scores) if scores else None)
    assert report.unknown == sum(each[-1] for each in report.confusion if len(each) > len(report.labels))
    figures = [value for each in report.labels for value in (each.precision, each.recall, each.f1) if value is not None]
    assert all(0 <= value <= 1 for value in figures)
    assert json.loads(json.dumps(report.to_dict()))["rows"] == report.rows
