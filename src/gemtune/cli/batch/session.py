"""One run of ``gemtune batch``, from its first row to its report."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from gemtune.cli.batch.bar import Bar
from gemtune.cli.batch.output import Target
from gemtune.cli.batch.table import is_table, write_table
from gemtune.cli.console import Console
from gemtune.cli.exits import DONE, FAILED, INTERRUPTED, exit_code
from gemtune.cli.jobs.vertex import askable
from gemtune.cli.remedies import worded
from gemtune.cli.running import open_client, run_async
from gemtune.errors import (
    BatchStopped,
    DeadlineExceeded,
    GemtuneError,
    InvalidInput,
    JournalBusy,
    JournalCorrupt,
    JournalMismatch,
)

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from gemtune.batch import Batch, BatchResult, BatchStatistics
    from gemtune.batch.files import FileRows


@attrs.define(eq=False)
class Session:
    """Asks, then writes OUTPUT, then reports.

    Args:
        options: Of the command line.
        console: Where to report.
        rows: The INPUT.
        target: The OUTPUT.
        bar: Shows how far it is.
        batch: Arguments of ``client.batch``.
    """

    options: argparse.Namespace
    console: Console
    rows: FileRows
    target: Target
    bar: Bar
    batch: Mapping[str, Any]
    _stats: BatchStatistics | None = attrs.field(default=None, init=False)
    _count: int | None = attrs.field(default=None, init=False)
    _failure: BatchResult | None = attrs.field(default=None, init=False)

    def run(self) -> int:
        """Return the exit code."""
        try:
            if run_async(self._ask) == INTERRUPTED or self._stats is None:
                raise KeyboardInterrupt
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is reported, and raised if it is not ours
            return self._stopped(error)
        self._report(self._stats, self._count)
        return FAILED if self._stats.failed + self._stats.without_answer else DONE

    async def _ask(self) -> int:
        from gemtune.cli.signals import until_stopped

        return INTERRUPTED if await until_stopped(self._take) else DONE

    async def _take(self, tasks: TaskGroup) -> None:
        from gemtune.batch.journal.lines import output_line

        async with open_client(self.options) as client:
            model = await askable(client, self.options.model)
            results, began = client.batch(model, self.rows, **self.batch), False
            try:
                async with results:
                    began = True
                    tasks.start_soon(self.bar.watch, results)
                    async for result in results:
                        if result.error is not None and self._failure is None:
                            self._failure = result
                        if self.target.journal is None:
                            self.console.json_line(output_line(result).decode().removesuffix("\n"))
                    stats = results.statistics()
                    if not stats.done + stats.failed + stats.skipped:
                        raise self.rows.nothing()
                    if self.target.journal is not None:
                        # In here the journal is still locked: no other run can begin before OUTPUT is there.
                        self._count = await self._write(results, self.target.journal)
            finally:
                if began:
                    self._stats = results.statistics()

    async def _write(self, results: Batch, journal: str) -> int:
        """Write OUTPUT, and return the number of its lines."""
        from anyio import to_thread

        output = self.target.output
        if is_table(output):
            return await to_thread.run_sync(write_table, self.rows, journal, results.places, output)
        return await results.export(output, order=self.options.order)

    def _stopped(self, error: BaseException) -> int:
        """Report what ended the run early and how to resume; return the exit code, or raise what others report."""
        match error:
            case BrokenPipeError():  # | head has what it wanted
                self._summarize("nobody reads standard output any more")
                raise error
            case JournalBusy() | JournalCorrupt() | JournalMismatch():
                self._summarize(worded(error, self.options))  # the same command would meet the same error
                raise error
            case GemtuneError():
                late = isinstance(error, DeadlineExceeded) and self.bar.held_back
                message = worded(error, self.options) + (f" ({self.bar.held_back})" if late else "")
                self.console.error(message)
                self.target.leave(self.console)
                self._summarize(message, error.reset_after if isinstance(error, BatchStopped) else None)
                cause = error.__cause__ if isinstance(error, BatchStopped) else None
                return exit_code(cause or error)
            case KeyboardInterrupt():
                self.target.leave(self.console)
                self.console.note("interrupted")
                self._summarize("interrupted")
                return INTERRUPTED
        self.target.leave(self.console)
        self._summarize(f"{type(error).__name__}: {error}")
        raise error

    def _summarize(self, stopped: str | None = None, reset_after: float | None = None) -> None:
        """Write the one object of ``--json``, if there was a run."""
        stats, target = self._stats, self.target
        if stats is None or not self.console.json:
            return
        report = {
            "answered": stats.done,
            "without_answer": stats.without_answer,
            "finish_reasons": dict(stats.finish_reasons),
            "failed": stats.failed,
            "skipped": stats.skipped,
            "requests": stats.requests,
            "prompt_tokens": stats.prompt_tokens,
            "output_tokens": stats.output_tokens,
            "seconds": round(stats.elapsed, 3),
            "output": None if stopped and target.journal is not None else target.output,
            "journal": target.kept,
            "stopped": stopped,
            "reset_after": None if reset_after is None else round(reset_after, 3),
        }
        line = json.dumps(report)
        # Standard output belongs to the answers if they go there: an object among them would break the reader.
        if target.journal is None:
            self.console.note(line)
        else:
            self.console.json_line(line)

    def _report(self, stats: BatchStatistics, count: int | None) -> None:
        if self.console.json:
            self._summarize()
            return
        before = f", {stats.skipped} from before" if stats.skipped else ""
        lines = "line" if count == 1 else "lines"
        where = "" if count is None else f": {count} {lines} in {self.target.output}"
        self.console.note(f"{stats.done} answered, {stats.failed} failed{before}{where}")
        if stats.without_answer:
            reasons = ", ".join(f"{name}: {count}" for name, count in sorted(stats.finish_reasons.items()))
            replies = "reply is" if stats.without_answer == 1 else "replies are"
            self.console.note(
                f"{stats.without_answer} {replies} without an answer: blocked, or JSON cut short ({reasons}); "
                "--accept says which replies are answers, and with --resume the others are asked again"
            )
        if self._failure is not None:
            self.console.note(f"the first that failed: {_named(self._failure, self._failure.error, self.options)}")


def _named(result: BatchResult, error: GemtuneError | None, options: argparse.Namespace) -> str:
    reason = worded(error, options) if error is not None else ""
    if isinstance(error, InvalidInput) and error.row is not None:
        return reason  # begins with the row
    key = f", key {result.key!r}" if result.key != result.index else ""
    return f"row {result.index + 1}{key}: {reason}"
