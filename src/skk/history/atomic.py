"""Writing a file whole or not at all, even if the process is killed or the power fails.

The new content goes to a temporary file beside the old one, reaches the disk, and takes the old
one's name; the folder reaches the disk last. No well-kept library does this with the folder's sync.

Who changes a file that others change too holds its lock from reading to writing. On POSIX that is the file
itself, and whoever comes to a lock that is no longer the file's tries again: no second file is left beside
it, as lock libraries leave one. Windows renames nothing over an open file, so there it is a file beside it.
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["replace_atomically", "update_atomically", "write_atomically"]

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


@contextlib.contextmanager
def replace_atomically(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give the name of an empty file that is to be filled; when the block ends well, it takes the place of `path`.

    It is the owner's alone (0600), and whoever fills it has closed it by then. A link is followed.

    Raises:
        OSError: it cannot be written; what stood there is as it was.
    """
    target = os.path.realpath(os.fsdecode(path))
    _sweep(target)
    temporary, descriptor = _create(target)
    try:
        try:
            if sys.platform == "win32":  # an open file cannot be renamed there
                os.close(descriptor)
            yield temporary
            if sys.platform != "win32":
                os.fsync(descriptor)
            os.replace(temporary, target)
        finally:
            if sys.platform != "win32":
                os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(os.path.dirname(target))


def update_atomically(path: str | os.PathLike[str], change: Callable[[bytes], bytes]) -> None:
    """Write to `path` what `change` makes of its content; of several who do this at once nobody's change is lost.

    A file that is missing is made, and is empty. If `change` raises, what stands there stays.

    Raises:
        OSError: it cannot be read or written; what stood there is as it was.
    """
    descriptor = _locked(path)
    try:
        with open(path, "rb") as file:
            content = file.read()
        write_atomically(path, change(content))
    finally:
        os.close(descriptor)


if sys.platform != "win32":

    def _locked(path: str | os.PathLike[str]) -> int:
        """Lock the file at `path`, and give the descriptor that holds the lock until it is closed."""
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                        return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # the one who had the lock has put a new file there

else:

    def _locked(path: str | os.PathLike[str]) -> int:
        """Lock a file beside `path`, and give the descriptor that holds the lock until it is closed."""
        import errno
        import msvcrt

        descriptor = os.open(f"{os.path.realpath(os.fsdecode(path))}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            except OSError as error:
                if error.errno != errno.EDEADLOCK:  # somebody has had it for ten seconds
                    os.close(descriptor)
                    raise
            except BaseException:
                os.close(descriptor)
                raise
            else:
                break
        try:  # nobody renames over it now
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_BINARY, 0o600))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


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
