"""Whether a client is observed, decided without importing OpenTelemetry for a program that does not use it.

================================  =============================================================================
``telemetry=False``               never
``telemetry=True``                always; without the extra ``otel`` that is an error
a ``Telemetry``                   the same, with its settings
nothing, ``GEMTUNE_TELEMETRY=0``  never; any other value is as ``telemetry=True``
nothing                           if the program has imported OpenTelemetry by the time that it makes the client
================================  =============================================================================

Who sets up an SDK has imported OpenTelemetry, and so has ``opentelemetry-instrument``. Merely installed, as another
package may have brought it along, it is not imported, and costs nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gemtune import checks
from gemtune.errors import SettingsError
from gemtune.protocol.hosts import Routes
from gemtune.remedy import Remedy
from gemtune.telemetry import names
from gemtune.telemetry.options import Telemetry

if TYPE_CHECKING:
    from gemtune.telemetry.observer import Observatory

_OFF = frozenset({"0", "false", "no", "off"})


def observatory(
    wanted: bool | Telemetry | None, environ: Mapping[str, str], service: str, routes: Routes
) -> Observatory | None:
    """Return who observes a client, or None if nobody does.

    Raises:
        SettingsError: It is wanted, and the extra is not installed; or ``telemetry`` is something else.
    """
    if wanted is not None and not isinstance(wanted, bool | Telemetry):
        checks.refuse("telemetry", "True, False or a gemtune.telemetry.Telemetry", wanted, error=SettingsError)
    if wanted is None:
        said = environ.get(names.SWITCH, "").strip().lower()
        wanted = said not in _OFF if said else "opentelemetry.trace" in sys.modules
        source = names.SWITCH
    else:
        source = "telemetry"
    if wanted is False:
        return None
    try:
        from gemtune.telemetry.observer import Observatory
    except ModuleNotFoundError as missing:
        if not (missing.name or "").startswith("opentelemetry"):
            raise
        what = f"{source} needs OpenTelemetry, which is not installed"
        raise SettingsError(what, Remedy("run pip install 'gemtune[otel]'"), field="telemetry") from None
    chosen = wanted if isinstance(wanted, Telemetry) else Telemetry()
    content = chosen.content
    if content is None:
        content = environ.get(names.CAPTURE, "").strip().lower() in _CAPTURES
    return Observatory.of(chosen, content, names.latest(environ), names.PROVIDERS[service], routes)


_CAPTURES = frozenset({"true", "1", "span_only", "span_and_event"})
"""What other libraries take for yes; content goes to spans here, so that ``event_only`` is no."""
