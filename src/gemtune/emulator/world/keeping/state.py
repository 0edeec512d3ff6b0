"""Tuned models that outlive the process: a file with all there is to know about them, and the time.

The file is written after every change and before its reply is sent, whole or not at all, so that a process may be
killed at any moment: what was answered is there. A job needs no more than its plan to continue. Faults, quotas and the
request log are not kept. Nor are the held-out rows that the emulator was told: they may be 16 MB, which every change
would write again. Only how many there were is, so that whoever starts without them can be told.

What is read back is what was written, or it is refused: the file carries a checksum, because a single flipped bit in a
number would otherwise be believed, and every value is checked against its type, because a checksum can be made again by
whoever edits the file. One process at a time has it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs

from gemtune.emulator.messages.json_text import loads
from gemtune.emulator.world.answers import ExampleIndex
from gemtune.emulator.world.clock import LATEST, Clock, ScaledClock, SteppedClock
from gemtune.emulator.world.keeping.files import FileInUseError, HeldFile, hold
from gemtune.emulator.world.store import Store, StoredModel, StoredPermission, tidy
from gemtune.emulator.world.tuning import Job, JobFate
from gemtune.emulator.world.typed import check, fits, is_argument

VERSION = 2
_PARTS = ("examples", "job", "permissions")


def dump(clock: Clock, store: Store) -> str:
    """Return all that is kept, as JSON."""
    return seal({
        "clock": {"time": clock.now(), "wall": time.time_ns()},
        "numbers": store.numbers,
        "tuned_models": [_dump_model(model) for model in store.tuned_models.values()],
        "shelves": {name: shelf.dump() for name, shelf in store.shelves.items()},
        "known": len(store.known),
    })  # fmt: skip


def seal(state: object) -> str:
    """Return the text of a state file: the state, with its version and its checksum before it."""
    text = _text(state)
    return f'{{"version":{VERSION},"checksum":"{_checksum(text)}","state":{text}}}'


def _text(state: object) -> str:
    return json.dumps(state, ensure_ascii=True, separators=(",", ":"))


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _dump_model(model: StoredModel) -> dict[str, object]:
    plain = {f.name: getattr(model, f.name) for f in attrs.fields(StoredModel) if f.name not in _PARTS}
    return plain | {
        "examples": model.examples.pairs,
        "job": attrs.asdict(model.job, filter=is_argument),
        "permissions": [attrs.asdict(permission) for permission in model.permissions.values()],
    }


def restore(clock: Clock, store: Store, text: bytes) -> int:
    """Give a clock and a store back what was kept.

    Returns:
        How many held-out rows were known, which are not kept.

    Raises:
        ValueError: the text is not a state, one of another version, or not as it was written.
    """
    sealed = loads(text)
    version = sealed.get("version") if isinstance(sealed, dict) else None
    if not isinstance(sealed, dict) or version != VERSION:
        raise ValueError(f"its version is {version!r}, and this emulator knows version {VERSION}")
    state: Any = sealed.get("state")
    if sealed.get("checksum") != _checksum(_text(state)):
        raise ValueError("its checksum is wrong: it was damaged, or changed by something other than an emulator")
    try:
        times, numbers = (state["clock"]["time"], state["clock"]["wall"]), state["numbers"]
        # A clock beyond the year 9999 could not be printed any more, and every later request would fail.
        if not all(fits(each, int) and 0 <= each <= LATEST for each in (*times, numbers)):
            raise ValueError(f"its clock {times} or its count {numbers!r} is impossible")
        known: int = state.get("known", 0)  # which older files lack
        if not fits(known, int) or known < 0:
            raise ValueError(f"its count of known rows {known!r} is impossible")
        models = [_restore_model(values) for values in state["tuned_models"]]
        store.restore(models, numbers)
        for name, shelf in store.shelves.items():
            if name in state["shelves"]:
                shelf.restore(state["shelves"][name])
        tidy(store)
        _resume(clock, *times)
    except (LookupError, TypeError, AttributeError, OverflowError, ValueError) as error:
        store.reset()
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error
    return known


def _restore_model(values: Mapping[str, Any]) -> StoredModel:
    job = dict(values["job"])
    job["fate"] = JobFate(**job["fate"])
    pairs = [(text, output) for text, output in values["examples"]]
    if not fits(pairs, list[tuple[str, str]]):
        raise ValueError("an example is not a pair of strings")
    parts = {
        "examples": ExampleIndex.build(pairs),
        "job": Job(**job),
        "permissions": {facts["id"]: StoredPermission(**facts) for facts in values["permissions"]},
    }
    model = StoredModel(**(dict(values) | parts))
    check(model, *attrs.fields_dict(StoredModel))
    if not fits(model.hyperparameters, dict[str, float]):
        raise ValueError("a hyperparameter is not a number")
    return model


def _resume(clock: Clock, kept: int, wall: int) -> None:
    """Let a clock continue where it would be had it never stopped; a stepped one stood still meanwhile."""
    if isinstance(clock, ScaledClock):
        clock.not_before(kept + int(max(0, time.time_ns() - wall) * clock.factor))
    elif isinstance(clock, SteppedClock):
        clock.not_before(kept)


@attrs.define
class StateFile:
    """Where an emulator keeps its tuned models, and beside it, in ``FILE.objects``, the contents of objects.

    Args:
        path: the file, which need not exist yet, or a directory for it.
        forgotten: how many held-out rows the emulator before knew, if this one was told of none.
    """

    path: Path = attrs.field(converter=Path)
    forgotten: int = attrs.field(default=0, init=False)
    _held: HeldFile | None = attrs.field(default=None, init=False, repr=False)
    _wanted: int = attrs.field(default=0, init=False)
    _written: int = attrs.field(default=0, init=False)
    _lock: anyio.Lock = attrs.field(factory=anyio.Lock, init=False, repr=False)

    def load(self, clock: Clock, store: Store) -> None:
        """Take it for this process and read it; if it is not there, write it.

        Raises:
            ValueError: it is no state of this version, it is damaged, or another process has it. The message names it.
        """
        if self.path.is_dir():
            self.path /= "state.json"
        store.objects.depot.folder = self.path.with_name(self.path.name + ".objects")
        try:
            self._held = hold(self.path, dump(clock, store))
            known = restore(clock, store, self.path.read_bytes())
            self.forgotten = 0 if len(store.known) else known
        except FileNotFoundError:
            return  # no folder to put it in: the first change says so
        except FileInUseError:
            raise ValueError(
                f"the state file {self.path} is in use by another emulator: stop that one, or take another file"
            ) from None
        except ValueError as error:
            raise ValueError(f"the state file {self.path} cannot be used: {error}") from None

    async def save(self, clock: Clock, store: Store) -> None:
        """Write it; changes made while it is being written share the next time."""
        self._wanted += 1
        mine = self._wanted
        async with self._lock:
            if self._written >= mine:
                return
            # Everything that was asked for by now is in this text, so that ten creations at once share one write.
            wanted, depot = self._wanted, store.objects.depot
            # What was given up by now is not in this text, and can go once it is written.
            gone, text = depot.given_up(), dump(clock, store)
            await anyio.to_thread.run_sync(self._replace, text)
            self._written = wanted
            await anyio.to_thread.run_sync(depot.remove, gone)

    def _replace(self, text: str) -> None:
        if self._held is None:
            self._held = hold(self.path, text)
        self._held.replace(text)
