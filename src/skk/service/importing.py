"""Talks that were held elsewhere become conversations."""

from __future__ import annotations

from typing import NamedTuple

from skk.errors import ConversationChangedError, ConversationNotFoundError
from skk.messages import decode
from skk.store import ConversationRow, storable, user_name

from .title import title_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from skk.messages import Message
    from skk.store import MessageRow, Store

__all__ = ["Imported", "import_talks"]


class Imported(NamedTuple):
    """What an import has done.

    Attributes:
        new: the conversations that were made.
        longer: those that were kept already, and went on.
    """

    new: list[ConversationRow]
    longer: list[ConversationRow]


async def import_talks(store: Store, talks: Iterable[tuple[str, Sequence[Message]]]) -> Imported:
    """Keep talks, all or none.

    A talk that one of the user's conversations begins with is kept already, also where that has been gone on with.
    One that begins with all of such a conversation goes on in it. Any other becomes a conversation.

    What was taken back in a conversation does not come back in it: a talk of which all else stands there, each message
    at its place, is kept already; one that goes on beyond that becomes a conversation of its own.

    Args:
        store: where they are kept.
        talks: of each the user's name and the messages.

    Raises:
        StoreValueError: a name is empty.
    """
    wanted = _longest(talks)
    while True:
        new: list[tuple[str, Sequence[Message], str]] = []
        longer: dict[str, tuple[int, Sequence[Message]]] = {}
        for user, messages in wanted:
            title = title_of(decode(messages))
            kept = await _kept(store, user, messages, storable(title), longer)
            if kept is None:
                new.append((user, messages, title))
            elif len(messages) > kept[1]:
                longer[kept[0].id] = kept[0].version, messages[kept[1] :]
        if not (new or longer):
            return Imported([], [])
        try:
            rows = await store.create_all(new, [(id, *more) for id, more in longer.items()])
        except (ConversationChangedError, ConversationNotFoundError):  # another program was faster: look again
            continue
        return Imported(rows[: len(new)], rows[len(new) :])


def _longest(talks: Iterable[tuple[str, Sequence[Message]]]) -> list[tuple[str, Sequence[Message]]]:
    """Leave out what another of the user's talks begins with."""
    found = [*{(user_name(user), *_said(messages)): (user, messages) for user, messages in talks}.items()]
    return [
        talk
        for said, talk in found
        if not any(len(said) < len(other) and other[: len(said)] == said for other, _ in found)
    ]


def _said(messages: Iterable[Message]) -> list[bytes]:
    return [message.data for message in messages]


async def _kept(
    store: Store, user: str, messages: Sequence[Message], title: str, taken: Iterable[str]
) -> tuple[ConversationRow, int] | None:
    """Give the conversation that shares most of a talk's beginning, and how much; None if what it holds is another."""
    wanted, best = _said(messages), None
    for row in await store.conversations(user):
        if row.title != title or row.id in taken:  # few are read
            continue
        try:
            row, rows = await store.read(row.id, trimmed=True)
        except ConversationNotFoundError:  # removed meanwhile
            continue
        kept = _shared(wanted, rows, row.next)
        if kept and (best is None or kept > best[1]):
            best = row, kept
    return best


def _shared(wanted: list[bytes], rows: Sequence[MessageRow], end: int) -> int:
    """Give how many of a talk's first messages need not be added to a conversation; 0 if that holds another talk.

    Args:
        wanted: the talk.
        rows: what the conversation holds, trimmed messages too.
        end: the place of its next message.
    """
    if not rows:
        return 0
    kept = _said(one.message for one in rows[: len(wanted)])
    if kept == wanted[: len(kept)] and (len(kept) == len(wanted) or rows[-1].position == end - 1):
        return len(kept)
    # what was taken back is gone, but it has left its places: in a talk that was saved at once they are those it had
    there = {one.position: one for one in rows if one.position < len(wanted)}
    is_whole = len(wanted) <= end and all(
        one.message.data == wanted[place] and one.saved_at == rows[0].saved_at for place, one in there.items()
    )
    return len(wanted) if is_whole and 0 in there else 0
