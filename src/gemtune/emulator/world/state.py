"""Tuned models that outlive the process: a file with all there is to know about them, and the time.

The file is written after every change and before its reply is sent, whole or not at all, so that a process may be
killed at any moment: what was answered is there. A job needs no more than its plan to go on. Faults, quotas and the
record of requests are not kept.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs

from gemtune.emulator.world.answers import ExampleIndex
from gemtune.emulator.world.clock import Clock, ScaledClock, SteppedClock
from gemtune.emulator.world.store import Store, StoredModel, StoredPermission
from gemtune.emulator.world.tuning import Job, JobFate

VERSION = 1
_PARTS = ("examples", "job", "permissions")


def dump(clock: Clock, store: Store) -> str:
    """Return all that is kept, as JSON."""
    state = {
        "version": VERSION,
        "clock": {"time": clock.now(), "wall": time.time_ns()},
        "numbers": store.numbers,
        "tuned_models": [_dump_model(model) for model in store.tuned_models.values()],
        "shelves": {name: shelf.dump() for name, shelf in store.shelves.items()},
    }
    return json.dumps(state, ensure_ascii=True, separators=(",", ":"))


def _dump_model(model: StoredModel) -> dict[str, object]:
    plain = {f.name: getattr(model, f.name) for f in attrs.fields(StoredModel) if f.name not in _PARTS}
    return plain | {
        "examples": model.examples.pairs,
        "job": attrs.asdict(model.job, filter=_is_argument),
        "permissions": [attrs.asdict(permission) for permission in model.permissions.values()],
    }


def _is_argument(attribute: attrs.Attribute[object], _value: object) -> bool:
    return attribute.init


def restore(clock: Clock, store: Store, text: str) -> None:
    """Give a clock and a store back what was kept.

    Raises:
        ValueError: the text is not a state, or one of another version.
    """
    state = json.loads(text)
    version = state.get("version") if isinstance(state, dict) else None
    if version != VERSION:
        raise ValueError(f"its version is {version!r}, and this emulator knows version {VERSION}")
    try:
        models = [_restore_model(values) for values in state["tuned_models"]]
        _resume(clock, state["clock"]["time"], state["clock"]["wall"])
        store.restore(models, int(state["numbers"]))
        for name, shelf in store.shelves.items():
            if name in state.get("shelves", {}):
                shelf.restore(state["shelves"][name])
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error


def _restore_model(values: Mapping[str, Any]) -> StoredModel:
    job = dict(values["job"])
    job["fate"] = JobFate(**job["fate"])
    parts = {
        "examples": ExampleIndex.build([(text, output) for text, output in values["examples"]]),
        "job": Job(**job),
        "permissions": {facts["id"]: StoredPermission(**facts) for facts in values["permissions"]},
    }
    return StoredModel(**(dict(values) | parts))


def _resume(clock: Clock, kept: int, wall: int) -> None:
    """Let a clock continue where it would be had it never stopped; a stepped one stood still meanwhile."""
    if isinstance(clock, ScaledClock):
        clock.not_before(kept + int(max(0, time.time_ns() - wall) * clock.factor))
    elif isinstance(clock, SteppedClock):
        clock.not_before(kept)


@attrs.define
class StateFile:
    """Where an emulator keeps its tuned models.

    Args:
        path: the file; it need not exist yet.
    """

    path: Path = attrs.field(converter=Path)
    _wanted: int = attrs.field(default=0, init=False)
    _written: int = attrs.field(default=0, init=False)
    _lock: anyio.Lock = attrs.field(default=attrs.Factory(anyio.Lock), init=False, repr=False)

    def load(self, clock: Clock, store: Store) -> None:
        """Read it, if it is there.

        Raises:
            ValueError: it is no state of this version; the message names it.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except UnicodeDecodeError as error:
            raise ValueError(f"the state file {self.path} cannot be used: {error}") from None
        try:
            restore(clock, store, text)
        except ValueError as error:
            raise ValueError(f"the state file {self.path} cannot be used: {error}") from None

    async def save(self, clock: Clock, store: Store) -> None:
        """Write it; changes made while it is being written share the next time."""
        self._wanted += 1
        mine = self._wanted
        async with self._lock:
            if self._written >= mine:
                return
            held, text = self._wanted, dump(clock, store)
            await anyio.to_thread.run_sync(_replace, self.path, text)
            self._written = held


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
