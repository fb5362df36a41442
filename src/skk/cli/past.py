"""What was said: ``skk history``, ``skk show``, ``skk search``; and ``skk rm``, which forgets it."""

from __future__ import annotations

import os
import re
import shutil
import time
from functools import partial

import click

from skk.errors import ConversationNotFoundError
from skk.texts import mark, say

from .choose import NOTHING, NOTHING_OF, find, listing
from .keeping import opened
from .options import language
from .render import clean, columns, cut, indented, json_line, one_line
from .shell import as_typed, complete_conversations, complete_users

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from skk.service import ConversationRow, Found, MessageRow

    from .environment import Environment
    from .options import Doing

__all__ = [
    "agreed",
    "history_command",
    "nothing",
    "of_user",
    "rm_command",
    "search_command",
    "show_command",
]

# How wide the line is that shows a found word in its surroundings, and how much of a text is looked at for it.
_WIDTH = 72
_NEAR = 500

_BOLD, _FAINT, _FOUND, _END = "\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[0m"


def of_user(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--user``."""
    whose = say(mark("Whose conversations; without it everybody's."))
    return click.option("--user", metavar="NAME", shell_complete=complete_users, help=whose)(command)


def _most(command: Callable[..., Any]) -> Callable[..., Any]:
    most = say(mark("How many at most."))
    return click.option(
        "-n", "limit", metavar="N", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help=most
    )(command)


def _as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help=say(mark("Print a JSON list.")))(command)


def history_command(environment: Environment) -> click.Command:
    """Make ``skk history``."""

    @click.command("history")
    @of_user
    @_most
    @_as_json
    @language
    def history_command(user: str | None, limit: int, as_json: bool) -> Doing:
        return partial(_history, environment, user, limit, as_json=as_json)

    return history_command


def show_command(environment: Environment) -> click.Command:
    """Make ``skk show``."""

    @click.command("show")
    @click.argument("wanted", metavar="[N|ID]", required=False, shell_complete=complete_conversations)
    @of_user
    @click.option("--all", "everything", is_flag=True, help=say(mark("Those messages too that the limit let go.")))
    @click.option("--markdown", is_flag=True, help=say(mark("Print a Markdown document.")))
    @click.option("--json", "as_json", is_flag=True, help=say(mark("Print a JSON list that Chat.load reads.")))
    @language
    def show_command(wanted: str | None, user: str | None, everything: bool, markdown: bool, as_json: bool) -> Doing:
        if markdown and as_json:
            raise click.UsageError(say(mark("--json and --markdown are two forms: choose one")))
        print_it = _print_json if as_json else _print_markdown if markdown else _print_text
        return partial(_show, environment, wanted, user, everything, print_it)

    return show_command


def search_command(environment: Environment) -> click.Command:
    """Make ``skk search``."""

    @click.command("search")
    @click.argument("words", metavar="TEXT...", nargs=-1, required=True)
    @of_user
    @_most
    @_as_json
    @language
    def search_command(words: tuple[str, ...], user: str | None, limit: int, as_json: bool) -> Doing:
        return partial(_search, environment, " ".join(words), user, limit, as_json=as_json)

    return search_command


def rm_command(environment: Environment) -> click.Command:
    """Make ``skk rm``."""

    @click.command("rm")
    @click.argument("wanted", metavar="N|ID...", nargs=-1, required=True, shell_complete=complete_conversations)
    @of_user
    @click.option("-y", "--yes", is_flag=True, help=say(mark("Do not ask.")))
    @language
    def rm_command(wanted: tuple[str, ...], user: str | None, yes: bool) -> Doing:
        if not yes and not environment.stdin_is_terminal:
            raise click.UsageError(say(_NOBODY))
        return partial(_rm, environment, wanted, user, yes=yes)

    return rm_command


# ---- what is kept


def nothing(environment: Environment, user: str | None = None) -> int:
    """Say that there is nothing, and give the exit status of who needed something."""
    if user is None:
        environment.tell(say(NOTHING))
    else:
        environment.tell(say(NOTHING_OF, user=one_line(user)))
    return 1


def _history(environment: Environment, user: str | None, limit: int, *, as_json: bool) -> int:
    rows: list[ConversationRow] = []
    with opened() as found:
        if found is not None:
            runner, store = found
            rows = runner.run(store.conversations(user, limit=limit + 1))
    if as_json:
        _write_json(environment, (_about(row) for row in rows[:limit]))
    else:
        several = user is None and len({row.user for row in rows}) > 1
        for line in listing(rows[:limit], whose=several):
            environment.write(line + "\n")
    if not rows:
        nothing(environment, user)
    elif len(rows) > limit:
        environment.tell(say(mark("there are older ones: -n {number} shows more"), number=limit * 10))
    elif environment.stdout_is_terminal:
        environment.tell(_further(user))
    return 0


def _further(user: str | None) -> str:
    """Say what can be typed next: numbers are counted as they were here."""
    if user is None:
        return say(mark("skk chat --resume N goes on with one, skk show N shows it; its id does, too"))
    sentence = mark(
        "skk chat --user {user} --resume N goes on with one, skk show --user {user} N shows it; its id does, too"
    )
    return say(sentence, user=as_typed(user))


def _about(row: ConversationRow) -> dict[str, Any]:
    times = {"created_at": _exact(row.created_at), "used_at": _exact(row.used_at)}
    named = {name: getattr(row, name) for name in ("id", "user", "title", "model", "system", "max_messages")}
    return {**named, **times, "messages": row.messages}


def _exact(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _write_json(environment: Environment, items: Iterable[dict[str, Any]]) -> None:
    """Write a list, an item a line; nothing in it steers a terminal."""
    lines = [json_line(item) for item in items]
    environment.write("[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n")


# ---- one conversation


def _show(
    environment: Environment,
    wanted: str | None,
    user: str | None,
    everything: bool,
    print_it: Callable[[Environment, ConversationRow, list[MessageRow]], None],
) -> int:
    with opened() as found:
        if found is None:
            return nothing(environment)
        runner, store = found
        if wanted is None and not runner.run(store.conversations(user, limit=1)):
            return nothing(environment, user)
        row, messages = runner.run(store.read(runner.run(find(store, user, wanted or "1")).id, trimmed=True))
    shown = [one for one in messages if everything or not one.trimmed]
    print_it(environment, row, shown)
    if len(shown) < len(messages):
        sentence = mark("{count} more that the limit has let go: --all shows them")
        environment.tell(say(sentence, count=len(messages) - len(shown)))
    return 0


def _print_json(environment: Environment, row: ConversationRow, messages: list[MessageRow]) -> None:
    _write_json(environment, (_plain(one) | ({"pinned": True} if one.message.pinned else {}) for one in messages))


def _print_markdown(environment: Environment, row: ConversationRow, messages: list[MessageRow]) -> None:
    from .export import FORMS, Document

    said = [_plain(one) for one in messages]
    environment.write(FORMS[".md"](Document(row.user, row.model, row.system, said, row.used_at)))


def _plain(row: MessageRow) -> dict[str, Any]:
    from skk.messages import decode

    return decode([row.message])[0]


def _print_text(environment: Environment, row: ConversationRow, messages: list[MessageRow]) -> None:
    from skk.messages import plain_text

    screen = _Screen() if environment.draws else _Lines()
    about = [row.id, time.strftime("%Y-%m-%d %H:%M", time.localtime(row.used_at)), row.user, row.model or ""]
    environment.write(screen.title("  ".join(map(one_line, filter(None, [*about, row.title])))))
    if row.system:
        environment.write(screen.message("     [system]", clean(row.system), draws=False))
    number = 0
    for one in messages:
        said = _plain(one)
        role, text = clean(said["role"]), clean(plain_text(said)).rstrip("\n")
        if one.trimmed:
            environment.write(screen.gone(role, text))
            continue
        head = f"{number:>3}{'*' if one.message.pinned else ' '} [{role}]"
        environment.write(screen.message(head, text, draws=one.message.role == "assistant"))
        number += 1


class _Lines:
    """A conversation as text, as ``/history`` shows one."""

    def title(self, line: str) -> str:
        return f"{line}\n"

    def message(self, head: str, text: str, *, draws: bool) -> str:
        return f"{head} {indented(text)}\n"

    def gone(self, role: str, text: str) -> str:
        """Give a message that the limit has let go."""
        return f"  -  ([{role}] {indented(text)})\n"


class _Screen(_Lines):
    """A conversation at a terminal: answers are drawn, what the limit has let go is grey."""

    def __init__(self) -> None:
        self._draw = _drawing()

    def title(self, line: str) -> str:
        return f"{_BOLD}{line}{_END}\n"

    def message(self, head: str, text: str, *, draws: bool) -> str:
        return f"\n{_BOLD}{head}{_END}\n{self._draw(text) if draws else _below(text)}"

    def gone(self, role: str, text: str) -> str:
        return f"\n{_FAINT}  -  [{role}]\n{_below(text)}{_END}"


def _below(text: str) -> str:
    """Give lines to stand below what says who speaks, further to the right: none of them passes for that."""
    return "".join(f"     {line}\n" if line else "\n" for line in text.splitlines())


def _drawing() -> Callable[[str], str]:
    """Give what draws Markdown."""
    try:
        from .markdown import Page, make_console  # 180 ms: rich
    except ImportError:  # installed without the extra
        return _below
    console = make_console()

    def draw(text: str) -> str:
        page = Page(_size, console)
        page.feed(text)
        return _below(page.finish())

    return draw


def _size() -> tuple[int, int]:
    wide, rows = shutil.get_terminal_size()
    return max(wide - 5, 20), rows


# ---- what is looked for


def _search(environment: Environment, text: str, user: str | None, limit: int, *, as_json: bool) -> int:
    hits: list[Found] = []
    with opened() as found:
        if found is not None:
            runner, store = found
            hits = runner.run(store.search(text, user=user, limit=limit + 1))
    if as_json:
        _write_json(environment, (_about_hit(hit) for hit in hits[:limit]))
    else:
        colours = (_FOUND, _END) if environment.draws and not os.environ.get("NO_COLOR") else ("", "")
        for hit in hits[:limit]:
            environment.write(_hit(hit, text, colours))
    if not hits:
        environment.tell(say(mark("{text!r} was not found in what is kept"), text=clean(text)))
        return 1
    if len(hits) > limit:
        environment.tell(say(mark("there are older ones: -n {number} shows more"), number=limit * 10))
    return 0


def _about_hit(hit: Found) -> dict[str, Any]:
    row = hit.conversation
    about = {"conversation": row.id, "user": row.user, "title": row.title, "role": hit.role}
    return {**about, "saved_at": _exact(hit.saved_at), "text": hit.text}


def _hit(hit: Found, wanted: str, colours: tuple[str, str]) -> str:
    """Give two lines: the conversation, and who said what."""
    from skk.service import divided

    row = hit.conversation
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(hit.saved_at))
    before, found, after = _excerpt(*divided(hit.text, wanted))
    head = f"{row.id}  {when}  {one_line(f'【{row.user}】{row.title}')}"
    return f"{head}\n    [{clean(hit.role)}] {before}{colours[0]}{found}{colours[1]}{after}\n"


def _excerpt(before: str, found: str, after: str) -> tuple[str, str, str]:
    """Cut what stands around a found text, so that it is one line of some width."""
    before, found, after = (
        _one_line(before[-_NEAR:]).lstrip(),
        _one_line(found[:_NEAR]),
        _one_line(after[:_NEAR]).rstrip(),
    )
    found = cut(found, _WIDTH * 2 // 3)
    room = _WIDTH - columns(found)
    left = min(columns(before), max(room // 3, room - columns(after)))
    before = cut(before[::-1], left)[::-1]
    return before, found, cut(after, room - columns(before))


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", clean(text))


# ---- what is forgotten

_NOBODY = mark("nobody is there to be asked: -y says that it is meant")


def agreed(environment: Environment, question: str) -> bool:
    """Ask a person, and tell whether they want it."""
    return (environment.read_line(question) or "").strip().lower() in ("y", "yes", "是")


def _rm(environment: Environment, wanted: Sequence[str], user: str | None, *, yes: bool) -> int:
    with opened() as found:
        if found is None:
            return nothing(environment)
        runner, store = found
        rows = {row.id: row for row in [runner.run(find(store, user, each)) for each in wanted]}
        if not yes:
            for row in rows.values():
                environment.tell(f"{row.id}  {one_line(f'【{row.user}】{row.title}')}")
            if not agreed(environment, say(mark("remove for good what is listed here? [y/N] "))):
                environment.tell(say(mark("nothing was removed")))
                return 1
        for id in rows:
            try:
                runner.run(store.remove(id))
            except ConversationNotFoundError:  # another program was faster
                continue
    environment.tell(say(mark("removed: {count}"), count=len(rows)))
    return 0
