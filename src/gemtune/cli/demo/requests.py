"""The requests that the demo shows: what the client really sends, shortened to what can be read."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Final

_LONGEST_VALUE: Final = 60


def shortened(body: bytes | None) -> object:
    """Return a JSON body with its long lists cut to their first item; of another its size; None if there is none."""
    if not body:
        return None
    try:
        return _short(json.loads(body))
    except ValueError:  # data on its way to Cloud Storage
        return f"{len(body):,} bytes"


def _short(value: object) -> object:
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list):
        more = [f"... {len(value) - 1} more"] if len(value) > 2 else [_short(item) for item in value[1:]]
        return [*map(_short, value[:1]), *more]
    return value


def short_target(target: str) -> str:
    """Return a path and query with its long values cut, and of values of the same name the first."""
    path, mark, query = target.partition("?")
    values: dict[str, list[str]] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        values.setdefault(name, []).append(value)
    shown = []
    for name, (first, *others) in values.items():
        cut = first if len(first) <= _LONGEST_VALUE else re.sub(r"%.?$", "", first[: _LONGEST_VALUE - 3]) + "..."
        shown.append(f"{name}={cut}" + (f" (and {len(others)} more)" if others else ""))
    return f"{path}?{'&'.join(shown)}" if mark else target


def request_lines(method: str, target: str, body: object, width: int = 106) -> list[str]:
    """Return a request as lines of at most so many columns, as far as words allow."""
    lines = textwrap.wrap(f"{method} {short_target(target)}", width, subsequent_indent="  ", break_on_hyphens=False)
    if body is not None:
        text = json.dumps(body, ensure_ascii=False)
        lines += textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
    return lines
