"""Evaluation: what ``client.evaluate`` returns. Every answer is in it, so that nothing has to be asked again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import attrs

from gemtune import checks
from gemtune.errors import InvalidInput, MetricFailed
from gemtune.evaluation.picture import EvaluationPicture
from gemtune.evaluation.scoring.figures import Scores, scored_rows, with_scores
from gemtune.evaluation.scoring.functions import check_expected, score
from gemtune.evaluation.scoring.judging import BASELINE, Verdicts, scores_of
from gemtune.evaluation.shown import ShownEvaluation
from gemtune.evaluation.values import ChangedRows, EvaluatedModel, EvaluatedRow
from gemtune.evaluation.words import name as named
from gemtune.metrics.judging import Judge
from gemtune.metrics.named import MetricsLike, resolve
from gemtune.metrics.statistics import compare
from gemtune.metrics.values import Comparison, Metric, Score
from gemtune.metrics.verdicts import judged
from gemtune.rows.frames import FrameEngine, make_frame
from gemtune.show.terminal import printable
from gemtune.wholefile import whole_file

_COLUMNS = (
    "key", "number", "question", "expected", "model", "answer", "error", "finish_reason", "prompt_tokens",
    "output_tokens", "latency", "replayed",
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Evaluation(ShownEvaluation):
    """Models beside each other on held-out rows: it prints as a table, and is one in a notebook.

    A row takes about 1 kB and what its texts take, for each model; its own texts are held as given and as asked.

    Args:
        models: What each model has reached, in the order in which they were given.
        rows: Every row with all answers and scores.
        metrics: What the answers were scored by.
        baseline: The label of the model with which the others are compared.
        judges: What each judge was asked and has cost, by the name of its metric.
        currency: Of the costs.

    Example:
        >>> evaluation = await client.evaluate({"base": "gemini-2.5-flash", "tuned": job}, "held_out.csv")
        >>> print(evaluation.compare("tuned").p)
    """

    models: Sequence[EvaluatedModel]
    rows: Sequence[EvaluatedRow] = attrs.field(repr=False)
    metrics: Sequence[Metric]
    baseline: str
    judges: Mapping[str, EvaluatedModel] = attrs.field(factory=dict)
    currency: str = ""
    _compared: dict[tuple[str, str, str], Comparison] = attrs.field(factory=dict, init=False)

    def __repr__(self) -> str:
        return printable(f"<Evaluation of {len(self.rows):,} rows: {'; '.join(map(_said, self.models))}>")

    def __getitem__(self, label: str) -> EvaluatedModel:
        for each in self.models:
            if each.label == label:
                return each
        raise KeyError(f"{label!r} is not a label of this evaluation: {_listed(each.label for each in self.models)}")

    def compare(self, model: str, other: str | None = None, metric: str | None = None) -> Comparison:
        """Return one model beside another, on the rows for which both have a score.

        Args:
            model: Its label.
            other: The label of what it is compared with; None for the baseline.
            metric: The name of the metric; None for the first.

        Raises:
            InvalidInput: There is no such model or metric, or both models are the same.
        """
        by, one, two = self._chosen(model, other, metric)
        found = self._compared.get((by.name, one, two))
        if found is None:
            pairs = [(scores[one], scores[two]) for row in self.rows for scores in [row.scores[by.name]]]
            found = self._compared[by.name, one, two] = compare(pairs, metric=by, model=one, other=two)
        return found

    def changed(self, model: str, other: str | None = None, metric: str | None = None) -> ChangedRows:
        """Return the rows on which one model does better or worse than another, the greatest changes first.

        Args:
            model: Its label.
            other: The label of what it is compared with; None for the baseline.
            metric: The name of the metric; None for the first.

        Raises:
            InvalidInput: There is no such model or metric, or both models are the same.
        """
        by, one, two = self._chosen(model, other, metric)
        sign = 1.0 if by.better == "higher" else -1.0
        gains: list[tuple[float, EvaluatedRow]] = []
        for row in self.rows:
            ours, theirs = row.scores[by.name][one], row.scores[by.name][two]
            if ours is not None and theirs is not None and ours != theirs:
                gains.append((sign * (ours - theirs), row))
        gains.sort(key=lambda each: -abs(each[0]))  # stable: rows with the same change stay in their order
        better = tuple(row for gain, row in gains if gain > 0)
        worse = tuple(row for gain, row in gains if gain < 0)
        return ChangedRows(metric=by.name, model=one, other=two, better=better, worse=worse)

    async def score(self, metrics: MetricsLike) -> Evaluation:
        """Return the same answers scored by other metrics; nothing is asked.

        Args:
            metrics: As in ``client.evaluate``, which alone can ask a judge.

        Raises:
            InvalidInput: There is no such metric, or it needs answers that the rows do not have.
            MetricFailed: A metric has raised for an answer.
        """
        chosen = resolve(metrics)
        judge = next((each.name for each in chosen if isinstance(each, Judge)), None)
        if judge is not None:
            what = (
                f"metrics: {judge} is a model that has to be asked: pass it to a new evaluation with the same journal"
            )
            raise InvalidInput(what, field="metrics")
        check_expected([row.row for row in self.rows], chosen)
        return await scored(self, chosen)

    def picture(self) -> EvaluationPicture:
        """Return what a person sees of the evaluation: what text, notebook and terminal draw. Nothing is asked."""
        pairs = [(each.label, by.name) for by in self.metrics for each in self.models if each.label != self.baseline]
        return EvaluationPicture(
            models=self.models,
            metrics=self.metrics,
            rows=len(self.rows),
            baseline=self.baseline,
            comparisons=[self.compare(label, metric=by) for label, by in pairs],
            changed=[self.changed(label, metric=by) for label, by in pairs],
            currency=self.currency,
            judges=tuple(self.judges.values()),
        )

    def to_frame(self, *, engine: FrameEngine | None = None) -> Any:
        """Return all answers as a data frame with a row for each row and model.

        Its columns are ``key`` and ``number`` of the row; ``question`` and ``expected``; ``model``, the label;
        ``answer`` or ``error``; ``finish_reason``, ``prompt_tokens``, ``output_tokens``, ``latency`` in seconds and
        ``replayed`` as in ``BatchResults.to_frame``; and one for each metric.

        Args:
            engine: ``pandas`` or ``polars``; by default whichever is installed, and pandas if both are.

        Raises:
            InvalidInput: Neither is installed, or the one that was asked for is not.
        """
        names = [metric.name if metric.name not in _COLUMNS else f"{metric.name} (metric)" for metric in self.metrics]
        return make_frame(list(self._cells(names)), (*_COLUMNS, *names), engine)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain JSON, every answer included."""
        others = [each.label for each in self.models if each.label != self.baseline]
        return {
            "baseline": self.baseline,
            "metrics": [_json_of(metric, "name", "kind", "better", "about") for metric in self.metrics],
            "models": [_model_json(each) for each in self.models],
            "comparisons": [
                {**attrs.asdict(found), "significant": found.significant}
                for by in self.metrics
                for label in others
                for found in [self.compare(label, metric=by.name)]
            ],
            "judges": {name: _model_json(each) for name, each in self.judges.items()},
            "currency": self.currency,
            "rows": [_row_json(row) for row in self.rows],
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write all of it as JSON into a file, which appears whole or not at all; blocks.

        Args:
            path: The file to write or to replace.

        Raises:
            InvalidInput: It is not the path of a file.
            OSError: It could not be written.
        """
        target = Path(checks.file_path("path", path))
        pieces = json.JSONEncoder(ensure_ascii=False, indent=1, default=str).iterencode(self.to_dict())
        with whole_file(target) as file:  # piece by piece: all of it as one string would take several times its size
            for piece in pieces:
                file.write(piece.encode("utf-8", "replace"))
            file.write(b"\n")

    def _chosen(self, model: str, other: str | None, metric: str | None) -> tuple[Metric, str, str]:
        other = self.baseline if other is None else other
        labels = [each.label for each in self.models]
        for field, label in (("model", model), ("other", other)):
            if label not in labels:
                what = f"{field} must be one of {_listed(labels)}, not {checks.shown(label)}"
                raise InvalidInput(what, field=field)
        if model == other:
            what = "of the baseline" if model == self.baseline else f"of {model!r}"
            raise InvalidInput(
                f"model is the label {what}, with which it would be compared: name another", field="model"
            )
        for each in self.metrics:
            if metric is None or each.name == metric:
                return each, model, other
        names = _listed(each.name for each in self.metrics)
        if metric is None:
            raise InvalidInput("nothing was scored: there is no metric to compare by", field="metric")
        raise InvalidInput(f"metric must be one of {names}, not {checks.shown(metric)}", field="metric")

    def _cells(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            of_row = row.row
            shared = {name: getattr(of_row, name) for name in ("key", "number", "question", "expected")}
            for label, answer in row.answers.items():
                told = attrs.asdict(answer)
                told["answer"], told["error"] = told.pop("text"), told["error"] or None
                scored = {
                    name: row.scores[metric.name][label] for name, metric in zip(names, self.metrics, strict=True)
                }
                yield {**shared, "model": label, **told, **scored}


async def scored(
    evaluation: Evaluation, metrics: Sequence[Metric], verdicts: Mapping[str, Verdicts] | None = None
) -> Evaluation:
    """Return an evaluation with the scores of some metrics in the place of all others.

    Args:
        evaluation: The answers.
        metrics: The metrics.
        verdicts: What the judges among them have said, by the metric's name.

    Raises:
        MetricFailed: A metric has raised for an answer; its ``evaluation`` has the scores of those before it.
    """
    labels, scores, heard = [each.label for each in evaluation.models], {}, verdicts or {}
    for place, metric in enumerate(metrics):
        if metric.name in heard:
            scores[metric.name] = scores_of(heard[metric.name], evaluation.rows, evaluation.baseline)
            continue
        try:
            scores[metric.name] = await score(metric, evaluation.rows, labels)
        except MetricFailed as error:
            error.evaluation = await _with(evaluation, metrics[:place], scores, heard)
            raise
    return await _with(evaluation, metrics, scores, heard)


async def _with(
    evaluation: Evaluation, metrics: Sequence[Metric], scores: Scores, heard: Mapping[str, Verdicts]
) -> Evaluation:
    # A report of labels reads all answers once more: two seconds for 60,000, for which the loop is not held.
    count = partial(_counted, evaluation, metrics, scores, heard)
    try:
        return await anyio.to_thread.run_sync(count, abandon_on_cancel=True)
    except MetricFailed as error:
        error.evaluation = evaluation
        raise


def _counted(
    evaluation: Evaluation, metrics: Sequence[Metric], scores: Scores, heard: Mapping[str, Verdicts]
) -> Evaluation:
    rows = scored_rows(evaluation.rows, metrics, scores)
    judges = [each.name for each in metrics if each.name in heard]
    models = [_heard(with_scores(each, metrics, rows, scores), judges, heard) for each in evaluation.models]
    return attrs.evolve(evaluation, models=tuple(models), rows=rows, metrics=tuple(metrics))


def _heard(model: EvaluatedModel, judges: Sequence[str], heard: Mapping[str, Verdicts]) -> EvaluatedModel:
    """Return a model with what judges report of it; the baseline ties with itself, and no interval estimates that."""
    scores, reports = dict(model.scores), dict(model.reports)
    for name in judges:
        if model.label in heard[name]:
            reports[name] = judged(each for each in heard[name][model.label] if each is not None)
        else:
            scores[name] = Score(value=BASELINE, rows=scores[name].rows)
    return attrs.evolve(model, scores=scores, reports=reports)


def _said(model: EvaluatedModel) -> str:
    found = [(named(name), score.value) for name, score in model.scores.items()]
    scores = ", ".join(f"{name} {'-' if value is None else format(value, '.3g')}" for name, value in found)
    failed = f", {model.failed:,} failed" if model.failed else ""
    return f"{named(model.label)} {scores}{failed}".replace("  ", " ")


def _listed(words: Any) -> str:
    return ", ".join(repr(word) for word in words)


def _json_of(value: object, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _model_json(model: EvaluatedModel) -> dict[str, Any]:
    names = ("label", "model", "answered", "failed", "prompt_tokens", "output_tokens", "cost", "latency", "slowest")
    reports = {name: _report_json(report) for name, report in model.reports.items()}
    scores = {name: attrs.asdict(score) for name, score in model.scores.items()}
    return {**_json_of(model, *names), "scores": scores, "reports": reports}


def _report_json(report: object) -> object:
    """Return a report as its ``to_dict`` has it; as text if it has none, or one that is no JSON."""
    as_json = getattr(report, "to_dict", None)
    try:
        told = as_json() if callable(as_json) else str(report)
        json.dumps(told, allow_nan=False, default=str)
    except Exception:  # noqa: BLE001 - a data frame has NaN in its cells and tuples as keys, and it is somebody's own
        return _text_of(report)
    return told


def _text_of(report: object) -> str:
    try:
        return str(report)
    except Exception:  # noqa: BLE001 - it must not take the answers with it, which were paid for
        return type(report).__name__


def _row_json(row: EvaluatedRow) -> dict[str, Any]:
    told = _json_of(row.row, "key", "number", "question", "expected")
    answers = {label: attrs.asdict(answer) for label, answer in row.answers.items()}
    return {**told, "answers": answers, "scores": {name: dict(scores) for name, scores in row.scores.items()}}
