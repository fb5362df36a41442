"""What people see of the keys: plain values for a program, one line for a person. Never a key."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .facts import KeyFacts, LimitFacts

__all__ = ["line", "stat"]


def stat(facts: KeyFacts) -> dict[str, Any]:
    """Give what is known of a key as JSON-able values.

    Returns:
        ``key`` (its fingerprint), ``state`` ("ready", "busy", "cooling", "rejected", "out_of_quota"), ``next_free``
        (seconds until it may serve; None where only an answer will tell), ``in_flight``, ``asked`` and ``served``
        (attempts), ``error`` (what it was last told) and ``models``: by model ``in_flight``, ``served``, ``next_free``,
        ``rests`` (seconds that it must not be asked), ``barred`` (from this model), and the limits that were learnt,
        ``requests`` and ``tokens``: ``limit``, ``per_minute``, ``left``; None where nothing is known.
    """
    models = {
        name: {
            "in_flight": lane.in_flight,
            "served": lane.served,
            "next_free": lane.next_free,
            "rests": lane.rests,
            "barred": lane.barred,
            "requests": _limit(lane.requests),
            "tokens": _limit(lane.tokens),
        }
        for name, lane in facts.models.items()
    }
    known = [lane.next_free for lane in facts.models.values() if lane.next_free is not None]
    free: float | None = min(known, default=None if facts.models else 0.0)
    rests = min((lane.rests for lane in facts.models.values()), default=0.0)
    state = "cooling" if rests > 0 else "ready" if free == 0 else "busy"
    if state == "cooling" and free is None:
        free = rests
    if facts.trouble is not None:
        state, free = facts.trouble.value, facts.again
    return {
        "key": str(facts.key),
        "state": state,
        "next_free": free,
        "in_flight": facts.in_flight,
        "asked": facts.asked,
        "served": facts.served,
        "error": facts.text or None,
        "models": models,
    }


def line(stat: dict[str, Any]) -> str:
    """Name a key, with what keeps it from serving."""
    if stat["state"] in ("ready", "busy"):
        return str(stat["key"])
    state = "rate_limited" if stat["state"] == "cooling" else stat["state"]
    return f"{stat['key']} {state} for {stat['next_free']:.0f} s"


def _limit(facts: LimitFacts) -> dict[str, float | None] | None:
    if facts.limit is None and facts.per_second is None:
        return None
    minute = None if facts.per_second is None else facts.per_second * 60
    return {"limit": facts.limit, "per_minute": minute, "left": facts.left}
