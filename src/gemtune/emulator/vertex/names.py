"""Resource names: a project's id or number goes in, its number comes out; ids are 19 digits.

A number is a hash of what it is for, so that nothing needs to be remembered: the same project has the same number in
every run, and what belongs to a job (its experiment, its endpoints) follows from the job's own name.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re

# The service's locations of Gemini 3 and later: tuned in a region, served in the multi-region around it.
_SERVED_IN = {"europe": "eu", "us": "us"}
_PACIFIC = dt.timezone(dt.timedelta(hours=-8))  # winter time, the whole year


def _hash(*what: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(what).encode(), digest_size=8).digest(), "big")


def made_id(*what: object) -> str:
    """Return 19 digits that are always the same for one thing; they fit into 63 bits, as the service's do."""
    return str(10**18 + _hash(*what) % (8 * 10**18))


def project_number(project: str) -> str:
    """Return the number of a project, given its id or its number."""
    return project if project.isdecimal() else str(10**11 + _hash("project", project) % (9 * 10**11))


def canonical(name: str) -> str:
    """Return a name with the project's number in it; what is no name is returned as it is."""
    start, project, *rest = name.split("/", 2) if name.count("/") > 1 else (name, "")
    return "/".join((start, project_number(project), *rest)) if start == "projects" else name


def parent_of(name: str) -> str:
    """Return ``projects/P/locations/L`` of a canonical name."""
    return "/".join(name.split("/")[:4])


def location_of(name: str) -> str:
    return name.split("/")[3]


def last(name: str) -> str:
    """Return the last segment of a name."""
    return name.rpartition("/")[2]


def served_in(parent: str, base_model: str) -> str:
    """Return where the endpoints of a tuned model are, as ``projects/P/locations/L``."""
    head, _, location = parent.rpartition("/")
    generation = re.search(r"gemini-(\d+)", base_model)
    if generation and int(generation[1]) >= 3:
        location = _SERVED_IN.get(location.partition("-")[0], location)
    return f"{head}/{location}"


def experiment_id(instant: int, number: int) -> str:
    """Return the id of an experiment: it ends with 20 digits, the time in California to the microsecond.

    The job's number is added to the time, or two jobs that train from the same instant on would share an experiment.
    """
    seconds, fraction = divmod(instant // 1000 + number, 1_000_000)
    return f"tuning-experiment-{dt.datetime.fromtimestamp(seconds, _PACIFIC):%Y%m%d%H%M%S}{fraction:06d}"
