"""The emulator's own endpoints, below ``/_emulator``. They are no part of Google's API.

A scenario is a resource: POST ``faults`` makes one, GET ``faults/ID`` tells which request used up what.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

from gemtune.emulator.messages.codec import format_timestamp
from gemtune.emulator.messages.http import HttpReply, HttpRequest
from gemtune.emulator.messages.json_text import loads
from gemtune.emulator.service import EmulatedService
from gemtune.emulator.trouble.faults import read_scenario

PREFIX = "/_emulator"
_JSON = "application/json"
Query = dict[str, str]


def control(service: EmulatedService, request: HttpRequest) -> HttpReply:
    """Answer one control request."""
    verb, path, query, body = request.verb, request.path, dict(request.query), request.body
    if request.size > len(body):
        return _error(413, f"The body is longer than {service.settings.largest_body} bytes.")
    kind = request.headers.get("content-type", "" if body else _JSON)
    if verb == "POST" and kind.partition(";")[0].strip().lower() != _JSON:
        # A page may send text or a form to another server without asking it first, JSON not.
        return _error(415, f"The body must be JSON, sent with the header 'content-type: {_JSON}'; not {kind!r}.")
    name, _, scenario = path.removeprefix(PREFIX).strip("/").partition("/")
    try:
        if scenario and name == "faults" and verb in ("GET", "DELETE"):
            return _reply(_scenario(service, verb, scenario))
        endpoint = None if scenario else _ENDPOINTS.get((verb, name))
        if endpoint:
            return _reply(endpoint(service, query, loads(body) if body.strip() else {}))
    except (ValueError, TypeError) as error:
        return _error(400, str(error))
    except LookupError as error:
        return _error(404, str(error.args[0]))
    known = ", ".join(" ".join(key) for key in _ENDPOINTS)
    return _error(404, f"The emulator has no {verb} {path}, but {known}, GET and DELETE faults/ID.")


def control_weight(service: EmulatedService, request: HttpRequest) -> int:
    """Return roughly how many bytes a control request and its reply have."""
    name = request.path.removeprefix(PREFIX).strip("/").partition("/")[0]
    told = {"requests": service.requests.held, "faults": 200 * service.faults.planted}
    return 30 * request.length + told.get(name, 0)  # "{}" is a fault: there is no denser JSON


def _clock(service: EmulatedService) -> dict[str, object]:
    now = service.clock.now()
    return {"clock": repr(service.clock), "time": format_timestamp(now), "nanoseconds": str(now)}


def _advance(service: EmulatedService, given: object) -> dict[str, object]:
    seconds = given.get("advance") if isinstance(given, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError('the body must be {"advance": SECONDS}')
    service.advance(seconds)
    return _clock(service)


def _faults(service: EmulatedService) -> dict[str, object]:
    faults = service.faults
    return {
        "scenarios": [scenario.to_dict() for scenario in list(faults.scenarios.values())],
        "pending": [fault.to_dict() for fault in faults.pending()],
        "followed": faults.followed,
    }


def _clear_faults(service: EmulatedService) -> dict[str, object]:
    service.faults.clear()
    return _faults(service)


def _scenario(service: EmulatedService, verb: str, scenario_id: str) -> dict[str, object]:
    scenario = service.faults.scenarios.get(scenario_id)
    if scenario is None:
        raise LookupError(f"There is no scenario {scenario_id!r}.")
    if verb == "DELETE":
        service.faults.remove(scenario_id)
    return scenario.to_dict()


def _requests(service: EmulatedService, query: Query) -> dict[str, object]:
    wanted = query.get("method")
    found = [entry.to_dict() for entry in list(service.requests) if wanted in (None, entry.method)]
    return {"requests": found, "statistics": service.requests.statistics()}


def _knows(service: EmulatedService) -> dict[str, object]:
    return {"rows": len(service.knows)}


def _learn(service: EmulatedService, given: object) -> dict[str, object]:
    rows = given.get("rows") if isinstance(given, dict) else None
    if not isinstance(rows, list | dict):
        raise TypeError('the body must be {"rows": [[PROMPT, ANSWER], ...]}')
    service.knows = rows
    return _knows(service)


def _reset(service: EmulatedService) -> dict[str, object]:
    service.reset()
    return {}


_ENDPOINTS: dict[tuple[str, str], Callable[[EmulatedService, Query, object], dict[str, object]]] = {
    ("GET", ""): lambda service, _query, _body: service.statistics(),
    ("GET", "clock"): lambda service, _query, _body: _clock(service),
    ("POST", "clock"): lambda service, _query, body: _advance(service, body),
    ("GET", "faults"): lambda service, _query, _body: _faults(service),
    ("POST", "faults"): lambda service, _query, body: service.faults.add(*read_scenario(body)).to_dict(),
    ("DELETE", "faults"): lambda service, _query, _body: _clear_faults(service),
    ("GET", "requests"): lambda service, query, _body: _requests(service, query),
    ("GET", "knows"): lambda service, _query, _body: _knows(service),
    ("POST", "knows"): lambda service, _query, body: _learn(service, body),
    ("POST", "reset"): lambda service, _query, _body: _reset(service),
}


def _error(code: int, message: str) -> HttpReply:
    return _reply({"error": {"code": code, "message": message}}, code)


def _reply(value: object, status: int = 200) -> HttpReply:
    content = json.dumps(value, ensure_ascii=False, indent=2, default=_plain) + "\n"
    return HttpReply(status=status, chunks=(content.encode(),), headers={"content-type": _JSON})


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(cast("set[object]", value))
