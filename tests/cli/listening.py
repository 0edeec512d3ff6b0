"""When a process is under way: SIGTERM is an interrupt from the first moment on, and what it says depends on when."""

import time


def until_it_asks(process, app):
    """Wait until the process has asked the emulator; one that has ended never does."""
    while process.poll() is None and not len(app.requests):
        time.sleep(0.01)
