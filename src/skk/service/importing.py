"""Talks that were held elsewhere become conversations."""

from __future__ import annotations

from skk.messages import decode
from skk.store import storable

from .title import title_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from skk.messages import Message
    from skk.store import ConversationRow, Store

__all__ = ["import_talks"]


async def import_talks(store: Store, talks: Iterable[tuple[str, Sequence[Message]]]) -> list[ConversationRow]:
    """Keep talks, all or none, and give those that were new.

    A talk is not new if one of the user's conversations begins with its messages: then nothing of it would be
    gained, also where that conversation has been gone on with.

    Args:
        store: where they are kept.
        talks: of each the user's name and the messages.

    Raises:
        StoreValueError: a name is empty.
    """
    new: list[tuple[str, Sequence[Message], str]] = []
    for user, messages in talks:
        title = title_of(decode(messages))
        talk = (user, messages, title)
        if talk not in new and not await _is_kept(store, user, [m.data for m in messages], storable(title)):
            new.append(talk)
    return await store.create_all(new) if new else []


async def _is_kept(store: Store, user: str, wanted: list[bytes], title: str) -> bool:
    for row in await store.conversations(user):
        if row.title == title:  # few are read
            _, rows = await store.read(row.id, trimmed=True)
            if [kept.message.data for kept in rows[: len(wanted)]] == wanted:
                return True
    return False
