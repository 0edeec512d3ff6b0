"""A file that appears whole or not at all: what everything in the SDK that writes a file writes it by.

The content goes to a file beside the target, to the disk, and then takes the target's name in one step. So whoever
reads the target finds the old content or the new one, after a crash as well, and two writers at once leave the content
of one of them.

The file beside it is not foreseeable. A fixed name such as ``OUTPUT.part`` can be taken: by a symbolic link that leads
the content to another file, by somebody's own file, by a file that everybody may read. Linux makes a file without any
name (``O_TMPFILE``), which is gone by itself if the process is killed; it gets a name when it is whole. Elsewhere
``mkstemp`` makes a name that nobody else has.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import attrs


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """Write a file that takes the target's place when the block ends, and is gone if it raises; blocks.

    A new file is private (mode 0600); one that replaces another takes over its mode. A symbolic link at the target is
    replaced, not followed. What is no file is left alone: root could replace ``/dev/null`` as well.

    Raises:
        OSError: It could not be written; the target is as it was.
    """
    _check_replaceable(target)
    file = _unnamed(target) or _named(target)
    try:
        with os.fdopen(file.fd, "wb", closefd=False) as content:
            yield content
            content.flush()
            with suppress(FileNotFoundError):
                found = target.lstat()
                if stat.S_ISREG(found.st_mode) and sys.platform != "win32":
                    os.fchmod(file.fd, stat.S_IMODE(found.st_mode))
            os.fsync(file.fd)
            file.publish(target)
    finally:
        file.close()
    sync_folder(target.parent)


def _check_replaceable(target: Path) -> None:
    """Refuse a folder, a device, a pipe and a socket, and a link to one; so is ``/dev/stdout``, whatever it is now."""
    with suppress(FileNotFoundError):
        mode = target.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        if not stat.S_ISREG(mode) or (target.is_symlink() and target.readlink().is_relative_to("/proc")):
            raise OSError(errno.EINVAL, "it is no file that could be replaced", str(target))


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a loss of power."""
    if sys.platform == "win32":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@attrs.define(eq=False)
class _Beside:
    """A file beside the target, with or without a name of its own."""

    fd: int
    name: Path | None

    def publish(self, target: Path) -> None:
        if self.name is None:
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                name = f".gemtune-{secrets.token_hex(8)}"
                # With a folder's descriptor this is linkat, which follows /proc's link to the file itself.
                os.link(f"/proc/self/fd/{self.fd}", name, dst_dir_fd=folder, follow_symlinks=True)
            finally:
                os.close(folder)
            self.name = target.parent / name
        os.close(self.fd)  # Windows renames no file that is open
        self.fd = -1
        self.name.replace(target)
        self.name = None

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        if self.name is not None:
            with suppress(OSError):
                self.name.unlink()


def _unnamed(target: Path) -> _Beside | None:
    flags = getattr(os, "O_TMPFILE", 0)
    if not flags or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return _Beside(os.open(target.parent, flags | os.O_WRONLY | os.O_CLOEXEC, 0o600), None)
    except OSError:  # not on every file system; if the folder is at fault, the other way meets the same
        return None


def _named(target: Path) -> _Beside:
    fd, name = tempfile.mkstemp(dir=target.parent, prefix=".gemtune-")
    return _Beside(fd, Path(name))
