"""What callers may pass where jobs, kinds of events or times are wanted."""

from __future__ import annotations

from collections.abc import Iterable

from gemtune.errors import InvalidInput
from gemtune.events import Event
from gemtune.watch.subscription import KINDS

__all__ = ["checked_bookmarks", "classes", "given_jobs", "several"]


def several(jobs: object) -> list[object]:
    """Return jobs that are given as one or as many."""
    if _is_one(jobs):
        return [jobs]
    if not isinstance(jobs, Iterable):
        raise InvalidInput(f"jobs must be names, models or handles, not {type(jobs).__name__}", field="jobs")
    return list(jobs)


def given_jobs(jobs: tuple[object, ...]) -> list[object]:
    """Return the jobs of a call that takes them one by one or as one list."""
    return several(jobs[0]) if len(jobs) == 1 else list(jobs)


def classes(kinds: Iterable[str] | None) -> frozenset[type[Event]] | None:
    """Return the classes of the events that are wanted; None for all."""
    if kinds is None:
        return None
    wanted = {kinds} if isinstance(kinds, str) else set(kinds)
    unknown = wanted - KINDS.keys()
    if unknown:
        raise InvalidInput(f"there is no event {min(unknown)!r}; there are {', '.join(KINDS)}", field="kinds")
    return frozenset(KINDS[kind] for kind in wanted)


def checked_bookmarks(seconds: object) -> float | None:
    """Return the seconds between bookmarks, or refuse what is no such number."""
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise InvalidInput(f"bookmarks must be a number of seconds above 0, not {seconds!r}", field="bookmarks")
    return float(seconds)


def _is_one(jobs: object) -> bool:
    return isinstance(jobs, str) or isinstance(getattr(jobs, "name", None), str)
