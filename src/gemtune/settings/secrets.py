"""Secrets: credentials that do not show, and what keeps a string from being one."""

from __future__ import annotations

from typing import Final, Never


class Secret(str):
    """A credential: an ordinary string to whoever sends it, masked for whoever shows it, such as a traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'****'"

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a credential cannot be pickled")


_QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"


def odd_secret(secret: object) -> str:
    """Return what keeps a key or token from being one, in words that follow its name, masked; "" if nothing does.

    What surrounds it is stripped: keys are pasted with line breaks, and commands that print a token end with one.
    """
    if isinstance(secret, bytes | bytearray):
        return "is bytes and must be a string: decode it"
    if not isinstance(secret, str):
        return f"must be a string, not {type(secret).__name__}"
    text = secret.strip()
    if not text:
        return "is empty"
    known = f"('****', {len(text)} characters)"
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        return f"{known} begins or ends with a quotation mark: take the marks away"
    if text[:7].lower() == "bearer ":
        return f"{known} begins with 'Bearer', which is not part of it: take the word away"
    if any(char in "\r\n" for char in text):
        return f"{known} holds a line break: put it on one line"
    if any(char.isspace() for char in text):
        return f"{known} holds a space: copy it again, alone"
    if not text.isascii() or not text.isprintable():
        return f"{known} holds characters that a key or token cannot have: copy it again"
    return ""
