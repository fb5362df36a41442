"""The commands that show and change what is remembered: ``/rollback``, ``/pin``, ``/window`` and their like."""

from __future__ import annotations

import contextlib
import io

from skk.cli.render import clean, indented
from skk.texts import mark, say

from .words import number, numbers, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from skk.cli.chat import Talk

__all__ = ["clear", "history", "pin", "remove", "rollback", "undo", "unpin", "window"]

_EMPTY = mark("the history is empty")


def rollback(talk: Talk, argument: str) -> None:
    count = number(argument)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        talk.take_back(lambda: talk.chat.rollback(count))
    show(talk, clean(printed.getvalue()).rstrip("\n") or say(mark("no turn is left")))


def undo(talk: Talk, argument: str) -> None:
    count = number(argument)
    if count and not talk.take_back(lambda: talk.chat.undo(count)):
        show(talk, say(mark("there is nothing to undo")))
    else:
        history(talk)


def remove(talk: Talk, argument: str) -> None:
    places = numbers(argument)
    talk.take_back(lambda: talk.chat.remove(*places))
    history(talk)


def clear(talk: Talk, _: str) -> None:
    talk.take_back(talk.chat.clear)
    history(talk)


def pin(talk: Talk, argument: str) -> None:
    talk.chat.pin(*numbers(argument))
    history(talk)


def unpin(talk: Talk, argument: str) -> None:
    talk.chat.unpin(*numbers(argument))
    history(talk)


def history(talk: Talk, _: str = "") -> None:
    pinned = set(talk.chat.pinned)
    messages = talk.chat.fetch_messages()
    for index, message in enumerate(messages):
        show(talk, f"{index:>3}{'*' if index in pinned else ' '} {_line(message)}")
    if not messages:
        show(talk, say(_EMPTY))


def window(talk: Talk, argument: str) -> None:
    found = talk.chat.window(*([argument] if argument else []))
    faint, end = ("\x1b[2m", "\x1b[0m") if talk.environment.draws else ("", "")
    for left in found.left_out:
        show(talk, f"{faint}{left.index:>3}- {_line(left.message)} ({left.reason}){end}")
    for message in found:
        show(talk, f"   > {_line(message)}")
    if not found:
        show(talk, say(_EMPTY))


def _line(message: dict[str, Any]) -> str:
    from skk.messages import plain_text

    return f"[{clean(message['role'])}] {indented(clean(plain_text(message)))}"
