"""``skk chat``: a talk that remembers."""

from __future__ import annotations

import contextlib
import re
from functools import partial

import click

from skk.errors import ConfigurationError, ConversationChangedError, SkkError, StoreError
from skk.texts import mark, say

from .choose import ask_name, choose, find
from .connect import Wanted, load_sdk
from .editor import Editor
from .keeping import Keeping, login_name
from .options import talking
from .render import INTERRUPTED, Display, clean, explain, one_line, remark, remember
from .shell import complete_conversations, complete_users
from .slash import commands, obey
from .slash.asking import ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeVar

    from skk.openai import Chat
    from skk.service import Conversation, ConversationRow, Store

    from .environment import Environment
    from .options import Doing

    T = TypeVar("T")

__all__ = ["Talk", "chat_command"]

_COMMAND = re.compile(r"/([A-Za-z]+)(?:\s+(.*))?\s*\Z", re.DOTALL)


def chat_command(environment: Environment) -> click.Command:
    """Make ``skk chat``."""

    @click.command("chat")
    @click.option("--classic", is_flag=True, help=say(mark("The classic program; it saves to ./user_messages.json.")))
    @click.option(
        "--user",
        metavar="NAME",
        shell_complete=complete_users,
        help=say(mark("Who talks; each user has conversations of their own.")),
    )
    @click.option(
        "--resume",
        metavar="[N|ID]",
        shell_complete=complete_conversations,
        is_flag=False,
        flag_value="",
        help=say(mark("Go on with a past conversation: the Nth last, or that with this id; alone: choose one.")),
    )
    @click.option("--no-save", is_flag=True, help=say(mark("Keep nothing of this talk.")))
    @talking(environment)
    def chat_command(classic: bool, user: str | None, resume: str | None, no_save: bool, **options: Any) -> Doing:
        wanted = Wanted(**options)
        if not classic:
            if no_save and resume is not None:
                raise click.UsageError(say(mark("--no-save keeps nothing, so that nothing can be resumed with it")))
            return partial(chat, wanted, environment, user, resume, kept=not no_save)
        if (wanted.system, wanted.max_messages, user, resume) != (None, None, None, None) or no_save:
            raise click.UsageError(
                say(
                    mark(
                        "--classic asks for the user, has its own system message, sends all messages and saves to its "
                        "own file: leave --user, --resume, --system, --max-messages and --no-save away"
                    )
                )
            )
        from .classic import classic as classic_chat

        return partial(classic_chat, wanted, environment)

    return chat_command


def chat(wanted: Wanted, environment: Environment, user: str | None, resume: str | None, *, kept: bool) -> int:
    """Talk until the input ends or somebody leaves, and give the exit status.

    Args:
        wanted: what was asked for on the command line.
        environment: where the person is.
        user: who talks; None to ask, where there is somebody to ask.
        resume: the number or id of the conversation to go on with; ``""`` to choose one, None for a new one.
        kept: whether the talk is kept.

    Raises:
        SkkError, OSError: it could not begin.
    """
    with contextlib.ExitStack() as stack:
        service = wanted.service(environment, stack)
        import asyncio  # 40 ms; the SDK needs it too

        from .stopping import ended, ending

        stack.enter_context(ending(environment.close_terminal))
        runner = stack.enter_context(asyncio.Runner())
        talk = Talk(wanted, service, environment, runner, keeping=Keeping(runner) if kept else None)
        stack.callback(talk.leave)
        status = 0
        try:
            if talk.begin(user, resume):
                talk.hold()
        except KeyboardInterrupt:  # at a prompt
            if not talk.editor.edits:  # else the cursor is on a new line already
                environment.tell("")
            status = 130
        except StoreError as error:
            environment.tell(explain(error))
            if resume is None:
                environment.tell(say(_WITHOUT))
            return 1
        if not talk.save():
            return 1
        return status if (number := ended()) is None else 128 + number


_WITHOUT = mark("skk: to talk without keeping anything: skk chat --no-save")


class Talk:
    """One person's talk at a terminal.

    Args:
        wanted: what was asked for on the command line.
        service: what a chat needs beside that; see `Wanted.service`.
        environment: where the person is.
        runner: runs what waits for the service; Ctrl-C stops that, and not the talk.
        keeping: where the conversations are kept; None to keep nothing.

    Attributes:
        chat: remembers what was said.
        attached: the files for the next question, by path, and the parts that they are sent as.
        conversation: keeps it; None where nothing is kept.
        editor: reads what is typed.
    """

    def __init__(
        self,
        wanted: Wanted,
        service: dict[str, Any],
        environment: Environment,
        runner: asyncio.Runner,
        *,
        keeping: Keeping | None,
    ) -> None:
        self.chat = wanted.chat(**service)
        self.environment = environment
        self.conversation: Conversation | None = None
        self.attached: dict[str, list[dict[str, Any]]] = {}
        self.user = ""
        self.editor = Editor(environment, runner, commands=commands, models=self._models, past=self._past)
        self._service = service
        self._named: list[str] = []
        self._naming: asyncio.Task[None] | None = None
        self._wanted = wanted
        self._pressed = 0
        self._has_given_up = False
        self._runner = runner
        self._keeping = keeping

    # ---- who talks, and about what

    def begin(self, user: str | None, resume: str | None) -> bool:
        """Find out who talks and what is gone on with; False if the input ended before that was known.

        Raises:
            ConversationNotFoundError: there is no conversation of that number or id.
            ConfigurationError, StoreError: the store cannot be opened, or there is no name.
        """
        if user is not None and not user.strip():
            raise ConfigurationError(mark("--user needs a name"))
        if self.environment.stdin_is_terminal:
            sentence = mark("{model} · /help lists the commands, Ctrl-D leaves")
            self.environment.tell(say(sentence, model=clean(self.chat.model)))
        asked = user is None and not resume and self.environment.stdin_is_terminal
        if asked:
            user = ask_name(self.editor, self._runner, self._keeping)
            if user is None:
                return False
        self.user = user or login_name()
        if self._keeping is not None and (asked or resume is not None or not self.editor.edits):
            from .stopping import interruptible

            store = interruptible(self._runner, self._keeping.store())
            row = None
            if resume:
                row = self.finish(find(store, user, resume))
            elif asked or resume is not None:
                row = choose(self.editor, self.environment, self.finish, store, self.user)
            self.converse(store, row)
        return True

    def _load(self) -> None:
        """Load and open what the first question needs, while the person types it."""
        if self._keeping is not None:
            self._keeping.start()
        if self.environment.stdin_is_terminal:
            load_sdk()

    def converse(self, store: Store, row: ConversationRow | None, chat: Chat | None = None) -> None:
        """Begin a conversation, or go on with one that is kept.

        Args:
            store: keeps it.
            row: the one to go on with; its settings hold where the command line says nothing else.
            chat: what holds it; None for a chat that is made as the command line says.
        """
        from skk.service import Conversation

        self.chat = self._wanted.chat(**self._service) if chat is None else chat
        self.conversation = Conversation(store, self.user if row is None else row.user, self.chat)
        if row is None:
            return
        self.user = row.user
        self.finish(self.conversation.resume(row.id, **self._wanted.settings))
        sentence = mark("{title} · {count} messages so far, /history shows them")
        self.environment.tell(say(sentence, title=one_line(row.title), count=len(self.chat.history.messages)))

    def new(self) -> None:
        """Begin another conversation, of the same settings; the one of now stays kept."""
        chat = self.chat
        settings = {"model": chat.model, "system": chat.system, "msg_max_count": chat.msg_max_count}
        self._move(self._wanted.chat(**self._service, **settings))

    def fork(self) -> None:
        """Go on in a copy; the conversation of now stays as it is."""
        self._move(self.chat.fork())

    def _move(self, chat: Chat) -> None:
        self.save()
        if self.conversation is None:
            self.chat = chat
        else:
            assert self._keeping is not None
            self.converse(self._runner.run(self._keeping.store()), None, chat)

    def _models(self) -> list[str]:
        """Give the models that can be named: the one of now, and the service's as soon as it has told them."""
        if self._naming is None:
            self._naming = self._runner.get_loop().create_task(self._name_models())
        return [self.chat.model, *(name for name in self._named if name != self.chat.model)]

    async def _name_models(self) -> None:
        import asyncio
        from importlib import import_module

        with contextlib.suppress(SkkError, OSError):  # a proposal that does not come is no trouble
            await asyncio.to_thread(import_module, "skk.transport.aio")  # the SDK, while the person types
            from skk.endpoints import async_models

            self._named = sorted(await async_models(**self._wanted.client(self._service)))

    async def _past(self) -> list[str]:
        return [] if self._keeping is None else await (await self._keeping.store()).questions(self.user)

    # ---- the talk

    def hold(self) -> None:
        """Take line after line."""
        from .stopping import listening

        with listening(self._press):
            self._hold()

    def _press(self) -> None:
        """Note a Ctrl-C that comes while nothing is waited for.

        `KeyboardInterrupt` would come wherever Python is; in the middle of an import it leaves a lock locked.
        """
        self._pressed += 1
        if self._pressed > 4:
            raise KeyboardInterrupt

    def _hold(self) -> None:
        from .stopping import Stopped

        prompt = f"【{one_line(self.user)}】"
        load: Callable[[], None] | None = self._load
        while (line := self.editor.read(prompt, on_ready=load)) is not None:
            load = None
            try:
                if self._take(line.removeprefix("\ufeff")):
                    break
            except BrokenPipeError:  # nobody reads any more
                raise
            except (SkkError, OSError, ValueError) as error:
                self.environment.tell(explain(error))
                if isinstance(error, StoreError) and self.conversation is None:
                    self.environment.tell(say(_WITHOUT))
            except (KeyboardInterrupt, Stopped):
                self.environment.tell(say(INTERRUPTED))
            finally:
                self._pressed = 0
                self.save()

    def _take(self, line: str) -> bool:
        """Do what a line wants; True if the talk is over. A line that begins with a blank is never a command."""
        command = _COMMAND.match(line)
        if command is None and not line.strip():
            return False
        try:
            self._reach()
        except (SkkError, OSError):
            if command is None or self.conversation is not None:  # what could not be kept is not asked
                raise
        if command is not None:
            return obey(self, command[1].lower(), (command[2] or "").strip())
        ask(self, line.strip())
        return False

    def _reach(self) -> None:
        """Open the store where that is still to be done, and see what another program has said meanwhile.

        Raises:
            ConfigurationError, StoreError: it cannot be opened. One that is away later is no hindrance: what is said
                then is kept when it is back.
            ConversationChangedError: see `Conversation.save`.
        """
        from .stopping import stoppable

        if self._keeping is None:
            return
        if self.conversation is None:
            self.converse(stoppable(self._runner, self._keeping.store()), None, self.chat)
        else:
            self.refresh()

    def ask(self, *parts: Any, pinned: bool = False) -> bool:
        """Ask, show the answer, and remember what was shown; False if there was nothing of it.

        Args:
            *parts: a text or parts, as a `Chat` takes them.
            pinned: whether the question stays when the limit is reached.
        """
        from skk.openai import user_msg

        question = user_msg(*parts, pinned=pinned)
        display = Display(self.environment)
        try:
            answer = self.run(display.show(self.chat.async_stream_request(question, on_reasoning=display.think)))
        except (SkkError, OSError) as error:
            remember(self.chat, parts, display.text, pinned=pinned)
            if isinstance(error, BrokenPipeError):
                raise
            self.environment.tell(explain(error))
            return display.text != ""
        if answer is None:
            remember(self.chat, parts, display.text, pinned=pinned)
            return display.text != ""
        if (line := remark(answer)) is not None:
            self.environment.tell(line)
        return True

    # ---- what is kept

    def refresh(self) -> None:
        """See what another program has done to the conversation."""
        assert self.conversation is not None
        try:
            if not self.finish(self.conversation.refresh()):
                return
        except ConversationChangedError:
            raise
        except StoreError:  # `save` tells it, should there be something to save
            return
        if self.conversation.id is None:
            self.environment.tell(say(mark("[removed by another program; what you say from now on keeps it anew]")))
        else:
            sentence = mark("[changed by another program: {count} messages now, /history shows them]")
            self.environment.tell(say(sentence, count=len(self.chat.history.messages)))

    def save(self) -> bool:
        """Keep what has changed; a failure is told and gives False. What was not kept is kept the next time.

        Where somebody has ended the talk it is tried once: a store that does not answer is waited for a minute.
        """
        from .stopping import ended

        if self.conversation is None:
            return True
        if self._has_given_up:
            return False
        try:
            self.finish(self.conversation.save())
        except (SkkError, OSError) as error:
            self.environment.tell(explain(error))
            self._has_given_up = ended() is not None
            return False
        return True

    def take_back(self, change: Callable[[], T]) -> T:
        """Make a change that takes messages back: those are deleted where they are kept, too."""
        return change() if self.conversation is None else self.conversation.take_back(change)

    def leave(self) -> None:
        """Close what was opened."""
        self.editor.close()
        if self._keeping is not None:
            self._keeping.close()

    # ---- waiting

    def run(self, waiting: Coroutine[Any, Any, Any]) -> Any:
        """Wait for the service; None if the person did not want to."""
        from .stopping import Stopped, stoppable

        try:
            if self._pressed:  # before it was sent
                waiting.close()
                raise Stopped
            return stoppable(self._runner, waiting)
        except (KeyboardInterrupt, Stopped):
            self.environment.tell(say(INTERRUPTED))
            return None

    def finish(self, doing: Coroutine[Any, Any, T]) -> T:
        """Do what must not be left half done: one Ctrl-C does not end it, the next one does.

        Raises:
            KeyboardInterrupt: the second one.
        """
        from .stopping import finished

        return finished(self._runner, doing)
