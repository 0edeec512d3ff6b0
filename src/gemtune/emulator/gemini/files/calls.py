"""What a request says besides its message, as the handlers of files take it: its headers, its body, its origin."""

from __future__ import annotations

from typing import cast

import attrs

from gemtune.emulator.messages.contents import Scratch
from gemtune.emulator.world.store import MethodCall


@attrs.frozen
class MediaRequest:
    """The parts of a request that are no message."""

    headers: dict[str, str] = attrs.field(repr=False)
    origin: str
    upload: Scratch | None = attrs.field(repr=False)

    @classmethod
    def of(cls, call: MethodCall) -> MediaRequest:
        """Return what the face has put into a call."""
        return cast("MediaRequest", call.body["request"])

    @property
    def data(self) -> Scratch:
        """The body of a route that takes long ones."""
        return cast(Scratch, self.upload)

    def command(self) -> str:
        """Return the upload command without spaces, such as ``"upload,finalize"``."""
        return self.headers.get("x-goog-upload-command", "").replace(" ", "").lower()

    def number(self, name: str) -> int | None:
        """Return a number from an ``X-Goog-Upload-…`` header; None if there is none."""
        text = self.headers.get(f"x-goog-upload-{name}", "").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
