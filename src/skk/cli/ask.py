"""``skk ask``: one question, the answer alone on stdout."""

from __future__ import annotations

from functools import partial

import click

from skk.texts import mark, say

from .connect import Wanted, no_key
from .options import talking
from .render import INTERRUPTED, Display, remark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .environment import Environment
    from .options import Doing

__all__ = ["ask_command"]


def ask_command(environment: Environment) -> click.Command:
    """Make ``skk ask``."""

    @click.command("ask")
    @click.argument("question", nargs=-1)
    @talking(environment)
    def ask_command(question: tuple[str, ...], **options: Any) -> Doing:
        text = whole(" ".join(question), environment)
        if not text:
            raise click.UsageError(say(mark('there is no question: skk ask "...", or pipe one in')))
        return partial(ask, text, Wanted(**options), environment)

    return ask_command


def whole(prompt: str, environment: Environment) -> str:
    """Give what is to be asked: the prompt, then what was piped in."""
    piped = "" if environment.stdin_is_terminal else environment.stdin.read().removeprefix("\ufeff").rstrip("\r\n")
    return "\n\n".join(text for text in (prompt, piped) if text.strip())


def ask(text: str, wanted: Wanted, environment: Environment) -> int:
    """Ask, show the answer, and give the exit status.

    Raises:
        SkkError, OSError: it failed.
    """
    if not wanted.has_key:
        raise no_key()
    chat = wanted.chat()
    import asyncio  # 40 ms; the SDK needs it too

    display = Display(environment)
    try:
        with asyncio.Runner() as runner:
            answer = runner.run(display.show(chat.async_stream_request(text, on_reasoning=display.think)))
    except KeyboardInterrupt:
        environment.tell(say(INTERRUPTED))
        return 130
    if (line := remark(answer)) is not None:
        environment.tell(line)
    return 0
