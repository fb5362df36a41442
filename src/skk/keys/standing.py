"""Whether a key may serve at all: refused and spent keys leave, and get a second chance after a while.

Quotas are topped up and keys are let in again, so nobody leaves for good. One attempt at a time asks.
"""

from __future__ import annotations

from .bucket import INFINITE
from .evidence import Outcome

__all__ = ["Standing"]

# Seconds until the second chance; each that is missed doubles them, up to the last.
SECOND_CHANCE = {Outcome.REJECTED: 600.0, Outcome.OUT_OF_QUOTA: 900.0, Outcome.BARRED: 600.0}
LAST_CHANCE = 6 * 3600.0

# Seconds until the next, where a second chance showed nothing: the caller gave up, or the network did.
NOT_ANSWERED = 10.0


class Standing:
    """Of a key, or of a key with one model.

    Attributes:
        trouble: why it serves nobody; None if it may.
        again: when it gets its next chance.
        on_trial: whether an attempt is asking.
    """

    __slots__ = ("_misses", "again", "on_trial", "trouble")

    def __init__(self) -> None:
        self.trouble: Outcome | None = None
        self.again = -INFINITE
        self.on_trial = False
        self._misses = 0

    def opens(self) -> float:
        """Give the time from which it may be asked; infinite while it is being asked."""
        if self.trouble is None:
            return -INFINITE
        return INFINITE if self.on_trial else self.again

    def retire(self, now: float, trouble: Outcome, *, on_trial: bool = False) -> None:
        """Learn of a refusal. Those that were in flight together are one."""
        if self.trouble is not None and not on_trial:
            self.trouble = trouble
            return
        self._misses = min(self._misses + 1, 10)
        self.trouble, self.on_trial = trouble, False
        self.again = now + min(LAST_CHANCE, SECOND_CHANCE[trouble] * 2.0 ** (self._misses - 1))

    def restore(self) -> None:
        """Learn that it serves."""
        self.trouble, self.on_trial, self._misses = None, False, 0

    def unanswered(self, now: float) -> None:
        """Learn that a second chance showed nothing."""
        self.on_trial = False
        self.again = now + NOT_ANSWERED
