"""Talks and files: ``skk import``, ``skk export``, ``skk backup``, ``skk restore``."""

from __future__ import annotations

import os
from functools import partial

import click

from skk.errors import ArchiveFormatError, ConfigurationError
from skk.texts import mark, say

from .choose import find, listing
from .environment import native
from .keeping import database_url, login_name, opened
from .options import File, language
from .past import agreed, nothing, of_user
from .render import clean
from .shell import complete_conversations, complete_users

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from skk.messages import Message
    from skk.service import UserRow

    from .environment import Environment
    from .options import Doing

    Talks = dict[str | None, tuple[Message, ...]]

__all__ = ["backup_command", "export_command", "import_command", "restore_command"]


def import_command(environment: Environment) -> click.Command:
    """Make ``skk import``."""
    whose = mark("Whose: with user_messages.json that user's alone, else who talks in it.")

    @click.command("import")
    @click.argument("path", metavar="FILE", type=File())
    @click.option("--user", metavar="NAME", shell_complete=complete_users, help=say(whose))
    @language
    def import_command(path: str, user: str | None) -> Doing:
        return partial(_import, environment, path, user)

    return import_command


def export_command(environment: Environment) -> click.Command:
    """Make ``skk export``."""

    @click.command("export")
    @click.argument("wanted", metavar="N|ID", shell_complete=complete_conversations)
    @click.argument("path", metavar="FILE", type=File())
    @of_user
    @click.option("--all", "everything", is_flag=True, help=say(mark("Those messages too that the limit let go.")))
    @language
    def export_command(wanted: str, path: str, user: str | None, everything: bool) -> Doing:
        if _ending(path) not in (".json", ".md", ".txt"):
            raise click.UsageError(say(mark("{path}: the name must end in .json, .md or .txt"), path=clean(path)))
        return partial(_export, environment, wanted, path, user, everything)

    return export_command


def backup_command(environment: Environment) -> click.Command:
    """Make ``skk backup``."""

    @click.command("backup")
    @click.argument("path", metavar="FILE", type=File())
    @language
    def backup_command(path: str) -> Doing:
        return partial(_backup, environment, path)

    return backup_command


def restore_command(environment: Environment) -> click.Command:
    """Make ``skk restore``."""

    @click.command("restore")
    @click.argument("path", metavar="FILE", type=File())
    @click.option("-y", "--yes", is_flag=True, help=say(mark("Do not ask.")))
    @language
    def restore_command(path: str, yes: bool) -> Doing:
        if not yes and not environment.stdin_is_terminal:
            raise click.UsageError(say(mark("nobody is there to be asked: -y says that it is meant")))
        return partial(_restore, environment, path, yes=yes)

    return restore_command


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


# ---- one talk, or several


def _import(environment: Environment, path: str, user: str | None) -> int:
    from skk.history import read_talks

    talks = [*_said(read_talks(native(path)), path, user)]
    if not talks:
        environment.tell(say(mark("{path}: nothing was said in it"), path=clean(path)))
        return 0
    with opened(make=True) as found:
        assert found is not None
        runner, store = found
        from skk.service import import_talks

        new, longer = runner.run(import_talks(store, talks))
    rows = sorted([*new, *longer], key=lambda row: (-row.used_at, row.id))  # as skk history lists them
    for line in listing(rows, whose=True):
        environment.write(line + "\n")
    sentence = mark("{path}: {new} new, {old} kept already")
    if longer:
        sentence = mark("{path}: {new} new, {longer} gone on with, {old} kept already")
    facts = {"new": len(new), "longer": len(longer), "old": len(talks) - len(rows)}
    environment.tell(say(sentence, path=clean(path), **facts))
    if rows and environment.stdout_is_terminal:
        environment.tell(say(mark("skk chat --resume {id} goes on with one"), id=rows[0].id))
    return 0


def _said(talks: Talks, path: str, user: str | None) -> Iterator[tuple[str, Sequence[Message]]]:
    """Give the talks that were wanted, each with the one whose it becomes.

    Raises:
        ArchiveFormatError: the one who was named has none.
    """
    if None in talks:
        if talks[None]:
            yield user or login_name(), talks[None]
        return
    from skk.service import user_name  # the store is asked in any case

    whose = None if user is None else user_name(user)
    if whose is not None and whose not in map(user_name, map(str, talks)):
        users = ", ".join(sorted(str(name) for name in talks)) or say(mark("none"))
        reason = say(mark("{user!r} is none of its users: {users}"), user=user, users=users)
        raise ArchiveFormatError(path=path, position=say(mark("whole file")), reason=reason)
    for name, messages in talks.items():
        if whose in (None, user_name(str(name))) and any(message.role != "system" for message in messages):
            # in the classic program the persona went along with every question: a limit must not take it away
            first = [message.with_pin(message.role == "system" or message.pinned) for message in messages[:1]]
            yield str(name).strip() or login_name(), (*first, *messages[1:])


def _export(environment: Environment, wanted: str, path: str, user: str | None, everything: bool) -> int:
    if os.path.lexists(native(path)):
        raise ConfigurationError(mark("{path} is there already: name another file, or remove that one"), path=path)
    with opened() as found:
        if found is None:
            return nothing(environment)
        runner, store = found
        row, rows = runner.run(store.read(runner.run(find(store, user, wanted)).id, trimmed=everything))
    from skk.history import write_archive, write_atomically

    messages = [one.message for one in rows]
    if _ending(path) == ".json":
        write_archive(native(path), messages)
    else:
        from skk.messages import decode

        from .export import FORMS, Document

        document = Document(row.user, row.model, row.system, decode(messages), row.used_at)
        write_atomically(native(path), FORMS[_ending(path)](document).encode())
    environment.tell(say(mark("{path}: {count} messages saved"), path=clean(path), count=len(messages)))
    return 0


# ---- everything


def _backup(environment: Environment, path: str) -> int:
    import asyncio

    from skk.service import backup

    asyncio.run(backup(database_url(), native(path)))
    _tell_all(environment, mark("{path}: saved (conversations: {conversations}, users: {users})"), path)
    return 0


def _restore(environment: Environment, path: str, *, yes: bool) -> int:
    import asyncio

    open(native(path), "rb").close()  # a name that is misspelt is told before anybody is asked
    question = mark("replace all that is kept by what {path} holds? [y/N] ")
    if not yes and not agreed(environment, say(question, path=clean(path))):
        environment.tell(say(mark("nothing was restored")))
        return 1
    from skk.service import restore

    asyncio.run(restore(database_url(), native(path)))
    _tell_all(environment, mark("{path}: restored (conversations: {conversations}, users: {users})"), path)
    return 0


def _tell_all(environment: Environment, sentence: str, path: str) -> None:
    """Tell how much is kept."""
    with opened(make=True) as found:
        assert found is not None
        runner, store = found
        users: list[UserRow] = runner.run(store.users())
    count = sum(user.conversations for user in users)
    environment.tell(say(sentence, path=clean(path), conversations=count, users=len(users)))
