"""``skk completion``: what lets a shell complete what is typed after ``skk``.

The shell runs ``skk`` itself on each Tab, with `_SKK_COMPLETE` set; click answers in `commands.run`. What only
the store knows is asked here.
"""

from __future__ import annotations

import os
from functools import partial

import click

from skk.errors import SkkError
from skk.texts import mark, say

from .options import language
from .render import clean, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from click.shell_completion import CompletionItem

    from skk.service import Store

    from .environment import Environment
    from .options import Doing

__all__ = ["as_typed", "complete_conversations", "complete_users", "completion_command"]

_INSTALL = {
    "bash": (
        "mkdir -p ~/.local/share/bash-completion/completions",
        "skk completion bash > ~/.local/share/bash-completion/completions/skk",
    ),
    "zsh": (
        "mkdir -p ~/.zfunc",
        "skk completion zsh > ~/.zfunc/_skk",
        "fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit",
    ),
    "fish": ("mkdir -p ~/.config/fish/completions", "skk completion fish > ~/.config/fish/completions/skk.fish"),
}


# Seconds that somebody waits for a Tab, and conversations that are looked through meanwhile.
_PATIENCE, _MOST = 3.0, 1000


def completion_command(environment: Environment) -> click.Command:
    """Make ``skk completion``."""

    @click.command("completion", epilog="\b\n" + "\n".join(line for lines in _INSTALL.values() for line in lines))
    @click.argument("shell", type=click.Choice([*_INSTALL]))
    @language
    def completion_command(shell: str) -> Doing:
        return partial(_print, environment, shell)

    return completion_command


def _print(environment: Environment, shell: str) -> int:

    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # it is one of click's own
    script = found(click.Group(), {}, "skk", "_SKK_COMPLETE").source().strip()
    first, _, rest = script.partition("\n")  # zsh reads the first line of the file: #compdef
    how = "".join(f"# {line}\n" for line in _INSTALL[shell])
    environment.write(f"{first}\n{how}{rest}\n" if first.startswith("#") else f"{how}{script}\n")
    if environment.stdout_is_terminal:
        environment.tell(say(mark("to install it, type this, then open another shell:")))
        for line in _INSTALL[shell]:
            environment.tell(f"  {line}")
    return 0


def complete_users(context: click.Context, option: click.Parameter, typed: str) -> list[CompletionItem]:
    """Give the users whose names begin so."""
    from click.shell_completion import CompletionItem

    async def ask(store: Store) -> list[CompletionItem]:
        from skk.service import user_name

        begins = user_name(typed)
        names = [user.name for user in await store.users() if user.conversations]
        return [CompletionItem(name) for name in names if name.startswith(begins) and _is_plain(name)]

    return _asked(ask)


def complete_conversations(context: click.Context, option: click.Parameter, typed: str) -> list[CompletionItem]:
    """Give the conversations whose ids begin so, with their titles; those of ``--user``, if it stands before."""
    from click.shell_completion import CompletionItem

    async def ask(store: Store) -> list[CompletionItem]:
        rows = await store.conversations(context.params.get("user"), limit=_MOST)
        return [
            CompletionItem(row.id, help=one_line(row.title))
            for row in rows
            if row.id.startswith(typed) and _is_plain(row.id)
        ]

    return _asked(ask)


def as_typed(name: str) -> str:
    """Give a name as it is typed in a shell's line."""
    import shlex

    name = clean(name)
    return name if _is_plain(name) else shlex.quote(name)


def _is_plain(name: str) -> bool:
    """Tell whether it stands in a shell's line as it is: shells put there what they are given, unquoted."""
    return name != "" and not name.startswith("-") and all(one in ".@+-" or f"_{one}".isidentifier() for one in name)


def _asked(ask: Callable[[Store], Awaitable[list[CompletionItem]]]) -> list[CompletionItem]:
    """Ask the store, if there is one; nobody wants to read of trouble while a line is typed."""
    import asyncio

    from .keeping import database_url
    from .settings import database_file

    url = database_url()
    if (path := database_file(url)) and not os.path.exists(path):  # it is not made for this
        return []

    async def opened() -> list[CompletionItem]:
        from skk.service import open_store  # 250 ms: SQLAlchemy

        async with asyncio.timeout(_PATIENCE), open_store(url) as store:
            return await ask(store)

    try:
        return asyncio.run(opened())
    except (SkkError, OSError, ImportError):
        return []
