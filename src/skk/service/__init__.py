"""What the doors share: conversations that are kept. No door, no screen, no SQL.

`Conversation` is a chat whose history is kept in the store; what another process did to it is seen, and never
overwritten. The store itself (`open_store`) is handed on, for the lists that a door shows.
Everything here is async.
"""

from skk.store import ConversationRow, Found, MessageRow, Store, UserRow, open_store

from .conversation import Conversation

__all__ = [
    "Conversation",
    "ConversationRow",
    "Found",
    "MessageRow",
    "Store",
    "UserRow",
    "open_store",
]
