"""Door 1: the terminal. ``skk chat`` talks, ``skk ask`` asks once, ``skk simulator`` plays a service.

- `commands`: what can be typed after ``skk``.
- `chat`, `ask`: the two ways of talking; `slash`: the commands in a talk.
- `attach`: files in a question; `schema`: what a structured answer must fit.
- `connect`: whom a talk is with.
- `render`: an answer on the screen, and nothing else that a model might send there; `markdown`: one that is drawn.
- `environment`: where a person reads and writes; `editor`: a line that is typed; `prompt`, `keyboard`, `completion`:
  one that can be edited.
"""

from __future__ import annotations

import atexit
import gc
import signal
import sys

from skk.texts import mark, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .environment import Environment

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Do what was typed, and give the exit status: 0, 1 (failure), 2 (usage) or 130 (Ctrl-C); `ask` has more, and a
    talk that a signal ends gives 128 and the signal's number.

    Args:
        arguments: what follows the program's name; None for what was typed.
        environment: where to read and write; None for this process's own.
    """
    if arguments is None:
        _collect_seldom()
        sys.unraisablehook = _tell_unraisable
    try:
        return _main(arguments, environment)
    except KeyboardInterrupt:  # before the program, or after it
        return 130
    finally:
        if arguments is None:  # the process ends: Ctrl-C may end it sooner, and nothing is said about it
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _collect_seldom() -> None:
    """Look for garbage seldom, and not at the end: loading the SDK makes half a million objects, and none is garbage.

    Looking at them took a third of the CPU of ``skk ask``.
    """
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)


def _tell_unraisable(found: sys.UnraisableHookArgs) -> None:
    """Say nothing of a Ctrl-C that came where Python can raise nothing, such as a weak reference's end."""
    if not issubclass(found.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(found)


def _main(arguments: Sequence[str] | None, environment: Environment | None) -> int:
    try:
        import click  # noqa: F401  # 40 ms, and an extra
    except ImportError:
        stderr = sys.stderr if environment is None else environment.stderr
        print(say(mark("skk: the terminal program needs one more package: pip install 'skk[cli]'")), file=stderr)
        return 1
    from .commands import run
    from .environment import Environment

    return run(sys.argv[1:] if arguments is None else arguments, environment or Environment())
