"""``gemtune batch``: ask a model everything in a file."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from gemtune.cli.console import Console
from gemtune.cli.exits import DONE, FAILED, INTERRUPTED, exit_code
from gemtune.cli.options import Commands, add_command, open_client, run_async
from gemtune.errors import BatchStopped, DeadlineExceeded, InvalidInput, JournalError
from gemtune.show.progress import duration
from gemtune.show.terminal import draws_in_place, printable

if TYPE_CHECKING:
    from gemtune.batch import Batch, BatchStatistics
    from gemtune.batch.files import FileRows

__all__ = ["add"]

_EXAMPLES = """\
  gemtune batch questions.txt answers.jsonl --model tunedModels/my-model
  gemtune batch rows.csv out.jsonl --model models/gemini-3.7-flash --template "Translate {text} to {language}"
  gemtune batch requests.jsonl out.jsonl --model models/gemini-3.7-flash --resume
  gemtune batch requests.jsonl - --model models/gemini-3.7-flash --rpm 600 > out.jsonl

INPUT holds one prompt a line, or rows of CSV or JSONL, or {"key", "request"} lines in the form of the service's
own batches. OUTPUT gets {"key", "response"} or {"key", "error"} lines; until it is whole, what is answered stands
in OUTPUT.journal, from which --resume goes on.
"""
_CHOICES = "auto, or a number"
_REDRAW = 0.2


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "batch", _run, "ask a model everything in a file", _EXAMPLES)
    parser.add_argument("input", metavar="INPUT", help="a JSONL, CSV, TSV or text file; - is standard input")
    parser.add_argument("output", metavar="OUTPUT", help="the JSONL file to write; - is standard output")
    parser.add_argument("--model", required=True, metavar="M", help="tunedModels/... or models/...")
    parser.add_argument("--resume", action="store_true", help="go on from OUTPUT.journal")
    pace = parser.add_argument_group("pace")
    pace.add_argument("--concurrency", type=_concurrency, default="auto", metavar="N", help=f"in flight: {_CHOICES}")
    pace.add_argument("--rpm", type=float, metavar="N", help="requests a minute, at most")
    pace.add_argument("--tpm", type=float, metavar="N", help="input tokens a minute, at most")
    rows = parser.add_argument_group("rows")
    rows.add_argument("--format", choices=("jsonl", "csv", "tsv", "text"), help="of INPUT; else by its suffix")
    rows.add_argument("--prompt-column", metavar="C", help="the column or field with the prompt")
    rows.add_argument("--key-column", metavar="C", help="the one with the row's key (default: key)")
    rows.add_argument("--template", metavar="T", help='a prompt made of columns: "Translate {text}"')
    rows.add_argument(
        "--order", choices=("input", "completed"), default="input", help="of OUTPUT (default: that of INPUT)"
    )
    model = parser.add_argument_group("model")
    model.add_argument("--system", metavar="TEXT", help="an instruction that frames every answer")
    model.add_argument("--temperature", type=float, metavar="X", help="randomness, 0 to 2")
    model.add_argument("--max-output-tokens", type=int, metavar="N", help="the longest answer, in tokens")


def _concurrency(text: str) -> int | str:
    if text == "auto":
        return text
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not {_CHOICES}")


def _run(options: argparse.Namespace, console: Console) -> int:
    from gemtune.batch.files import FileRows, Layout

    if options.template is not None and options.prompt_column is not None:
        raise InvalidInput("give --template or --prompt-column, not both")
    layout = Layout(prompt=options.prompt_column, key=options.key_column, template=options.template)
    rows = FileRows(options.input, layout, options.format)
    target = _Target(options.output, resume=options.resume)
    target.check()
    bar = _Bar(console, quiet_output=target.journal is not None)
    if options.input != "-":
        if not Path(options.input).is_file():
            raise InvalidInput(f"there is no file {options.input}", field="INPUT")
        rows.check()
        if bar.wanted:
            rows.count()
    try:
        return run_async(_batch, options, console, rows, target, bar)
    except (BatchStopped, JournalError, DeadlineExceeded) as error:
        console.error(error.message)
        target.tell(console)
        return exit_code(error.__cause__ or error)
    except KeyboardInterrupt:
        target.tell(console)
        console.note("interrupted")
        return INTERRUPTED


@attrs.frozen
class _Target:
    """Where answers go: a file beside its journal, or standard output."""

    output: str
    resume: bool

    @property
    def journal(self) -> str | None:
        return None if self.output == "-" else f"{self.output}.journal"

    def check(self) -> None:
        """Refuse to begin again by mistake, or to go on from nothing."""
        if self.journal is None:
            if self.resume:
                raise InvalidInput("standard output cannot be resumed: name an OUTPUT file", field="--resume")
        elif Path(self.journal).exists():
            if not self.resume:
                raise InvalidInput(
                    f"{self.journal} holds the answers of an earlier run: --resume goes on from there; "
                    "to begin again, remove it"
                )
        elif Path(self.output).exists():
            raise InvalidInput(f"{self.output} exists, without a journal to go on from: remove it, or name another")

    def tell(self, console: Console) -> None:
        """Say where answers are that have not come into the output yet."""
        if self.journal is not None and Path(self.journal).exists():
            console.note(f"what was answered is in {self.journal}; go on with the same command and --resume")


async def _batch(options: argparse.Namespace, console: Console, rows: FileRows, target: _Target, bar: _Bar) -> int:
    import anyio.to_thread

    from gemtune.batch import export_journal
    from gemtune.types import GenerationConfig

    config = GenerationConfig(temperature=options.temperature, max_output_tokens=options.max_output_tokens)
    settings: dict[str, Any] = {
        "concurrency": options.concurrency,
        "rpm": options.rpm,
        "tpm": options.tpm,
        "order": options.order,
        "journal": target.journal,
        "timeout": options.timeout,
        "system_instruction": options.system,
        "generation_config": None if config == GenerationConfig() else config,
    }
    async with open_client(options) as client, client.batch(options.model, rows, **settings) as results:
        await _take(results, console if target.journal is None else None, bar)
    stats, count = results.statistics(), None
    if target.journal is not None:
        count = await anyio.to_thread.run_sync(lambda: _export(target, options.order, results, export_journal))
    _summary(console, stats, target, count)
    return FAILED if stats.failed else DONE


def _export(target: _Target, order: Any, results: Batch, export: Any) -> int:
    lines: int = export(target.journal, target.output, order=order, places=results.source.places)
    return lines


async def _take(results: Batch, console: Console | None, bar: _Bar) -> None:
    """Read to the end, with the bar redrawn beside."""
    import anyio

    from gemtune.batch.records import output_line

    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        if bar.wanted:
            tasks.start_soon(bar.draw, results)
        try:
            async for result in results:
                if console is not None:
                    console.write(output_line(result).decode())
        except Exception as error:  # noqa: BLE001 - it is raised below, and not in a group
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _summary(console: Console, stats: BatchStatistics, target: _Target, count: int | None) -> None:
    told = {
        "answered": stats.done,
        "failed": stats.failed,
        "skipped": stats.skipped,
        "requests": stats.requests,
        "prompt_tokens": stats.prompt_tokens,
        "output_tokens": stats.output_tokens,
        "seconds": round(stats.elapsed, 3),
        "output": target.output,
    }
    if console.json:
        to = console.out if target.journal is not None else console.err
        to.write(f"{json.dumps(told)}\n")
        return
    before = f", {stats.skipped} from before" if stats.skipped else ""
    where = f": {count} lines in {target.output}" if count is not None else ""
    console.note(f"{stats.done} answered, {stats.failed} failed{before}{where}")


@attrs.define(eq=False)
class _Bar:
    """One line on the terminal: how far, how fast, and what it waits for.

    Args:
        console: Where to draw.
        quiet_output: Whether nothing is written to standard output meanwhile.
    """

    console: Console
    quiet_output: bool

    @property
    def wanted(self) -> bool:
        """Whether there is a terminal to draw on, that nothing else is written to."""
        apart = not self.console.out.isatty() or self.quiet_output
        return apart and draws_in_place(self.console.err, os.environ) and not self.console.json

    async def draw(self, results: Batch) -> None:
        """Redraw until cancelled, then take the line away."""
        import anyio

        err = self.console.err
        try:
            while True:
                err.write(f"\r{self._line(results.statistics())}\x1b[K")
                err.flush()
                await anyio.sleep(_REDRAW)
        finally:
            err.write("\r\x1b[K")
            err.flush()

    def _line(self, stats: BatchStatistics) -> str:
        finished = stats.done + stats.failed + stats.skipped
        total = f"/{stats.total}" if stats.total else ""
        parts = [f"{finished}{total}", f"{stats.failed} failed", f"{stats.in_flight} in flight"]
        if stats.parked:
            parts.append(f"{stats.parked} parked")
        parts.append(f"{stats.rate:.1f}/s")
        if stats.eta is not None:
            parts.append(f"{duration(stats.eta)} left")
        parts.append(stats.limit)
        return printable("  ".join(parts))[: max(20, shutil.get_terminal_size().columns - 1)]
