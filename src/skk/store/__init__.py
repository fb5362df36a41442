"""What survives: users, their conversations and the messages in them, in SQLite or PostgreSQL.

`open_store` gives a `Store`; what it says is saved is on the disk. Here nothing is decided about a
conversation: which messages are kept, pinned or trimmed is the history's to say, who may see them the service's.
"""

from __future__ import annotations

from .rows import ConversationRow, Found, MessageRow, Saved, UserRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .copies import backup, restore
    from .engine import is_there
    from .opening import open_store
    from .store import Store
    from .text import fold, storable, user_name

__all__ = [
    "ConversationRow",
    "Found",
    "MessageRow",
    "Saved",
    "Store",
    "UserRow",
    "backup",
    "fold",
    "is_there",
    "open_store",
    "restore",
    "storable",
    "user_name",
]

# SQLAlchemy costs a quarter of a second: it is loaded when a store is opened, not when a program starts.
_PLACES = {
    "Store": "store",
    "backup": "copies",
    "fold": "text",
    "is_there": "engine",
    "open_store": "opening",
    "restore": "copies",
    "storable": "text",
    "user_name": "text",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return __all__
