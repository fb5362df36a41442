"""Writing a file whole or not at all, even if the process is killed or the power fails.

The new content goes to a temporary file beside the old one, reaches the disk, and takes the old
one's name; the folder reaches the disk last. No well-kept library does this with the folder's sync.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import stat
import sys

if sys.platform != "win32":  # no locks there: a dead writer's file stays until somebody removes it
    import fcntl

__all__ = ["write_atomically"]

_SUFFIX = ".skk-tmp"


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`: all of it or nothing.

    The file keeps its permissions; a new one is the owner's alone (0600). A link is followed. What is
    no file (a pipe, ``/dev/stdout``) is simply written to.

    Raises:
        OSError: it cannot be written; what stood there is as it was.
    """
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        with open(path, "wb") as file:
            file.write(data)
        return
    target = os.path.realpath(os.fsdecode(path))
    _sweep(target)
    temporary, descriptor = _create(target)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if mode is not None:
                os.chmod(temporary, stat.S_IMODE(mode))
            os.fsync(descriptor)
            if sys.platform != "win32":  # while the lock is held nobody takes the file for a dead writer's
                os.replace(temporary, target)
        if sys.platform == "win32":  # an open file cannot be renamed there
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(os.path.dirname(target))


def _mode(path: str | os.PathLike[str]) -> int | None:
    """Tell what stands at `path`, and its permissions; None if nothing does."""
    with contextlib.suppress(FileNotFoundError):
        return os.stat(path).st_mode
    return None


def _create(target: str) -> tuple[str, int]:
    """Make a temporary file beside the target, and lock it as long as it is open."""
    while True:
        temporary = f"{target}.{secrets.token_hex(4)}{_SUFFIX}"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as error:
            error.filename = target  # the name that somebody typed
            raise
        if sys.platform == "win32":
            return temporary, descriptor
        with contextlib.suppress(OSError):  # a file system without locks: there nobody sweeps either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.exists(temporary):  # else somebody swept it away before the lock was there
            return temporary, descriptor
        os.close(descriptor)


def _sweep(target: str) -> None:
    """Remove what writers left that were killed: their locks died with them."""
    if sys.platform == "win32":
        return
    for stale in glob.glob(f"{glob.escape(target)}.*{_SUFFIX}"):
        with contextlib.suppress(OSError), open(stale, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(stale)


def _sync_folder(folder: str) -> None:
    if sys.platform == "win32":  # a folder cannot be opened there
        return
    with contextlib.suppress(OSError):  # some network file systems have no sync of folders, some folders cannot be read
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
