"""Replies that came with their batch, read one by one from a file: all of them may be larger than memory.

The JSON of such a batch is one object of any size. In it a list is looked for by its key, and from there on its
elements are parsed one after the other. A key cannot be mistaken for something that a model has written, because
within a JSON string each quotation mark has a backslash before it.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any, Final

import attrs

from gemtune.errors import MalformedResponse
from gemtune.protocol.batches.gemini import lines_of

_START: Final = re.compile(rb'[{,\s]"inlinedResponses"\s*:\s*\[')
_PIECE: Final = 1 << 20
_KEEP: Final = 4096
"""Bytes before the end of what was read in which the beginning of the list may stand."""
_LONGEST: Final = 256 << 20
"""No reply of a model is longer."""
_BETWEEN: Final = re.compile(r"[ \t\r\n,]*")
_parse: Final = json.JSONDecoder().raw_decode


def inline_lines(whole: IO[bytes], into: IO[bytes]) -> int:
    """Write the inline replies of a batch as the lines that a file of results would have; blocks.

    Args:
        whole: The reply to ``batches.get``, read from its beginning.
        into: Where to write them.

    Returns:
        The bytes written.

    Raises:
        MalformedResponse: The JSON ends too early.
    """
    whole.seek(0)
    written = 0
    for line in lines_of(_Elements(whole)):
        written += into.write(line)
    return written


@attrs.define(eq=False)
class _Elements:
    """The elements of the list, parsed one by one."""

    file: IO[bytes]
    _rest: bytes = attrs.field(default=b"", init=False)
    """What was read of a character whose other bytes were not."""
    _text: str = attrs.field(default="", init=False)
    _at: int = attrs.field(default=0, init=False)

    def __iter__(self) -> Iterator[Any]:
        if self._begin():
            while self._next() != "]":
                yield self._element()

    def _begin(self) -> bool:
        """Go to the beginning of the list; there is none if the batch has no replies."""
        window = b""
        while data := self.file.read(_PIECE):
            window += data
            if (found := _START.search(window)) is not None:
                self._rest = window[found.end() :]
                return True
            window = window[-_KEEP:]
        return False

    def _next(self) -> str:
        """Go to the next element or the end of the list, and return its first character."""
        while True:
            at = _BETWEEN.match(self._text, self._at)
            self._at = at.end() if at is not None else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            self._more()

    def _element(self) -> Any:
        while True:
            try:
                value, self._at = _parse(self._text, self._at)
            except (ValueError, RecursionError):
                self._more()  # it goes on beyond what was read
            else:
                return value

    def _more(self) -> None:
        """Read on: as much again as one element has had so far, so that a long one is not parsed ever again."""
        text = self._text[self._at :]
        data = self._rest + self.file.read(max(_PIECE, len(text)))
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            new = decoder.decode(data)
        except UnicodeDecodeError:
            raise MalformedResponse("the inline replies of the batch are not UTF-8") from None
        if not new or len(text) > _LONGEST:
            raise MalformedResponse("the inline replies of the batch end too early")
        self._text, self._at, self._rest = text + new, 0, decoder.getstate()[0]
