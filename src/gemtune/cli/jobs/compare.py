"""``gemtune jobs compare``: the curves of several jobs over each other, and what they have come to, the best first."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from gemtune.cli.console import Console
from gemtune.cli.drawing import paint_for, print_painted
from gemtune.cli.exits import DONE, exit_code, together
from gemtune.cli.jobs.card import known, look_up
from gemtune.cli.jobs.known import ranked
from gemtune.cli.options import JOB, Commands, add_command
from gemtune.cli.remedies import worded
from gemtune.cli.running import open_client, run_async
from gemtune.errors import GemtuneError
from gemtune.show.curve import chart
from gemtune.show.palette import STROKES, stroke
from gemtune.show.picture import JobPicture
from gemtune.show.progress import duration
from gemtune.show.terminal import clipped, fitted, one_line, printable, size_of, width_of

if TYPE_CHECKING:
    from gemtune.client import Client

EXAMPLES: Final = """\
  gemtune jobs compare my-model another-model
  gemtune jobs compare my-model another-model --json | jq -r '[.title, .lowest.loss] | @tsv'
"""
_HEIGHT: Final = 14
_WIDEST: Final = 120
_ANY: Final = 1 << 16
"""As wide as it takes."""
_SPARE: Final = (2, 9, 4, 8, 7, 3)
"""The columns that can be left out: STATE, BASE, STEP, TOOK, EVAL LOSS, HYPERPARAMETERS."""


def add(actions: Commands) -> None:
    """Add the command to the group of jobs."""
    what = "compare jobs: their loss curves over each other, and a table with the best first"
    parser = add_command(actions, "compare", _run, what, EXAMPLES)
    parser.add_argument("names", nargs="+", metavar="NAME", help=JOB)
    parser.add_argument("-q", "--quiet", action="store_true", help="print names only, the best first")


def _run(options: argparse.Namespace, console: Console) -> int:
    return run_async(_compared, options, console, limit=options.timeout)


async def _compared(options: argparse.Namespace, console: Console) -> int:
    import anyio

    found: dict[str, JobPicture] = {}
    codes = [DONE]

    async def look(client: Client, name: str) -> None:
        try:
            picture, _ = await known(*await look_up(client, name))
        except GemtuneError as error:
            console.error(worded(error, options))
            codes.append(exit_code(error))
        else:
            found[picture.name] = picture

    async with open_client(options) as client, anyio.create_task_group() as tasks:
        for name in options.names:
            tasks.start_soon(look, client, name)
    jobs = ranked(found.values())
    for rank, job in enumerate(jobs, start=1):
        console.record({"name": job.name} if options.quiet else {"rank": rank, **job.to_dict()})
        if options.quiet:
            console.print(job.name)
    if jobs and not (options.quiet or console.json):
        _show(jobs, console)
    return together(codes)


def _show(jobs: Sequence[JobPicture], console: Console) -> None:
    paint = paint_for(console, console.out, hint=True)
    if paint is None:
        for line in _plain(jobs, console):
            console.print(line)
        return
    from gemtune.cli.screen.compare import compared

    width, height = size_of(console.out)
    print_painted(console, paint, compared(jobs, min(width - 1, _WIDEST), height - 1, color=paint.color))


def _plain(jobs: Sequence[JobPicture], console: Console) -> list[str]:
    width = width_of(console.out, _ANY) - 1
    curves = [job.losses for job in jobs[: len(STROKES)]]
    letters = "".join(stroke(number).letter for number in range(len(curves)))
    drawn = chart(curves, min(width, 78), _HEIGHT, letters=letters, unicode=console.unicode).text()
    heading = ("", "NAME", "STATE", "HYPERPARAMETERS", "STEP", "LOSS", "LOWEST", "EVAL LOSS", "TOOK", "BASE")
    rows = [_row(number, job) for number, job in enumerate(jobs)]
    return [*drawn, *(clipped(line, width) for line in fitted([heading, *rows], width, _SPARE))]


def _row(number: int, job: JobPicture) -> tuple[str, ...]:
    lowest = job.lowest
    cells = (
        stroke(number).letter if job.losses and number < len(STROKES) else "",
        job.name,
        job.word,
        job.hyperparameters,
        f"{job.completed}/{job.total}" if job.total else str(job.completed),
        "" if job.loss is None else f"{job.loss:.4g}",
        "" if lowest is None else f"{lowest[1]:.4g} @ {lowest[0]}",
        f"{job.eval_losses[-1][1]:.4g}" if job.eval_losses else "",
        duration(job.elapsed) if job.ended and job.elapsed is not None else "",
        job.base_model,
    )
    return tuple(printable(one_line(cell)) for cell in cells)
