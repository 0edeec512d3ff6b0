"""The emulator's own endpoints, below ``/_emulator``. They are no part of Google's API.

A fault program is a resource: POST ``faults`` makes one, GET ``faults/ID`` tells which request used up what.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from gemtune.emulator.front.replies import Reply
from gemtune.emulator.messages.codec import format_timestamp
from gemtune.emulator.trouble.faults import read_program

if TYPE_CHECKING:
    from gemtune.emulator.app import Emulator

PREFIX = "/_emulator"
Query = dict[str, str]


def control(emulator: Emulator, verb: str, path: str, query: Query, body: bytes) -> Reply:
    """Answer one control request."""
    name, _, program = path.removeprefix(PREFIX).strip("/").partition("/")
    try:
        if program and name == "faults" and verb in ("GET", "DELETE"):
            return _reply(_program(emulator, verb, program))
        endpoint = None if program else _ENDPOINTS.get((verb, name))
        if endpoint:
            return _reply(endpoint(emulator, query, json.loads(body) if body.strip() else {}))
    except (ValueError, TypeError) as error:
        return _error(400, str(error))
    except LookupError as error:
        return _error(404, str(error.args[0]))
    known = ", ".join(" ".join(key) for key in _ENDPOINTS)
    return _error(404, f"The emulator has no {verb} {path}, but {known}, GET and DELETE faults/ID.")


def _clock(emulator: Emulator) -> dict[str, object]:
    now = emulator.clock.now()
    return {"clock": repr(emulator.clock), "time": format_timestamp(now), "nanoseconds": str(now)}


def _advance(emulator: Emulator, given: object) -> dict[str, object]:
    seconds = given.get("advance") if isinstance(given, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError('the body must be {"advance": SECONDS}')
    emulator.advance(seconds)
    return _clock(emulator)


def _faults(emulator: Emulator) -> dict[str, object]:
    faults = emulator.faults
    return {
        "programs": [program.to_dict() for program in faults.programs.values()],
        "pending": [fault.to_dict() for fault in faults.pending()],
        "followed": faults.followed,
    }


def _clear_faults(emulator: Emulator) -> dict[str, object]:
    emulator.faults.clear()
    return _faults(emulator)


def _program(emulator: Emulator, verb: str, program_id: str) -> dict[str, object]:
    program = emulator.faults.programs.get(program_id)
    if program is None:
        raise LookupError(f"There is no fault program {program_id!r}.")
    if verb == "DELETE":
        emulator.faults.remove(program_id)
    return program.to_dict()


def _requests(emulator: Emulator, query: Query) -> dict[str, object]:
    wanted = query.get("method")
    found = [entry.to_dict() for entry in emulator.journal if wanted in (None, entry.method)]
    return {"requests": found, "statistics": emulator.journal.statistics()}


def _reset(emulator: Emulator) -> dict[str, object]:
    emulator.reset()
    return {}


_ENDPOINTS: dict[tuple[str, str], Callable[[Emulator, Query, object], dict[str, object]]] = {
    ("GET", ""): lambda emulator, _query, _body: emulator.statistics(),
    ("GET", "clock"): lambda emulator, _query, _body: _clock(emulator),
    ("POST", "clock"): lambda emulator, _query, body: _advance(emulator, body),
    ("GET", "faults"): lambda emulator, _query, _body: _faults(emulator),
    ("POST", "faults"): lambda emulator, _query, body: emulator.faults.add(*read_program(body)).to_dict(),
    ("DELETE", "faults"): lambda emulator, _query, _body: _clear_faults(emulator),
    ("GET", "requests"): lambda emulator, query, _body: _requests(emulator, query),
    ("POST", "reset"): lambda emulator, _query, _body: _reset(emulator),
}


def _error(code: int, message: str) -> Reply:
    return _reply({"error": {"code": code, "message": message}}, code)


def _reply(value: object, status: int = 200) -> Reply:
    content = json.dumps(value, ensure_ascii=False, indent=2, default=_plain) + "\n"
    return Reply(status=status, chunks=(content.encode(),), headers={"content-type": "application/json"})


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(cast("set[object]", value))
