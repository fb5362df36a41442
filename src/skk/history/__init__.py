"""What is remembered: the messages of one conversation, their pins and limit, and their file form.

A history is one tuple of messages that is replaced, never edited: a snapshot is a reference, and a
change is one assignment. What a request is made of is decided here (`History.window`); how it is
sent is not.
"""

from __future__ import annotations

from .history import Change, History

__all__ = [
    "PRIMING",
    "Change",
    "History",
    "TokenCounter",
    "Window",
    "read_archive",
    "read_talks",
    "replace_atomically",
    "update_atomically",
    "write_archive",
    "write_atomically",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .archive import read_archive, read_talks, write_archive
    from .atomic import replace_atomically, update_atomically, write_atomically
    from .tokens import PRIMING, TokenCounter
    from .window import Window

# Loaded by the few that use them.
_WHERE = {
    "PRIMING": "tokens",
    "TokenCounter": "tokens",
    "Window": "window",
    "read_archive": "archive",
    "read_talks": "archive",
    "replace_atomically": "atomic",
    "update_atomically": "atomic",
    "write_archive": "archive",
    "write_atomically": "atomic",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
