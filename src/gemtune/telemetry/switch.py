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

import logging
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

_log = logging.getLogger("gemtune")
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
    source, said = "telemetry", environ.get(names.SWITCH, "").strip().lower()
    if wanted is None and said:
        source, wanted = names.SWITCH, said not in _OFF
    if wanted is False or (wanted is None and "opentelemetry.trace" not in sys.modules):
        return None
    try:
        return _made(wanted if isinstance(wanted, Telemetry) else Telemetry(), environ, service, routes)
    except (ImportError, TypeError) as error:  # not there, or an API of before 1.30, which lacks what we pass
        what = f"{source} needs OpenTelemetry 1.30 or newer, which is not installed"
        if wanted is not None:
            raise SettingsError(what, Remedy("run pip install 'gemtune[otel]'"), field="telemetry") from None
        # Nobody has asked for it: a program that runs without must not stop because of it.
        _log.warning("telemetry is off, because the OpenTelemetry that is installed is too old (%s)", error)
        return None


def _made(chosen: Telemetry, environ: Mapping[str, str], service: str, routes: Routes) -> Observatory:
    from gemtune.telemetry.observer import Observatory

    content = chosen.content
    if content is None:
        content = environ.get(names.CAPTURE, "").strip().lower() in _CAPTURES
    return Observatory.of(chosen, content, names.latest(environ), names.PROVIDERS[service], routes)


_CAPTURES = frozenset({"true", "1", "span_only", "span_and_event"})
"""What other libraries take for yes; content goes to spans here, so that ``event_only`` is no."""
