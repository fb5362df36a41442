"""`Conversation`: a chat, and where its history is kept."""

from __future__ import annotations

from skk.errors import ConversationChangedError, ConversationNotFoundError

from .title import title_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from skk.messages import Message
    from skk.openai import Chat
    from skk.store import ConversationRow, Store

    T = TypeVar("T")

__all__ = ["Conversation"]


class _Changes:
    """What a history holds now, against what is kept of it.

    Attributes:
        put: what came back or was pinned, by its place.
        add: what is new.
        gone: the places of what the history holds no more.
    """

    def __init__(
        self, now: tuple[Message, ...], kept: dict[int, Message], known: dict[int, tuple[Message, int]]
    ) -> None:
        self.put: dict[int, Message] = {}
        self.add: list[Message] = []
        gone = dict(kept)
        strange: list[Message] = []
        for message in now:
            if (found := known.get(id(message))) is None:
                strange.append(message)
            elif gone.pop(found[1], None) is not message:
                self.put[found[1]] = message
        for message in strange:  # a pin makes another message of it
            place = next(
                (at for at, was in gone.items() if was.data == message.data and was.pinned != message.pinned), None
            )
            if place is None:
                self.add.append(message)
            else:
                self.put[place] = message
                del gone[place]
        self.gone = gone

    def __bool__(self) -> bool:
        return bool(self.put or self.add or self.gone)


class Conversation:
    """A chat whose history is kept. Nothing is written before something was said.

    What the limit took out of the history stays in the store, marked; what was taken back is deleted there.

    Args:
        store: where it is kept.
        user: whose it is.
        chat: holds it.

    Attributes:
        chat: the chat.
        user: whose it is.
    """

    def __init__(self, store: Store, user: str, chat: Chat) -> None:
        self.chat = chat
        self.user = user
        self._store = store
        self._row: ConversationRow | None = None
        self._version = 0
        self._kept: dict[int, Message] = {}  # by place, in order
        self._known: dict[
            int, tuple[Message, int]
        ] = {}  # by id: every message that was kept, which undo may bring back
        self._taken_back: set[int] = set()  # ids
        self._about: dict[str, Any] = {}

    @property
    def id(self) -> str | None:
        """Its name in the store; None before anything was kept."""
        return None if self._row is None else self._row.id

    @property
    def title(self) -> str:
        """What it is about: how its first question begins."""
        return title_of(self.chat.fetch_messages())

    async def resume(
        self, id: str, *, model: str | None = None, system: str | None = None, max_messages: int | None = None
    ) -> None:
        """Go on with what is kept under this id: the chat holds its messages then, and its settings.

        Args:
            id: the whole id.
            model, system, max_messages: what the chat was given instead of what is kept; None for nothing.

        Raises:
            ConversationNotFoundError: nothing is kept under this id.
        """
        row = await self._store.find(id)
        if model is None and row.model is not None:
            self.chat.model = row.model
        if system is None:
            self.chat.system = row.system
        if max_messages is None:
            self.chat.msg_max_count = row.max_messages
        await self._read(id)

    def take_back(self, change: Callable[[], T]) -> T:
        """Make a change that takes messages back: what is gone after it is deleted at the next `save`."""
        before = self.chat.history.messages
        try:
            return change()
        finally:
            self._taken_back.update(map(id, before))
            self._taken_back.difference_update(map(id, self.chat.history.messages))

    async def refresh(self) -> bool:
        """Take in what other processes have done; True if there was something.

        If the conversation was removed meanwhile, the chat keeps its messages, and the next `save` keeps them anew.
        """
        if self._row is None:
            return False
        try:
            if await self._store.version(self._row.id) == self._version:
                return False
            await self._read(self._row.id)
        except ConversationNotFoundError:
            self._forget()
        return True

    async def save(self) -> None:
        """Keep what the chat holds. When it returns, that survives the end of this process, whatever ends it.

        What another process has added meanwhile stays, and stands before what is new here.

        Raises:
            ConversationChangedError: another process has changed the conversation in a way that does not go together
                with the changes made here; the chat holds what is kept then.
            StoreError: it cannot be kept; the chat is as it was.
        """
        while True:
            changes = self._changes()
            about = self._news()
            if not changes and not about:
                return
            try:
                await self._write(changes, about)
                return
            except ConversationNotFoundError:
                self._forget()
            except ConversationChangedError:
                assert self._row is not None
                row = self._row.id
                if changes.put or any(id(m) in self._taken_back for m in changes.gone.values()):
                    await self._read(row)
                    raise
                await self._read(row, changes.add)

    def _changes(self) -> _Changes:
        return _Changes(self.chat.history.messages, self._kept, self._known)

    def _news(self) -> dict[str, Any]:
        """Give what is to be kept beside the messages, as far as it is not."""
        if self._row is None and not self.chat.history.messages:
            return {}
        about = {"model": self.chat.model, "system": self.chat.system, "max_messages": self.chat.msg_max_count}
        if not self._about.get("title"):
            about["title"] = self.title
        return {name: value for name, value in about.items() if name not in self._about or self._about[name] != value}

    async def _write(self, changes: _Changes, about: dict[str, Any]) -> None:
        if self._row is None:
            self._row, saved = await self._store.create(self.user, changes.add, **about)
        else:
            drop = [place for place, m in changes.gone.items() if id(m) in self._taken_back]
            saved = await self._store.save(
                self._row.id,
                self._version,
                add=changes.add,
                put=changes.put,
                drop=drop,
                trim=[place for place in changes.gone if place not in drop],
                **about,
            )
        self._version = saved.version
        self._about.update(about)
        self._keep({**self._kept, **changes.put, **dict(zip(saved.positions, changes.add, strict=True))}, changes.gone)

    def _keep(self, kept: dict[int, Message], gone: dict[int, Message]) -> None:
        self._kept = {place: kept[place] for place in sorted(kept) if place not in gone}
        self._known.update({id(message): (message, place) for place, message in self._kept.items()})
        self._taken_back.clear()

    async def _read(self, id: str, new: list[Message] | None = None) -> None:
        """Take over what is kept, and let `new` follow it. A message that was known stays the one it was."""
        self._row, rows = await self._store.read(id)
        self._version = self._row.version
        known = {place: message for message, place in self._known.values()}
        same = {r.position: known[r.position] if known.get(r.position) == r.message else r.message for r in rows}
        self._about = {name: getattr(self._row, name) for name in ("title", "model", "system", "max_messages")}
        self._known = {}
        self._keep(same, {})
        self.chat.history.restore((*same.values(), *(new or ())))

    def _forget(self) -> None:
        """Keep it anew at the next time: what was kept is gone."""
        self._row, self._version, self._kept, self._known, self._about = None, 0, {}, {}, {}
