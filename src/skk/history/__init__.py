"""What is remembered: the messages of one conversation, their pins and limit, and their file form.

A history is one tuple of messages that is replaced, never edited: a snapshot is a reference, and a
change is one assignment. What a request is made of is decided here (`History.window`); how it is
sent is not.
"""

from __future__ import annotations

from .history import Change, History, TurnRecord

__all__ = ["Change", "History", "TurnRecord", "read_archive", "write_archive"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .archive import read_archive, write_archive


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import archive  # loaded by the few that save

    return getattr(archive, name)


def __dir__() -> list[str]:
    return __all__
