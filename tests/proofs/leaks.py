"""Where a secret could show: texts, representations, attributes, pickles and tracebacks with their local variables."""

import pickle
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

__all__ = ["found_in"]


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        yield from _chain(other, seen)


def _frames(error: BaseException) -> Iterator[FrameType]:
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").split(".")[0] == "gemtune":
            yield trace.tb_frame
        trace = trace.tb_next


def _shown(value: Any) -> str:
    """A value as debuggers and error trackers show it."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - of an object that is half made
        return ""


def found_in(secret: str, error: BaseException) -> list[str]:
    """Return every place in which an exception shows a secret; the chain behind ``raise from None`` counts."""
    places = []
    for one in _chain(error, set()):
        name = type(one).__name__
        texts = {"str": str(one), "repr": repr(one), "attributes": repr(vars(one)), "args": repr(one.args)}
        places += [f"{name}: {what}" for what, text in texts.items() if secret in text]
        for frame in _frames(one):
            found = [local for local, value in frame.f_locals.items() if secret in _shown(value)]
            places += [f"{name}: {local} in {frame.f_code.co_name}" for local in found]
    rendered = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    places += ["rendered traceback"] * (secret in rendered)
    if type(error).__module__.split(".")[0] == "gemtune":
        places += ["pickle"] * (secret.encode() in pickle.dumps(error))
    return places
