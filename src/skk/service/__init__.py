"""What the doors share: conversations that are kept. No door, no screen, no SQL.

`Conversation` is a chat whose history is kept in the store; what another process did to it is seen, and never
overwritten. `import_talks` keeps talks that were held elsewhere. The store itself (`open_store`, `backup`, `restore`)
is handed on, for the lists that a door shows.
Everything here is async.
"""

from skk.store import ConversationRow, Found, MessageRow, Store, UserRow, is_there, open_store

from .conversation import Conversation

__all__ = [
    "Conversation",
    "ConversationRow",
    "Found",
    "MessageRow",
    "Store",
    "UserRow",
    "backup",
    "divided",
    "import_talks",
    "is_there",
    "open_store",
    "restore",
    "user_name",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from skk.store import backup, restore, user_name

    from .finding import divided
    from .importing import import_talks

# Loaded by the few that use them.
_WHERE = {
    "backup": "skk.store",
    "divided": ".finding",
    "import_talks": ".importing",
    "restore": "skk.store",
    "user_name": "skk.store",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(_WHERE[name], __name__), name)
    return found


def __dir__() -> list[str]:
    return __all__
