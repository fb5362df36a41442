"""``skk chat``: a talk that remembers."""

from __future__ import annotations

import contextlib
import re
from functools import partial

import click

from skk.errors import SkkError
from skk.texts import mark, say

from .connect import Wanted, load_sdk
from .options import talking
from .render import INTERRUPTED, Display, clean, explain, remark
from .slash import obey

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from typing import Any

    from skk.openai import Chat

    from .environment import Environment
    from .options import Doing

__all__ = ["Talk", "chat_command"]

_COMMAND = re.compile(r"/([A-Za-z]+)(?:\s+(.*))?\s*\Z", re.DOTALL)


def chat_command(environment: Environment) -> click.Command:
    """Make ``skk chat``."""

    @click.command("chat")
    @click.option("--classic", is_flag=True, help=say(mark("The classic program; it saves to ./user_messages.json.")))
    @talking(environment)
    def chat_command(classic: bool, **options: Any) -> Doing:
        wanted = Wanted(**options)
        if not classic:
            return partial(chat, wanted, environment)
        if wanted.system is not None or wanted.max_messages is not None:
            raise click.UsageError(
                say(
                    mark(
                        "--classic has its own system message and sends all messages: leave --system and "
                        "--max-messages away"
                    )
                )
            )
        from .classic import classic as classic_chat

        return partial(classic_chat, wanted, environment)

    return chat_command


def chat(wanted: Wanted, environment: Environment) -> int:
    """Talk until the input ends or somebody leaves, and give the exit status.

    Raises:
        SkkError, OSError: it could not begin.
    """
    with contextlib.ExitStack() as stack:
        talking = wanted.chat(**wanted.service(environment, stack))
        if environment.stdin_is_terminal:
            load_sdk()
            environment.tell(say(mark("{model} · /help lists the commands, Ctrl-D leaves"), model=clean(talking.model)))
        import asyncio  # 40 ms; the SDK needs it too

        return Talk(talking, environment, stack.enter_context(asyncio.Runner())).hold()


class Talk:
    """One talk at a terminal.

    Args:
        chat: remembers it.
        environment: where the person is.
        runner: runs what waits for the service; Ctrl-C stops that, and not the talk.
    """

    def __init__(self, chat: Chat, environment: Environment, runner: asyncio.Runner) -> None:
        self.chat = chat
        self.environment = environment
        self._runner = runner

    def hold(self) -> int:
        """Take line after line, and give the exit status."""
        try:
            while (line := self.environment.read_line("> ")) is not None:
                try:
                    if self._take(line.removeprefix("\ufeff")):
                        break
                except BrokenPipeError:  # nobody reads any more
                    raise
                except (SkkError, OSError, ValueError) as error:
                    self.environment.tell(explain(error))
        except KeyboardInterrupt:  # at the prompt
            self.environment.tell("")
            return 130
        return 0

    def _take(self, line: str) -> bool:
        """Do what a line wants; True if the talk is over. A line that begins with a blank is never a command."""
        command = _COMMAND.match(line)
        if command is None:
            if line.strip():
                self._ask(line.strip())
            return False
        return obey(self, command[1].lower(), (command[2] or "").strip())

    def _ask(self, question: str) -> None:
        display = Display(self.environment)
        try:
            answer = self.run(display.show(self.chat.async_stream_request(question, on_reasoning=display.think)))
        except (SkkError, OSError) as error:
            self._keep(question, display.text)
            if isinstance(error, BrokenPipeError):
                raise
            self.environment.tell(explain(error))
        else:
            if answer is None:
                self._keep(question, display.text)
            elif (line := remark(answer)) is not None:
                self.environment.tell(line)

    def run(self, waiting: Coroutine[Any, Any, Any]) -> Any:
        """Wait for the service; None if the person did not want to."""
        try:
            return self._runner.run(waiting)
        except KeyboardInterrupt:
            self.environment.tell(say(INTERRUPTED))
            return None

    def _keep(self, question: str, shown: str) -> None:
        """Remember an answer that was not finished: what the person saw is what the model will see."""
        if shown:
            from skk.openai import assistant_msg, user_msg

            self.chat.add_dialogs(user_msg(question), assistant_msg(f"{shown}\n{say(INTERRUPTED)}"))
