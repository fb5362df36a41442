"""Many api keys behind one lock: who waits is woken, in threads and in event loops alike."""

from __future__ import annotations

import logging
import os
import time
from threading import Lock
from weakref import WeakSet

from skk.config import Secret
from skk.errors import EmptyPoolError
from skk.failure import Kind

from .evidence import Outcome, Seen, pick, read
from .lease import Lease
from .schedule import Scheduler
from .ticket import Verdict, Why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping
    from types import TracebackType
    from typing import Any

    from skk.failure import Failure

    from .facts import KeyFacts
    from .ticket import Lease as Attempt
    from .ticket import Ticket

    Hint = float | Mapping[str, float] | None

__all__ = ["AKPool", "KeyEvent", "Place"]

# How many keys a repr tells of.
_MOST_SHOWN = 8

logger = logging.getLogger("skk")


class KeyEvent:
    """What happened to a key, for `on_event`.

    Attributes:
        kind: "rate_limited", "out_of_quota", "rejected", "unreachable", "timed_out", "unavailable" or "refused".
        fingerprint: names the key.
        model: the model that was asked.
        status: the HTTP status; None where none came.
        retry_after: seconds that the service asks to wait; None where it does not.
        error: what the caller would see if no other key could serve.
    """

    __slots__ = ("error", "fingerprint", "kind", "model", "retry_after", "status")

    def __init__(self, failure: Failure, fingerprint: str, model: str) -> None:
        self.kind = failure.kind.value
        self.fingerprint = fingerprint
        self.model = model
        self.status = failure.status
        self.retry_after = failure.retry_after
        self.error = failure.error

    def __repr__(self) -> str:
        return f"KeyEvent({self.kind!r}, key={self.fingerprint}, model={self.model!r}, status={self.status})"


class AKPool:
    """Several api keys that serve one or many chats, each to its limit.

    Idle keys serve in strict rotation, list order. What a key's limits are is learnt from the answers; a key that is
    at its limit is passed over until it is free, a key that is refused (401, 403) or out of quota leaves and gets a
    second chance after a while, and who finds no key free waits in a fair queue instead of failing. Safe to share
    between threads, event loops and chats; the same key may be in several pools, which know nothing of each other.

    Args:
        keys: the api keys, any iterable of str; it is copied. One that is there twice counts once.
        max_wait: seconds that a request waits at most for a key to become free.
        rpm: requests a minute that a key may make, where you know better than the service says: for each key, or a
            dict by key.
        tpm: the same of tokens.
        max_concurrency: the same of requests in flight.
        on_event: called with a `KeyEvent` when an attempt fails. It may return ``"retire"`` to give the key no more
            requests for a while, or seconds to let it rest; with None the pool does what it would have done.

    Raises:
        EmptyPoolError: there is no key.
        InvalidKeyError: a key cannot be one (a placeholder).
        TypeError: `keys` is a bare str, or holds something else than str.

    >>> pool = AKPool(["sk-a", "sk-b"])
    >>> pool.fetch_key(), pool.fetch_key(), pool.fetch_key()
    ('sk-a', 'sk-b', 'sk-a')
    """

    pooled = True

    def __init__(
        self,
        keys: Iterable[str],
        *,
        max_wait: float = 60.0,
        rpm: Hint = None,
        tpm: Hint = None,
        max_concurrency: Hint = None,
        on_event: Callable[[KeyEvent], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if isinstance(keys, str):
            raise TypeError("AKPool takes a list of api keys: for one key write AKPool([key])")
        self._secrets = dict.fromkeys(_secret(key) for key in keys)
        if not self._secrets:
            raise EmptyPoolError
        self.max_wait = max_wait
        self._clock = clock
        self._on_event = on_event
        hints = {"rpm": _hint(rpm), "tpm": _hint(tpm), "max_concurrency": _hint(max_concurrency)}
        self._scheduler = Scheduler(self._secrets, clock(), **hints)
        self._lock = Lock()
        self._watcher: Ticket | None = None  # it watches the clock for all
        self._looks_at = 0.0  # when it will look
        _pools.add(self)

    # ------------------------------------------------------------------ for people
    def fetch_key(self) -> str:
        """Give the key whose turn it is (the next to be ready, if all must rest)."""
        with self._lock:
            secret: Any = self._scheduler.fetch(self._clock())
        return str(secret.reveal())

    def add(self, key: str) -> None:
        """Add a key at the end of the rotation; one that is there already stays what it is.

        Raises:
            InvalidKeyError: the key cannot be one.
        """
        secret = _secret(key)
        with self._lock:
            self._secrets[secret] = None
            self._scheduler.add(self._clock(), secret)
            self._step()

    def remove(self, key: str) -> None:
        """Remove a key, given itself or by its fingerprint: it gets no new request, and what is in flight ends.

        Raises:
            KeyError: it is not in the pool.
        """
        with self._lock:
            found = [secret for secret in self._secrets if key in (secret.fingerprint, secret.reveal())]
            if not found:
                raise KeyError("this key is not in the pool: pool.stats() tells which are")
            for secret in found:
                del self._secrets[secret]
                self._scheduler.remove(self._clock(), secret)
            self._step()

    def stats(self) -> list[dict[str, Any]]:
        """Tell what is known of each key, in list order, as JSON-able values; seconds and counts."""
        with self._lock:
            return [_told(facts) for facts in self._scheduler.states(self._clock())]

    def told(self, most: int | None = None) -> list[str]:
        """Name the keys by their fingerprints, in list order, each with what keeps it from serving."""
        return [_line(stat) for stat in self.stats()[:most]]

    def hide(self, text: str) -> str:
        """Put fingerprints in the place of keys."""
        for secret in self._secrets:
            text = secret.hide(text)
        return text

    def __len__(self) -> int:
        return len(self._secrets)

    def __repr__(self) -> str:
        told = self.told(_MOST_SHOWN)
        more = len(self) - len(told)
        return f"AKPool({', '.join(told)}{f' and {more} more' if more else ''})"

    def __reduce__(self) -> Any:
        raise TypeError("a key pool does not pickle: it holds api keys; make one in each process")

    # ------------------------------------------------------------------ for the wire
    def enter(
        self,
        model: str | None,
        caller: Hashable,
        *,
        characters: float = 0,
        max_tokens: int | None = None,
        patience: float | None = None,
        retries: int = 0,
    ) -> Place:
        """Give a request its place in the queue.

        Args:
            model: what is asked; limits are learnt by model.
            caller: who asks: callers take turns.
            characters: how long the request is.
            max_tokens: how long its answer may be; None if it does not say.
            patience: seconds that it can wait; None for `max_wait`.
            retries: how often trouble of the service may be tried again.
        """
        wait = self.max_wait if patience is None else min(patience, self.max_wait)
        with self._lock:
            now = self._clock()
            ticket = self._scheduler.submit(
                now, model or "", caller, characters, max_tokens, now + wait, retries=retries
            )
        return Place(self, ticket, wait)

    def _step(self, mine: Ticket | None = None) -> None:
        """Serve who can be served, and see that somebody watches the clock. The lock is held."""
        scheduler = self._scheduler
        while True:
            gone = [t for t in scheduler.dispatch(self._clock()) if t is not mine and not _wake(t)]
            head = scheduler.head
            if head is not None and head is not mine:
                wake = scheduler.wake
                if head is not self._watcher or wake < self._looks_at - 1e-4:
                    self._watcher, self._looks_at = head, wake
                    if not _wake(head):
                        gone.append(head)
            if not gone:
                return
            for ticket in gone:  # their event loop has ended
                scheduler.withdraw(self._clock(), ticket)

    def _look(self, place: Place) -> Lease | float:
        with self._lock:
            now, ticket, scheduler = self._clock(), place.ticket, self._scheduler
            if ticket.lease is None and ticket.refusal is None:
                if place.parted is not None:  # it comes back for another attempt
                    place.left -= max(0.0, place.parted)
                    ticket.deadline = now + place.left
                    place.parted = None
                    scheduler.requeue(now, ticket)
                self._step(ticket)
            if ticket.lease is not None:
                ticket.waiter = None
                return _Held(self, place, ticket.lease)
            if ticket.refusal is None:
                first = scheduler.head is ticket
                if first:
                    self._watcher, self._looks_at = ticket, scheduler.wake
                elif self._watcher is ticket:
                    self._watcher = None  # it sleeps for long: it is woken when it is the first again
                return max(0.0, (self._looks_at if first else ticket.deadline) - now)
            told = [_told(facts) for facts in scheduler.states(now)]
        raise _refused(ticket, told)

    def _leave(self, ticket: Ticket) -> None:
        with self._lock:
            self._scheduler.withdraw(self._clock(), ticket)
            self._step()

    def _headers(self, attempt: Attempt, headers: Mapping[str, str]) -> None:
        if any(name.startswith("x-ratelimit") for name in headers):
            seen = read(Outcome.OK, headers, wall=time.time())
            with self._lock:
                self._scheduler.headers(self._clock(), attempt, seen)
                self._step()

    def _settle(self, place: Place, attempt: Attempt, seen: Seen) -> Verdict:
        with self._lock:
            now, ticket, scheduler = self._clock(), place.ticket, self._scheduler
            verdict = scheduler.settle(now, attempt, seen)
            if verdict is Verdict.AGAIN:
                ticket.lease = None
                if seen.kind in _FAULTS and not scheduler.has_fresh(ticket):
                    place.parted = 0.0
                    verdict = Verdict.RAISE  # the turn may wait, and come back
                else:
                    ticket.deadline = now + place.left
                    scheduler.requeue(now, ticket)
                    self._step(ticket)
                    if ticket.refusal is not None and ticket.refusal.why is Why.BARRED:
                        verdict = Verdict.RAISE  # what the service said of the model says more
            self._step(ticket)
            return verdict
