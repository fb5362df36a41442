"""`Keyboard`: the keys of a terminal, for the whole of a talk; POSIX alone.

A line is read as prompt_toolkit does it, with one difference: Ctrl-C is a signal at any time. As a byte, the one that
is pressed right behind Enter would wait for the next line, and stop nothing. The terminal throws nothing away for it:
what was written and is not shown yet counts as shown.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import termios

from prompt_toolkit.input.vt100 import Vt100Input, raw_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Keyboard"]

_LOCAL, _KEYS = 3, 6  # of what termios gives


class Keyboard(Vt100Input):
    """Lets keys that are pressed while no line is read wait for the next one, unseen: an answer is being drawn.

    The terminal would show them, and take Ctrl-D among them for itself.
    """

    _before: list[Any] | None = None

    def begin(self) -> None:
        """Do so from now on."""
        if self._before is not None:
            return
        with contextlib.suppress(OSError, termios.error):  # it has gone
            self._before = termios.tcgetattr(self.fileno())
            waiting = termios.tcgetattr(self.fileno())
            waiting[0] &= ~termios.ICRNL
            waiting[_LOCAL] &= ~(termios.ICANON | termios.ECHO)
            waiting[_LOCAL] |= termios.NOFLSH
            waiting[_KEYS][termios.VMIN], waiting[_KEYS][termios.VTIME] = 1, 0
            termios.tcsetattr(self.fileno(), termios.TCSADRAIN, waiting)
            atexit.register(self.end)

    def end(self) -> None:
        """Give the terminal back as it was."""
        if self._before is None:
            return
        before, self._before = self._before, None
        atexit.unregister(self.end)
        with contextlib.suppress(OSError, ValueError, termios.error):
            termios.tcsetattr(self.fileno(), termios.TCSADRAIN, before)

    def raw_mode(self) -> contextlib.AbstractContextManager[None]:
        return _Raw(self.fileno())


class _Raw(raw_mode):
    def __enter__(self) -> None:
        super().__enter__()
        with contextlib.suppress(OSError, termios.error):
            raw = termios.tcgetattr(self.fileno)
            raw[_LOCAL] |= termios.ISIG
            never = bytes([os.fpathconf(self.fileno, "PC_VDISABLE")])
            raw[_KEYS][termios.VQUIT] = raw[_KEYS][termios.VSUSP] = never  # Ctrl-Z puts the terminal back first
            termios.tcsetattr(self.fileno, termios.TCSANOW, raw)
