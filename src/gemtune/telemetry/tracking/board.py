"""TensorBoard: a folder for each job, into which its curves are written, and never twice.

A file is only appended to, one whole frame at a time, because a TensorBoard that runs reads it as it grows. Before the
first frame, what is there already is read: a step that the file holds is not written again, so that an export can be
repeated, or continued after a crash, and a frame that a crash has torn is cut off. Several programs may export the same
job: each locks the file (``flock``) while it writes, and first reads what the others have appended.

A step that comes again with another time is of another training, as after a restart: it goes to a folder of its own,
``NAME.restart-2``. No job has such a name, whereas one may be called ``NAME-2``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType, TracebackType
from typing import BinaryIO, Final, Protocol, Self

import attrs

from gemtune import events
from gemtune.errors import GemtuneError
from gemtune.events import Event
from gemtune.telemetry.names import plain_model
from gemtune.telemetry.tracking import tfevents
from gemtune.telemetry.tracking.measures import TAGS, StepMeasures
from gemtune.types.tuning import Hyperparameters, TuningSnapshot

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_FILE: Final = "events.out.tfevents.0.gemtune"
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]+")
_SAME: Final = 0.5
"""Seconds by which the times of one step may differ."""


class Trained(Protocol):
    """A job whose curves are known: a ``TuningJob``."""

    @property
    def name(self) -> str: ...
    @property
    def display_name(self) -> str | None: ...
    @property
    def base_model(self) -> str | None: ...
    @property
    def hyperparameters(self) -> Hyperparameters | None: ...
    @property
    def snapshots(self) -> Sequence[TuningSnapshot]: ...
    @property
    def done(self) -> bool: ...


@attrs.frozen
class _About:
    """What a run is about."""

    name: str
    display_name: str | None
    base_model: str | None
    hyperparameters: Hyperparameters | None

    @property
    def complete(self) -> bool:
        """Whether the service has said what controls the training; of a job just created only you have."""
        used = self.hyperparameters
        return used is not None and bool(used.epoch_count and (used.learning_rate or used.learning_rate_multiplier))

    def used(self) -> dict[str, tfevents.Value]:
        """Return what runs may be sorted by."""
        return {"base_model": plain_model(self.base_model or "unknown")} | dict(_settings(self.hyperparameters))

    def facts(self) -> str:
        """Return all of it as a table of Markdown."""
        facts = {"job": self.name, "display name": self.display_name, **self.used()}
        rows = "".join(f"| {name} | {value} |\n" for name, value in facts.items() if value)
        return f"| | |\n|---|---|\n{rows}"


def _settings(used: Hyperparameters | None) -> Iterator[tuple[str, tfevents.Value]]:
    if used is None:
        return
    for name in ("epoch_count", "batch_size", "learning_rate", "learning_rate_multiplier", "adapter_size", "beta"):
        value = getattr(used, name)
        if value:
            yield name, value if isinstance(value, int | float) else str(value)


@attrs.define(eq=False)
class RunFolder:
    """The file of one run.

    Args:
        folder: Where it is.
    """

    folder: Path
    _file: BinaryIO | None = attrs.field(default=None, init=False)
    _end: int = attrs.field(default=0, init=False)
    """How much of it has been read, or written here."""
    _held: dict[tuple[str, int], float] = attrs.field(factory=dict, init=False)
    _described: bool = attrs.field(default=False, init=False)

    def contradicts(self, measures: StepMeasures) -> bool:
        """Return whether the file holds this step with another time, so that it is of another training."""
        with self._alone():
            pass  # it has read what is there
        held = (self._held.get((TAGS[name], measures.step)) for name in measures.values)
        computed = measures.computed
        return computed is not None and any(at is not None and abs(at - computed) > _SAME for at in held)

    def add(self, measures: StepMeasures, now: float) -> None:
        """Write what the file does not hold of a step."""
        keys = {(TAGS[name], measures.step): value for name, value in measures.values.items()}
        if keys.keys() <= self._held.keys():
            return
        at = now if measures.computed is None else measures.computed
        with self._alone() as file:
            for key, value in keys.items():
                if key not in self._held:
                    self._write(file, tfevents.scalar(key[0], value, measures.step, at))
                    self._held[key] = at

    def describe(self, used: Mapping[str, tfevents.Value], facts: str, now: float) -> None:
        """Write the hyperparameters, unless they are there."""
        with self._alone() as file:
            if not self._described:
                self._described = True
                self._write(file, tfevents.hyperparameters(used, self.folder.name, now))
                self._write(file, tfevents.text("job", facts, now))

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextmanager
    def _alone(self) -> Iterator[BinaryIO]:
        """Have the file to oneself, with all known that it holds."""
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = (self.folder / _FILE).open("a+b", buffering=0)
            self._end = 0
        with _locked(self._file):
            self._catch_up(self._file)
            yield self._file

    def _catch_up(self, file: BinaryIO) -> None:
        """Read what has come since; what is no whole frame was torn by a crash."""
        file.seek(self._end)
        data, whole = file.read(), 0
        for event, whole in tfevents.frames(data):  # noqa: B007 - the last one is needed
            self._described = self._described or b"_hparams_/" in event
            found = tfevents.point(event)
            if found is not None:
                self._held[found.tag, found.step] = found.wall_time
        self._end += whole
        if whole < len(data):
            file.truncate(self._end)
        if not self._end:
            self._write(file, tfevents.beginning(time.time()))

    def _write(self, file: BinaryIO, event: bytes) -> None:
        # A whole frame at once: a reader never meets half of one, unless the machine goes down or the disk is full.
        frame = tfevents.framed(event)
        if file.write(frame) == len(frame):
            self._end += len(frame)


@contextmanager
def _locked(file: BinaryIO) -> Iterator[None]:
    """Hold the lock on a file; where there are none, as on Windows and some file systems, go without."""
    if fcntl is None:
        yield
        return
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


class TensorBoard:
    """Writes the curves of tuning jobs for TensorBoard: ``tensorboard --logdir FOLDER`` shows one run for each job.

    Call it with events, as ``forward`` does, or give it a job whose snapshots are known. Repeating either writes
    nothing twice. It writes files, and therefore blocks for about a tenth of a millisecond a step; ``forward`` calls it
    in a thread.

    Args:
        folder: Where the runs are to be; it is made if it is not there.

    Example:
        ``with TensorBoard("runs") as board: await forward(watcher, board)``
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._runs: dict[str, RunFolder] = {}
        self._numbers: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        """Write what an event says of a step, and what a model that is done says of its hyperparameters.

        Raises:
            GemtuneError: The file could not be written.
        """
        if isinstance(event, events.Snapshot | events.SnapshotUpdated):
            self._add(StepMeasures.of(event.job, event), event.observed_at.timestamp())
        elif isinstance(event, events.Succeeded):
            task = event.model.tuning_task
            used = task.hyperparameters if task is not None else None
            about = _About(event.job, event.model.display_name, event.model.base_model, used)
            self._describe(about, event.observed_at.timestamp())

    def write(self, job: Trained) -> None:
        """Write all that is known of a job: its curves and its hyperparameters.

        Args:
            job: A handle; ``await job.refresh()`` brings it up to date.

        Raises:
            GemtuneError: A file could not be written.
        """
        now = time.time()
        for snapshot in job.snapshots:
            self._add(StepMeasures.of(job.name, snapshot), now)
        about = _About(job.name, job.display_name, job.base_model, job.hyperparameters)
        if job.done or about.complete:  # TensorBoard believes the first that it reads
            self._describe(about, now)

    def close(self) -> None:
        """Let go of all files."""
        for run in self._runs.values():
            run.close()
        self._runs.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _describe(self, about: _About, now: float) -> None:
        with _worded(self._folder):
            self._run(about.name, self._numbers.get(about.name, 1)).describe(about.used(), about.facts(), now)

    def _add(self, measures: StepMeasures, now: float) -> None:
        with _worded(self._folder):
            number = self._numbers.get(measures.job, 1)
            while (run := self._run(measures.job, number)).contradicts(measures):
                number += 1
            self._numbers[measures.job] = number
            run.add(measures, now)

    def _run(self, job: str, number: int) -> RunFolder:
        name = _ODD.sub("_", job.rpartition("/")[2]).strip(".") or "job"
        name = name if number == 1 else f"{name}.restart-{number}"
        if name not in self._runs:
            self._runs[name] = RunFolder(self._folder / name)
        return self._runs[name]


class _worded:  # noqa: N801 - used as a function
    """Turns what the system says about a file into an error of ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise GemtuneError(f"{error.filename or self._folder}: cannot be written: {error.strerror}") from None
