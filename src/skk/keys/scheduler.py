"""Which key next: a state machine without clock, lock or network. The time is a number handed in."""

from __future__ import annotations

from skk.failure import Failure, Kind

__all__ = ["KeyState", "Scheduler"]

# Seconds. A rate limit without retry-after doubles from the first to the last; one with it is what it
# says, but no shorter than the least, which doubles too, or `retry-after: 0` would be a loop without a
# pause. A spent or refused key gets a second chance after a while, because quotas are topped up and keys
# are let in again.
FIRST_REST, LAST_REST, LEAST_REST = 1.0, 60.0, 0.01
SECOND_CHANCE = {Kind.OUT_OF_QUOTA: 900.0, Kind.REJECTED: 600.0}


class KeyState:
    """What is known of one key.

    Attributes:
        rests_until: when it may serve again, in the scheduler's time.
        trouble: why it rests; None if it does not.
        refusals: rate limits in a row, for the doubling.
        failure: what it was last told.
        barred_until: by model, when it may ask for that model again: a 403 may speak of one model alone.
    """

    __slots__ = ("barred_until", "failure", "refusals", "rests_until", "trouble")

    def __init__(self) -> None:
        self.rests_until = 0.0
        self.trouble: Kind | None = None
        self.refusals = 0
        self.failure: str | None = None
        self.barred_until: dict[str, float] = {}

    def ready_at(self, model: str | None) -> float:
        """Give the time from which it may serve a request for this model."""
        return max(self.rests_until, self.barred_until.get(model, 0.0)) if model else self.rests_until


class Scheduler:
    """Serves keys in strict rotation, list order, and passes over those that must rest.

    Args:
        count: how many keys there are; a key is its index.
    """

    def __init__(self, count: int) -> None:
        self.keys = [KeyState() for _ in range(count)]
        self._next = 0

    def choose(self, now: float, model: str | None = None) -> int | float:
        """Give the key that serves next, or (a float) the seconds until one may."""
        for step in range(len(self.keys)):
            index = (self._next + step) % len(self.keys)
            if self.keys[index].ready_at(model) <= now:
                self._next = index + 1
                return index
        return min(key.ready_at(model) for key in self.keys) - now

    def succeed(self, index: int, now: float) -> None:
        """Learn that a key has served. While it rests that says nothing: the request was sent before."""
        key = self.keys[index]
        if key.rests_until <= now:
            key.rests_until, key.trouble, key.refusals = 0.0, None, 0

    def fail(self, index: int, failure: Failure, now: float, model: str | None = None) -> None:
        """Learn what a key was told. Trouble of the service or of the network is not the key's fault."""
        if not failure.of_the_key:
            return
        key = self.keys[index]
        if failure.status == 403 and model:
            key.barred_until[model] = now + SECOND_CHANCE[Kind.REJECTED]
            key.failure = str(failure.error)
            return
        rest = SECOND_CHANCE.get(failure.kind)
        if rest is None:
            if not key.refusals or key.rests_until <= now:  # requests in flight at once are refused as one
                key.refusals = min(key.refusals + 1, 10)
            times = 2.0 ** (key.refusals - 1)
            asked = failure.retry_after
            rest = min(FIRST_REST * times, LAST_REST) if asked is None else max(asked, LEAST_REST * times)
        if now + rest >= key.rests_until:
            key.rests_until, key.trouble, key.failure = now + rest, failure.kind, str(failure.error)

    def troubles(self, now: float, model: str | None = None) -> list[Kind | None]:
        """Give the trouble of each key, in list order, as a request for this model meets it."""
        return [
            key.trouble if key.rests_until > now else Kind.REJECTED if key.ready_at(model) > now else None
            for key in self.keys
        ]
