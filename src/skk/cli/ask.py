"""``skk ask``: one question, the answer alone on stdout."""

from __future__ import annotations

from skk.texts import say

from .connect import no_key
from .render import INTERRUPTED, Display, remark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .connect import Wanted
    from .environment import Environment

__all__ = ["ask", "question"]


def question(prompt: str, environment: Environment) -> str:
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
