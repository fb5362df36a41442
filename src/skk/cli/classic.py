"""``skk chat --classic``: the terminal program that skk grew out of, byte for byte.

Its texts are Chinese always: they belong to that program, and stand in no catalogue. stdout holds what
it printed, the prompts too; what it had no word for (a request that failed, a missing key) goes to
stderr.
"""

from __future__ import annotations

import contextlib
import json
import sys

from skk.config import read_key_file
from skk.errors import SkkError
from skk.history import update_atomically
from skk.texts import speaking

from .connect import load_sdk
from .render import clean, explain, remark

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from typing import Any

    from skk.openai import Chat

    from .connect import Wanted
    from .environment import Environment

__all__ = ["Classic", "classic"]

KEY_FILE = "../envs/openai_key"
USER_MESSAGES = "./user_messages.json"
PERSONA = "一个有10年Python开发经验的资深算法工程师"
MOST_MESSAGES = 11  # the persona and five rounds

_ASK_USER = "请输入用户名称: "
_LEFT = "*********退出程序**********"
_RESET = f"{'*' * 26}\n*********重置对话**********\n{'*' * 26}"
_RESET_BY_FORCE = f"{'*' * 30}\n*********强制重置对话**********\n{'*' * 30}"

_IUTF8 = 0o40000  # Python's termios does not name it

_READING = (OSError, ValueError, RecursionError)  # what a file may raise: not there, damaged, nested without end


def classic(wanted: Wanted, environment: Environment) -> int:
    """Talk as the classic program did, and give the exit status.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    from .stopping import ending  # 40 ms: asyncio; the SDK needs it too

    with speaking("zh"), ending(environment.close_terminal), contextlib.ExitStack() as stack:
        try:
            key = _key(environment) if not wanted.key_files else None
            found = wanted.service(environment, stack) if key is None else {"api_key": key}
            chat = wanted.chat(**{"system": PERSONA, **found})
            if environment.stdin_is_terminal:
                load_sdk()
                stack.enter_context(_erasing_characters(environment))
            import asyncio

            return Classic(chat, environment, stack.enter_context(asyncio.Runner())).hold()
        except BrokenPipeError:
            raise
        except (SkkError, OSError, ValueError) as error:  # it could not begin
            environment.tell(_told(error))
            return 1


def _key(environment: Environment) -> str | None:
    """Give the key of the classic program's key file; None where there is no such file, or it is none."""
    try:
        return read_key_file(KEY_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (SkkError, OSError) as error:
        environment.tell(_told(error))
        return None


@contextlib.contextmanager
def _erasing_characters(environment: Environment) -> Iterator[None]:
    """Let the erase key take a whole Chinese character, also at a terminal that nobody told (docker, older ssh)."""
    if sys.platform not in ("linux", "darwin"):
        yield
        return
    import termios

    before: list[Any] | None = None
    with contextlib.suppress(OSError, termios.error):  # no terminal of the system's
        descriptor = environment.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, [before[0] | _IUTF8, *before[1:]])
    try:
        yield
    finally:
        if before is not None:
            with contextlib.suppress(termios.error):  # it has been closed
                termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _told(error: Exception) -> str:
    return "错误代码：" + explain(error).removeprefix("skk: ")


def _leave() -> None:
    raise KeyboardInterrupt


class Classic:
    """The classic program: one user's talk after the other's.

    What could not be saved is kept, and is saved with the next talk that can be.

    Args:
        chat: remembers the talk; it is emptied for the next one.
        environment: where the person is.
        runner: runs what waits for the service.
    """

    def __init__(self, chat: Chat, environment: Environment, runner: asyncio.Runner) -> None:
        self._chat = chat
        self._environment = environment
        self._runner = runner
        self._user: str | None = None
        self._unsaved: dict[str, list[dict[str, Any]]] = {}

    def hold(self) -> int:
        """Talk until somebody leaves, save, and give the exit status: 1 if something could not be saved."""
        from .stopping import ended, unbroken

        status = 0
        try:
            self._talk()
        except EOFError:
            if self._environment.stdin_is_terminal:
                self._environment.tell("")
        except KeyboardInterrupt:
            self._environment.tell("")
            status = 130
        finally:  # also when nobody reads any more
            with unbroken():
                if self._chat.fetch_messages():  # an older talk is not lost to one in which nothing was said
                    self._end()
                self._save()
        if (number := ended()) is not None:
            status = 128 + number
        return status or int(bool(self._unsaved))

    def _talk(self) -> None:
        """Take line after line.

        Raises:
            EOFError: the input has ended.
            KeyboardInterrupt: Ctrl-C.
        """
        self._begin()
        while True:
            if len(self._messages()) >= MOST_MESSAGES:
                self._print(_RESET_BY_FORCE)
                self._begin()
            line = self._input(f"【{clean(self._user)}】")
            if line == "0":
                self._print(_LEFT)
                self._end()
                return
            if line == "1":
                self._print(_RESET)
                self._begin()
            else:
                self._ask(line)

    def _begin(self) -> None:
        """Save the talk that was, and begin one with the user who is there now."""
        from .stopping import unbroken

        with unbroken():
            self._end()
            self._save()
        self._user = self._input(_ASK_USER)

    def _end(self) -> None:
        """Put the talk among those to be saved."""
        if self._user is not None:
            self._unsaved[self._user] = self._messages()
            self._user = None
        self._chat.clear()

    def _ask(self, question: str) -> None:
        from skk.openai import user_msg  # a line without a word is a message too

        from .stopping import interruptible

        try:
            answer = interruptible(self._runner, self._chat.async_request(user_msg(question)))
        except (SkkError, OSError, ValueError) as error:
            self._environment.tell(_told(error))
            return
        self._print(f"【ChatGPT】{clean(answer)}")
        if (line := remark(answer)) is not None:
            self._environment.tell(line)

    def _messages(self) -> list[dict[str, Any]]:
        """Give the talk as the file holds it."""
        said = [
            {"role": message["role"], "content": message.get("content") or message.get("refusal") or ""}
            for message in self._chat.fetch_messages()
        ]
        return [{"role": "system", "content": PERSONA}, *said]

    def _save(self) -> None:
        """Save what is unsaved; what cannot be stays so."""
        if not self._unsaved:
            return
        try:
            update_atomically(USER_MESSAGES, self._added)
        except _READING as error:
            self._print(f"错误代码：{error}")
        else:
            self._unsaved = {}

    def _added(self, content: bytes) -> bytes:
        """Give the file's new content.

        Raises:
            ValueError, RecursionError: the file is damaged.
        """
        users = json.loads(content.decode("utf-8-sig")) if content.strip() else {}
        if not isinstance(users, dict):
            raise ValueError(f"{USER_MESSAGES} 不是 {{用户名称: 对话}}")
        return json.dumps({**users, **self._unsaved}).encode("ascii")

    def _input(self, prompt: str) -> str:
        """Read a line as the classic program did: the prompt goes to stdout, and nothing edits the line.

        Raises:
            EOFError: the input has ended.
            KeyboardInterrupt: Ctrl-C.
        """
        from .stopping import listening

        self._environment.write(prompt)
        with listening(_leave):
            line = self._environment.stdin.readline()
        if not line:
            raise EOFError
        return line.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")

    def _print(self, text: str) -> None:
        self._environment.write(text + "\n")
