"""What is drawn of a comparison never claims more than its paired test: every small table of rows won and lost."""

import json
import math
import re

import pytest

from evaluation import scenes
from gemtune.evaluation import EvaluatedModel, EvaluatedRow, Evaluation, ModelAnswer
from gemtune.evaluation.html import comparison_html
from gemtune.evaluation.text import evaluation_parts
from gemtune.evaluation.words import compared
from gemtune.metrics import HeldOutRow, Score, compare
from gemtune.show.palette import TONES
from gemtune.show.picture import Tone

MOST, ROWS = 12, 30
TABLES = [(won, lost) for won in range(MOST + 1) for lost in range(MOST + 1)]
METRIC = scenes.metric()
CLAIM = re.compile(r"tuned is (better|worse) than base|may be chance|told from chance|do equally well")


def chance(won, lost):
    """McNemar's exact p, by its definition."""
    count = won + lost
    return min(1.0, sum(math.comb(count, k) for k in range(count + 1) if k <= min(won, lost)) * 2 / 2**count)


def expected(won, lost):
    if chance(won, lost) < 0.05:
        return "better" if won > lost else "worse"
    return None


def pairs(won, lost, rows):
    return [(1, 0)] * won + [(0, 1)] * lost + [(1, 1)] * (rows - won - lost)


@pytest.mark.parametrize(("better", "words"), [("higher", ("better", "worse")), ("lower", ("worse", "better"))])
def test_the_sentence_says_better_or_worse_only_below_five_percent_and_else_that_it_may_be_chance(better, words):
    apart = 0
    for won, lost in TABLES:
        claim = expected(won, lost)
        for rows in range(max(won + lost, 1), ROWS + 1):
            found = compare(pairs(won, lost, rows), kind="share", direction=better, model="tuned", other="base")
            said, case = compared(found), (won, lost, rows)
            assert found.significant == (claim is not None), case
            assert found.p == pytest.approx(chance(won, lost)), case
            (claimed,) = CLAIM.finditer(said)
            assert claimed.group(1) == (claim and words[claim != "better"]), case
            assert ("chance" in said) == (claim is None and won + lost > 0), case
            # An interval on one side of 0 is a claim as well.
            agree = (found.low > 0 or found.high < 0) == found.significant
            assert ("±" in said) == (agree and won + lost > 0), case
            apart += not agree
    assert apart > 200  # 4 or 5 rows won and none lost are such


def evaluation(won, lost, rows):
    """What ``client.evaluate`` returns of such a table."""
    answers = {label: ModelAnswer(text="x") for label in ("base", "tuned")}
    found = [
        EvaluatedRow(
            row=HeldOutRow(key=n, number=n, request={}, question="?", expected="x"),
            answers=answers,
            scores={METRIC.name: {"tuned": float(one), "base": float(other)}},
        )
        for n, (one, other) in enumerate(pairs(won, lost, rows), 1)
    ]
    models = [
        EvaluatedModel(label=n, model=n, scores={METRIC.name: Score(value=0.5)}, answered=rows, failed=0)
        for n in answers
    ]
    return Evaluation(models=models, rows=found, metrics=[METRIC], baseline="base")


def test_text_html_colours_and_json_claim_the_same():
    tones = {"better": ("good", Tone.GOOD), "worse": ("bad", Tone.BAD), None: ("", Tone.UNSEEN)}
    for won, lost in TABLES:
        found, claim = evaluation(won, lost, ROWS), expected(won, lost)
        comparison = found.compare("tuned")
        said = compared(comparison)
        role, tone = tones[claim]
        lines = [line for part in evaluation_parts(found.picture(), 1000) for line in part]
        assert (role, said) in lines
        html = found._repr_html_()
        assert html.count(comparison_html(comparison)) == 1
        assert TONES[tone].color in comparison_html(comparison)
        (record,) = json.loads(json.dumps(found.to_dict()))["comparisons"]
        assert record["significant"] == (record["p"] < 0.05) == (claim is not None)
