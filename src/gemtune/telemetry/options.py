"""What a client's telemetry can be told."""

from __future__ import annotations

from typing import Any

import attrs

from gemtune import checks
from gemtune.errors import SettingsError


def _choice(name: str, value: object) -> None:
    if value is not None and not isinstance(value, bool):
        checks.refuse(name, "True, False or None", value, error=SettingsError)


def _provider(name: str, value: object, method: str, wanted: str) -> None:
    if isinstance(value, type):  # it has the method, but nobody to call it on
        raise SettingsError(f"{name} must be {wanted}, not the class {value.__name__}", field=name)
    if value is not None and not callable(getattr(value, method, None)):
        checks.refuse(name, wanted, value, error=SettingsError)


@attrs.frozen(kw_only=True)
class Telemetry:
    """What a client exports through OpenTelemetry: ``Client(telemetry=Telemetry(content=True))``.

    Args:
        content: Whether prompts and answers are put on spans; None asks the variable
            ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``, and without it they are not.
        tracer_provider: Makes the spans; None is the program's own provider.
        meter_provider: Makes the metrics; None is the program's own provider.

    Raises:
        SettingsError: One of them is something else.
    """

    content: bool | None = attrs.field(default=None, validator=checks.validator(_choice))
    tracer_provider: Any = attrs.field(
        default=None, repr=False, validator=checks.validator(_provider, "get_tracer", "a tracer provider")
    )
    meter_provider: Any = attrs.field(
        default=None, repr=False, validator=checks.validator(_provider, "get_meter", "a meter provider")
    )
