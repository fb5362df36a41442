"""`ChatTurn`: a question and its answer, and the one place where a history grows."""

from __future__ import annotations

from skk.errors import InvalidMessageError
from skk.history import History, TurnRecord
from skk.messages import Answer, Message, message

from .draft import Draft, unreadable
from .turn import Event, Request, Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["ChatTurn"]

PATH = "/chat/completions"


class ChatTurn(Turn):
    """One turn of a conversation.

    Args:
        history: where the turn is added when it is complete.
        question: the messages that ask.
        head: the other fields of the request's body, as encoded JSON.
        model: the model that is asked.
        system: the message that goes before all others.
        streamed: whether the answer is wanted in pieces.
        shape: makes the answer that the caller sees; it may raise, before anything is changed.
        done: called in the commit, after everything that can fail.

    Attributes:
        answer: the answer, once the turn is complete.
    """

    def __init__(
        self,
        history: History,
        question: tuple[Message, ...],
        head: bytes,
        *,
        model: str,
        system: Message | None = None,
        streamed: bool = False,
        shape: Callable[[Answer], Answer] | None = None,
        done: Callable[[ChatTurn], None] | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(**limits)
        self.model = model
        self.answer: Answer | None = None
        self._history = history
        self._question = question
        self._head = head
        self._system = system
        self._streamed = streamed
        self._shape = shape
        self._done = done
        self._request: Request | None = None
        self._draft = Draft()

    @property
    def partial(self) -> str:
        """The text that has come so far."""
        return "".join(self._draft.pieces)

    @property
    def complete(self) -> bool:
        """Whether the answer is there, so that trouble at the end of the connection is none."""
        return self._draft.finish_reason is not None

    def prepare(self) -> Request:
        """Say what to send. The history is looked at when the turn is first sent, and kept over its attempts."""
        self._draft = Draft()
        if self._request is None:
            window = self._history.window(self._question)
            messages = window if self._system is None else (self._system, *window)
            data = [m.data for m in messages] or [b""]
            data[0] = self._head[:-1] + b',"messages":[' + data[0]
            data[-1] += b"]}"
            self._request = Request(PATH, b",".join(data), streamed=self._streamed)  # one copy of a long history
        return self._request

    def absorb(self, events: Sequence[Event]) -> list[str]:
        """Take in what came and give the texts that are new."""
        return self._draft.absorb(events)

    def commit(self) -> None:
        """Add the turn to the history: all of it, in one assignment, after everything that can fail."""
        draft = self._draft
        draft.check()
        given = draft.message()
        reasoning = given.get("reasoning_content") or given.get("reasoning")
        answer = Answer(
            "".join(draft.pieces),
            message=given,
            usage=draft.usage,
            finish_reason=draft.finish_reason,
            reasoning=reasoning if isinstance(reasoning, str) else None,
            refusal=given.get("refusal"),
            model=draft.model,
            request_id=self.request_id,
        )
        if self._shape is not None:
            answer = self._shape(answer)
        try:
            reply = (message(draft.kept(), "answer"),)
        except InvalidMessageError as error:  # a tool call without a name, an id that is a number …
            raise unreadable(given) from error
        record = TurnRecord(self._question, reply, draft.usage, draft.finish_reason)
        self._history.append(record)
        self.answer = answer
        self._request = None  # the bytes of a long history need not be kept beside it
        done, self._done = self._done, None  # the chat keeps its latest turn: a cycle would wait for the collector
        if done is not None:
            done(self)
