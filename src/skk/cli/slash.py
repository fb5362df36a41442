"""The commands in a talk: ``/rollback``, ``/pin`` … What they show goes to stdout, like an answer."""

from __future__ import annotations

import contextlib
import io
import time

from skk.errors import ConfigurationError
from skk.texts import mark, say

from .environment import native
from .render import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .chat import Talk

__all__ = ["commands", "obey"]

_FORMS = {
    "rollback": ("/rollback [N]", mark("take back the last N turns, or the last one")),
    "undo": ("/undo [N]", mark("undo the last N changes of the history, or the last one")),
    "remove": ("/remove I...", mark("remove the messages with these numbers")),
    "clear": ("/clear", mark("remove all messages; /undo brings them back")),
    "pin": ("/pin I...", mark("pin the messages with these numbers: they stay when --max-messages is reached")),
    "unpin": ("/unpin I...", mark("unpin the messages with these numbers")),
    "history": ("/history", mark("show the history with its numbers; * is pinned")),
    "window": ("/window [QUESTION]", mark("show what the model will see, and what it will not and why")),
    "usage": ("/usage", mark("show the tokens that this talk has taken, as the service counted them")),
    "model": ("/model [NAME]", mark("show the model, or ask another one from now on")),
    "system": ("/system [TEXT]", mark("show what the model is to be, or say it anew")),
    "save": ("/save FILE", mark("save the history as a JSON file")),
    "load": ("/load FILE", mark("add the messages of a JSON file to the history")),
    "image": ("/image PROMPT", mark("have a picture drawn, saved as a PNG file in the current folder")),
    "help": ("/help", mark("this list; a line that begins with a blank is never a command")),
    "quit": ("/quit", mark("leave, as Ctrl-D does; Ctrl-C stops an answer")),
}


def commands() -> list[tuple[str, str]]:
    """Give the commands: each one's name and what it does."""
    return [(name, say(does)) for name, (_, does) in _FORMS.items()]


def obey(talk: Talk, name: str, argument: str) -> bool:
    """Do what a command wants; True if the talk is over.

    Raises:
        ConfigurationError: there is no such command, or it is written otherwise.
        SkkError, OSError, ValueError: it failed.
    """
    if name == "quit":
        return True
    if name not in _COMMANDS:
        raise ConfigurationError(mark("there is no command /{name}: /help lists them"), name=name)
    _COMMANDS[name](talk, argument)
    return False


def _rollback(talk: Talk, argument: str) -> None:
    count = _numbers("rollback", argument or "1")
    if len(count) != 1:
        raise _misspelt("rollback")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        talk.take_back(lambda: talk.chat.rollback(count[0]))
    talk.environment.write(clean(printed.getvalue()) or say(mark("no turn is left")) + "\n")


def _undo(talk: Talk, argument: str) -> None:
    count = _numbers("undo", argument or "1")
    if len(count) != 1:
        raise _misspelt("undo")
    if count[0] and not talk.take_back(lambda: talk.chat.undo(count[0])):
        talk.environment.write(say(mark("there is nothing to undo")) + "\n")
    else:
        _history(talk, "")


def _remove(talk: Talk, argument: str) -> None:
    places = _numbers("remove", argument)
    talk.take_back(lambda: talk.chat.remove(*places))
    _history(talk, "")


def _clear(talk: Talk, _: str) -> None:
    talk.take_back(talk.chat.clear)
    _history(talk, "")


def _window(talk: Talk, argument: str) -> None:
    window = talk.chat.window(*([argument] if argument else []))
    for left in window.left_out:
        _show(talk, f"{left.index:>3}-", left.message, f" ({left.reason})")
    for message in window:
        _show(talk, "   >", message)
    if not window:
        talk.environment.write(say(mark("the history is empty")) + "\n")


def _usage(talk: Talk, _: str) -> None:
    for name, count in talk.chat.usage.items():
        talk.environment.write(f"{name:<18} {count:>9,}\n")


def _model(talk: Talk, argument: str) -> None:
    if argument:
        talk.chat.model = argument
    talk.environment.write(clean(talk.chat.model) + "\n")


def _system(talk: Talk, argument: str) -> None:
    if argument:
        talk.chat.system = argument
    talk.environment.write((clean(talk.chat.system or "") or say(mark("no system message"))) + "\n")


def _pin(talk: Talk, argument: str) -> None:
    talk.chat.pin(*_numbers("pin", argument))
    _history(talk, "")


def _unpin(talk: Talk, argument: str) -> None:
    talk.chat.unpin(*_numbers("unpin", argument))
    _history(talk, "")


def _history(talk: Talk, _: str) -> None:
    pinned = set(talk.chat.pinned)
    messages = talk.chat.fetch_messages()
    for index, message in enumerate(messages):
        _show(talk, f"{index:>3}{'*' if index in pinned else ' '}", message)
    if not messages:
        talk.environment.write(say(mark("the history is empty")) + "\n")


def _show(talk: Talk, place: str, message: dict[str, Any], remark: str = "") -> None:
    from skk.messages import plain_text

    talk.environment.write(f"{place} [{clean(message['role'])}] {clean(plain_text(message))}{remark}\n")


def _save(talk: Talk, argument: str) -> None:
    talk.chat.dump(native(_needed("save", argument)))
    count = len(talk.chat.fetch_messages())
    talk.environment.write(say(mark("{path}: {count} messages saved"), path=clean(argument), count=count) + "\n")


def _load(talk: Talk, argument: str) -> None:
    talk.chat.load(native(_needed("load", argument)))
    count = len(talk.chat.fetch_messages())
    sentence = mark("{path}: loaded, the history now holds {count} messages")
    talk.environment.write(say(sentence, path=clean(argument), count=count) + "\n")


def _image(talk: Talk, argument: str) -> None:
    pictures = talk.run(talk.chat.async_dalle(_needed("image", argument)))
    for picture in pictures or ():
        talk.environment.write(_save_picture(picture) + "\n")


def _save_picture(data: bytes) -> str:
    """Save a picture in the current folder under a name that is free, and give the name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    number = 1
    while True:
        name = f"image-{stamp}-{number}.png"
        try:
            with open(name, "xb") as file:
                file.write(data)
            return name
        except FileExistsError:
            number += 1


def _help(talk: Talk, _: str) -> None:
    for form, does in _FORMS.values():
        talk.environment.write(f"{form:<18} {say(does)}\n")


_COMMANDS: dict[str, Callable[[Talk, str], None]] = {
    "rollback": _rollback,
    "undo": _undo,
    "remove": _remove,
    "clear": _clear,
    "pin": _pin,
    "unpin": _unpin,
    "history": _history,
    "window": _window,
    "usage": _usage,
    "model": _model,
    "system": _system,
    "save": _save,
    "load": _load,
    "image": _image,
    "help": _help,
}


def _misspelt(name: str) -> ConfigurationError:
    return ConfigurationError(mark("write it like this: {form}"), form=_FORMS[name][0])


def _needed(name: str, argument: str) -> str:
    if not argument:
        raise _misspelt(name)
    return argument


def _numbers(name: str, argument: str) -> list[int]:
    words = _needed(name, argument).replace(",", " ").split()
    try:
        return [int(word) for word in words]
    except ValueError:
        raise _misspelt(name) from None
