"""One caller in a pool: its place in the queue, and its hold on a key."""

from __future__ import annotations

import time
from copy import copy

from skk.config import Secret
from skk.errors import ChatRequestError
from skk.failure import Kind

from .evidence import LIMITS, Outcome, Seen, is_ample, pick, read
from .lease import Lease
from .ticket import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any

    from skk.failure import Failure

    from .pool import AKPool
    from .ticket import Lease as Attempt
    from .ticket import Ticket

__all__ = ["Held", "Place", "is_passing"]

# Seconds that a user's hook must want at least, or the key is taken not to rest at all.
_SHORTEST_REST = 0.5

# The headers that state limits.
_REQUESTS, _TOKENS = LIMITS


class Place:
    """One request's place in the queue, from its first attempt to its last.

    Attributes:
        left: seconds that it may still wait.
        ends_at: when all must be over.
        paused: whether it is out of the queue, and comes back when it looks.
        too_large: what the service said when it told how large the request is.
    """

    __slots__ = ("_pool", "ends_at", "left", "paused", "since", "ticket", "too_large")

    def __init__(self, pool: AKPool, ticket: Ticket, since: float, left: float, ends_at: float) -> None:
        self._pool = pool
        self.ticket = ticket
        self.since = since
        self.left = left
        self.ends_at = ends_at
        self.paused = False
        self.too_large: ChatRequestError | None = None

    @property
    def secret(self) -> Secret:
        """The key of the attempt that is being made."""
        assert self.ticket.lease is not None
        secret: Any = self.ticket.lease.key
        assert isinstance(secret, Secret)
        return secret

    def lease(self) -> Lease | None:
        """Give the lease that the ticket has got, if it has: nobody else takes it."""
        attempt = self.ticket.lease
        return None if attempt is None else Held(self._pool, self, attempt)

    def look(self, kick: Callable[[], object] | None = None) -> Lease | float:
        """Give a lease, or the seconds after which to look again at the latest.

        Args:
            kick: called, under the pool's lock and from any thread, when it is time to look earlier. If it raises
                RuntimeError, nobody waits there any more.

        Raises:
            AllKeysRateLimitedError: no key will be free in time.
            AllKeysRejectedError: every key was refused, or there is none.
            NotFoundError, PermissionDeniedError: no key may ask for this model.
            RateLimitError: no key that may serve takes a request so large.
        """
        if (lease := self.lease()) is not None:
            self.left -= self._pool._clock() - self.since  # noqa: SLF001  # ours
            return lease
        self.ticket.waiter = kick
        return self._pool._look(self)  # noqa: SLF001

    def leave(self) -> None:
        """Give the place up, waiting or served."""
        self._pool._withdraw(self.ticket)  # noqa: SLF001

    def __del__(self) -> None:
        """Leave, if whoever stood here is gone without a word."""
        ticket = self.ticket
        if not self.paused and ticket.refusal is None and (ticket.lease is None or ticket.lease.open):
            self.leave()


class Held(Lease):
    """A lease on one of the pool's keys."""

    __slots__ = ("_attempt", "_over", "_place", "_pool")

    def __init__(self, pool: AKPool, place: Place, attempt: Attempt) -> None:
        secret: Any = attempt.key
        self.secret, self.fingerprint = secret, secret.fingerprint
        self._pool = pool
        self._place = place
        self._attempt = attempt
        self._over = False

    def sent(self) -> None:
        pool = self._pool
        pool._scheduler.sent(pool._clock(), self._attempt)  # noqa: SLF001  # two assignments: no lock

    def heard(self, headers: Mapping[bytes, bytes]) -> None:
        if _REQUESTS not in headers and _TOKENS not in headers:
            return
        pool = self._pool
        if not pool._scheduler.at_ease(pool._clock(), self._attempt, ample=is_ample(headers)):  # noqa: SLF001  # no lock
            seen = read(Outcome.OK, pick(headers.items()), wall=time.time())
            pool._do(pool._heard, self._attempt, seen)  # noqa: SLF001

    def served(self, usage: Mapping[str, Any] | None) -> None:
        self._over = True
        seen = _SERVED
        if usage is not None:
            seen = Seen(Outcome.OK)
            prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
            seen.prompt_tokens = prompt if isinstance(prompt, int) else 0
            seen.completion_tokens = completion if isinstance(completion, int) else 0
        self._pool._do(self._pool._settle, self._place, self._attempt, seen)  # noqa: SLF001

    def report(self, failure: Failure) -> bool:
        self._over = True
        pool, place = self._pool, self._place
        wish = pool._told_of(place, failure)  # noqa: SLF001
        if failure.kind is Kind.BARRED and isinstance(failure.error, ChatRequestError):
            pool._barred[place.ticket.model] = copy(failure.error)  # noqa: SLF001
        seen = _seen(failure, wish)
        if seen.stated is not None and isinstance(failure.error, ChatRequestError):
            place.too_large = failure.error
        verdict = pool._do(pool._settle, place, self._attempt, seen)  # noqa: SLF001
        if wish is not None:  # then it was the key's, whatever we took it for
            failure.kind = Kind.REJECTED if wish == "retire" else Kind.RATE_LIMITED
        if verdict is Verdict.RAISE and failure.kind is not Kind.REFUSED:
            failure.again = False  # no key does better, and no wait
        return verdict is Verdict.AGAIN

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None or not self._over:
            self._place.leave()


def is_passing(seen: Seen) -> bool:
    """Whether the key that was tried may do better after a while, so that waiting is worth it."""
    return seen.kind in (Outcome.FAULT, Outcome.TIMEOUT) or (
        seen.kind is Outcome.REST and (seen.wait or 0.0) < _SHORTEST_REST
    )


_SERVED = Seen(Outcome.OK)

_OUTCOMES = {
    Kind.RATE_LIMITED: Outcome.LIMITED,
    Kind.OUT_OF_QUOTA: Outcome.OUT_OF_QUOTA,
    Kind.REJECTED: Outcome.REJECTED,
    Kind.UNREACHABLE: Outcome.FAULT,
    Kind.TIMED_OUT: Outcome.TIMEOUT,
    Kind.UNAVAILABLE: Outcome.FAULT,
    Kind.REFUSED: Outcome.BAD,
    Kind.BARRED: Outcome.BARRED,
}


def _seen(failure: Failure, wish: object) -> Seen:
    """Give what a failure shows of its key, or what the user's hook wants instead."""
    kind = Outcome.GONE if failure.of_the_caller else _OUTCOMES.get(failure.kind, Outcome.GONE)
    text = str(failure.error)
    if wish == "retire":
        return Seen(Outcome.REJECTED, text=text)
    if isinstance(wish, (int, float)):
        return Seen(Outcome.REST, wait=float(wish), text=text)
    seen = read(kind, pick(failure.headers), failure.said, wall=time.time(), type=failure.type)
    seen.text = text
    return seen
