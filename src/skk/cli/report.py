"""How a question went: what a script reads on stdout, on stderr and from the exit status of ``skk ask``."""

from __future__ import annotations

from skk.errors import AnswerFormatError
from skk.texts import mark, say

from .render import INTERRUPTED, clean, explain, json_line, remark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from skk.openai import Answer

    from .environment import Environment

__all__ = ["STOPPED", "AsJson", "AsText", "is_whole", "statuses"]

# What it exits with, and the kinds of failures that this stands for. Scripts rely on these numbers.
_STATUSES: tuple[tuple[int, str, frozenset[str]], ...] = (
    (0, mark("answered"), frozenset()),
    (1, mark("failed in another way"), frozenset()),
    (2, mark("wrong usage: nothing was asked"), frozenset()),
    (
        3,
        mark("no api key, or one that is not accepted or has nothing left to spend"),
        frozenset(
            {"missing_key", "invalid_key", "empty_pool", "authentication", "permission_denied", "all_keys_rejected"}
        ),
    ),
    (
        4,
        mark("try again later: too much at once, no connection, trouble of the service"),
        frozenset(
            {
                *("rate_limit", "all_keys_rate_limited", "all_keys_failed", "server", "conflict", "deadline"),
                *("connection", "timeout", "stream_interrupted", "stream_truncated", "stream_stalled"),
            }
        ),
    ),
    (5, mark("no whole answer: it is cut off, filtered, refused or empty"), frozenset({"content_policy"})),
    (6, mark("the answer does not fit --schema"), frozenset({"answer_format"})),
    (130, mark("stopped with Ctrl-C"), frozenset()),
)
_OTHER, _ACCOUNT, _LATER, _NOT_WHOLE, STOPPED = 1, 3, 4, 5, 130

# What --json prints, always all of it.
_NAMES = (
    *("answer", "parsed", "model", "finish_reason", "usage", "reasoning", "refusal"),
    *("request_id", "conversation", "error"),
)


def statuses() -> str:
    """Give the end of the help page: what each exit status says."""
    lines = [f"{status:>5}  {say(sentence)}" for status, sentence, _ in _STATUSES]
    return "\n".join(["\b", say(mark("Exit status:")), *lines])


def is_whole(answer: Answer) -> bool:
    """Tell whether an answer is all that was asked for: not cut off, filtered, refused or empty."""
    return answer.refusal is None and remark(answer) is None


def _status(error: BaseException) -> int:
    """Give the exit status of a failure."""
    if isinstance(error, KeyboardInterrupt):
        return STOPPED
    status = getattr(error, "status_code", None)
    if getattr(error, "code", None) == "insufficient_quota" or status == 402:
        return _ACCOUNT
    if status == 408:
        return _LATER
    kind = getattr(error, "kind", "")
    return next((status for status, _, kinds in _STATUSES if kind in kinds), _OTHER)


def _told(error: BaseException) -> str:
    """Give a failure as one line."""
    return explain(error) if isinstance(error, Exception) else say(INTERRUPTED)


def _unkept(error: BaseException) -> str:
    """Give the line about an answer that is there, and could not be kept."""
    reason = _told(error).removeprefix("skk: ")
    return "skk: " + say(mark("question and answer are not kept: {failure}"), failure=reason)


class AsText:
    """The answer on stdout, all else on stderr.

    Attributes:
        conversation: the id of the one that is gone on with; None if none is.
        unkept: why the turn could not be kept in it; None if nothing was in the way.
    """

    conversation: str | None = None
    unkept: BaseException | None = None

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def fitting(self, answer: Answer, value: Any) -> int:
        """Print the value; an answer that is not whole is none, and goes to stderr."""
        if is_whole(answer):
            self._environment.write(json_line(value) + "\n")
        elif answer.strip():
            self._environment.tell(clean(answer))
        return self.told(answer)

    def told(self, answer: Answer) -> int:
        """Say what a script should know of an answer that has been shown."""
        line = remark(answer)
        if line is None and answer.refusal is not None:
            line = say(mark("[the model refuses to answer]"))
        if line is not None:
            self._environment.tell(line)
        if self.unkept is not None:
            self._environment.tell(_unkept(self.unkept))
            return _OTHER if isinstance(self.unkept, Exception) else STOPPED
        return 0 if line is None else _NOT_WHOLE

    def failed(self, error: BaseException) -> int:
        self._environment.tell(_told(error))
        if self.unkept is not None:
            self._environment.tell(_unkept(self.unkept))
        return _status(error)


class AsJson(AsText):
    """One line of JSON on stdout, whatever happens; what went wrong stands on stderr, too."""

    def fitting(self, answer: Answer, value: Any) -> int:
        self._print(
            answer=str(answer),
            parsed=value,
            model=answer.model,
            finish_reason=answer.finish_reason,
            usage=answer.usage,
            reasoning=answer.reasoning,
            refusal=answer.refusal,
            request_id=answer.request_id,
            error=None if self.unkept is None else _about(self.unkept, _unkept(self.unkept)),
        )
        return self.told(answer)

    def failed(self, error: BaseException) -> int:
        came = error.text if isinstance(error, AnswerFormatError) else getattr(error, "partial", "")
        about = _about(error, _told(error))
        self._print(answer=came or None, request_id=getattr(error, "request_id", None), error=about)
        return super().failed(error)

    def _print(self, **known: Any) -> None:
        known["conversation"] = self.conversation
        self._environment.write(json_line({name: known.get(name) for name in _NAMES}) + "\n")


def _about(error: BaseException, line: str) -> dict[str, Any]:
    """Give what programs are told of a failure, and its line."""
    other = "interrupted" if isinstance(error, KeyboardInterrupt) else "file" if isinstance(error, OSError) else "error"
    kind = str(getattr(error, "kind", other))
    return {"kind": kind, "code": getattr(error, "code", None), "message": line.removeprefix("skk: ")}
