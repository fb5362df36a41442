"""``skk ask``: one question, the answer alone on stdout, and an exit status that says how it went."""

from __future__ import annotations

import contextlib
import errno
from functools import partial

import click

from skk.errors import AnswerFormatError, ConversationNotFoundError, SkkError
from skk.texts import mark, say

from .attach import MOST_BYTES, MOST_TEXT, attached, attachment, contents, plain, too_large
from .connect import Wanted, no_key
from .options import File, talking
from .render import Display, remember
from .report import STOPPED, AsJson, AsText, is_whole, statuses
from .shell import complete_users

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from typing import Any

    from skk.openai import Answer, Chat
    from skk.service import Conversation

    from .environment import Environment
    from .options import Doing
    from .schema import Schema

__all__ = ["ask_command"]

# Seconds until somebody is told that their pipe is waited for.
_PATIENCE = 5.0


def ask_command(environment: Environment) -> click.Command:
    """Make ``skk ask``."""

    @click.command("ask", epilog=statuses())
    @click.argument("question", nargs=-1)
    @click.option(
        "--attach",
        "files",
        metavar="FILE",
        type=File(),
        multiple=True,
        help=say(mark("Put a picture, sound, PDF or text file into the question; - is what is piped in. Repeatable.")),
    )
    @click.option(
        "--schema",
        metavar="FILE",
        type=File(),
        help=say(mark("JSON Schema that the answer must fit; it is printed as JSON.")),
    )
    @click.option(
        "--json", "as_json", is_flag=True, help=say(mark("Print one line of JSON: the answer and how it came about."))
    )
    @click.option(
        "-c", "--continue", "goes_on", is_flag=True, help=say(mark("Go on with your last conversation, and keep this."))
    )
    @click.option(
        "--user",
        metavar="NAME",
        shell_complete=complete_users,
        help=say(mark("With -c: whose conversation, if not that of your login.")),
    )
    @talking(environment)
    def ask_command(
        question: tuple[str, ...],
        files: tuple[str, ...],
        schema: str | None,
        as_json: bool,
        goes_on: bool,
        user: str | None,
        **options: Any,
    ) -> Doing:
        if user is not None and not goes_on:
            raise click.UsageError(say(mark("--user says whose conversation -c goes on with: write -c, too")))
        prompt = " ".join(question)
        data = b"" if environment.stdin_is_terminal else piped(environment, _PATIENCE if prompt else None)
        if "-" in files and not data:
            raise click.UsageError(say(mark("--attach - takes what is piped in, and nothing is")))
        text = whole(prompt, "" if "-" in files else _readable(data))
        if not text:
            raise click.UsageError(say(mark('there is no question: skk ask "...", or pipe one in')))
        asked = Question(text, files, data, schema)
        return partial(ask, asked, Wanted(**options), environment, as_json=as_json, goes_on=goes_on, user=user)

    return ask_command


def piped(environment: Environment, patience: float | None) -> bytes:
    """Give what is piped in, to its end.

    Args:
        patience: seconds until the person is told what is waited for: a program that was started without a pipe of
            its own has that of its parent, which may never end. None says nothing.
    """
    stream = getattr(environment.stdin, "buffer", None)
    if stream is None:
        return environment.stdin.read().encode("utf-8", "replace")
    with contextlib.ExitStack() as stack:
        if patience is not None:
            import threading

            hint = say(mark("skk: waiting for the end of what is piped in; if there is nothing, write < /dev/null"))
            timer = threading.Timer(patience, environment.tell, [hint])
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)
        try:
            return bytes(stream.read(MOST_BYTES + 1) or b"")
        except OSError as error:
            if error.errno == errno.EBADF:  # `nohup` gives a stdin that cannot be read
                return b""
            raise


def _readable(data: bytes) -> str:
    """Read what was piped in as text; single bytes that are none become "�"."""
    text = plain(data)
    if text is None:
        if b"\0" in data or data.startswith(b"%PDF-"):
            raise click.UsageError(say(mark("what is piped in is no text: give it to --attach -")))
        text = data.decode("utf-8", "replace")
    if len(data) > MOST_TEXT:
        raise too_large("stdin", MOST_TEXT)
    return text


def whole(prompt: str, piped: str) -> str:
    """Give what is to be asked: the prompt, then what was piped in."""
    return "\n\n".join(text for text in (prompt, piped.removeprefix("\ufeff").rstrip("\r\n")) if text.strip())


class Question:
    """What is to be asked.

    Args:
        text: in words.
        files: what to attach.
        data: what was piped in, for the file ``-``.
        schema: the file that says what the answer is to look like.
    """

    def __init__(self, text: str, files: tuple[str, ...] = (), data: bytes = b"", schema: str | None = None) -> None:
        self._text = text
        self._files = dict.fromkeys(files)
        self._data = data
        self._schema = schema

    def parts(self) -> list[Any]:
        """Give its parts.

        Raises:
            OSError, ConfigurationError: a file cannot be read, or no model could.
        """
        files = (attached(self._data, "stdin") if path == "-" else attachment(path) for path in self._files)
        return [self._text, *(part for parts in files for part in parts)]

    def schema(self) -> Schema | None:
        """Give what the answer must fit.

        Raises:
            OSError, ConfigurationError: the file cannot be read, or holds no schema.
        """
        if self._schema is None:
            return None
        from .schema import Schema

        return Schema(contents(self._schema), self._schema)


def ask(
    question: Question,
    wanted: Wanted,
    environment: Environment,
    *,
    as_json: bool = False,
    goes_on: bool = False,
    user: str | None = None,
) -> int:
    """Ask, show the answer, and give the exit status.

    Args:
        question: what is asked.
        wanted: how.
        environment: where the answer goes.
        as_json: whether it goes there as JSON, with all that is known about it.
        goes_on: whether the last conversation is gone on with; else nothing is kept, and no store is loaded.
        user: whose conversation; None for the person's who is logged in.
    """
    report = AsJson(environment) if as_json else AsText(environment)
    from .stopping import ended, ending  # 40 ms: asyncio; the SDK needs it too

    with ending(environment.close_terminal):
        status = _asked(question, wanted, environment, report, as_json=as_json, goes_on=goes_on, user=user)
        number = ended()
        return 128 + number if number is not None and status == STOPPED else status


def _asked(
    question: Question,
    wanted: Wanted,
    environment: Environment,
    report: AsText,
    *,
    as_json: bool,
    goes_on: bool,
    user: str | None,
) -> int:
    try:
        if not wanted.has_key:
            raise no_key()
        parts, schema = question.parts(), question.schema()
        with contextlib.ExitStack() as stack:
            import asyncio

            runner = stack.enter_context(asyncio.Runner())
            turn: _Once
            if goes_on:
                from .keeping import login_name

                conversation = _last(user or login_name(), wanted, runner, stack)
                report.conversation = conversation.id
                turn = _Kept(conversation, wanted, runner, report)
            else:
                turn = _Once(wanted.chat(), runner)
            if schema is not None:
                return report.fitting(*turn.fitting(parts, schema))
            if as_json:
                return report.fitting(turn.whole(parts), None)
            return report.told(turn.shown(parts, Display(environment)))
    except BrokenPipeError:  # nobody reads any more
        raise
    except (KeyboardInterrupt, SkkError, OSError, ValueError) as error:
        return report.failed(error)


def _last(user: str, wanted: Wanted, runner: asyncio.Runner, until: contextlib.ExitStack) -> Conversation:
    """Give a user's last conversation, with its own settings.

    Raises:
        ConversationNotFoundError: there is none.
        ConfigurationError, StoreError: the store cannot be opened.
    """
    from skk.service import Conversation  # 250 ms: SQLAlchemy

    from .keeping import Keeping
    from .stopping import interruptible

    keeping = Keeping(runner)
    until.callback(keeping.close)
    store = interruptible(runner, keeping.store())
    rows = interruptible(runner, store.conversations(user, limit=1))
    if not rows:
        raise ConversationNotFoundError(
            mark("{user} has no conversation yet: begin one with skk chat, or say with --user whose you mean"),
            user=user,
        )
    conversation = Conversation(store, user, wanted.chat(), settings=False)
    interruptible(runner, conversation.resume(rows[0].id))
    return conversation


class _Once:
    """One turn that nobody keeps, in three forms.

    Args:
        chat: asks.
        runner: runs it.
    """

    def __init__(self, chat: Chat, runner: asyncio.Runner) -> None:
        self._chat = chat
        self._runner = runner

    def shown(self, parts: list[Any], display: Display) -> Answer:
        """Show the answer while it comes, and give it."""
        stream = self._chat.async_stream_request(*parts, on_reasoning=display.think)
        try:
            answer = self._wait(display.show(stream))
        except (KeyboardInterrupt, SkkError, OSError):
            if display.text:
                self._broke_off(parts, display.text)
            raise
        self._keep()
        return answer

    def whole(self, parts: list[Any]) -> Answer:
        """Give the answer when it is there."""
        answer = self._wait(self._chat.async_request(*parts))
        self._keep()
        return answer

    def fitting(self, parts: list[Any], schema: Schema) -> tuple[Answer, Any]:
        """Give an answer and its value; one that is not whole has none, and is not kept.

        Raises:
            AnswerFormatError: it does not fit.
        """
        try:
            answer = self._wait(self._chat.async_request(*parts, response_format=schema.form))
            if not is_whole(answer):
                return answer, None
            value = schema.checked(answer)
        except AnswerFormatError as error:
            if not is_whole(cut := _as_answer(error)):
                return cut, None
            raise schema.misfit(error) from None
        self._keep()
        return answer, value

    def _wait(self, waiting: Coroutine[Any, Any, Answer]) -> Answer:
        from .stopping import interruptible

        return interruptible(self._runner, waiting)

    def _broke_off(self, parts: list[Any], shown: str) -> None:
        """Do what is to be done about an answer of which a part was shown."""

    def _keep(self) -> None:
        """Do what is to be done about an answer that came."""


class _Kept(_Once):
    """One more turn of a conversation that is kept; a failure of that is told beside the answer, which was paid for.

    Args:
        conversation: keeps it, by its own settings.
        wanted: what goes before those settings, in this turn alone.
        runner: runs it.
        report: is told what could not be kept.
    """

    def __init__(self, conversation: Conversation, wanted: Wanted, runner: asyncio.Runner, report: AsText) -> None:
        chat = conversation.chat.fork()
        chat.model = wanted.model or chat.model
        chat.system = chat.system if wanted.system is None else wanted.system
        limit = chat.msg_max_count if wanted.max_messages is None else wanted.max_messages
        if limit is not None:
            chat.msg_max_count = max(limit - 1, 0)  # the question is sent, too
            chat.msg_max_count = None  # and stays until it is kept
        super().__init__(chat, runner)
        self._sent = len(chat.history.messages)
        self._conversation = conversation
        self._report = report

    def _broke_off(self, parts: list[Any], shown: str) -> None:  # what the person saw is what the model will see
        remember(self._conversation.chat, (*parts,), shown)
        self._save()

    def _keep(self) -> None:
        question, *reply = self._chat.history.messages[self._sent :]
        self._conversation.chat.history.append((question,), tuple(reply))
        self._save()

    def _save(self) -> None:
        from .stopping import finished

        try:
            finished(self._runner, self._conversation.save())
        except (KeyboardInterrupt, SkkError, OSError) as error:
            self._report.unkept = error


def _as_answer(misfit: AnswerFormatError) -> Answer:
    """Give what came in place of the JSON that was asked for: half of it, perhaps."""
    from skk.openai import Answer

    return Answer(misfit.text, finish_reason=misfit.finish_reason, request_id=misfit.request_id)
