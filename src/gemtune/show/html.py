"""Pictures of jobs and batches as HTML, for the cells of a notebook: no script, no network, one string each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gemtune.markup import bar, box, dot, escape, line, pill, table
from gemtune.show.palette import TONES, stroke
from gemtune.show.picture import BatchPicture, JobPicture, Tone, counted_in, thinned
from gemtune.show.svg import Curve, chart, sparkline
from gemtune.show.words import as_of, batch_facts, counted, losses, steps, times

MOST_ROWS: Final = 50
"""So many jobs have a row of their own, those that have not ended first: a page with more is slow, and not read."""
MOST_CURVES: Final = 8
"""So many curves are drawn over each other: no more are told apart."""
_POINTS_OF_MANY: Final = 120
_WRAPS: Final = "hyperparameters"


def job_html(picture: JobPicture, note: str = "") -> str:
    """Return one job: what it is, how far, its loss curve, and why it failed.

    Args:
        picture: The job.
        note: A sentence to put below it, such as that nobody watches it any more.
    """
    ink = TONES[picture.tone]
    about = line(*map(escape, (_aside(picture), picture.base_model, picture.hyperparameters)), dim=True)
    waits = "" if picture.ended or picture.losses or picture.counts else "the first loss comes with the first step"
    waits = "nobody has looked at it yet" if picture.tone is Tone.UNSEEN else waits
    kept = f"{len(picture.checkpoints)} checkpoint{'s' if len(picture.checkpoints) != 1 else ''}"
    facts = [steps(picture), *losses(picture), *times(picture), waits, as_of(picture)]
    facts += [kept] if picture.checkpoints else []
    curve = Curve(
        label=picture.title,
        color=stroke(0).color,
        train=picture.losses,
        evals=picture.eval_losses,
        total=picture.total,
    )
    return box(
        f"<p>{pill(picture.word, ink.color)} <strong>{escape(picture.title)}</strong></p>",
        about,
        bar(picture.share, ink.color),
        line(*map(escape, facts)),
        _bad(picture.reason or picture.trouble),
        chart([curve]),
        _legend([picture]),
        _noted(note),
        label=f"{'batch' if picture.counts else 'tuning job'} {picture.title}, {picture.word}",
    )


def jobs_html(pictures: Sequence[JobPicture], note: str = "") -> str:
    """Return many jobs: their curves over each other, and a table.

    Args:
        pictures: The jobs.
        note: A sentence to put below them.
    """
    shown = _chosen(pictures)
    known = list(enumerate(shown))
    drawn = [(number, picture) for number, picture in known if picture.losses or picture.eval_losses][:MOST_CURVES]
    curves = [
        Curve(
            label=picture.title,
            color=stroke(number).color,
            train=thinned(picture.losses, _POINTS_OF_MANY),
            evals=thinned(picture.eval_losses, _POINTS_OF_MANY),
            total=picture.total,
            letter=stroke(number).letter,
        )
        for number, picture in drawn
    ]
    marked = {number for number, _ in drawn}
    with_curves = sum(bool(picture.losses) for picture in pictures)
    some = f"the curves of {len(drawn)} of {with_curves:,} jobs" if with_curves > len(drawn) else ""
    more = f"and {len(pictures) - len(shown):,} more" if len(pictures) > len(shown) else ""
    heads = ("", "job", "state", "done", counted_in(shown), "loss", "lowest", "time", _WRAPS)
    rows = [_row(picture, number, number in marked) for number, picture in known]
    reasons = [_bad(f"{picture.title}: {why}") for picture in shown if (why := picture.reason or picture.trouble)]
    return box(
        line(f"<strong>{escape(counted(pictures))}</strong>", escape(max(map(as_of, pictures), default=""))),
        chart(curves, height=240),
        line(some, dim=True),
        _legend([picture for _, picture in drawn]),
        _table(heads, rows) if rows else "",
        line(more, dim=True),
        *reasons,
        _noted(note),
        label=counted(pictures),
    )


def batch_html(picture: BatchPicture, note: str = "") -> str:
    """Return a batch: how far it is, how fast, and what holds it back.

    Args:
        picture: The batch.
        note: A sentence to put below it.
    """
    tone = Tone.BAD if picture.ended and picture.failed and not picture.done else Tone.GOOD
    tone = tone if picture.ended else Tone.WAITING if picture.parked and not picture.in_flight else Tone.RUNNING
    word = "ended" if picture.ended else "running" if picture.elapsed else "not begun"
    ink = TONES[tone if word != "not begun" else Tone.UNSEEN]
    held = picture.held_back if not picture.ended else ""
    return box(
        f"<p>{pill(word, ink.color)} <strong>{escape(picture.title)}</strong></p>",
        bar(picture.share, ink.color),
        line(*map(escape, batch_facts(picture))),
        line(escape(held), dim=True),
        _noted(note),
        label=f"batch on {picture.title}, {word}",
    )


def results_html(
    heading: str, rows: Sequence[tuple[object, str, str]], failures: Mapping[str, int], hidden: int
) -> str:
    """Return the results of a batch: counts, the first of them, and the failures by their message.

    Args:
        heading: What they are, in a line.
        rows: Key, text and what else is worth saying of the first ones.
        failures: How many failed with which message.
        hidden: How many results have no row.
    """
    cells = [(escape(key), escape(text), f'<span class="dim">{escape(more)}</span>') for key, text, more in rows]
    wrong = [(escape(f"{count:,} ×"), escape(message)) for message, count in failures.items()]
    return box(
        f"<p><strong>{escape(heading)}</strong></p>",
        table(("key", "answer", ""), cells, wide={1}) if cells else "",
        line(f"and {hidden:,} more" if hidden > 0 else "", dim=True),
        f"<p>failed:</p>{table((), wrong, wide={1})}" if wrong else "",
        label=heading,
    )


def _chosen(pictures: Sequence[JobPicture]) -> list[JobPicture]:
    """Return those that have a row, in their order."""
    if len(pictures) <= MOST_ROWS:
        return list(pictures)
    kept = {id(each) for each in sorted(pictures, key=lambda picture: picture.ended)[:MOST_ROWS]}
    return [picture for picture in pictures if id(picture) in kept]


def _row(picture: JobPicture, number: int, drawn: bool) -> tuple[str, ...]:
    ink, line_of = TONES[picture.tone], stroke(number)
    mark = f"{dot(line_of.color)}{line_of.letter}" if drawn else ""
    lowest = f"{picture.lowest[1]:.4g} @ {picture.lowest[0]:,}" if picture.lowest else ""
    total = f"/{picture.total:,}" if picture.total else ""
    failed = f" ({picture.failed:,} failed)" if picture.failed else ""
    small = "" if drawn else sparkline(picture.losses, ink.color)
    return (
        mark,
        f"<strong>{escape(picture.title)}</strong>",
        pill(picture.word, ink.color),
        bar(picture.share, ink.color),
        f"{picture.completed:,}{total}{failed}" if picture.completed or total else "",
        small + ("" if picture.loss is None else f"{picture.loss:.4g}"),
        lowest,
        escape((times(picture) or [""])[0]),
        f'<span class="dim">{escape(picture.hyperparameters)}</span>',
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table without the columns that are empty in every row."""
    kept = [n for n in range(len(heads)) if any(row[n] for row in rows)]
    wraps = [place for place, n in enumerate(kept) if heads[n] == _WRAPS]
    return table([heads[n] for n in kept], [[row[n] for n in kept] for row in rows], wide=wraps)


def _aside(picture: JobPicture) -> str:
    return "" if picture.name.endswith(f"/{picture.title}") and "projects/" not in picture.name else picture.name


def _legend(pictures: Sequence[JobPicture]) -> str:
    if not any(picture.eval_losses for picture in pictures):
        return ""
    return line("solid: loss in training", "dashed: loss on the validation data", dim=True)


def _bad(reason: str) -> str:
    if not reason:
        return ""
    return f'<p><span class="dot" style="background:{TONES[Tone.BAD].color}"></span>{escape(reason)}</p>'


def _noted(note: str) -> str:
    return f"<p><i>{escape(note)}</i></p>" if note else ""
