"""What a client's telemetry can be told."""

from __future__ import annotations

from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Telemetry:
    """What a client exports through OpenTelemetry: ``Client(telemetry=Telemetry(content=True))``.

    Args:
        content: Whether prompts and answers are put on spans; None asks the variable
            ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``, and without it they are not.
        tracer_provider: Makes the spans; None is the program's own provider.
        meter_provider: Makes the metrics; None is the program's own provider.
    """

    content: bool | None = None
    tracer_provider: Any = attrs.field(default=None, repr=False)
    meter_provider: Any = attrs.field(default=None, repr=False)
