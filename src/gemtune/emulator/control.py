"""The emulator's own endpoints: ``/_emulator/{clock,faults,requests,reset}``. They are no part of Google's API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from .replies import Reply
from .wire import format_timestamp

if TYPE_CHECKING:
    from .app import Emulator

__all__ = ["PREFIX", "control"]

PREFIX = "/_emulator"
Query = dict[str, str]


def control(emulator: Emulator, verb: str, path: str, query: Query, body: bytes) -> Reply:
    """Answer one control request."""
    name = path.removeprefix(PREFIX).strip("/")
    try:
        given = json.loads(body) if body.strip() else {}
        match verb, name:
            case "GET", "":
                return _reply(emulator.statistics())
            case "GET", "clock":
                return _reply(_clock(emulator))
            case "POST", "clock":
                _advance(emulator, given)
                return _reply(_clock(emulator))
            case "GET", "faults":
                return _reply(_faults(emulator))
            case "POST", "faults":
                emulator.faults.add(*(given if isinstance(given, list) else [given]))
                return _reply(_faults(emulator))
            case "DELETE", "faults":
                emulator.faults.clear()
                return _reply(_faults(emulator))
            case "GET", "requests":
                return _reply(_requests(emulator, query))
            case "POST", "reset":
                emulator.reset()
                return _reply({})
    except (ValueError, TypeError) as error:
        return _reply({"error": {"code": 400, "message": str(error)}}, 400)
    text = f"The emulator has no {verb} {path}: GET or POST clock, faults; GET requests; POST reset."
    return _reply({"error": {"code": 404, "message": text}}, 404)


def _clock(emulator: Emulator) -> dict[str, object]:
    now = emulator.clock.now()
    return {"clock": repr(emulator.clock), "time": format_timestamp(now), "nanoseconds": str(now)}


def _advance(emulator: Emulator, given: object) -> None:
    seconds = given.get("advance") if isinstance(given, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError('the body must be {"advance": SECONDS}')
    emulator.advance(seconds)


def _faults(emulator: Emulator) -> dict[str, object]:
    pending = [fault.to_dict() for fault in emulator.faults.pending()]
    return {"pending": pending, "followed": emulator.faults.followed}


def _requests(emulator: Emulator, query: Query) -> dict[str, object]:
    wanted = query.get("method")
    found = [entry.to_dict() for entry in emulator.journal if wanted in (None, entry.method)]
    return {"requests": found, "statistics": emulator.journal.statistics()}


def _reply(value: object, status: int = 200) -> Reply:
    content = json.dumps(value, ensure_ascii=False, indent=2, default=_plain) + "\n"
    return Reply(status=status, chunks=(content.encode(),), headers={"content-type": "application/json"})


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(cast("set[object]", value))
