"""A limit that no header states and the text of a refusal tells: ``TPM: Limit 30000, Used 29937, Requested 385``.

Headers may state the day's limit and be silent of the minute's. The wait that such a text asks for is what is
missing over the rate, so one text tells the limit, the rate and the level.
"""

from __future__ import annotations

from .bucket import INFINITE, Bucket, Ledger, Mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .evidence import Stated
    from .stated import Window
    from .ticket import Lease

__all__ = ["Hidden"]

# The figures are whole numbers; so far off may a rate be that is said to be the limit over its span.
ROUNDING, TOLERANCE = 1, 0.02

EXACT, WHOLE = 0.001, 1.0  # seconds to which a wait is exact


class Hidden(Bucket):
    """A limit told in words."""

    __slots__ = ("_limit", "_low", "_high", "_window")

    def __init__(self, now: float, window: Window) -> None:
        super().__init__(now)
        self._limit, self._low, self._high = 0, 0.0, INFINITE
        self._window: Window | None = window

    @staticmethod
    def told(which: str, stated: Stated | None, wait: float | None) -> bool:
        """Whether a text tells of a bucket: the wait must be what one would need.

        A count of requests is too small to tell by: there the wait must be the one of the limit and its span.
        """
        if stated is None or stated.used is None or stated.hopeless or wait is None:
            return False
        short = stated.used + stated.requested - stated.limit
        if which == "tokens":
            return short >= -ROUNDING
        return wait > 0 and stated.span is not None and _near(short / wait, stated.limit / stated.span)

    def hear(
        self, now: float, lease: Lease, mark: Mark, ledger: Ledger, stated: Stated, wait: float, *, exact: bool
    ) -> None:
        """Learn from the text of a refusal that `told` names."""
        used, limit = stated.used or 0, stated.limit
        if limit != self._limit:
            self._limit, self._low, self._high, self.rate = limit, 0.0, INFINITE, None
        short, grain = used + stated.requested - limit, EXACT if exact else WHOLE
        low = max(0.0, (short - ROUNDING) / (wait + EXACT))
        high = (short + ROUNDING) / (wait - grain) if wait > grain and short > -ROUNDING else INFINITE
        if low > self._high or high < self._low:  # the rate has changed
            self._low, self._high = 0.0, INFINITE
        self._low, self._high = max(self._low, low), min(self._high, high)
        self._exchange(limit)
        known, self.cap = self.rate is not None, float(limit)
        named = limit / stated.span if stated.span else 0.0
        if 0 < self._low <= named <= self._high:
            self.rate = named
        elif self._high < INFINITE:
            self.rate = (self._low + self._high) / 2
        if self.rate is None:
            return
        if not known:
            self.fill(now)
            self.heard = now
        elif lease.at > self.heard:
            self.shaken(now)
        left = float(limit - used)
        shift = self.rate * (now - lease.at) - ledger.since(lease.number, mark)
        self.believe(now, shift, left, left, newest=True)

    def _exchange(self, limit: int) -> None:
        """Narrow the bracket by what other keys know of the window, and theirs by this one."""
        if self._window is not None:
            if bounds := self._window.exchange(limit, self._low, self._high):
                self._low, self._high = bounds
            else:
                self._window = None


def _near(rate: float, named: float) -> bool:
    return abs(rate - named) <= TOLERANCE * named
