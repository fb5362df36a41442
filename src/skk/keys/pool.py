"""The lock around the scheduler, and the lease that a request holds on its key."""

from __future__ import annotations

import os
import time
from threading import Lock
from weakref import WeakSet

from skk.config import Secret
from skk.errors import EmptyPoolError
from skk.failure import Failure, Kind

from .scheduler import Scheduler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, Self

__all__ = ["AKPool", "Lease", "OneKey"]


# How many keys a repr tells of.
_MOST_SHOWN = 8


class Lease:
    """One request's hold on a key. It counts and it ends; it never locks.

    Attributes:
        secret: the key; None where the SDK brings its own credentials.
        fingerprint: names the key in errors and logs.
    """

    __slots__ = ("_failed", "_model", "_pool", "fingerprint", "index", "secret")

    def __init__(
        self,
        secret: Secret | Callable[[], Any] | None,
        pool: AKPool | None = None,
        index: int = 0,
        model: str | None = None,
    ) -> None:
        self.secret = secret
        self.fingerprint = secret.fingerprint if isinstance(secret, Secret) else None
        self.index = index
        self._pool = pool
        self._model = model
        self._failed = False

    def report(self, failure: Failure) -> bool:
        """Tell the pool what the key was told. True if another key may be tried at once."""
        self._failed = True
        return self._pool is not None and self._pool._fail(self.index, failure, self._model)  # noqa: SLF001  # ours

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._pool is not None and not self._failed:
            self._pool._succeed(self.index)  # noqa: SLF001

    def __repr__(self) -> str:
        return f"Lease({self.fingerprint})"


class OneKey:
    """A single key with the face of a pool: always ready, and nothing is learnt."""

    pooled = False
    max_wait = 0.0

    def __init__(self, secret: Secret | Callable[[], Any] | None) -> None:
        self._secret = secret

    @property
    def fingerprint(self) -> str | None:
        """Names the key; None for a callable or for credentials of the SDK's own."""
        return self._secret.fingerprint if isinstance(self._secret, Secret) else None

    def acquire(self, patience: float, model: str | None = None) -> Lease | float:
        """Give the key."""
        return Lease(self._secret)


class AKPool:
    """Several api keys that serve one or many chats.

    Keys serve in strict rotation, list order. A key that is refused (401, 403), limited (429) or out
    of quota is passed over at once, and the request goes on with the next. Safe to share between
    threads, event loops and chats; the same key may be in several pools, which know nothing of each other.

    Args:
        keys: the api keys, any iterable of str; it is copied.
        max_wait: seconds that a request waits at most for a key to become free.

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
        self, keys: Iterable[str], *, max_wait: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if isinstance(keys, str):
            raise TypeError("AKPool takes a list of api keys: for one key write AKPool([key])")
        self._secrets = tuple(_secret(key) for key in keys)
        if not self._secrets:
            raise EmptyPoolError
        self.max_wait = max_wait
        self._clock = clock
        self._scheduler = Scheduler(len(self._secrets))
        self._lock = Lock()
        _pools.add(self)

    def fetch_key(self) -> str:
        """Give the key whose turn it is (the next to be ready, if all must rest)."""
        with self._lock:
            chosen = self._scheduler.choose(self._clock())
            if isinstance(chosen, float):
                states = self._scheduler.keys
                chosen = min(range(len(states)), key=lambda i: states[i].rests_until)
            return self._secrets[chosen].reveal()

    def acquire(self, patience: float, model: str | None = None) -> Lease | float:
        """Give a lease on the next key, or (a float) the seconds until one may be ready.

        Args:
            patience: seconds that the request can still wait.
            model: what is asked; a key may be barred from one model and serve another.

        Raises:
            AllKeysRejectedError: every key was refused.
            AllKeysRateLimitedError: no key will be ready within `patience`.
        """
        with self._lock:
            now = self._clock()
            chosen = self._scheduler.choose(now, model)
            if isinstance(chosen, int):
                return Lease(self._secrets[chosen], self, chosen, model)
            troubles = self._scheduler.troubles(now, model)
            if chosen <= patience and Kind.RATE_LIMITED in troubles:
                return chosen
            errors = {
                secret.fingerprint: state.failure or ""
                for secret, state in zip(self._secrets, self._scheduler.keys, strict=True)
            }
        from skk.errors import AllKeysRateLimitedError, AllKeysRejectedError

        facts: dict[str, Any] = {"errors": errors, "retry_after": chosen, "count": len(self)}
        if all(trouble is Kind.REJECTED for trouble in troubles):
            raise AllKeysRejectedError(**facts)
        error = AllKeysRateLimitedError(**facts, wait=chosen)
        if all(trouble is Kind.OUT_OF_QUOTA for trouble in troubles):
            error.code = "insufficient_quota"
        raise error

    def _fail(self, index: int, failure: Failure, model: str | None) -> bool:
        with self._lock:
            self._scheduler.fail(index, failure, self._clock(), model)
        return failure.of_the_key

    def _succeed(self, index: int) -> None:
        with self._lock:
            self._scheduler.succeed(index, self._clock())

    def hide(self, text: str) -> str:
        """Put fingerprints in the place of keys."""
        for secret in self._secrets:
            text = secret.hide(text)
        return text

    def __len__(self) -> int:
        return len(self._secrets)

    def told(self, most: int | None = None) -> list[str]:
        """Name the keys by their fingerprints, in list order, each with what keeps it from serving."""
        now = self._clock()
        told = []
        for secret, key in zip(self._secrets[:most], self._scheduler.keys, strict=False):
            rest, trouble = key.rests_until - now, key.trouble
            told.append(secret.fingerprint + (f" {trouble.value} for {rest:.0f} s" if trouble and rest > 0 else ""))
        return told

    def __repr__(self) -> str:
        told = self.told(_MOST_SHOWN)
        more = len(self) - len(told)
        return f"AKPool({', '.join(told)}{f' and {more} more' if more else ''})"

    def __reduce__(self) -> Any:
        raise TypeError("a key pool does not pickle: it holds api keys; make one in each process")


_pools: WeakSet[AKPool] = WeakSet()


def _renew_locks() -> None:
    """In a forked child: another thread may have held a lock when the process was forked."""
    for pool in _pools:
        pool._lock = Lock()  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_locks)


def _secret(key: object) -> Secret:
    if key is ...:  # the documents' samples end in it
        raise TypeError("the list of keys ends in ...: put your own keys in the place of the three dots")
    if not isinstance(key, str):
        raise TypeError(f"an api key is a str, not {type(key).__name__}: pass AKPool(['sk-a', 'sk-b'])")
    return Secret(key)
