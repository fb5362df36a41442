"""What went wrong, as a value: the one word that keys, turns and the wire share.

The wire makes a `Failure` out of whatever was raised, the key pool learns from it, the turn judges
it. Nothing here knows the SDK.
"""

from __future__ import annotations

import enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CallerFailed", "Failure", "Kind"]


class CallerFailed(Exception):  # noqa: N818  # never seen by a caller: its cause is
    """A function of the caller's raised in the middle of a request: no trouble of the wire, whatever it is."""


class Kind(enum.Enum):
    """Whose trouble it is. The first four are the key's: another key may do better."""

    RATE_LIMITED = "rate_limited"  # 429: too much at once
    OUT_OF_QUOTA = "out_of_quota"  # 429 insufficient_quota, 402: nothing left to spend
    REJECTED = "rejected"  # 401, 403: this key may not
    BARRED = "barred"  # 403, 404 about the model: this key may not ask for it
    UNREACHABLE = "unreachable"  # no connection, or it broke
    TIMED_OUT = "timed_out"  # nothing came in time
    UNAVAILABLE = "unavailable"  # 408, 409, 5xx: the service is in trouble
    REFUSED = "refused"  # any other 4xx: the request itself
    BROKEN = "broken"  # an answer that is none: a page, a cut stream, nonsense
    FOREIGN = "foreign"  # nothing to do with the service: a caller's callback, a bad argument


OF_THE_KEY = frozenset({Kind.RATE_LIMITED, Kind.OUT_OF_QUOTA, Kind.REJECTED, Kind.BARRED})
PASSING = frozenset({Kind.UNREACHABLE, Kind.TIMED_OUT, Kind.UNAVAILABLE, Kind.RATE_LIMITED})


class Failure:
    """One failed attempt: its kind, the error that the caller would see, and what the service said of it.

    Args:
        kind: whose trouble it is.
        error: what the caller sees if nobody can do better.
        status: the HTTP status, where one came.
        retry_after: seconds the service asks to wait, where it asks.
        again: what the service says of trying again (`x-should-retry`), where it says it.
        headers: of the refusal, raw.
        said: the service's own words.
        type: the service's word for what was too much, "requests" or "tokens", where it has one.

    Attributes:
        of_the_caller: whether nothing was wrong but that the caller's own time was over.
    """

    __slots__ = ("again", "error", "headers", "kind", "of_the_caller", "retry_after", "said", "status", "type")

    def __init__(
        self,
        kind: Kind,
        error: Exception,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        again: bool | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        said: str = "",
        type: str = "",
    ) -> None:
        self.kind = kind
        self.error = error
        self.status = status
        self.retry_after = retry_after
        self.again = again
        self.headers = headers
        self.of_the_caller = False
        self.said = said
        self.type = type

    # Attributes beside the arguments: `of_the_caller`, whether only the caller's own time was over.

    @property
    def of_the_key(self) -> bool:
        """Whether another key may do better at once."""
        return self.kind in OF_THE_KEY

    @property
    def passing(self) -> bool:
        """Whether the same request may do better a little later."""
        return self.kind in PASSING if self.again is None else self.again

    def __repr__(self) -> str:
        return f"Failure({self.kind.name}, status={self.status}, retry_after={self.retry_after})"
