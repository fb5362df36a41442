"""One conversation: `Chat` and `GroupChat` bind history, keys and wire. Every verb is a few lines.

What the rules are is written in the rooms below; here they are only called.
"""

from __future__ import annotations

from .chat import Chat
from .stream import AsyncStream, Stream

__all__ = ["AsyncStream", "Chat", "GroupAnswer", "GroupChat", "Stream"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .group import GroupChat
    from .stage import GroupAnswer


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import group  # loaded by those who stage a play

    return getattr(group, name)


def __dir__() -> list[str]:
    return __all__
