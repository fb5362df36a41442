"""One attempt's hold on a key, as the wire sees it: it is told what happens, and ends."""

from __future__ import annotations

from skk.config import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any, Self

    from skk.failure import Failure

__all__ = ["Lease", "OneKey"]


class Lease:
    """The hold of an attempt on a key. This one is on a key that is nobody else's: nothing is learnt.

    The wire tells it in this order: `sent`, `heard`, then `served` or `report`; leaving the ``with`` block ends it.

    Attributes:
        secret: the key; a callable as the SDK takes it; None where the SDK brings its own credentials.
        fingerprint: names the key in errors and logs.
    """

    __slots__ = ("fingerprint", "secret")

    def __init__(self, secret: Secret | Callable[[], Any] | None) -> None:
        self.secret = secret
        self.fingerprint = secret.fingerprint if isinstance(secret, Secret) else None

    def sent(self) -> None:
        """Learn that the request goes out now."""

    def heard(self, headers: Mapping[bytes, bytes]) -> None:
        """Learn from the headers of an answer, names in lower case, before its body has come."""

    def served(self, usage: Mapping[str, Any] | None) -> None:
        """Learn that the answer is complete, and what it used."""

    def report(self, failure: Failure) -> bool:
        """Learn what went wrong. True if another attempt may be made at once."""
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __repr__(self) -> str:
        return f"Lease({self.fingerprint})"


class OneKey:
    """A single key with the face of a pool: always ready, and nothing is learnt."""

    pooled = False
    max_wait = 0.0

    def __init__(self, secret: Secret | Callable[[], Any] | None) -> None:
        self._lease = Lease(secret)

    @property
    def fingerprint(self) -> str | None:
        """Names the key; None for a callable or for credentials of the SDK's own."""
        return self._lease.fingerprint

    def lease(self) -> Lease:
        """Give the key. Nothing is learnt, so one lease serves all."""
        return self._lease
