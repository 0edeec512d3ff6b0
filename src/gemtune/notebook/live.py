"""Something that takes time, shown until it is over: one picture at a time, twice a second at most.

The clock of a display is its own: elapsed time and time left move although no look at the service is due. All of it
lives in one task group, so that a cell that is interrupted leaves nothing running behind it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

import anyio

from gemtune import checks
from gemtune.errors import GemtuneError
from gemtune.notebook.places import DisplayPlace, Shown, this_place

T = TypeVar("T")

EVERY: Final = 0.5
"""Seconds between two pictures: more would make a notebook slow, and its file of outputs is kept by somebody."""
_AT_LEAST: Final = 0.2
_SHARE: Final = 10
"""How many times as long as a drawing takes is the pause after it: hundreds of long jobs must not fill the loop."""


async def show_live(
    draw: Callable[[str], Shown],
    wait: Callable[[], Awaitable[T]],
    *,
    left: Callable[[], str],
    every: float = EVERY,
    place: DisplayPlace | None = None,
) -> T:
    """Wait for something and show it meanwhile; the last picture stays.

    Whatever gemtune raises, and an interrupt, is shown by IPython in one line instead of its usual forty, because the
    picture says the rest. The error is the same.

    Args:
        draw: Returns what it looks like now, with a note below it.
        wait: Waits for it.
        left: Returns the note if somebody stops waiting: what continues, and how to see it again.
        every: Seconds between two pictures.
        place: Where to show it; by default where the code runs.
    """
    every = max(checks.seconds("every", every), _AT_LEAST)
    screen = _Screen(draw, place or this_place())
    screen.draw()
    found: list[T] = []
    failure: Exception | None = None
    with said_if_left(left, screen.draw):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(screen.keep_drawing, every)
            try:
                found.append(await wait())
            except Exception as error:  # noqa: BLE001 - raised below, and not as a group of one
                failure = error
            tasks.cancel_scope.cancel()
    screen.draw()
    if failure is not None:
        if isinstance(failure, GemtuneError):
            _in_one_line(failure, f"{type(failure).__name__}: {failure}")
        raise failure
    return found[0]


@contextmanager
def said_if_left(note: Callable[[], str], then: Callable[[str], None] | None = None) -> Iterator[None]:
    """Have IPython say one sentence if somebody interrupts the block, in the place of a traceback through gemtune.

    Args:
        note: Returns what continues, and how to see it again.
        then: What is done with it besides.
    """
    try:
        yield
    except (Exception, GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as cancelled:  # of whichever loop, which need not run any more if a coroutine is closed
        said = note()
        if then is not None:
            then(said)
        _in_one_line(cancelled, said)
        raise


class _Screen:
    """Draws into a place, and only what differs from what it shows."""

    def __init__(self, draw: Callable[[str], Shown], place: DisplayPlace) -> None:
        self._draw, self._place = draw, place
        self._shown: Shown | None = None

    def draw(self, note: str = "") -> None:
        view = self._draw(note)
        if view != self._shown:
            self._place.show(view)
            self._shown = view

    async def keep_drawing(self, every: float) -> None:
        pause = every
        while True:
            await anyio.sleep(pause)
            began = anyio.current_time()
            self.draw()
            pause = max(every, _SHARE * (anyio.current_time() - began))


def _in_one_line(error: BaseException, said: str) -> None:
    """Have IPython show an error as one line: it asks the error for its traceback before it makes one."""
    error._render_traceback_ = partial(_lines, said)  # type: ignore[attr-defined]


def _lines(said: str) -> list[str]:
    return [said]
