"""`Store`: everything that can be asked of what is kept, and every change to it, each in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from . import statements
from .engine import named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeVar

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

    from skk.messages import Message

    from .ending import Begun
    from .engine import Address
    from .rows import ConversationRow, Found, MessageRow, Saved, UserRow

    T = TypeVar("T")

__all__ = ["Store"]


class Store:
    """Users, conversations and messages that survive. `open_store` gives one; it belongs to the loop it was opened in.

    Each method is one transaction: all of it is there for everybody, or nothing. What `create` and `save` have
    returned survives the end of the process in any form, and of the power.

    Raises (each method):
        StoreError: the database cannot do it; nothing has changed.
        StoreBusyError: others have kept it busy for longer than `patience`.
    """

    def __init__(
        self, engine: AsyncEngine, where: Address, now: Callable[[], float], indexed: bool, begun: Begun
    ) -> None:
        self._engine = engine
        self._where = where
        self._now = now
        self._indexed = indexed
        self._begun = begun
        self._turn = asyncio.Lock()  # SQLite has one writer: ours wait here, in order, instead of trying again there

    def __repr__(self) -> str:
        return f"Store({self._where.name!r})"

    async def users(self) -> list[UserRow]:
        """Give all users, the last used first."""
        return await self._read(statements.users)

    async def conversations(
        self, user: str | None = None, *, limit: int | None = None, offset: int = 0
    ) -> list[ConversationRow]:
        """Give a user's conversations, or everybody's, the last used first.

        Args:
            user: whose; None for everybody's.
            limit: how many at most.
            offset: how many to skip.
        """
        return await self._read(lambda c: statements.conversations(c, user, limit, offset))

    async def find(self, id: str) -> ConversationRow:
        """Give the conversation with this id, or whose id alone begins so.

        Args:
            id: the whole of it, or four characters or more.

        Raises:
            ConversationNotFoundError: there is none.
            AmbiguousConversationError: there are several.
        """
        return await self._read(lambda c: statements.find(c, id))

    async def create(
        self,
        user: str,
        messages: Sequence[Message] = (),
        *,
        title: str = "",
        model: str | None = None,
        system: str | None = None,
        max_messages: int | None = None,
    ) -> tuple[ConversationRow, Saved]:
        """Make a conversation, and its user if that name is new.

        Args:
            user: the name; blanks around it do not count.
            messages: what it begins with.
            title, model, system, max_messages: what is to be remembered about it.

        Raises:
            StoreValueError: the name is empty.
        """
        about = {"title": title, "model": model, "system": system, "max_messages": max_messages}
        return await self._write(lambda c: statements.create(c, user, messages, about, self._now()))

    async def create_all(
        self,
        talks: Iterable[tuple[str, Sequence[Message], str]],
        longer: Iterable[tuple[str, int, Sequence[Message]]] = (),
    ) -> list[ConversationRow]:
        """Make several conversations, and let others go on, all or none; give these and those.

        Args:
            talks: of each new one the user's name, the messages and the title.
            longer: of each that goes on the id, the version that the caller has read, and what comes at the end.

        Raises:
            StoreValueError: a name is empty.
            ConversationChangedError: somebody has saved one of them since.
            ConversationNotFoundError: one of them is no more there.
        """
        new = [(user, messages, {"title": title}) for user, messages, title in talks]
        return await self._write(lambda c: statements.create_all(c, new, tuple(longer), self._now))

    async def read(self, id: str, *, trimmed: bool = False) -> tuple[ConversationRow, list[MessageRow]]:
        """Give a conversation and its messages in order, as they were at one moment.

        Args:
            id: the whole id.
            trimmed: those too that the limit has let go.

        Raises:
            ConversationNotFoundError: there is none.
        """
        return await self._read(lambda c: statements.read(c, id, trimmed))

    async def version(self, id: str) -> int:
        """Tell a conversation's version, to see whether somebody has saved since.

        Raises:
            ConversationNotFoundError: there is none.
        """
        return await self._read(lambda c: statements.version(c, id))

    async def save(
        self,
        id: str,
        version: int,
        *,
        add: Sequence[Message] = (),
        put: Mapping[int, Message] | None = None,
        trim: Iterable[int] = (),
        drop: Iterable[int] = (),
        **about: Any,
    ) -> Saved:
        """Change a conversation: first `put`, then `trim`, then `drop`, then `add`, all or nothing.

        Args:
            id: the whole id.
            version: the one that the caller has read.
            add: messages that come at the end.
            put: ``{position: message}`` that stand there from now on and are kept, pinned or not as they say.
                A position whose message was trimmed or dropped has it back.
            trim: positions whose messages the limit has let go. They are no more read, but found.
            drop: positions whose messages are forgotten.
            about: ``title=``, ``model=``, ``system=``, ``max_messages=``, as far as they change.

        Raises:
            ConversationChangedError: somebody has saved since; nothing has changed.
            ConversationNotFoundError: there is none.
            StoreValueError: `put` names a position that no message ever had.
        """
        statements.check_about(about)
        change = statements.Change(tuple(add), dict(put or {}), tuple(trim), tuple(drop), about)
        return await self._write(lambda c: statements.save(c, id, version, change, self._now()))

    async def remove(self, id: str) -> None:
        """Forget a conversation with all its messages.

        Raises:
            ConversationNotFoundError: there is none.
        """
        await self._write(lambda c: statements.remove(c, id))

    async def search(self, text: str, *, user: str | None = None, limit: int = 20) -> list[Found]:
        """Give the messages that hold a text, the newest first; trimmed ones too.

        Args:
            text: any text, of one character or more. Upper and lower case are the same, nothing in it is a pattern.
            user: whose; None for everybody's.
            limit: how many at most.

        Raises:
            StoreValueError: the text is empty.
        """
        return await self._read(lambda c: statements.search(c, text, user, limit, self._indexed))

    async def questions(self, user: str, limit: int = 1000) -> list[str]:
        """Give what a user has asked last, as plain text, the newest first.

        Args:
            user: whose.
            limit: how many at most.
        """
        return await self._read(lambda c: statements.questions(c, user, limit))

    async def _read(self, ask: Callable[[Connection], T]) -> T:
        return await self._begun.to_its_end(
            self._transaction(ask, {"isolation_level": "REPEATABLE READ"}, self._where.dsn)
        )

    async def _write(self, change: Callable[[Connection], T]) -> T:
        return await self._begun.to_its_end(self._writing(change))

    async def _writing(self, change: Callable[[Connection], T]) -> T:
        async with contextlib.nullcontext() if self._where.dsn else self._turn:
            return await self._transaction(change, {"skk_writes": True})

    async def _transaction(self, work: Callable[[Connection], T], options: dict[str, Any], when: object = True) -> T:
        with named(self._where):
            async with self._engine.connect() as connection:
                if when:
                    await connection.execution_options(**options)
                async with connection.begin():
                    return await connection.run_sync(work)
