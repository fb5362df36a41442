"""A belief about one limit of a service, as a bucket that fills at an even rate; and what was sent against it.

A limit of 500 requests a minute is a bucket of 500 that gains 500/60 a second. Its level is never known
now, only at the moment some attempt was sent; so a `Ledger` counts all that was charged, and the level
then is carried to now by the rate and by what was charged since.
"""

from __future__ import annotations

from collections import deque

__all__ = ["INFINITE", "LEAST_SLACK", "Bucket", "Ledger", "Mark"]

INFINITE = float("inf")

# Seconds of refill kept in reserve, because what is sent arrives a little earlier or later than what is heard
# of it: the least, the most, and how a refusal against the books raises it and a success lowers it.
LEAST_SLACK, MOST_SLACK = 0.03, 0.3
SLACK_FACTOR, SLACK_STEP, SLACK_DECAY = 1.5, 0.005, 0.99

# Amounts smaller than this are rounding.
_NOTHING = 1e-9

TYPE_CHECKING = False
if TYPE_CHECKING:
    # all charges up to a lease's own, and those so close before, and not answered, that they may arrive after it
    Mark = tuple[float, float]
else:
    Mark = tuple


class Bucket:
    """What is believed of one limit. Without a rate it lets everything pass.

    Attributes:
        rate: how much comes back in a second; None while nothing is known.
        cap: how much there is at most.
        level: how much there was at the time `at`; negative where more was sent than fits.
        slack: seconds of refill kept in reserve.
    """

    __slots__ = ("rate", "cap", "level", "at", "slack", "heard")

    def __init__(self, now: float, rate: float | None = None, cap: float = INFINITE) -> None:
        self.rate = rate
        self.cap = cap
        self.level = cap
        self.at = now
        self.slack = LEAST_SLACK
        self.heard = -INFINITE  # when the last refusal was heard: attempts sent before it say nothing new

    def ready(self, now: float, cost: float) -> float:
        """Give the time from which `cost` fits; a time that is past means now. More than the cap costs the cap."""
        rate = self.rate
        if rate is None:
            return now
        need = cost + self.slack * rate
        cap = self.cap
        level = self.level + rate * (now - self.at)
        short = (need if need < cap else cap) - (level if level < cap else cap)  # noqa: FURB136  # min() costs twice that
        return now if short <= _NOTHING else now + short / rate

    def advance(self, now: float) -> None:
        """Carry the level on to `now`."""
        if now > self.at:
            if self.rate is not None:
                self.level = min(self.cap, self.level + self.rate * (now - self.at))
            self.at = now

    def fill(self, now: float) -> None:
        """Start full."""
        self.level, self.at = self.cap, now

    def believe(self, now: float, shift: float, low: float, high: float, *, newest: bool) -> None:
        """Learn that the level was within `low` and `high` once, and has changed by `shift` since.

        The upper bound always holds. The lower one is believed only of the newest attempt: what an older
        one says of room may have been used since by others.
        """
        self.advance(now)
        self.level = min(self.level, self.cap, high + shift)
        if newest and low + shift > self.level:
            self.level = min(self.cap, low + shift)

    def shaken(self, now: float) -> None:
        """Learn that a refusal came which the books had not foreseen: keep more in reserve."""
        self.slack = min(MOST_SLACK, self.slack * SLACK_FACTOR + SLACK_STEP)
        self.heard = now

    def calm(self) -> None:
        """Learn of a success: a little less in reserve will do."""
        self.slack = max(LEAST_SLACK, self.slack * SLACK_DECAY)


class Ledger:
    """All that was charged against one account, and the beliefs about its limits.

    Refused attempts get their charge back, as a void: the service has not counted them.
    Attempts that failed otherwise stay charged.

    Attributes:
        buckets: the beliefs; a request must fit in all of them.
        gross: all charges ever.
    """

    __slots__ = ("buckets", "gross", "_voided", "_voids", "_latest_void", "_recent", "_near", "_open")

    # How many refused attempts are remembered by number; older ones count for every lease.
    _MOST_VOIDS = 64

    def __init__(self) -> None:
        self.buckets: list[Bucket] = []
        self.gross = 0.0
        self._voided = 0.0
        self._voids: deque[tuple[int, float]] = deque(maxlen=self._MOST_VOIDS)
        self._latest_void = -1
        self._recent: deque[tuple[float, float]] = deque()
        self._near = 0.0
        self._open = 0.0  # what was charged and not answered yet

    def ready(self, now: float, cost: float) -> float:
        """Give the time from which `cost` fits in every bucket."""
        at = now
        for bucket in self.buckets:
            if bucket.rate is not None:
                fits = bucket.ready(now, cost)
                if fits > at:
                    at = fits
        return at

    def charge(self, now: float, cost: float) -> Mark:
        """Take `cost` from every bucket; give the mark by which evidence is dated."""
        reach = LEAST_SLACK
        for bucket in self.buckets:
            rate = bucket.rate
            if rate is not None:
                cap = bucket.cap
                level = bucket.level + rate * (now - bucket.at)
                level = level if level < cap else cap  # noqa: FURB136
                bucket.level = level - (cost if cost < cap else cap)  # noqa: FURB136
                bucket.at = now
                if 2 * bucket.slack > reach:
                    reach = 2 * bucket.slack
        recent, unanswered = self._recent, self._open
        if unanswered:
            while recent and recent[0][0] < now - reach:
                self._near -= recent.popleft()[1]
        else:
            recent.clear()  # all of it has arrived
        near = self._near if recent else 0.0
        recent.append((now, cost))
        self._near = near + cost
        self.gross += cost
        self._open = unanswered + cost
        return self.gross, near if near < unanswered else unanswered  # noqa: FURB136

    def answered(self, cost: float) -> None:
        """Learn that an attempt is over: what is sent from now on arrives after it."""
        left = self._open - cost
        self._open = left if left > _NOTHING else 0.0

    def void(self, number: int, cost: float) -> None:
        """Give the charge of a refused lease back."""
        self._voids.append((number, cost))
        self._voided += cost
        self._latest_void = max(self._latest_void, number)
        for bucket in self.buckets:
            if bucket.rate is not None:
                bucket.level = min(bucket.cap, bucket.level + cost)

    def since(self, number: int, mark: Mark) -> float:
        """Give what was charged after a lease, refused attempts left out."""
        return self.gross - mark[0] - self._voided_after(number)

    def net(self, number: int, mark: Mark) -> float:
        """Give all that was charged up to a lease, refused attempts left out."""
        return mark[0] - (self._voided - self._voided_after(number))

    def _voided_after(self, number: int) -> float:
        if number >= self._latest_void:
            return 0.0
        return sum([cost for voided, cost in self._voids if voided > number])

    def absorb(self, other: Ledger) -> None:
        """Become the ledger of another account as well: the two have turned out to be one."""
        self.gross += other.gross
        self._voided += other._voided
