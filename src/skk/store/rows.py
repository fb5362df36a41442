"""What a store gives: plain values, as they were when it was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from skk.messages import Message

__all__ = ["ConversationRow", "Found", "MessageRow", "Saved", "UserRow"]


class UserRow(NamedTuple):
    """A user.

    Attributes:
        name: as it was given, in Unicode's composed form and without blanks around it.
        conversations: how many there are.
        used_at: when one of them was last saved, in seconds since 1970.
    """

    name: str
    conversations: int
    used_at: float


class ConversationRow(NamedTuple):
    """A conversation, without its messages.

    Attributes:
        id: its name for programs and people: a letter first, ten characters.
        user: whose it is.
        title, model, system, max_messages: what was said about it.
        created_at, used_at: when it was made and last saved, in seconds since 1970.
        version: grows with each save; who saves says which one they read.
        messages: how many are kept.
        next: the place of the next message; those below it that hold none were taken back.
    """

    id: str
    user: str
    title: str
    model: str | None
    system: str | None
    max_messages: int | None
    created_at: float
    used_at: float
    version: int
    messages: int
    next: int


class MessageRow(NamedTuple):
    """A message and its place.

    Attributes:
        position: its place in the conversation, never given to another message.
        message: the message, with its pin.
        trimmed: whether the limit has let it go; it is kept to be searched and to be brought back.
        saved_at: when it was first saved, in seconds since 1970.
    """

    position: int
    message: Message
    trimmed: bool
    saved_at: float


class Saved(NamedTuple):
    """What a save has done.

    Attributes:
        version: the conversation's version now.
        positions: where the added messages stand.
    """

    version: int
    positions: tuple[int, ...]


class Found(NamedTuple):
    """A message that holds what was looked for.

    Attributes:
        conversation: where it stands.
        position: its place there.
        role: who speaks.
        text: what it says, as plain text.
        saved_at: when it was first saved, in seconds since 1970.
    """

    conversation: ConversationRow
    position: int
    role: str
    text: str
    saved_at: float
