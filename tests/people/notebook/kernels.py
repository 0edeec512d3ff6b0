"""A Jupyter kernel whose cells a test runs, interrupts, and runs again, as a person does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import Any

import attrs
from jupyter_client.manager import KernelManager

Message = dict[str, Any]


@attrs.frozen
class Cell:
    """What running a cell has brought, in order."""

    messages: tuple[Message, ...]

    def of(self, *kinds: str) -> list[Message]:
        return [each["content"] for each in self.messages if each["msg_type"] in kinds]

    @property
    def views(self) -> list[dict[str, str]]:
        """What its displays showed, one after the other."""
        return [content["data"] for content in self.of("display_data", "update_display_data")]

    @property
    def displays(self) -> set[str]:
        shown = self.of("display_data", "update_display_data")
        return {content["transient"]["display_id"] for content in shown}

    @property
    def result(self) -> dict[str, str]:
        """What its last expression is shown as."""
        (content,) = self.of("execute_result")
        return content["data"]

    @property
    def error(self) -> Message | None:
        return next(iter(self.of("error")), None)

    @property
    def printed(self) -> str:
        return "".join(content["text"] for content in self.of("stream"))


class Kernel:
    """A kernel of its own, of the Python that runs the tests."""

    def __init__(self) -> None:
        self._manager = KernelManager()
        self._manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self._manager.start_kernel()
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def run(self, code: str, *, interrupt: Callable[[Cell], bool] | None = None, seconds: float = 60) -> Cell:
        """Run a cell to its end.

        Args:
            code: The cell.
            interrupt: Returns whether it is time to press the button, by what there is so far.
            seconds: How long it may take.
        """
        request, end, found = self._client.execute(code), time.monotonic() + seconds, []
        while time.monotonic() < end:
            with suppress(Empty):
                message = self._client.get_iopub_msg(timeout=1)
                if message["parent_header"].get("msg_id") == request:
                    found.append(message)
                    if message["content"].get("execution_state") == "idle":
                        return Cell(tuple(found))
            if interrupt is not None and interrupt(Cell(tuple(found))):
                self._manager.interrupt_kernel()
                interrupt = None
        raise AssertionError(f"the cell has not ended: {found[-1:]}")

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
