"""Evaluations to look at: as they may come out, hostile ones, and empty ones."""

from __future__ import annotations

from attrs import evolve

from gemtune.evaluation import ChangedRows, EvaluatedModel, EvaluatedRow, EvaluationPicture, ModelAnswer
from gemtune.metrics import Comparison, HeldOutRow, LabelReport, LabelScore, Metric, Score
from gemtune.metrics.verdicts import JudgeReport

HOSTILE = "<script>alert('1')</script>&\"\x1b[31m\u202eevil\x9b2J [bold]x[/bold]\n" + "long " * 400


def metric(name="exact_match", kind="share", **more):
    return Metric(name=name, score=lambda answer, row: answer == row.expected, kind=kind, **more)


def score(value, half=0.06, rows=120):
    low, high = (max(value - half, 0.0), min(value + half, 1.0)) if value is not None else (None, None)
    return Score(value=value, low=low, high=high, rows=rows, method="Wilson")


def comparison(model="tuned", other="base", **more):
    facts = {"value": 0.9083, "other_value": 0.775, "difference": 0.1333, "low": 0.0833, "high": 0.1833}
    facts |= {"p": 0.0021, "rows": 120, "better": 19, "worse": 3, "test": "exact McNemar"}
    return Comparison(**{"metric": "exact_match", "model": model, "other": other, **facts, **more})


def row(number, answers, scores=None, question="What comes after", expected=None):
    expected = expected if expected is not None else f"answer {number + 1}"
    given = {label: ModelAnswer(text=text) for label, text in answers.items()}
    asked = HeldOutRow(key=number, number=number, request={}, question=f"{question} {number}?", expected=expected)
    return EvaluatedRow(row=asked, answers=given, scores={"exact_match": scores or {}})


def changed(better=19, worse=3, model="tuned", other="base"):
    up = [row(n, {other: f"{n}, I think, or perhaps {n + 2}", model: f"answer {n + 1}"}) for n in range(4, 4 + better)]
    down = [row(n, {other: f"answer {n + 1}", model: f"answer {n + 2}"}) for n in range(60, 60 + worse)]
    return ChangedRows(metric="exact_match", model=model, other=other, better=up, worse=down)


def model(label, value, **more):
    facts = {"model": f"tunedModels/{label}-x1", "answered": 120, "failed": 0, "prompt_tokens": 12_345}
    facts |= {"output_tokens": 3_210, "cost": 0.0124, "latency": 0.4213, "slowest": 1.2}
    return EvaluatedModel(label=label, **{"scores": {"exact_match": score(value)}, **facts, **more})


REPORT = LabelReport(
    rows=120,
    accuracy=0.9,
    macro_f1=0.8661,
    labels=[
        LabelScore(label="negative", precision=0.94, recall=0.91, f1=0.925, rows=55),
        LabelScore(label="positive", precision=0.9, recall=0.96, f1=0.929, rows=50),
        LabelScore(label="neutral", precision=None, recall=0.0, f1=None, rows=15),
    ],
    answered=["negative", "positive", "neutral", "other"],
    confusion=[[50, 4, 0, 1], [2, 48, 0, 0], [1, 12, 0, 2]],
    unknown=3,
    macro=LabelScore(label="macro", precision=0.613, recall=0.623, f1=0.618, rows=120),
    strangers=[("no idea", 2), ("mixed", 1)],
)
VERDICTS = JudgeReport(wins=62, ties=27, losses=1, biased=8, unreadable=2, rate=Score(value=0.84, rows=90), p=1e-9)


def usual(**more):
    """Two models, one metric, 120 rows."""
    facts = {
        "models": [
            model("base", 0.775, model="models/gemini-1.0-pro-001", cost=0.0098, latency=0.3811),
            model("tuned", 0.9083, answered=118, failed=2, reports={"labels": REPORT, "judge": VERDICTS}),
        ],
        "metrics": [metric(about="the answer and the expected text are the same but for case and blanks")],
        "comparisons": [comparison()],
        "changed": [changed()],
        "judges": [model("judge", None, model="models/gemini-3.7-flash", answered=238, failed=2)],
    }
    return EvaluationPicture(**{"rows": 120, "baseline": "base", "currency": "USD", **facts, **more})


def hostile():
    """Everything that somebody else said is hostile and long."""
    label = LabelScore(label=HOSTILE, precision=1.0, recall=1.0, f1=1.0, rows=3)
    report = LabelReport(
        rows=3, accuracy=1.0, macro_f1=1.0, labels=[label], answered=[HOSTILE, "x"], confusion=[[3, 0]]
    )
    report = evolve(report, unknown=1, strangers=[(HOSTILE, 1)])
    rows = [row(1, {HOSTILE: HOSTILE, "base": HOSTILE}, question=HOSTILE, expected=HOSTILE)]
    bad = ChangedRows(metric=HOSTILE, model=HOSTILE, other="base", better=rows, worse=rows)
    return EvaluationPicture(
        models=[
            model("base", 0.5),
            model(HOSTILE, 0.75, model=HOSTILE, scores={HOSTILE: score(0.75)}, reports={HOSTILE: report}),
        ],
        metrics=[metric(HOSTILE, about=HOSTILE, kind="mean"), metric()],
        rows=3,
        baseline="base",
        comparisons=[comparison(model=HOSTILE, metric=HOSTILE)],
        changed=[bad],
        currency=HOSTILE,
        judges=[model(HOSTILE, None, model=HOSTILE)],
    )


def many(models=6, rows=10_000, metrics=3):
    """More models, metrics and rows than anybody reads."""
    names = [f"metric_{n}" for n in range(metrics)]
    labels = [f"model-{n}" for n in range(models)]
    return EvaluationPicture(
        models=[
            model(label, 0.5, scores={name: score(0.5 + n / 50, 0.0071, rows) for name in names}, answered=rows)
            for n, label in enumerate(labels)
        ],
        metrics=[metric(name) for name in names],
        rows=rows,
        baseline=labels[0],
        comparisons=[comparison(model=label, other=labels[0], metric=name) for label in labels[1:] for name in names],
        changed=[changed(900, 200, label, labels[0]) for label in labels[1:]],
    )
