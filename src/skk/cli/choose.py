"""Who talks, and which conversation is gone on with."""

from __future__ import annotations

import contextlib
import time

from skk.errors import ConversationNotFoundError, SkkError
from skk.texts import mark, say

from .keeping import login_name
from .render import explain, one_line
from .shell import as_typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterable
    from typing import Any

    from skk.service import ConversationRow, Store

    from .editor import Editor
    from .environment import Environment
    from .keeping import Keeping

    Finish = Callable[[Coroutine[Any, Any, Any]], Any]

__all__ = ["NOTHING", "NOTHING_OF", "ask_name", "choose", "find", "listing"]

NOTHING = mark("nothing is kept yet: skk chat begins a conversation")
NOTHING_OF = mark("nothing of {user} is kept: skk history shows what is")

# How many past conversations are listed to choose from.
_LISTED = 10


def ask_name(editor: Editor, runner: asyncio.Runner, keeping: Keeping | None) -> str | None:
    """Ask who talks; None at the end of the input. The store opens meanwhile, and then tells who has talked before."""
    login = login_name()
    known: list[str] = []
    looking: list[asyncio.Task[None]] = []

    async def look(keeping: Keeping) -> None:
        with contextlib.suppress(SkkError, OSError):  # who needs the store will be told
            known.extend(row.name for row in await (await keeping.store()).users() if row.conversations)
        if known:
            editor.above(say(mark("users so far: {names}"), names=", ".join(map(one_line, known))))

    def start() -> None:
        if keeping is not None:
            looking.append(runner.get_loop().create_task(look(keeping)))

    if keeping is not None and not editor.edits:  # nothing goes on while a line is typed
        from .stopping import interruptible

        interruptible(runner, look(keeping))
    try:
        prompt = say(mark("your name ({login}): "), login=one_line(login))
        line = editor.read(prompt, hints=lambda: known, on_ready=start if editor.edits else None)
    finally:
        for task in looking:
            task.cancel()
    return line if line is None else line.strip() or login


async def find(store: Store, user: str | None, wanted: str) -> ConversationRow:
    """Give the conversation of a number, 1 for the last used one, or of an id or its beginning.

    Args:
        store: keeps it.
        user: whose; None for anybody's.
        wanted: the number or the id.

    Raises:
        ConversationNotFoundError: there is none.
        AmbiguousConversationError: several ids begin so.
    """
    if wanted.isdecimal():
        number = int(wanted[:10])  # nobody has so many, and a database counts no further than 64 bits
        rows = await store.conversations(user, limit=1, offset=number - 1) if number else []
        if not rows:
            raise _no_number(wanted, user, len(await store.conversations(user)))
        return rows[0]
    from skk.service import user_name

    row = await store.find(wanted)
    if user is not None and row.user != user_name(user):
        raise ConversationNotFoundError(mark("the conversation {id} is not one of {user}"), id=row.id, user=user)
    return row


def _no_number(wanted: str, user: str | None, count: int) -> ConversationNotFoundError:
    """Say what is wrong with a number."""
    if not count:
        return ConversationNotFoundError(NOTHING if user is None else NOTHING_OF, user=user)
    if user is None:
        sentence = mark("there is no conversation {number}: skk history shows {count}")
        return ConversationNotFoundError(sentence, number=wanted, count=count)
    sentence = mark("there is no conversation {number} of {user}: skk history --user {typed} shows {count}")
    return ConversationNotFoundError(sentence, number=wanted, user=user, typed=as_typed(user), count=count)


def choose(editor: Editor, environment: Environment, finish: Finish, store: Store, user: str) -> ConversationRow | None:
    """List a user's last conversations and let one be chosen; None for a new one. Without a person: the last one."""
    rows: list[ConversationRow] = finish(store.conversations(user, limit=_LISTED))
    if not rows or not environment.stdin_is_terminal:
        return rows[0] if rows else None
    for line in listing(rows):
        environment.tell(line)
    prompt = say(mark("number of a conversation to go on with, Enter for a new one: "))
    while wanted := (editor.read(prompt, hints=lambda: [row.id for row in rows]) or "").strip():
        try:
            found: ConversationRow = finish(find(store, user, wanted))
        except SkkError as error:
            environment.tell(explain(error))
        else:
            return found
    return None


def listing(rows: Iterable[ConversationRow], first: int = 1, *, whose: bool = False) -> Iterable[str]:
    """Give conversations as lines: number, when it was used, how long it is, its id, what it is about.

    Args:
        rows: the conversations.
        first: the number of the first one.
        whose: whether each says whose it is.
    """
    for number, row in enumerate(rows, first):
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.used_at))
        user = f"【{row.user}】" if whose else ""
        yield f"{number:>3}  {used}  {row.messages:>5}  {row.id}  {one_line(user + row.title)}"
