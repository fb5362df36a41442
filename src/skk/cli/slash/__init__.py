"""The commands in a talk: ``/rollback``, ``/pin`` … What they show goes to stdout, like an answer."""

from __future__ import annotations

from skk.errors import ConfigurationError
from skk.texts import mark, say

from . import asking, files, history
from .words import Misspelt, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from skk.cli.chat import Talk

    Doing = Callable[[Talk, str], None]

__all__ = ["commands", "obey"]


def obey(talk: Talk, name: str, argument: str) -> bool:
    """Do what a command wants; True if the talk is over.

    Raises:
        ConfigurationError: there is no such command, or it is written otherwise.
        SkkError, OSError, ValueError: it failed.
    """
    if name not in _COMMANDS:
        raise ConfigurationError(mark("there is no command /{name}: /help lists them"), name=name)
    do, form, _ = _COMMANDS[name]
    if do is None:
        return True
    try:
        do(talk, argument)
    except Misspelt:
        raise ConfigurationError(mark("write it like this: {form}"), form=form) from None
    return False


def commands() -> list[tuple[str, str]]:
    """Give the commands: each one's name and what it does."""
    return [(name, say(does)) for name, (_, _, does) in _COMMANDS.items()]


def _help(talk: Talk, _: str) -> None:
    width = max(len(form) for _, form, _ in _COMMANDS.values())
    for _doing, form, does in _COMMANDS.values():
        show(talk, f"{form:<{width}} {say(does)}")


# What does it, how it is written, and what it does. None leaves.
_COMMANDS: dict[str, tuple[Doing | None, str, str]] = {
    "edit": (asking.edit, "/edit [QUESTION]", mark("change the last question, and ask it in the place of the old one")),
    "regenerate": (asking.regenerate, "/regenerate", mark("ask the last question again, for another answer")),
    "rollback": (history.rollback, "/rollback [N]", mark("take back the last N turns, or the last one")),
    "undo": (history.undo, "/undo [N]", mark("undo the last N changes of the history, or the last one")),
    "remove": (history.remove, "/remove I...", mark("remove the messages with these numbers")),
    "clear": (history.clear, "/clear", mark("remove all messages; /undo brings them back")),
    "pin": (
        history.pin,
        "/pin I...",
        mark("pin the messages with these numbers: they stay when --max-messages is reached"),
    ),
    "unpin": (history.unpin, "/unpin I...", mark("unpin the messages with these numbers")),
    "history": (history.history, "/history", mark("show the history with its numbers; * is pinned")),
    "window": (
        history.window,
        "/window [QUESTION]",
        mark("show what the model will see, and what it will not and why"),
    ),
    "new": (asking.new, "/new", mark("begin another conversation; this one stays kept")),
    "fork": (asking.fork, "/fork", mark("go on in a copy of this conversation; this one stays as it is")),
    "attach": (
        files.attach,
        "/attach [FILE]",
        mark("put a picture or a file into the next question, or show which; @FILE in a question does it too"),
    ),
    "detach": (files.detach, "/detach", mark("attach nothing to the next question")),
    "image": (files.image, "/image PROMPT", mark("have a picture drawn, saved as a PNG file in the current folder")),
    "model": (asking.model, "/model [NAME]", mark("show the model, or ask another one from now on")),
    "system": (asking.system, "/system [TEXT]", mark("show what the model is to be, or say it anew")),
    "keys": (asking.keys, "/keys", mark("show which key pays, and how each key of several is doing")),
    "usage": (
        asking.usage,
        "/usage",
        mark("show the tokens that this talk has taken, as the service counted them"),
    ),
    "save": (files.save, "/save FILE", mark("save the history as a JSON file")),
    "load": (files.load, "/load FILE", mark("add the messages of a JSON file to the history")),
    "export": (
        files.export,
        "/export FILE.md|.txt|.json",
        mark("write the conversation as a document: .md, .txt or .json by the file's ending"),
    ),
    "help": (_help, "/help", mark("this list; a line that begins with a blank is never a command")),
    "quit": (None, "/quit", mark("leave, as Ctrl-D does; Ctrl-C stops an answer")),
}
