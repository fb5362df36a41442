"""How many attempts a key may have in flight, where no header says so.

A service that allows two at a time and one that allows two a second refuse alike. So a refusal with others
in flight is first taken for a lack of places: as many as are still in flight. If a place comes free, is
filled, and that too is refused, twice, or if nothing else is in flight, it is a rate.
"""

from __future__ import annotations

from .bucket import INFINITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ticket import Lease

__all__ = ["Places"]

# After so many successes with all places taken one more is tried; each refusal of it doubles the number.
FIRST_PATIENCE, LONGEST_PATIENCE = 32, 512

# Seconds: a place that came free so shortly after an attempt was sent may have been free when it arrived.
CAME_FREE = 0.1

# So many refusals of a place that had come free, before one more is tried, and it is a rate.
MOST_DOUBTS = 2


class Places:
    """The places of one key for one model.

    Attributes:
        count: how many there are; None while nothing speaks for a limit.
    """

    __slots__ = ("count", "_full", "_patience", "_refused_at", "_freed_at", "_extra_at", "_doubts")

    def __init__(self) -> None:
        self.count: int | None = None
        self._full = 0  # successes with all places taken since the last try of one more
        self._patience = FIRST_PATIENCE
        self._refused_at = self._freed_at = self._extra_at = -INFINITE
        self._doubts = 0

    @property
    def room(self) -> float:
        """How many may be in flight."""
        if self.count is None:
            return INFINITE
        return self.count + 1 if self._full >= self._patience else self.count

    def taken(self, now: float, in_flight: int) -> bool:
        """Learn of a new attempt. True if it is one more than the places known."""
        if self.count is None or in_flight <= self.count:
            return False
        self._full, self._extra_at, self._doubts = 0, now, 0
        return True

    def served(self, lease: Lease, now: float) -> None:
        """Learn that an attempt went well."""
        count = self.count
        if count is not None:
            if not lease.extra:
                self._full += lease.count >= count
            elif lease.at > self._refused_at and not lease.at < self._freed_at < lease.at + CAME_FREE:
                self.count, self._patience = max(count, lease.count), FIRST_PATIENCE
        self._freed_at = now

    def refused(self, lease: Lease, now: float, others: int, *, certain: bool, rate_known: bool) -> bool:
        """Learn of a refusal that nothing explains. True if it is taken for a lack of places.

        Args:
            lease: the attempt.
            now: when it was heard.
            others: how many are in flight still.
            certain: whether the service said that it was too many at once.
            rate_known: whether a rate was felt already.
        """
        count = self.count
        if count is not None and not lease.extra and abs(lease.at - self._extra_at) < CAME_FREE:
            lease.extra = True  # the one more has overtaken it
            lease.count = count + 1
        if count is not None and lease.at > self._refused_at and not lease.extra:
            self._doubts += 1
        if not certain and (not others or rate_known or self._doubts >= MOST_DOUBTS):
            return False
        if count is not None and lease.extra:
            self.count, self._patience = max(1, lease.count - 1), min(LONGEST_PATIENCE, self._patience * 2)
        else:
            self.count = max(1, others if count is None else min(others, count))
        self._full, self._refused_at = 0, now
        return True

    def forget(self) -> None:
        """Learn that it was a rate after all."""
        self.count = None
