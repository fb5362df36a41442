"""What the scheduler knows of a key, as values for people to see."""

from __future__ import annotations

from .evidence import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from .desk import Desk
    from .lane import Account, Key, Lane

__all__ = ["KeyFacts", "LaneFacts", "LimitFacts", "facts"]


class LimitFacts:
    """What is known of one limit: how much at once, how much a second, and how much is left now."""

    __slots__ = ("left", "limit", "per_second")

    def __init__(self, limit: float | None, per_second: float | None, left: float | None) -> None:
        self.limit = limit
        self.per_second = per_second
        self.left = left


class LaneFacts:
    """What is known of a key with one model.

    Attributes:
        in_flight: attempts that are on their way.
        room: how many may be; None where nothing limits them.
        rests: seconds that it cools still.
        next_free: seconds until it may serve a small request; None where that is not known.
        requests, tokens: the limits that were learnt.
        barred: whether it may not ask for this model.
    """

    __slots__ = ("barred", "in_flight", "model", "next_free", "requests", "rests", "room", "served", "tokens")

    def __init__(self, model: str, lane: Lane, now: float) -> None:
        free = lane.ready(now, 1.0)
        self.model = model
        self.in_flight = lane.in_flight
        self.room = None if lane.room == float("inf") else int(lane.room)
        self.rests = max(0.0, lane.until - now)
        self.next_free = None if free == float("inf") else max(0.0, free - now)
        self.requests = _limit(lane.requests, now)
        self.tokens = _limit(lane.tokens, now)
        self.served = lane.served
        self.barred = lane.standing.trouble is Outcome.BARRED


class KeyFacts:
    """What is known of a key.

    Attributes:
        key: the key, as it was handed in.
        trouble: `Outcome.REJECTED` or `Outcome.OUT_OF_QUOTA` while it is retired; else None.
        again: seconds until its second chance, while it is retired.
        in_flight: attempts that are on their way.
        asked: attempts ever; `served`: those that went well.
        text: the last refusal.
        models: by model.
    """

    __slots__ = ("again", "asked", "in_flight", "key", "models", "served", "text", "trouble")

    def __init__(self, key: Hashable, trouble: Outcome | None, again: float, models: dict[str, LaneFacts]) -> None:
        self.key = key
        self.trouble = trouble
        self.again = again
        self.models = models
        self.in_flight = self.asked = self.served = 0
        self.text = ""


def facts(key: Key, desks: Mapping[str, Desk], now: float) -> KeyFacts:
    """Gather what is known of a key."""
    lanes = {model: lane for model, desk in desks.items() for lane in desk.lanes if lane.key is key}
    models = {model: LaneFacts(model, lane, now) for model, lane in lanes.items()}
    trouble = key.standing.trouble
    found = KeyFacts(key.identity, trouble, max(0.0, key.standing.again - now) if trouble else 0.0, models)
    found.in_flight, found.asked, found.served, found.text = key.in_flight, key.asked, key.served, key.text
    return found


def _limit(account: Account, now: float) -> LimitFacts:
    known = [bucket for bucket in account.ledger.buckets if bucket.rate is not None]
    for bucket in known:
        bucket.advance(now)
    narrowest = min(known, key=lambda bucket: bucket.rate or 0.0, default=None)
    if narrowest is None:
        return LimitFacts(account.stated.limit, None, None)
    return LimitFacts(narrowest.cap, narrowest.rate, max(0.0, narrowest.level))
