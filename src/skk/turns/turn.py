"""What every turn shares: the request it makes, and the judgement of a failure."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod

from skk.failure import Failure, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Final

    from skk.errors import ChatRequestError

__all__ = ["DONE", "Event", "Request", "Turn"]


class _Done:
    def __repr__(self) -> str:
        return "DONE"


# The end mark of a stream. An object of its own: `data: null` is an event too, and a broken one.
DONE: Final = _Done()

if TYPE_CHECKING:
    Event = Any  # a decoded JSON value, or DONE
else:
    Event = object

# Seconds before a second try, as the SDK has them: doubling, and up to a quarter less by chance; a service
# that asks for more than two minutes is not waited for.
FIRST_DELAY, LAST_DELAY, LONGEST_REST = 0.5, 8.0, 120.0


# What a picture counts for among characters: about a thousand tokens.
_PICTURE = 4000


class Request:
    """What goes over the wire, as bytes; it names its endpoint and how its reply is decoded.

    Attributes:
        path: the endpoint, such as ``/chat/completions``.
        body: the JSON, encoded; or fields, where files come with them; None for a GET.
        streamed: whether the reply is read as events while it comes; else it is one JSON value.
        files: what goes beside the fields: ``(field, (name, bytes, media type))``.
    """

    __slots__ = ("body", "files", "path", "streamed")

    def __init__(
        self,
        path: str,
        body: bytes | Mapping[str, Any] | None,
        streamed: bool = False,
        files: Sequence[tuple[str, tuple[str, bytes, str]]] = (),
    ) -> None:
        self.path = path
        self.body = body
        self.files = files
        self.streamed = streamed

    @property
    def characters(self) -> int:
        """How long it is, as far as it becomes tokens: pictures and files in it count as so much each."""
        body = self.body
        if not isinstance(body, bytes):
            return len(self.files) * _PICTURE
        length, at = len(body), 0
        while (at := body.find(b";base64,", at)) >= 0:
            end = body.find(b'"', at)
            length += _PICTURE - (end - at)
            at = end
        return length


class Turn(ABC):
    """One exchange. A driver asks it in this order: `prepare`, `begin`, `absorb` …, `commit`; `judge` on failure.

    Attributes:
        model: the model that is asked, for the key pool and for errors.
        attempts: how often a request was sent and failed.
        retries: how often trouble that passes is tried again from here; 0 where the SDK retries by itself.
        deadline: seconds for all of it, waiting and tries included; None for no end.
        ends_at: the deadline on the wire's clock, once the turn has been sent.
        max_tokens: how long the answer may be, where the request says so.
        place: the turn's place in the queue for a key, while it has one.
        request_id: the service's name for the request.
        last_error: what the last attempt that failed came to.
    """

    # What begins alike in all of them stands here: to say it anew in each would cost 0.4 µs a turn.
    model: str | None = None
    deadline: float | None = None
    max_tokens: int | None = None
    place: Any = None
    retries = 0
    ends_at: float | None = None
    attempts = 0
    request_id: str | None = None
    last_error: Exception | None = None
    begun = False
    _troubles = 0

    def start(self, now: float, retries: int) -> None:
        """Learn the time when the turn is first sent, and how often trouble may be tried again from here.

        A turn that nobody hurries and that is tried by the SDK alone is not told.
        """
        if not self.begun:
            self.begun = True
            self.retries = retries
            if self.deadline is not None:
                self.ends_at = now + self.deadline

    @property
    def partial(self) -> str:
        """The text that has come so far."""
        return ""

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """What the service says that this attempt used."""
        return None

    @property
    def shown(self) -> bool:
        """Whether something of this attempt's answer has been shown, which is never asked for again."""
        return bool(self.partial)

    @abstractmethod
    def prepare(self) -> Request:
        """Say what to send, and forget what an earlier attempt brought."""

    def begin(self, headers: Mapping[bytes, bytes]) -> None:
        """Learn that a reply has begun, from its headers, names in lower case."""
        if (name := headers.get(b"x-request-id")) is not None:
            self.request_id = name.decode("latin-1")

    @property
    def complete(self) -> bool:
        """Whether the answer is there, so that trouble at the end of the connection is none."""
        return False

    @abstractmethod
    def absorb(self, events: Sequence[Event]) -> Iterable[str]:
        """Take in what came and give the texts that are new.

        Raises:
            InvalidResponseError: it is no answer.
        """

    @abstractmethod
    def commit(self) -> None:
        """Finish: check that the answer is complete, then change what others see, in one assignment.

        Raises:
            ChatRequestError: the answer is not complete; nothing was changed.
        """

    def judge(self, failure: Failure, another_key: bool, now: float) -> float:
        """Decide what a failed attempt means: give the seconds until the next one, or raise the final error.

        Args:
            failure: what went wrong.
            another_key: whether the pool has passed the key over, so that the next attempt has another.
            now: the time on the wire's clock.

        A text that has been shown is never asked for again. Another key is not a retry.
        """
        self.attempts += 1
        self.last_error = failure.error
        delay: float | None
        if another_key and (failure.of_the_key or failure.again is not False):
            delay = 0.0
            self._troubles += not failure.of_the_key
        else:
            delay = self._delay(failure, now)
        if delay is None or self.shown:
            error = self.final(failure, now)
            context = error.__context__
            try:
                raise error
            finally:
                error.__context__ = context  # its own: how we were told of it is not worth telling
        self.request_id = None
        return delay

    def _delay(self, failure: Failure, now: float) -> float | None:
        """Give the seconds until trouble that passes is tried again; None if it is not."""
        if self._troubles >= self.retries or not failure.passing:
            return None
        delay = failure.retry_after
        if delay is None:
            delay = min(FIRST_DELAY * 2.0**self._troubles, LAST_DELAY) * (1 - random.random() / 4)
        if delay > LONGEST_REST or (self.ends_at is not None and now + delay >= self.ends_at):
            return None
        self._troubles += 1
        return delay

    def final(self, failure: Failure, now: float) -> Exception:
        """Give the error that the caller sees."""
        error = failure.error
        if failure.kind is Kind.FOREIGN:
            return error
        from skk import errors

        if failure.kind is Kind.TIMED_OUT and self.ends_at is not None and now >= self.ends_at:
            error = errors.RequestDeadlineError(seconds=self.deadline, cause=failure.error)
        elif self.shown and failure.kind in (Kind.UNREACHABLE, Kind.TIMED_OUT):
            stalled = failure.kind is Kind.TIMED_OUT
            broken = errors.StreamStalledError if stalled else errors.StreamInterruptedError
            reason = getattr(error, "facts", {}).get("reason") or error
            error = broken(length=len(self.partial), reason=str(reason), cause=failure.error)
        if isinstance(error, errors.ChatRequestError):
            error.__cause__ = failure.error.__cause__
            error.key_fingerprint = getattr(failure.error, "key_fingerprint", None)
            self.told(error)
        return error

    def told(self, error: ChatRequestError) -> ChatRequestError:
        """Put what this turn went through into the error that ends it."""
        error.partial = self.partial
        error.attempts = self.attempts
        error.request_id = error.request_id or self.request_id or getattr(self.last_error, "request_id", None)
        return error
