"""The query of a request: what every Google API understands, and what belongs to one method."""

from __future__ import annotations

from collections.abc import Callable

from gemtune.emulator.messages.errors import violations
from gemtune.emulator.messages.http import JsonLayout

Pairs = list[tuple[str, str]]

# Parameters of every Google API; each may also be written with a "$" before it.
_SYSTEM = frozenset({
    "key", "access_token", "oauth_token", "alt", "prettyPrint", "pretty_print", "fields", "quotaUser", ".xgafv",
    "xgafv", "callback", "uploadType", "upload_protocol",
})  # fmt: skip


def json_layout(query: Pairs, *, streams: bool) -> JsonLayout:
    """Return how a query asks for the reply to be written; never fails, because errors are written that way too."""
    # "$alt" and "alt" are the same; Google's clients send both spellings.
    given = {name.lstrip("$"): value for name, value in query}
    alt, *options = given.get("alt", "json").split(";")
    return JsonLayout(
        pretty=given.get("prettyPrint", given.get("pretty_print", "true")).lower() not in ("false", "0"),
        enum_numbers="enum-encoding=int" in options,
        sse=streams and alt == "sse",
        array=streams and alt != "sse",
    )


def system_value(query: Pairs, name: str) -> str:
    """Return one of the parameters of every API; empty if it was not given."""
    return next((value for key, value in query if key.removeprefix("$") == name), "")


def bind_query(query: Pairs, own: Callable[[str], str | None]) -> dict[str, str]:
    """Return a method's own parameters under their proto names.

    Args:
        query: as it was sent.
        own: the proto name of one of the method's parameters, followed by ``*`` if it may come several times; None for
            any other name.

    Raises:
        RpcError: 400 for a name that is neither the method's nor every API's.
    """
    bound: dict[str, str] = {}
    for name, value in query:
        known = own(name)
        if known is not None and known.endswith("*"):
            bound[known[:-1]] = "\n".join((bound[known[:-1]], value)) if known[:-1] in bound else value
        elif known is not None:
            bound[known] = value
        elif name.lstrip("$") not in _SYSTEM:
            text = (
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
                f"Field '{name}' could not be found in request message."
            )
            raise violations([("", text)])
    return bound
