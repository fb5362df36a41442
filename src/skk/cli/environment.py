"""`Environment`: where a person reads and writes. Tests hand in their own."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TextIO

__all__ = ["Environment", "native", "typed"]


class Environment:
    """The three streams, and which of them is a terminal. Variables are the process's: the library reads them there.

    The process's own streams are set to UTF-8, whatever the locale says; bytes that are none become "�".

    Args:
        stdin, stdout, stderr: None for the process's own.
        stdin_is_terminal, stdout_is_terminal: None to ask the streams.

    Attributes:
        plain: whether somebody asked for text without colour and redrawing, for a screen reader for example.
        make_room: while an answer grows on the screen: lets the next line that is told stand on a line of its own.
    """

    def __init__(
        self,
        *,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        stdin_is_terminal: bool | None = None,
        stdout_is_terminal: bool | None = None,
    ) -> None:
        self.stdin = _own(sys.stdin) if stdin is None else stdin
        self.stdout = _own(sys.stdout) if stdout is None else stdout
        self.stderr = _own(sys.stderr) if stderr is None else stderr
        self.stdin_is_terminal = self.stdin.isatty() if stdin_is_terminal is None else stdin_is_terminal
        self.stdout_is_terminal = self.stdout.isatty() if stdout_is_terminal is None else stdout_is_terminal
        self.plain = False
        self.make_room: Callable[[], None] | None = None
        self._edits = False

    def write(self, text: str) -> None:
        """Write to stdout, at once."""
        self.stdout.write(text)
        self.stdout.flush()

    def tell(self, line: str) -> None:
        """Write a line to stderr: everything that is no answer."""
        if self.make_room is not None and self.stdout_is_terminal and self.stderr.isatty():
            self.make_room()
        try:
            self.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError:  # a full disk: whoever wrote there has been told, and this is perhaps what tells it
            pass
        self.stderr.write(line + "\n")
        self.stderr.flush()

    @property
    def draws(self) -> bool:
        """Whether stdout is a terminal that can do more than print one line after the other."""
        return self.stdout_is_terminal and not self.plain and os.environ.get("TERM") not in ("dumb", "unknown")

    def read_line(self, prompt: str, default: str = "") -> str | None:
        """Read a line, without its end; None at the end of the input. Only a person at a terminal is prompted.

        Args:
            prompt: what stands before it.
            default: a text to edit, where Python has readline; elsewhere it is told, to be written anew.
        """
        if self.stdin_is_terminal and self.stdout_is_terminal and self.stdin is sys.__stdin__:
            self._edit_lines(default)
            try:
                return input(prompt)
            except EOFError:
                self.write("\n")
                return None
        if default:
            self.tell(default)
        if self.stdin_is_terminal:  # the answers go elsewhere, or a test stands in for the terminal
            self.stderr.write(prompt)
            self.stderr.flush()
        line = self.stdin.readline()
        return line.rstrip("\r\n") if line else None

    def _edit_lines(self, default: str) -> None:
        """Let lines be edited and brought back, where Python has readline."""
        if not self._edits:
            self._edits = True
            import locale

            with contextlib.suppress(locale.Error):  # in the C locale readline would edit bytes, not characters
                if not locale.setlocale(locale.LC_CTYPE).lower().replace("-", "").endswith("utf8"):
                    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
            with contextlib.suppress(ImportError):  # Windows: its console edits lines itself
                import readline

                for setting in ("input-meta on", "output-meta on", "convert-meta off"):
                    readline.parse_and_bind(f"set {setting}")
        with contextlib.suppress(ImportError):
            import readline

            readline.set_startup_hook(partial(readline.insert_text, default) if default else None)

    def close_stdout(self) -> None:
        """Forget what was written and is not read any more: the reader of our pipe has gone, or the disk is full."""
        _turn_away(self.stdout)

    def close_terminal(self) -> None:
        """Forget a terminal that has gone: nothing comes from it, and what is written goes nowhere."""
        for stream in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
                if stat.S_ISCHR(os.fstat(stream.fileno()).st_mode) and not stream.isatty():
                    _turn_away(stream)


def _turn_away(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _own(stream: Any) -> TextIO:
    """Give a stream of the process, in UTF-8; something silent where it was closed."""
    if stream is None:
        return io.StringIO()
    if callable(reconfigure := getattr(stream, "reconfigure", None)):
        reconfigure(encoding="utf-8", errors="replace")
    found: TextIO = stream
    return found


def typed(arguments: Sequence[str]) -> list[str]:
    """Give what was typed as UTF-8 text, also where Python took the bytes for ASCII (``LC_ALL=C``)."""
    return [
        os.fsencode(word).decode("utf-8", "replace") if any("\ud800" <= c <= "\udfff" for c in word) else word
        for word in arguments
    ]


def native(path: str) -> str:
    """Give a path as the system takes it: in UTF-8 where its own encoding has no word for it (``LC_ALL=C``)."""
    path = os.path.expanduser(path)
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return path.encode("utf-8", "replace").decode(sys.getfilesystemencoding(), "surrogateescape")
    return path
