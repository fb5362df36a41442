"""What is asked of the database, as functions on a connection with a transaction begun."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update

from skk.errors import (
    AmbiguousConversationError,
    ConversationChangedError,
    ConversationNotFoundError,
    StoreValueError,
)
from skk.messages import plain_text, restored
from skk.texts import mark

from . import schema
from .index import holding
from .rows import ConversationRow, Found, MessageRow, Saved, UserRow
from .text import fold, storable, user_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from sqlalchemy import Connection, Row

    from skk.messages import Message

__all__ = [
    "Change",
    "check_about",
    "conversations",
    "create",
    "create_all",
    "find",
    "questions",
    "read",
    "remove",
    "save",
    "search",
    "users",
    "version",
]

_users, _conversations, _messages, _contents = schema.users, schema.conversations, schema.messages, schema.contents

# Letters and digits that are not taken for each other.
_LETTERS = "abcdefghjkmnpqrstuvwxyz"
_CHARACTERS = _LETTERS + "23456789"

_ROW = tuple(_conversations.c[name] for name in ConversationRow._fields)

# How many positions go into one statement.
_MANY = 1000


class Change(NamedTuple):
    """What a save does. See `Store.save`."""

    add: tuple[Message, ...]
    put: dict[int, Message]
    trim: tuple[int, ...]
    drop: tuple[int, ...]
    about: dict[str, Any]


def _conversation(row: Row[*tuple[Any, ...]]) -> ConversationRow:
    found = ConversationRow(*row[: len(_ROW)])
    return found if found.system is None else found._replace(system=json.loads(found.system))


_ABOUT = ("title", "model", "system", "max_messages")


def check_about(about: Mapping[str, Any]) -> None:
    """See that only what can be said about a conversation is said.

    Raises:
        TypeError: something else is.
    """
    for name in about.keys() - set(_ABOUT):
        raise TypeError(f"save() got an unexpected keyword argument {name!r}")


def _about(about: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(about)
    for name in ("title", "model"):
        if values.get(name) is not None:
            values[name] = storable(values[name])
    if values.get("system") is not None:
        values["system"] = json.dumps(values["system"], ensure_ascii=not _is_storable(values["system"]))
    return values


def _is_storable(text: str) -> bool:
    return storable(text) == text


def users(connection: Connection) -> list[UserRow]:
    """Give all users, the last used first."""
    used_at = func.coalesce(func.max(_conversations.c.used_at), _users.c.created_at).label("used_at")
    found = connection.execute(
        select(_users.c.name, func.count(_conversations.c.id), used_at)
        .outerjoin(_conversations, _conversations.c.user == _users.c.name)
        .group_by(_users.c.name, _users.c.created_at)
        .order_by(used_at.desc(), _users.c.name)
    )
    return [UserRow(*row) for row in found]


def conversations(connection: Connection, user: str | None, limit: int | None, offset: int) -> list[ConversationRow]:
    """Give conversations, the last used first."""
    wanted = select(*_ROW).order_by(_conversations.c.used_at.desc(), _conversations.c.id).limit(limit).offset(offset)
    if user is not None:
        wanted = wanted.where(_conversations.c.user == user_name(user))
    return [_conversation(row) for row in connection.execute(wanted)]


def find(connection: Connection, id: str) -> ConversationRow:
    """Give the conversation with this id, or whose id alone begins so."""
    key = storable(id.strip().lower())
    if len(key) < 4:
        raise ConversationNotFoundError(id=id)
    # not by what lies between two ids: in a database with the order of a language some characters count for nothing
    begins = func.substr(_conversations.c.id, 1, len(key)) == key
    found = connection.execute(select(*_ROW).where(begins).order_by(_conversations.c.id).limit(10)).all()
    for row in found:
        if row.id == key:
            return _conversation(row)
    if not found:
        raise ConversationNotFoundError(id=id)
    if len(found) > 1:
        raise AmbiguousConversationError(id=id, ids=", ".join(row.id for row in found))
    return _conversation(found[0])


def create(
    connection: Connection, user: str, messages: Sequence[Message], about: Mapping[str, Any], now: float
) -> tuple[ConversationRow, Saved]:
    """Make a conversation, and its user if that name is new."""
    name = user_name(user)
    if not name:
        raise StoreValueError(mark("a user needs a name"))
    _make_user(connection, name, now)
    row = {
        **_about(about),
        "id": secrets.choice(_LETTERS) + "".join(secrets.choice(_CHARACTERS) for _ in range(9)),
        "user": name,
        "created_at": now,
        "used_at": now,
        "version": 1,
        "next": len(messages),
        "messages": len(messages),
    }
    connection.execute(insert(_conversations), row)
    _insert(connection, row["id"], list(enumerate(messages)), now)
    made = connection.execute(select(*_ROW).where(_conversations.c.id == row["id"])).one()
    return _conversation(made), Saved(1, tuple(range(len(messages))))


def _make_user(connection: Connection, name: str, now: float) -> None:
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_or_not
    else:
        from sqlalchemy.dialects.postgresql import insert as insert_or_not  # type: ignore[assignment]  # the same verb
    connection.execute(insert_or_not(_users).values(name=name, created_at=now).on_conflict_do_nothing())


def _insert(connection: Connection, id: str, placed: Sequence[tuple[int, Message]], now: float) -> None:
    if not placed:
        return
    narrow, wide = [], []
    for position, message in placed:
        text = storable(plain_text(json.loads(message.data)))
        place = {"conversation": id, "position": position}
        kept = {"role": message.role, "pinned": message.pinned, "trimmed": False}
        narrow.append({**place, **kept, "saved_at": now, "folded": fold(text)})
        wide.append({**place, "text": text, "data": message.data.decode()})
    connection.execute(insert(_messages), narrow)
    connection.execute(insert(_contents), wide)


def read(connection: Connection, id: str, trimmed: bool) -> tuple[ConversationRow, list[MessageRow]]:
    """Give a conversation and its messages in order."""
    row = connection.execute(select(*_ROW).where(_conversations.c.id == storable(id))).one_or_none()
    if row is None:
        raise ConversationNotFoundError(id=id)
    m, c = _messages.c, _contents.c
    wanted = (
        select(m.position, m.role, c.data, m.pinned, m.trimmed, m.saved_at)
        .join(_contents, (c.conversation == m.conversation) & (c.position == m.position))
        .where(m.conversation == id)
        .order_by(m.position)
    )
    if not trimmed:
        wanted = wanted.where(m.trimmed.is_(False))
    return _conversation(row), [
        MessageRow(position, restored(role, data.encode(), pinned), is_trimmed, saved_at)
        for position, role, data, pinned, is_trimmed, saved_at in connection.execute(wanted)
    ]


def version(connection: Connection, id: str) -> int:
    """Tell a conversation's version."""
    found = connection.scalar(select(_conversations.c.version).where(_conversations.c.id == storable(id)))
    if found is None:
        raise ConversationNotFoundError(id=id)
    return int(found)


def save(connection: Connection, id: str, version: int, change: Change, now: float) -> Saved:
    """Change a conversation."""
    c = _conversations.c
    row = connection.execute(
        select(c.version, c.next, c.messages).where(c.id == storable(id)).with_for_update()
    ).one_or_none()
    if row is None:
        raise ConversationNotFoundError(id=id)
    if row.version != version:
        raise ConversationChangedError(id=id, version=row.version)
    kept = row.messages
    kept += _put(connection, id, change.put, row.next, now)
    kept -= _trim(connection, id, change.trim)
    kept -= _drop(connection, id, change.drop)
    positions = tuple(range(row.next, row.next + len(change.add)))
    _insert(connection, id, list(zip(positions, change.add, strict=True)), now)
    connection.execute(
        update(_conversations)
        .where(c.id == id)
        .values(
            version=version + 1,
            next=row.next + len(change.add),
            messages=kept + len(change.add),
            used_at=now,
            **_about(change.about),
        )
    )
    return Saved(version + 1, positions)


def create_all(
    connection: Connection,
    new: Iterable[tuple[str, Sequence[Message], Mapping[str, Any]]],
    longer: Iterable[tuple[str, int, Sequence[Message]]],
    now: Callable[[], float],
) -> list[ConversationRow]:
    """Make conversations, and let others go on."""
    for id, version, messages in sorted(longer, key=lambda one: one[0]):  # in one order: nobody waits in a circle
        save(connection, id, version, Change(tuple(messages), {}, (), (), {}), now())
    made = [create(connection, *talk, now())[0] for talk in new]
    return [*made, *(find(connection, id) for id, _, _ in longer)]


def _batches(positions: Iterable[int]) -> Iterator[list[int]]:
    all_of_them = sorted(set(positions))
    for start in range(0, len(all_of_them), _MANY):
        yield all_of_them[start : start + _MANY]


def _put(connection: Connection, id: str, put: Mapping[int, Message], end: int, now: float) -> int:
    """Let these messages stand there. Give by how many more are kept."""
    m, c = _messages.c, _contents.c
    there: dict[int, bool] = {}
    for positions in _batches(put):
        if positions[0] < 0 or positions[-1] >= end:
            raise StoreValueError(mark("no message ever had the position {position}"), position=positions[-1])
        found = select(m.position, m.trimmed).where(m.conversation == id, m.position.in_(positions))
        there |= {row.position: row.trimmed for row in connection.execute(found)}
    narrow, wide = [], []
    for position in there:
        message = put[position]
        text = storable(plain_text(json.loads(message.data)))
        narrow.append({"at": position, "role": message.role, "pinned": message.pinned, "folded": fold(text)})
        wide.append({"at": position, "text": text, "data": message.data.decode()})
    if there:
        here = (m.conversation == id) & (m.position == bindparam("at"))
        connection.execute(update(_messages).where(here).values(trimmed=False), narrow)
        here = (c.conversation == id) & (c.position == bindparam("at"))
        connection.execute(update(_contents).where(here), wide)
    anew = [(position, put[position]) for position in sorted(put.keys() - there.keys())]
    _insert(connection, id, anew, now)
    return len(anew) + sum(there.values())


def _trim(connection: Connection, id: str, trim: Iterable[int]) -> int:
    """Mark messages as let go by the limit. Give how many were kept till now."""
    m = _messages.c
    return sum(
        connection.execute(
            update(_messages)
            .where(m.conversation == id, m.position.in_(positions), m.trimmed.is_(False))
            .values(trimmed=True)
        ).rowcount
        for positions in _batches(trim)
    )


def _drop(connection: Connection, id: str, drop: Iterable[int]) -> int:
    """Forget messages. Give how many of them were kept till now."""
    kept = 0
    m = _messages.c
    for positions in _batches(drop):
        here = (m.conversation == id) & m.position.in_(positions)
        kept += connection.execute(delete(_messages).where(here, m.trimmed.is_(False))).rowcount
        connection.execute(delete(_messages).where(here))
    return kept


def remove(connection: Connection, id: str) -> None:
    """Forget a conversation with all its messages."""
    if not connection.execute(delete(_conversations).where(_conversations.c.id == storable(id))).rowcount:
        raise ConversationNotFoundError(id=id)


def search(connection: Connection, text: str, user: str | None, limit: int, indexed: bool) -> list[Found]:
    """Give the messages that hold a text, the newest first."""
    wanted = fold(text)
    if not wanted:
        raise StoreValueError(mark("what is to be found is empty: give it at least one character"))
    m, c = _messages.c, _contents.c
    found = (
        select(*_ROW, m.position, m.role, c.text, m.saved_at)
        .select_from(_messages)
        .join(_conversations, _conversations.c.id == m.conversation)
        .join(_contents, (c.conversation == m.conversation) & (c.position == m.position))
        .limit(limit)
    )
    if user is not None:
        found = found.where(_conversations.c.user == user_name(user))
    found = holding(found, wanted, connection.dialect.name, indexed)
    return [Found(_conversation(row), *row[len(_ROW) :]) for row in connection.execute(found)]


def questions(connection: Connection, user: str, limit: int) -> list[str]:
    """Give what a user has asked last, the newest first."""
    m, c = _messages.c, _contents.c
    found = (
        select(c.text)
        .select_from(_messages)
        .join(_conversations, _conversations.c.id == m.conversation)
        .join(_contents, (c.conversation == m.conversation) & (c.position == m.position))
        .where(_conversations.c.user == user_name(user), m.role == "user")
        .order_by(m.id.desc())
        .limit(limit)
    )
    return [text for (text,) in connection.execute(found)]
