"""How far a job is, as one line.

A line that does not fit loses its bar first, then the percentage, which the steps say as well, then the facts from the
right: the state and the steps matter most.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from gemtune.show.picture import JobPicture, Tone
from gemtune.show.terminal import cells, clipped, printable

WAITING = "waiting for the first look"
_HTTP = re.compile(r"\bHTTP \d{3}\b")


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``8 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = max(math.ceil(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def bar(share: float, width: int, *, unicode: bool) -> str:
    """Return a share, from 0 to 1, as a bar of so many columns and two brackets."""
    full = min(max(int(share * width), 0), width)
    return f"[{('█' if unicode else '#') * full}{('░' if unicode else '.') * (width - full)}]"


def seen(picture: JobPicture) -> bool:
    """Return whether anything is known of a job: nothing is claimed of one before a look at it."""
    return picture.tone is not Tone.UNSEEN or bool(picture.losses)


def tenths(picture: JobPicture) -> int:
    """Return how many tenths of the way are done; 0 while that is unknown."""
    return int((picture.share or 0.0) * 10)


def state(picture: JobPicture) -> str:
    """Return the state of a job in a word, or that it has not been looked at."""
    return printable(picture.word) if seen(picture) else WAITING


def loss(picture: JobPicture) -> str:
    """Return the last loss, or how many requests of a batch have failed; empty if there is none."""
    if picture.loss is None:
        return f"{picture.failed} failed" if picture.failed else ""
    return f"loss {picture.loss:.4g}"


def left(picture: JobPicture) -> str:
    """Return how long a job will still take; empty if it has ended or that is unknown."""
    eta = picture.eta
    return f"{duration(eta)} left" if eta and math.isfinite(eta) and not picture.ended else ""


def words(picture: JobPicture) -> tuple[str, str, str, str, str]:
    """Return state, steps, percentage, loss and time left for columns; what is not known is empty."""
    total, done = picture.total, picture.completed
    if not seen(picture):
        return (state(picture), "", "", "", "")
    steps = f"{done} {picture.unit}" if done else ""
    return (
        state(picture),
        f"{min(done, total):{len(str(total))}}/{total} {picture.unit}" if total else steps,
        "" if picture.share is None else f"{100 * picture.share:5.1f} %",
        loss(picture),
        left(picture),
    )


def progress_line(picture: JobPicture, width: int = 80, *, unicode: bool = True) -> str:
    """Return state, bar, steps, percentage, loss and time left, as far as they are known and fit into a line.

    Args:
        picture: The job.
        width: The most columns.
        unicode: False for ASCII characters only.
    """
    known = words(picture)
    facts, share = [fact for fact in known if fact], picture.share if seen(picture) else None
    if picture.total and cells("  ".join(facts)) > width:
        facts, share = [fact for fact in facts if fact != known[2]], None  # the steps say the same
    room = width - cells("  ".join(facts)) - 4
    if picture.total and share is not None and room >= 4:
        facts.insert(1, bar(share, min(room, 30), unicode=unicode))
    while len(facts) > 1 and cells("  ".join(facts)) > width:
        facts.pop()
    return clipped("  ".join(facts), width) if width > 0 else ""


def counts(pictures: Sequence[JobPicture]) -> str:
    """Return how many jobs are in which state, such as ``2 running, 1 failed``."""
    found = Counter(map(state, pictures))
    return ", ".join(f"{count} {word}" for word, count in sorted(found.items())) or "no job yet"


def trouble(pictures: Sequence[JobPicture]) -> str:
    """Return what is wrong at present, in a few words; the whole message is said once, above. Empty if nothing is."""
    open_ones = [picture for picture in pictures if not picture.ended]
    silent = [picture for picture in open_ones if picture.trouble]
    if not silent:
        return ""
    if silent[0].trouble.startswith("no losses"):  # the job can be seen, and its curves cannot
        return printable(silent[0].trouble)
    said = _HTTP.search(silent[0].trouble)
    why = said[0] if said else printable(silent[0].trouble).removesuffix(".")
    whom = "" if len(silent) == len(open_ones) else f" about {len(silent)} of {len(open_ones)} jobs"
    return f"no answer{whom} ({why}); still trying"
