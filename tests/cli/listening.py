"""When a process has begun to listen to SIGTERM: before that, it ends as any other does."""

import signal
import time
from pathlib import Path


def until_it_listens(process):
    """Wait until the process catches SIGTERM, as Linux tells (proc(5), SigCgt); a process that has ended never does."""
    bit = 1 << (signal.SIGTERM - 1)
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        if int(caught.split()[1], 16) & bit:
            return
        time.sleep(0.01)
