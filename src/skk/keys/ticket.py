"""What the scheduler hands out: a ticket for a call that waits, a lease for an attempt, and why there is none."""

from __future__ import annotations

import enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Any

    from .bucket import Ledger, Mark
    from .lane import Lane

__all__ = ["Lease", "Refusal", "Ticket", "Verdict", "Why"]


class Verdict(enum.Enum):
    """What is to be done about an attempt that is over."""

    DONE = "done"
    AGAIN = "again"  # put the ticket back: another key, or this one later
    RAISE = "raise"  # no key would do better


class Why(enum.Enum):
    """Why a ticket gets no lease."""

    NO_KEYS = "no_keys"
    REJECTED = "rejected"  # the service refuses every key
    OUT_OF_QUOTA = "out_of_quota"  # no key has anything left to spend
    BARRED = "barred"  # no key may ask for this model
    TOO_LARGE = "too_large"  # no key that may serve takes a request so large
    COOLING = "cooling"  # none will be free before the deadline


class Refusal:
    """Why a ticket gets no lease, and the seconds until asking again may help (None: it will not, or nobody knows)."""

    __slots__ = ("retry_after", "why")

    def __init__(self, why: Why, retry_after: float | None = None) -> None:
        self.why = why
        self.retry_after = retry_after

    def __repr__(self) -> str:
        return f"Refusal({self.why.name}, retry_after={self.retry_after})"


class Ticket:
    """One call that wants a key.

    Attributes:
        lease: what it got, or None.
        refusal: why it got nothing, or None.
        waiter: the pool's own: how to wake the one who waits.
    """

    __slots__ = (
        *("model", "chat", "characters", "answer", "deadline", "retries", "lease", "refusal", "waiter"),
        *("start", "number", "tried", "faults", "asked"),
    )

    def __init__(
        self, number: int, model: str, chat: Hashable, characters: float, answer: float, deadline: float, retries: int
    ) -> None:
        self.number = number
        self.model = model
        self.chat = chat
        self.characters = characters
        self.answer = answer  # tokens that the answer may have
        self.deadline = deadline
        self.retries = retries  # faults after which it may be tried once more
        self.lease: Lease | None = None
        self.refusal: Refusal | None = None
        self.waiter: Any = None
        self.start = 0.0  # its place in the queue
        self.tried: frozenset[Hashable] = _NONE
        self.faults = 0
        self.asked = 0  # tokens that the service said it wants, once it was too large for a key

    def __repr__(self) -> str:
        return f"Ticket({self.number}, {self.chat!r}, {self.lease or self.refusal})"


class Lease:
    """One attempt's hold on a key.

    Attributes:
        key: the key, as it was handed in.
        at: when it was sent; until then, when it was granted.
        number: leases are numbered in the order of the grants.
        count: how many attempts were in flight on the key then, itself included.
    """

    __slots__ = (
        *("key", "at", "number", "count", "lane", "ticket", "epoch", "cost", "requests", "tokens"),
        *("requests_mark", "tokens_mark", "open", "sent", "heard", "extra", "chance"),
    )

    key: Hashable
    at: float
    number: int
    count: int
    lane: Lane
    ticket: Ticket
    epoch: int
    cost: float  # tokens
    requests: Ledger
    tokens: Ledger
    requests_mark: Mark
    tokens_mark: Mark
    open: bool
    sent: bool
    heard: bool  # its headers were learnt from
    extra: bool  # one more than the places that are known
    chance: bool  # the second chance of a retired key

    def __repr__(self) -> str:
        return f"Lease({self.number}, {self.key!r}{'' if self.open else ', over'})"


_NONE: frozenset[Hashable] = frozenset()
