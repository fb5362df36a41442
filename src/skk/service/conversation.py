"""`Conversation`: a chat, and where its history is kept."""

from __future__ import annotations

from skk.errors import ConversationChangedError, ConversationNotFoundError
from skk.messages import decode
from skk.texts import mark

from .title import title_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from skk.messages import Message
    from skk.openai import Chat
    from skk.store import ConversationRow, Store

    T = TypeVar("T")

__all__ = ["Conversation"]


# What is kept beside the messages: its name in the store, and that of the chat.
_SETTINGS = {"model": "model", "system": "system", "max_messages": "msg_max_count"}


class _Changes:
    """What a history holds now, against what is kept of it.

    Attributes:
        put: what came back or was pinned, by its place.
        let_go: what came and was let go by the limit, since.
        add: what is new.
        gone: the places of what the history holds no more.
    """

    def __init__(
        self,
        now: tuple[Message, ...],
        kept: dict[int, Message],
        known: dict[int, tuple[Message, int]],
        let_go: list[Message],
    ) -> None:
        self.put: dict[int, Message] = {}
        self.add: list[Message] = []
        here = {*known, *map(id, now)}
        self.let_go = [*{id(m): m for m in let_go if id(m) not in here}.values()]
        gone = dict(kept)
        strange: list[Message] = []
        for message in now:
            if (found := known.get(id(message))) is None:
                strange.append(message)
            elif gone.pop(found[1], None) is not message:
                self.put[found[1]] = message
        for message in strange:  # a pin makes another message of it
            twins = (at for at, was in gone.items() if was.data == message.data and was.pinned != message.pinned)
            if (place := next(twins, None)) is None:
                self.add.append(message)
            else:
                self.put[place] = message
                del gone[place]
        self.gone = gone

    def __bool__(self) -> bool:
        return bool(self.put or self.let_go or self.add or self.gone)


class Conversation:
    """A chat whose history is kept. Nothing is written before something was said.

    What the limit took out of the history stays in the store, marked; what was taken back is deleted there.

    Args:
        store: where it is kept.
        user: whose it is.
        chat: holds it.
        settings: whether the chat's model, system message and limit are kept too.

    Attributes:
        chat: the chat.
        user: whose it is.
    """

    def __init__(self, store: Store, user: str, chat: Chat, *, settings: bool = True) -> None:
        self.chat = chat
        self.user = user
        self._store = store
        self._settings = settings
        self._row: ConversationRow | None = None
        self._version = 0
        self._kept: dict[int, Message] = {}  # by place, in order
        # by id: those, and every one that was kept and that undo may bring back
        self._known: dict[int, tuple[Message, int]] = {}
        self._taken_back: set[int] = set()  # ids
        self._about: dict[str, Any] = {}
        self._removed: tuple[Message, ...] | None = None  # what the chat held when another process removed it
        self._let_go = chat.history.let_go = []  # what the limit has let go since the last save

    @property
    def id(self) -> str | None:
        """Its name in the store; None before anything was kept."""
        return None if self._row is None else self._row.id

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
        """Take in what other processes have done; True if there was something. What is not saved yet is saved first.

        If the conversation was removed meanwhile, the chat holds its messages; once more is said, they are kept anew.

        Raises:
            ConversationChangedError: see `save`.
            StoreError: the store does not answer; the chat is as it was.
        """
        before = self.chat.history.messages
        await self.save()
        if self._row is not None:
            try:
                if await self._store.version(self._row.id) != self._version:
                    await self._read(self._row.id)
                    return True
            except ConversationNotFoundError:
                self._forget()
                return True
        return self.chat.history.messages is not before

    async def save(self) -> None:
        """Keep what the chat holds. When it returns, that survives the end of this process, whatever ends it.

        What another process has added meanwhile stays, and stands before what is new here.

        Raises:
            ConversationChangedError: another process has changed the conversation, and what was pinned or taken back
                here does not go together with that: it is as it was. What was said is kept.
            StoreError: it cannot be kept; the chat is as it was.
        """
        conflict = None
        while True:
            changes = _Changes(self.chat.history.messages, self._kept, self._known, self._let_go)
            if self._row is None and (not changes or self.chat.history.messages is self._removed):
                break
            about = self._news(changes)
            if not changes and not about:
                break
            try:
                await self._write(changes, about)
            except ConversationNotFoundError:
                self._forget()
                self._removed = None  # something was said since
            except ConversationChangedError as error:
                assert self._row is not None
                if changes.put or any(id(m) in self._taken_back for m in changes.gone.values()):
                    conflict = error
                await self._read(self._row.id, changes.add)
        if conflict is not None:
            raise ConversationChangedError(
                mark(
                    "another program has changed this conversation: what was pinned or taken back here is as it was; "
                    "look at the history and do it again"
                ),
                id=self.id,
                version=self._version,
            ) from conflict

    def _news(self, changes: _Changes) -> dict[str, Any]:
        """Give what is to be kept beside the messages, as far as it is not."""
        about = {name: getattr(self.chat, attribute) for name, attribute in _SETTINGS.items()} if self._settings else {}
        title = self._about.get("title")
        taken_back = [m for m in changes.gone.values() if id(m) in self._taken_back]
        if not title or any(title_of(decode([m])) == title for m in taken_back):
            about["title"] = title_of(decode((*changes.let_go, *self.chat.history.messages)))
        return {name: value for name, value in about.items() if name not in self._about or self._about[name] != value}

    async def _write(self, changes: _Changes, about: dict[str, Any]) -> None:
        add = (*changes.let_go, *changes.add)
        if self._row is None:
            self._row, saved = await self._store.create(self.user, add, **about)
        else:
            drop = [place for place, m in changes.gone.items() if id(m) in self._taken_back]
            saved = await self._store.save(
                self._row.id,
                self._version,
                add=add,
                put=changes.put,
                drop=drop,
                trim=[place for place in changes.gone if place not in drop],
                **about,
            )
        self._version = saved.version
        self._about.update(about)
        gone = {*changes.gone, *(let_go := saved.positions[: len(changes.let_go)])}
        self._keep({**self._kept, **changes.put, **dict(zip(saved.positions, add, strict=True))}, gone)
        if let_go:  # should this not be reached, they are let go again by whoever goes on
            self._version = (await self._store.save(self._row.id, self._version, trim=let_go)).version

    def _keep(self, kept: dict[int, Message], gone: Iterable[int] = ()) -> None:
        self._kept = {place: kept[place] for place in sorted(kept) if place not in gone}
        known = {**self._known, **{id(message): (message, place) for place, message in kept.items()}}
        reach = {*map(id, self.chat.history.reach()), *map(id, self._kept.values())}
        self._known = {key: found for key, found in known.items() if key in reach}
        self._taken_back.clear()
        self._let_go.clear()

    async def _read(self, id: str, new: Iterable[Message] = ()) -> None:
        """Take over what is kept, and let `new` follow it. A message that was known stays the one it was."""
        self._row, rows = await self._store.read(id)
        self._version = self._row.version
        for name, attribute in _SETTINGS.items():
            theirs = getattr(self._row, name)
            if name in self._about and getattr(self.chat, attribute) == self._about[name] != theirs:
                setattr(self.chat, attribute, theirs)
        self._about = {name: getattr(self._row, name) for name in ("title", *_SETTINGS)}
        known = {place: message for message, place in self._known.values()}
        same = {r.position: known[r.position] if known.get(r.position) == r.message else r.message for r in rows}
        self._known = {}
        self._keep(same)
        self.chat.history.restore((*same.values(), *new))

    def _forget(self) -> None:
        """Keep it anew once something is said: what was kept is gone."""
        self._row, self._version, self._kept, self._known, self._about = None, 0, {}, {}, {}
        self._removed = self.chat.history.messages
