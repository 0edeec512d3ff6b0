"""How far an evaluation is: drawn as a batch is, because it is several of them."""

from __future__ import annotations

from contextlib import suppress

import attrs

from gemtune.cli.batch.bar import Stall, batch_view
from gemtune.cli.console import Console
from gemtune.evaluation import EvaluationProgress
from gemtune.show.live import Live
from gemtune.show.picture import BatchPicture
from gemtune.show.progress import duration

_REDRAW = 0.2
_OF_A_BATCH = (
    "done", "failed", "total", "in_flight", "parked", "rate", "eta", "elapsed", "tokens", "held_back", "ended"
)  # fmt: skip


@attrs.define(eq=False)
class EvaluationBar:
    """Shows five times a second what was reported last.

    Args:
        console: Where to draw and to report.
        stall: Notices when a note is due because nothing is drawn.
    """

    console: Console
    stall: Stall = attrs.field(factory=Stall)
    seen: EvaluationProgress = attrs.field(factory=EvaluationProgress, init=False)
    """What was reported last."""
    held_back: str = attrs.field(default="", init=False)
    """What held it back last, kept for a run whose time is up by now."""
    _live: Live | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._live = self.console.live(beside=True)

    def take(self, progress: EvaluationProgress) -> None:
        """Take what the evaluation reports."""
        self.seen = progress
        self.held_back = progress.held_back or self.held_back

    def picture(self) -> BatchPicture:
        """Return it as a batch's, all models together."""
        return BatchPicture(title="", **{name: getattr(self.seen, name) for name in _OF_A_BATCH})

    async def watch(self) -> None:
        """Show how far it is until cancelled, then take the picture away: the table says more."""
        import anyio

        view = batch_view(self.console, self._live, self.picture)
        try:
            while True:
                if self._live is not None and self._live.in_place:
                    with suppress(OSError, ValueError):  # nobody sees it any more, and the evaluation continues
                        self._live.show(view)
                else:
                    self._note_if_still(anyio.current_time())
                await anyio.sleep(_REDRAW)
        finally:
            with suppress(OSError, ValueError):
                if self._live is not None:
                    self._live.finish(keep=False)

    def _note_if_still(self, now: float) -> None:
        seen = self.seen
        still = self.stall.seconds(seen.done, now)
        if still is not None:
            total = f" of {seen.total:,}" if seen.total else ""
            held = f": {seen.held_back}" if seen.held_back else ""
            self.console.note(f"note: {seen.done:,}{total} done, and none for {duration(still)}{held}")
