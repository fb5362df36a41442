"""`ChatTurn`: a question and its answer, and the one place where a history grows."""

from __future__ import annotations

from skk.errors import SkkError
from skk.failure import CallerFailed
from skk.messages import Answer, Message, answered, decode, spoken

from .draft import Draft
from .turn import Event, Request, Turn
from .usage import added, totals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol

    from skk.errors import ChatRequestError
    from skk.history import History

    from .usage import Tokens

    class Tools(Protocol):
        """What a turn asks of its tools."""

        def can_run(self, calls: list[dict[str, Any]]) -> bool: ...


__all__ = ["ChatTurn", "Terms"]

PATH = "/chat/completions"

# A message of these says a text and nothing else: nobody takes annotations back.
_OF_A_TEXT = frozenset({"role", "content", "annotations"})


class Terms:
    """What many turns ask alike: all but the messages.

    Args:
        head: the fields of the request's body beside the messages, as an encoded JSON object.
        model: the model that is asked.
        next_head: `head` of the steps after the first; None for the same.
        streamed: whether the answer is wanted in pieces.
        tools: who runs tool calls; None leaves them to the caller.
        max_tokens: how long an answer may be; None where the request does not say.

    Attributes:
        opening, next_opening: the bodies, up to the messages.
    """

    def __init__(
        self,
        head: bytes,
        *,
        model: str,
        next_head: bytes | None = None,
        streamed: bool = False,
        tools: Tools | None = None,
        max_tokens: int | None = None,
    ) -> None:
        self.model = model
        self.opening = head[:-1] + b',"messages":['
        self.next_opening = self.opening if next_head is None else next_head[:-1] + b',"messages":['
        self.streamed = streamed
        self.tools = tools
        self.max_tokens = max_tokens


class ChatTurn(Turn):
    """One turn of a conversation: a question, perhaps steps of tool calls and their results, and the answer.

    With tools, a driver drives it again for each step: `commit` either appends, or leaves the calls in
    `pending`; `take` brings their results.

    Args:
        history: where the turn is added when it is complete.
        question: the messages that ask.
        terms: all else that the request says.
        system: the message that goes before all others.
        deadline: seconds for all of it; None for no end.
        tokens: how many tokens the history and the question may have, and what counts them; None for any number.
        shape: makes the answer that the caller sees; it may raise, before anything is changed.
        on_reasoning: called with each piece of what the model thinks aloud.
        spent: called with the tokens of each step, as `totals` gives them, also of one that fails later.
        done: called in the commit, after everything that can fail.
        beside: what else the turn uses up; the history keeps it for the one who takes the turn back.

    Attributes:
        answer: the answer, once the turn is complete.
        pending: the tool calls that wait for results.
    """

    answer: Answer | None = None
    pending: Sequence[dict[str, Any]] = ()
    _request: Request | None = None
    _snapshot: tuple[Message, ...] | None = None
    _steps: tuple[Message, ...] = ()
    _said = ""  # the texts of the steps before this one
    _usage: Mapping[str, Any] | None = None

    def __init__(
        self,
        history: History,
        question: tuple[Message, ...],
        terms: Terms,
        system: Message | None = None,
        deadline: float | None = None,
        tokens: tuple[int, Callable[[Message], int]] | None = None,
        shape: Callable[[Answer], Answer] | None = None,
        on_reasoning: Callable[[str], object] | None = None,
        spent: Callable[[Tokens], None] | None = None,
        done: Callable[[ChatTurn], None] | None = None,
        beside: Any = None,
    ) -> None:
        self.model = terms.model
        self.max_tokens = terms.max_tokens
        self.deadline = deadline
        self._history = history
        self._question = question
        self._terms = terms
        self._opening = terms.opening
        self._system = system
        self._tokens = tokens
        self._shape = shape
        self._on_reasoning = on_reasoning
        self._spent = spent
        self._done = done
        self._beside = beside
        self._draft = Draft(on_reasoning)

    @property
    def snapshot(self) -> tuple[Message, ...]:
        """The history that this turn asks from. It is looked at once, and kept over all steps and attempts."""
        if self._snapshot is None:
            self._snapshot = self._history.messages
        return self._snapshot

    @property
    def partial(self) -> str:
        """The text that has come so far, in all steps."""
        return self._said + "".join(self._draft.pieces)

    @property
    def shown(self) -> bool:
        """Whether something of this step has been shown."""
        return bool(self._draft.pieces) or self._draft.thought_aloud

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """What the service says that this step used."""
        return self._draft.usage

    @property
    def complete(self) -> bool:
        """Whether the answer is there, so that trouble at the end of the connection is none."""
        return self._draft.finish_reason is not None

    def window(self, left_out: dict[int, str] | None = None) -> tuple[Message, ...]:
        """Give the messages to send.

        Args:
            left_out: takes in the index of each message that is left out, and why.
        """
        found = self._history.window(self._question, self.snapshot, self._steps, tokens=self._tokens, left_out=left_out)
        return found if self._system is None else (self._system, *found)

    def prepare(self) -> Request:
        """Say what to send."""
        if self.attempts:
            self._draft = Draft(self._on_reasoning)
        if self._request is None:
            data = [m.data for m in self.window()] or [b""]
            data[0] = self._opening + data[0]
            data[-1] += b"]}"
            self._request = Request(PATH, b",".join(data), self._terms.streamed)  # one copy of a long history
        return self._request

    @property
    def absorb(self) -> Callable[[Sequence[Event]], list[str]]:
        """What takes in what came and gives the texts that are new: no call of our own between costs each piece."""
        return self._draft.absorb

    def commit(self) -> None:
        """Add the turn to the history: all of it, in one assignment, after everything that can fail.

        Where there are tool calls to run, nothing is added yet.
        """
        draft = self._draft
        if draft.usage is not None:  # whatever comes of it
            self._usage = draft.usage if self._usage is None else added(self._usage, draft.usage)
            if self._spent is not None:
                self._spent(totals(draft.usage))
        draft.check()
        given = draft.message()
        text = "".join(draft.pieces)
        plain = given.keys() <= _OF_A_TEXT
        reply = spoken("assistant", text) if plain else draft.kept(given)
        self._request = None  # the bytes of a long history need not be kept beside it
        if not plain and (tools := self._terms.tools) is not None:
            calls = given.get("tool_calls")
            if calls and tools.can_run(calls):
                self._steps += (reply,)
                self.pending = calls
                return
        about = {
            "message": given,
            "usage": self._usage,
            "finish_reason": draft.finish_reason,
            "model": draft.model,
            "request_id": self.request_id,
        }
        answer = answered(text, about)
        if not plain:
            reasoning = given.get("reasoning_content") or given.get("reasoning")
            answer.reasoning = reasoning if isinstance(reasoning, str) else None
            answer.refusal = given.get("refusal")
        if self._shape is not None:
            answer = self._shaped(self._shape, answer)
        self._history.append(self._question, (*self._steps, reply), self._beside)
        self.answer = answer
        self._snapshot = None
        if self._done is not None:
            self._done(self)

    def _shaped(self, shape: Callable[[Answer], Answer], answer: Answer) -> Answer:
        try:
            return shape(answer)
        except SkkError:
            raise
        except Exception as error:  # a validator of the caller's
            raise CallerFailed from error

    def take(self, results: tuple[Message, ...]) -> None:
        """Take in the results of the tool calls; the next step sends them."""
        self._steps += results
        self.pending = ()
        self._said += "".join(self._draft.pieces)
        self._draft = Draft(self._on_reasoning)
        self._opening = self._terms.next_opening
        self.attempts, self.place, self.last_error, self.request_id = 0, None, None, None  # each step has its own tries
        self._troubles = 0

    def told(self, error: ChatRequestError) -> ChatRequestError:
        """Put what this turn went through into the error that ends it."""
        error.steps = decode(self._steps[: -1 if self.pending else None])
        return super().told(error)
