"""What callers may pass where jobs, kinds of events or times are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeGuard, cast

from gemtune import checks
from gemtune.config import WatchPolicy
from gemtune.errors import InvalidInput
from gemtune.events import Event
from gemtune.resources.given import JobLike
from gemtune.watch.subscription import KINDS


def several(jobs: JobLike | Iterable[JobLike]) -> list[JobLike]:
    """Return jobs that are given as one or as many."""
    if _is_one(jobs):
        return [jobs]
    if not isinstance(jobs, Iterable):
        raise InvalidInput(f"jobs must be names, models or handles, not {type(jobs).__name__}", field="jobs")
    return list(jobs)


def given_jobs(jobs: tuple[JobLike | Iterable[JobLike], ...]) -> list[JobLike]:
    """Return the jobs of a call that takes them one by one or as one list."""
    return several(jobs[0]) if len(jobs) == 1 else cast("list[JobLike]", list(jobs))


def classes(kinds: object) -> frozenset[type[Event]] | None:
    """Return the classes of the events that are wanted, given as such or by their kinds; None for all."""
    if kinds is None:
        return None
    given = list(kinds) if isinstance(kinds, Iterable) and not isinstance(kinds, str | type) else [kinds]
    unknown = [kind for kind in given if kind not in [*KINDS, *KINDS.values()]]
    if unknown or not given:
        what = f"there is no event {unknown[0]!r}" if unknown else "kinds names no event, for all of them leave it out"
        raise InvalidInput(f"{what}; there are {', '.join(KINDS)}", field="kinds")
    return frozenset(kind for name, kind in KINDS.items() if name in given or kind in given)


def checked_policy(policy: object) -> WatchPolicy:
    """Return a policy, or refuse what is none."""
    return checks.instance("policy", policy, WatchPolicy, "a gemtune.WatchPolicy")


def check_filter(filter: object) -> None:
    """Refuse what is no filter."""
    if filter is not None and not (isinstance(filter, str) and filter.strip()):
        raise InvalidInput(
            f"filter must be words such as 'owner:me', not {filter!r}; to find no jobs leave it out", field="filter"
        )


def checked_bookmarks(seconds: object) -> float | None:
    """Return the seconds between bookmarks, or refuse what is no such number."""
    return None if seconds is None else checks.seconds("bookmarks", seconds)


def _is_one(jobs: object) -> TypeGuard[JobLike]:
    return isinstance(jobs, str) or isinstance(getattr(jobs, "name", None), str)
