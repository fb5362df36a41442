"""A rate that only refusals tell, for services that state no limits.

Each refusal says that the level was nothing when the attempt arrived; what went well between two of them,
over the time between them, is the rate. A few percent of optimism keep the level near empty, at the price
of one refusal in some twenty attempts: with none at all nothing would be learnt.
"""

from __future__ import annotations

from collections import deque

from .bucket import Bucket, Ledger, Mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ticket import Lease

__all__ = ["Felt"]

OPTIMISM = 1.05
LOOKS_BACK = 10.0  # seconds of refusals that the rate is taken from

# Nothing went well between two refusals: so much less. Many successes without one while calls wait: each, so much more.
CUT, GROWTH, CALM_SUCCESSES = 0.6, 1.02, 8

# Seconds: the shortest time that a first rate is taken from, and the longest that a service is left alone.
SHORTEST, LONGEST = 0.1, 60.0


class Felt(Bucket):
    """A limit felt from refusals. `unit` is what an attempt costs, for the amounts that are a count."""

    __slots__ = ("_marks", "_quiet", "_unit")

    def __init__(self, now: float, lease: Lease, mark: Mark, ledger: Ledger, unit: float, since: float) -> None:
        net = max(unit, ledger.net(lease.number, mark))
        super().__init__(now, net / max(SHORTEST, now - since), net)
        self._unit = unit
        self._quiet = 0
        self._marks: deque[tuple[float, float]] = deque(maxlen=24)
        self.heard = now
        self._empty(now, lease, mark, ledger)

    def refused(self, now: float, lease: Lease, mark: Mark, ledger: Ledger) -> None:
        """Learn of another refusal; attempts sent before the last was heard say nothing new."""
        if lease.at <= self.heard:
            return
        self.heard, self._quiet = now, 0
        self.rate = max(self._next_rate(lease.at, ledger.net(lease.number, mark)), self._unit / LONGEST)
        self._empty(now, lease, mark, ledger)

    def _next_rate(self, sent: float, net: float) -> float:
        marks = self._marks
        if net <= marks[-1][1]:
            marks.clear()
            return (self.rate or 0.0) * CUT
        while len(marks) > 1 and sent - marks[0][0] > LOOKS_BACK:
            marks.popleft()
        first_sent, first_net = marks[0]
        return (net - first_net) / max(1e-6, sent - first_sent) * OPTIMISM

    def _empty(self, now: float, lease: Lease, mark: Mark, ledger: Ledger) -> None:
        """Set the level by what a refusal says: nothing was left when it was sent."""
        self._marks.append((lease.at, ledger.net(lease.number, mark)))
        self.at = now
        self.level = min(self.cap, (self.rate or 0.0) * (now - lease.at) - ledger.since(lease.number, mark))

    def served(self, *, waited_for: bool) -> None:
        """Learn of a success, and whether calls wait for more."""
        if waited_for and self.rate is not None:
            self._quiet += 1
            if self._quiet > CALM_SUCCESSES:
                self.rate *= GROWTH
