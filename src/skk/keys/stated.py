"""What headers say of a limit: bounds on its rate and on its level, dated to the moment of sending.

A header tells three numbers: the limit, what remains (rounded down) and the seconds until all is back.
One answer gives a bracket for the rate, and every other narrows it. Where whole seconds leave it wide, two
answers are compared: between them is known what was charged. The level is that of the moment the service saw
the attempt.
"""

from __future__ import annotations

from .bucket import INFINITE, Bucket, Ledger, Mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .evidence import Limits
    from .ticket import Lease

__all__ = ["Stated", "Window"]

# Seconds: a reset with a fraction is exact to this, a coarse one is rounded to whole seconds.
FINE, COARSE = 0.002, 0.1

# Seconds: two answers closer than the first are not compared, nor further apart than the second.
SHORTEST, LONGEST = 1.5, 15.0

# What rounding down can hide between them, and how far what they tell may be off the bracket.
ROUNDING, TOLERANCE = 0.7, 0.02

# Nothing is exact to the last bit: brackets that miss each other by less than this do not.
_TOUCH = 1e-3
_EXACT = 1e-4
_ALMOST_ALL = 0.999  # what rounding down takes away at most


class Window:
    """The seconds over which a service counts, as a bracket that all its keys narrow together."""

    __slots__ = ("low", "high")

    def __init__(self) -> None:
        self.low, self.high = 0.0, INFINITE

    def exchange(self, limit: int, low: float, high: float) -> tuple[float, float] | None:
        """Take in a rate's bracket, and give it back narrowed; None if that key has a time of its own."""
        shortest, longest = limit / high, limit / low if low else INFINITE
        if shortest > self.high * (1 + _TOUCH) or longest < self.low * (1 - _TOUCH):
            return None
        self.low, self.high = max(self.low, shortest), min(self.high, longest)
        return max(low, limit / self.high), min(high, limit / self.low) if self.low else high


class Stated(Bucket):
    """The limit that headers state.

    Attributes:
        limit: how much may be used at once; None before the first header.
        low, high: the bracket of the rate.
        fine: whether a reset with a fraction was seen: then whole seconds are exact too.
        paced: whether it is held over less time than stated, so that headers say nothing of the level.
    """

    __slots__ = ("limit", "low", "high", "fine", "paced", "newest", "_window", "_anchor")

    def __init__(self, now: float, window: Window) -> None:
        super().__init__(now)
        self.limit: int | None = None
        self.low, self.high = 0.0, INFINITE
        self.fine = self.paced = False
        self.newest = -1  # the number of the last lease that gave evidence
        self._window: Window | None = window
        self._anchor: tuple[float, float, float] | None = None  # an answer: (what remained, net charges, when sent)

    @property
    def span(self) -> float:
        """The seconds over which the limit is counted; 0 while that is unknown."""
        return 0.0 if self.rate is None or self.limit is None else self.limit / self.rate

    def hear(
        self,
        now: float,
        lease: Lease,
        mark: Mark,
        ledger: Ledger,
        limits: Limits,
        missing: tuple[float, float] | None = None,
    ) -> None:
        """Learn from the headers of one attempt.

        Args:
            now: when they are heard.
            lease: the attempt.
            mark: what had been charged then.
            ledger: where it was charged.
            limits: what the headers state.
            missing: of a refusal that names an exact wait: what the attempt costs, and that wait.
        """
        bounds = self.learn(now, lease, mark, ledger, limits)
        rate = self.rate
        if bounds is None or rate is None:
            return
        low, high, newest = bounds
        if missing is not None:
            cost, wait = missing
            low = high = min(cost, self.cap) - rate * wait
        gained = rate * (now - lease.at)
        low = min(low, self.cap - gained)  # what came back above the cap was lost before anything was charged
        self.believe(now, gained - ledger.since(lease.number, mark), low, high, newest=newest)

    def learn(
        self, now: float, lease: Lease, mark: Mark, ledger: Ledger, limits: Limits
    ) -> tuple[float, float, bool] | None:
        """Learn the rate. Give bounds of the level when the attempt was sent, and whether it is the newest; else None.

        What was charged just before it may have arrived after it, so the lower bound allows for that.
        """
        newest = lease.number > self.newest
        starts = False
        if limits.grain < COARSE and not self.fine:
            self.fine = True
        if newest:
            self.newest = lease.number
            starts = self._learn_rate(lease.at, ledger.net(lease.number, mark), limits)
            if starts:  # full when that was sent
                self.level, self.at = self.cap - ledger.since(lease.number, mark), now
        if self.rate is None or self.paced:
            return None
        low, high = float(limits.remaining), limits.remaining + _ALMOST_ALL
        if self.fine:
            low = high = min(max(self.cap - self.rate * limits.reset, low), high)
        return low - mark[1], high - mark[1] if starts else high, newest

    def _learn_rate(self, sent: float, net: float, limits: Limits) -> bool:
        """Learn from the newest answer. True if this is the first that tells the rate."""
        if limits.limit != self.limit:
            self._restart(limits.limit)
        used, reset = limits.limit - limits.remaining, limits.reset
        if not used or not reset:
            return False
        grain = FINE if self.fine else limits.grain
        low, high = (used - 1) / reset, used / (reset - grain) if reset > grain else INFINITE
        self._bracket(low, high)
        found = None if self.fine else self._compared(sent, net, limits)
        self._exchange(limits.limit)
        if found is not None and not self.low * (1 - TOLERANCE) <= found <= self.high * (1 + TOLERANCE):
            found = self._anchor = None  # no bucket, or others draw on it too
        rate = found or self.rate or (high if self.fine else low)  # coarse: too low is found out without a refusal
        if not 0 < rate < INFINITE:
            return False
        starts, self.rate = self.rate is None, min(max(rate, self.low), self.high)
        return starts

    def _restart(self, limit: int) -> None:
        self.limit, self.cap, self.rate = limit, float(limit), None
        self.low, self.high = 0.0, INFINITE
        self.paced, self._anchor = False, None

    def _bracket(self, low: float, high: float) -> None:
        self.low, self.high = max(self.low, low), min(self.high, high)
        if self.low > self.high * (1 + _EXACT):  # the rate has changed
            self.low, self.high, self._anchor = low, high, None

    def _exchange(self, limit: int) -> None:
        """Narrow the bracket by what other keys know of the window, and theirs by this one."""
        if self._window is not None:
            if bounds := self._window.exchange(limit, self.low, self.high):
                self.low, self.high = bounds
            else:
                self._window = None

    def _compared(self, sent: float, net: float, limits: Limits) -> float | None:
        """Give the rate nearest to the old one that an answer and an earlier one allow."""
        left, anchor = limits.remaining, self._anchor
        if anchor is None or left >= limits.limit - 1 or sent - anchor[2] > LONGEST:
            self._anchor = (left, net, sent)
        elif (passed := sent - anchor[2]) > SHORTEST:
            gained = net - anchor[1] + left - anchor[0]
            return min(max(self.rate or 0.0, (gained - ROUNDING) / passed), (gained + ROUNDING) / passed)
        return None

    def broken(self) -> None:
        """Learn that what was charged until now stands in other books: nothing is compared with it."""
        self._anchor = None

    def pace(self, now: float, cap: float, level: float) -> None:
        """Learn that it is held over less time than stated: so much at once, and headers tell just the rate."""
        self.paced, self.cap = True, cap
        self.level, self.at = min(cap, level), now
