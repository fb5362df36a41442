"""Ctrl-C while something is waited for, and the signals that end a talk from outside.

A loop's own way raises `KeyboardInterrupt` at the second one, wherever Python is: in the middle of the cleaning up that
the first one has begun, which then goes on in the next wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any, TypeVar

    T = TypeVar("T")

__all__ = ["Stopped", "ended", "ending", "listening", "stoppable"]

# Whoever presses it so often has seen that the first one does not help.
_MOST = 4

# Somebody ends the program; the window is closed. What came of these: signals are the process's, not an object's.
_ENDING = ("SIGTERM", "SIGHUP")
_came: list[int] = []


class Stopped(Exception):  # noqa: N818  # no failure
    """Ctrl-C was pressed. Not `KeyboardInterrupt`, which would break the loop and not the task alone."""


@contextlib.contextmanager
def ending(come: Callable[[], None]) -> Iterator[None]:
    """Take SIGTERM and SIGHUP as a Ctrl-C that holds on: `ended` tells of it, and each `listening` is called.

    Args:
        come: called first.
    """

    def take(number: int, _: object) -> None:
        come()
        _came.append(number)
        if len(_came) == 1:  # a shell that ends with its window sends another one, in the middle of our leaving
            signal.raise_signal(signal.SIGINT)

    before = {}
    for number in (getattr(signal, name) for name in _ENDING if hasattr(signal, name)):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            with contextlib.suppress(ValueError):  # outside the main thread
                before[number] = signal.signal(number, take)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _came.clear()


def ended() -> int | None:
    """Give the signal that ends the talk; None if none has come."""
    return _came[0] if _came else None


@contextlib.contextmanager
def listening(press: Callable[[], None]) -> Iterator[None]:
    """Call `press`, in whatever Python is doing, for each Ctrl-C; outside the main thread there is none.

    Where the talk is ended already, it is called at once.
    """
    try:
        before = signal.signal(signal.SIGINT, lambda *_: press())
    except ValueError:
        yield
        return
    try:
        if _came:
            press()
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def stoppable(runner: asyncio.Runner, waiting: Coroutine[Any, Any, T]) -> T:
    """Wait until it is done; Ctrl-C cancels it, once.

    Raises:
        Stopped: it was cancelled, and has cleaned up.
    """
    loop = runner.get_loop()
    task: asyncio.Task[Any] | None = None
    pressed = 0

    def press() -> None:
        nonlocal pressed
        pressed += 1
        if pressed == 1:
            loop.call_soon_threadsafe(lambda: task is not None and task.cancel())
        elif pressed > _MOST:
            raise KeyboardInterrupt

    async def wait() -> T:
        nonlocal task
        task = asyncio.current_task()
        try:
            return await waiting
        except asyncio.CancelledError:
            if pressed:
                raise Stopped from None
            raise

    with listening(press):
        return runner.run(wait())
