"""Ctrl-C while something is waited for, and the signals that end a talk from outside.

A loop's own way raises `KeyboardInterrupt` at the second one, wherever Python is: in the middle of the cleaning up that
the first one has begun, which then goes on in the next wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any, TypeVar

    T = TypeVar("T")

__all__ = ["Stopped", "ended", "ending", "finished", "interruptible", "listening", "stoppable", "unbroken"]

# Whoever presses it so often has seen that the first one does not help.
_MOST = 4

# Somebody ends the program; the window is closed. What came of these, and who is told of it, the last one alone:
# signals are the process's, not an object's.
_ENDING = ("SIGTERM", "SIGHUP")
_came: list[int] = []
_listeners: list[Callable[[], None]] = []

# Seconds that leaving may take, as long as a store is waited for; then whoever sends another signal is not put off.
_PATIENCE = 60.0


class Stopped(Exception):  # noqa: N818  # no failure
    """Ctrl-C was pressed. Not `KeyboardInterrupt`, which would break the loop and not the task alone."""


@contextlib.contextmanager
def ending(come: Callable[[], None], patience: float = _PATIENCE) -> Iterator[None]:
    """Take SIGTERM and SIGHUP as a Ctrl-C that holds on: `ended` tells of it, and each `listening` is called.

    That holds too where Ctrl-C is ignored, as in the background of a script.

    Args:
        come: called first.
        patience: seconds after the first one in which another one does nothing. After them it is a
            `KeyboardInterrupt`, wherever Python is.

    Raises:
        SystemExit: it was left with `KeyboardInterrupt` after such a signal.
    """
    until = 0.0

    def take(number: int, _: object) -> None:
        nonlocal until
        come()
        _came.append(number)
        if len(_came) == 1:
            until = time.monotonic() + patience
            if _listeners:
                _listeners[-1]()
            elif callable(signal.getsignal(signal.SIGINT)):
                signal.raise_signal(signal.SIGINT)  # a loop's own way
            else:
                raise KeyboardInterrupt
        elif time.monotonic() > until:  # a shell that ends with its window sends another one, in the middle of leaving
            raise KeyboardInterrupt

    before = {}
    for number in (getattr(signal, name) for name in _ENDING if hasattr(signal, name)):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            with contextlib.suppress(ValueError):  # outside the main thread
                before[number] = signal.signal(number, take)
    try:
        yield
    except KeyboardInterrupt:
        if (came := ended()) is None:
            raise
        raise SystemExit(128 + came) from None
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

    Where the talk is ended already, it is called at once. Who ignores Ctrl-C, and is at no terminal, goes on with that.
    """
    before = signal.getsignal(signal.SIGINT)
    is_ignored = before == signal.SIG_IGN and not os.isatty(0)
    try:
        signal.signal(signal.SIGINT, before if is_ignored else lambda *_: press())
    except ValueError:
        yield
        return
    _listeners.append(press)
    try:
        if _came:
            press()
        yield
    finally:
        _listeners.pop()
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """Let what is done here not be broken off by one Ctrl-C; the next one does it."""
    pressed = 0

    def press() -> None:
        nonlocal pressed
        pressed += 1
        if pressed > 1:
            raise KeyboardInterrupt

    with listening(press):
        yield


def stoppable(runner: asyncio.Runner, waiting: Coroutine[Any, Any, T], *, after: int = 1) -> T:
    """Wait until it is done; Ctrl-C cancels it, once.

    Args:
        runner: runs it.
        waiting: what is waited for.
        after: how many of them it takes.

    Raises:
        Stopped: it was cancelled, and has cleaned up.
    """
    loop = runner.get_loop()
    task: asyncio.Task[Any] | None = None
    pressed = 0

    def press() -> None:
        nonlocal pressed
        pressed += 1
        if pressed == after:
            loop.call_soon_threadsafe(lambda: task is not None and task.cancel())
        elif pressed > _MOST:
            raise KeyboardInterrupt

    async def wait() -> T:
        nonlocal task
        task = asyncio.current_task()
        if pressed >= after:  # before there was a task to cancel
            waiting.close()
            raise Stopped
        try:
            return await waiting
        except asyncio.CancelledError:
            if pressed >= after:
                raise Stopped from None
            raise

    with listening(press):
        return runner.run(wait())


def interruptible(runner: asyncio.Runner, waiting: Coroutine[Any, Any, T]) -> T:
    """Wait until it is done; Ctrl-C cancels it.

    Raises:
        KeyboardInterrupt: it was cancelled, and has cleaned up.
    """
    try:
        return stoppable(runner, waiting)
    except Stopped:
        raise KeyboardInterrupt from None


def finished(runner: asyncio.Runner, doing: Coroutine[Any, Any, T]) -> T:
    """Do what must not be left half done: one Ctrl-C does not end it, the next one does.

    Raises:
        KeyboardInterrupt: the second one.
    """
    task = runner.get_loop().create_task(doing)
    if _listeners:  # who listens already counts them
        runner.run(_done(task))
    else:
        try:
            stoppable(runner, _done(task), after=2)
        except Stopped:
            raise KeyboardInterrupt from None
    return task.result()


async def _done(task: asyncio.Task[Any]) -> None:
    await asyncio.wait([task])
