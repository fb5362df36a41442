"""Many api keys behind one lock: who waits is woken, in threads and in event loops alike."""

from __future__ import annotations

import logging
import math
import os
import time
from collections import deque
from copy import copy
from threading import RLock
from weakref import WeakSet

from skk.config import Secret
from skk.errors import ChatRequestError, EmptyPoolError
from skk.failure import Kind
from skk.texts import mark

from .caller import Place, is_passing
from .scheduler import Scheduler
from .stats import line, stat
from .ticket import Refusal, Verdict, Why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping
    from typing import Any

    from skk.failure import Failure

    from .evidence import Seen
    from .facts import KeyFacts
    from .lease import Lease
    from .ticket import Lease as Attempt
    from .ticket import Ticket

    Hint = float | Mapping[str, float] | None

__all__ = ["AKPool", "KeyEvent"]

# How many keys a repr tells of.
_MOST_SHOWN = 8

# Seconds after which others look instead of one who should have looked and has not: its event loop is busy, or has
# stopped. One more for so many who wait: they all look then.
_LATE, _EACH = 1.0, 50

logger = logging.getLogger("skk")


class KeyEvent:
    """What happened to a key, for `on_event`.

    Attributes:
        kind: "rate_limited", "out_of_quota", "rejected", "barred" (from this model), "unreachable", "timed_out",
            "unavailable", "refused" (the request itself) or "broken" (an answer that is none).
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
        share: the URL of a Redis, ``redis://host:6379/0``: all pools with the same keys that share it draw on the same
            limits, in other processes and on other machines too. Keys appear there only as fingerprints.
        share_secret: what these fingerprints are made with, the same for all; else ``SKK_SHARE_SECRET``, else a secret
            made of all keys.
        on_event: called with a `KeyEvent` when an attempt fails. It may return ``"retire"`` to give the key no more
            requests for a while, or seconds to let it rest; then the request goes to another key. With None the pool
            does what it would have done.
        clock: seconds that only go forward.

    Raises:
        EmptyPoolError: there is no key.
        InvalidKeyError: a key cannot be one (a placeholder).
        ConfigurationError: `share` is no URL of a Redis, or the package for it is missing.
        TypeError: `keys` is a bare str, or holds something else than str; a hint is no number.
        ValueError: a hint that lets nothing pass.

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
        share: str | None = None,
        share_secret: str | None = None,
        on_event: Callable[[KeyEvent], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if isinstance(keys, str):
            raise TypeError("AKPool takes a list of api keys: for one key write AKPool([key])")
        self._secrets = dict.fromkeys(_secret(key) for key in keys)
        if not self._secrets:
            raise EmptyPoolError
        if not _number("max_wait", max_wait) >= 0:
            raise ValueError(f"max_wait is a number of seconds, 0 or more, not {max_wait!r}")
        self.max_wait = max_wait
        self._clock = clock
        self._on_event = on_event
        self._scheduler = _scheduler(
            share,
            share_secret,
            self._secrets,
            clock(),
            rpm=_hint("rpm", rpm),
            tpm=_hint("tpm", tpm),
            max_concurrency=_hint("max_concurrency", max_concurrency),
        )
        self._lock: Any = RLock()  # taken by `with` alone: Ctrl-C may come anywhere, and the collector
        self._gone: deque[Ticket] = deque()  # who has left, and is not out of the books yet
        self._barred: dict[str, ChatRequestError] = {}  # what the service last said of a model that a key may not ask
        self._watcher: Ticket | None = None  # it watches the clock for all
        self._looks_at = 0.0  # when it will look
        _pools.add(self)

    # ------------------------------------------------------------------ for people
    def fetch_key(self) -> str:
        """Give the key whose turn it is (the next to be ready, if all must rest).

        Raises:
            EmptyPoolError: the last key was removed.
        """
        secret: Any = self._do(self._fetch)
        return str(secret.reveal())

    def _fetch(self) -> Hashable:
        if not self._secrets:
            raise EmptyPoolError
        return self._scheduler.fetch(self._clock())

    def add(self, key: str) -> None:
        """Add a key at the end of the rotation; one that is there already stays what it is.

        Raises:
            InvalidKeyError: the key cannot be one.
        """
        self._do(self._add, _secret(key))

    def _add(self, secret: Secret) -> None:
        self._secrets[secret] = None
        self._scheduler.add(self._clock(), secret)
        self._step()

    def remove(self, key: str) -> None:
        """Remove a key, given itself or by its fingerprint: it gets no new request, and what is in flight ends.

        Raises:
            KeyError: it is not in the pool.
        """
        self._do(self._remove, key)

    def _remove(self, key: str) -> None:
        found = [secret for secret in self._secrets if key in (secret.fingerprint, secret.reveal())]
        if not found:
            raise KeyError("this key is not in the pool: pool.stats() tells which are")
        for secret in found:
            del self._secrets[secret]
            self._scheduler.remove(self._clock(), secret)
        self._step()

    def stats(self) -> list[dict[str, Any]]:
        """Tell what is known of each key, in list order, as JSON-able values; seconds and counts."""
        return [stat(facts) for facts in self._do(self._states)]

    def _states(self) -> list[KeyFacts]:
        return self._scheduler.states(self._clock())

    def told(self, most: int | None = None) -> list[str]:
        """Name the keys by their fingerprints, in list order, each with what keeps it from serving."""
        return [line(known) for known in self.stats()[:most]]

    def hide(self, text: str) -> str:
        """Put fingerprints in the place of keys."""
        for secret in list(self._secrets):
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
        patience: float = math.inf,
        retries: int = 0,
    ) -> Place:
        """Give a request its place in the queue.

        Args:
            model: what is asked; limits are learnt by model.
            caller: who asks: callers take turns.
            characters: how long the request is.
            max_tokens: how long its answer may be; None if it does not say.
            patience: seconds that it has for all, waiting and answers.
            retries: how often trouble of the service may be tried again.
        """
        now = self._clock()
        ends_at = now + patience
        deadline = now + self.max_wait
        if ends_at < deadline:
            deadline = ends_at
        ticket = self._do(self._join, now, model or "", caller, characters, max_tokens, deadline, retries)
        return Place(self, ticket, now, self.max_wait, ends_at)

    def _join(self, now: float, *asked: Any) -> Ticket:
        scheduler = self._scheduler
        ticket = scheduler.ticket(now, *asked)
        try:
            if not scheduler.serve(now, ticket):
                scheduler.join(ticket)
                self._step(ticket)
        except BaseException:  # Ctrl-C while Redis is asked
            self._gone.append(ticket)
            raise
        return ticket

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
        found: Lease | float | None = self._do(self._found, place)
        if found is None:
            raise self._refused(place, self._do(self._states))
        return found

    def _found(self, place: Place) -> Lease | float | None:
        scheduler, ticket = self._scheduler, place.ticket
        now = self._clock()
        if ticket.lease is None and ticket.refusal is None:
            if place.paused:
                place.paused = False
                self._back(place, now)
            self._step(ticket)
        if (lease := place.lease()) is not None:
            place.left -= now - place.since
            return lease
        if ticket.refusal is not None:
            return None
        if now >= ticket.deadline:
            scheduler.withdraw(now, ticket)
            ticket.refusal = Refusal(Why.COOLING)
            return None
        late = self._looks_at + _LATE
        if scheduler.head is ticket or now > late:
            self._watcher, self._looks_at = ticket, min(scheduler.wake, ticket.deadline)
            return max(0.0, self._looks_at - now)
        if self._watcher is ticket:
            self._watcher = None  # it sleeps for long: it is woken when it is the first again
        return max(0.0, min(ticket.deadline, late + scheduler.waiting / _EACH) - now)

    def _back(self, place: Place, now: float) -> None:
        """Put a request that was refused back in its place."""
        place.since = now
        place.ticket.deadline = min(now + place.left, place.ends_at)
        self._scheduler.requeue(now, place.ticket)

    def _withdraw(self, ticket: Ticket) -> None:
        """Take one out of the books who has left.

        The collector may call this in the middle of our own work: it does not wait for the lock. Whoever holds it
        does the work then.
        """
        self._gone.append(ticket)
        self._sweep()

    def _sweep(self) -> None:
        """Take all out of the books who have left, if nobody else has the books in hand."""
        lock = self._lock
        while self._gone and not lock._is_owned():  # noqa: SLF001  # it has no other word for it
            try:
                if not lock.acquire(blocking=False):
                    return
                self._tidy()
            finally:
                if lock._is_owned():  # noqa: SLF001
                    lock.release()

    def _tidy(self) -> None:
        """Take all out of the books who have left. The lock is held."""
        while self._gone:
            ticket = self._gone.popleft()
            ticket.waiter = None
            self._scheduler.withdraw(self._clock(), ticket)
        self._step()

    def _do(self, work: Callable[..., Any], *given: Any) -> Any:
        """Do something with the books: alone, and after all who have left are out of them."""
        try:
            with self._lock:
                if self._gone:
                    self._tidy()
                return work(*given)
        finally:
            if self._gone:
                self._sweep()

    def _heard(self, attempt: Attempt, seen: Seen) -> None:
        self._scheduler.headers(self._clock(), attempt, seen)
        self._step()

    def _settle(self, place: Place, attempt: Attempt, seen: Seen) -> Verdict:
        """Take in how an attempt ended, and say what is to be done. AGAIN: it is back in the queue, or has a key."""
        ticket, scheduler = place.ticket, self._scheduler
        now = self._clock()
        verdict = scheduler.settle(now, attempt, seen)
        if verdict is Verdict.AGAIN and is_passing(seen) and not scheduler.has_fresh(now, ticket):
            verdict = Verdict.DONE  # the turn may come back, after a while
        if verdict is Verdict.AGAIN:
            self._back(place, now)
        else:
            ticket.lease, place.paused = None, True
        if not scheduler.idle:
            self._step(ticket)
        if ticket.refusal is not None and ticket.refusal.why is Why.BARRED:
            verdict = Verdict.RAISE  # what the service says of the model says more than we could
        return verdict

    def _refused(self, place: Place, states: list[KeyFacts]) -> ChatRequestError:
        """Give the error of one who gets no key."""
        from skk.errors import AllKeysRateLimitedError, AllKeysRejectedError

        ticket = place.ticket
        assert ticket.refusal is not None
        why, retry_after = ticket.refusal.why, ticket.refusal.retry_after
        if why is Why.BARRED and ticket.model in self._barred:
            return copy(self._barred[ticket.model])
        if why is Why.TOO_LARGE and place.too_large is not None:
            return copy(place.too_large)
        facts: dict[str, Any] = {"errors": {str(state.key): state.text for state in states}, "count": len(states)}
        if why in (Why.COOLING, Why.OUT_OF_QUOTA):
            unknown = mark("none of the {count} api keys was free in time: add keys, or wait longer (max_wait=)")
            sentence = unknown if retry_after is None else None
            error = AllKeysRateLimitedError(sentence, **facts, retry_after=retry_after, wait=retry_after)
            if why is Why.OUT_OF_QUOTA:
                error.code = "insufficient_quota"
            return error
        return AllKeysRejectedError(**facts, retry_after=retry_after)

    def _told_of(self, place: Place, failure: Failure) -> object:
        """Ask the user's hook what to do about a failure."""
        if self._on_event is None or failure.kind is Kind.FOREIGN:
            return None
        event = KeyEvent(failure, place.secret.fingerprint, place.ticket.model)
        try:
            wish = self._on_event(event)
        except Exception:
            logger.exception("on_event raised; the pool does what it would have done")
            return None
        if wish is None or (isinstance(wish, str) and wish == "retire"):
            return wish
        if isinstance(wish, (int, float)) and not isinstance(wish, bool) and 0 <= wish < math.inf:
            return wish
        told = self.hide(repr(wish))
        logger.error("on_event gave %s: it may give None, 'retire', or seconds to let the key rest", told)
        return None


def _wake(ticket: Ticket) -> bool:
    """Wake who waits. False if nobody does any more."""
    kick, ticket.waiter = ticket.waiter, None
    if kick is not None:
        try:
            kick()
        except RuntimeError:  # the event loop is closed
            return False
    return True


_pools: WeakSet[AKPool] = WeakSet()


def _start_anew() -> None:
    """In a forked child: another thread may have held the lock, and who waits and what is in flight is the parent's."""
    for pool in list(_pools):
        pool._lock = RLock()  # noqa: SLF001
        pool._gone = deque()  # noqa: SLF001
        pool._watcher = None  # noqa: SLF001
        pool._scheduler.forked(pool._clock())  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_anew)


def _scheduler(share: str | None, secret: str | None, keys: Iterable[Secret], now: float, **hints: Any) -> Scheduler:
    if share is None:
        return Scheduler(keys, now, **hints)
    from .shared import SharedScheduler

    return SharedScheduler(keys, now, share=share, secret=secret, **hints)


def _secret(key: object) -> Secret:
    if key is ...:  # the documents' samples end in it
        raise TypeError("the list of keys ends in ...: put your own keys in the place of the three dots")
    if not isinstance(key, str):
        raise TypeError(f"an api key is a str, not {type(key).__name__}: pass AKPool(['sk-a', 'sk-b'])")
    return Secret(key)


def _hint(name: str, hint: Hint) -> float | Mapping[Hashable, float] | None:
    """Let a hint name the keys as the scheduler knows them."""
    if hint is None:
        return None
    by_key: Any = hint
    most = list(by_key.values()) if isinstance(hint, dict) else [hint]
    for value in most:
        if not _number(name, value) > 0:
            raise ValueError(f"{name} is more than 0, not {value!r}: nothing would pass")
    return {Secret(key): value for key, value in hint.items()} if isinstance(hint, dict) else by_key


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number, not {type(value).__name__}")
    return value
