"""The loads under which a pool of keys is measured, as plain values: tests play them in virtual time, run.py for real.

Rates are as in life (1 to 20 requests a second and key), only bursts are small: a limit holds two seconds of refill,
so that a short run reaches its steady state.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

SECONDS, DRAIN = 12.0, 2.5  # of load, and then for what is in flight still
MODEL = "gpt-6"
WARM = "sk-bench-warm-Zq7Rk2Vw9Lm4Tb6X"  # a key that the service answers beside its books


@dataclass(frozen=True)
class Given:
    """One key as the service knows it."""

    requests: float  # a second
    tokens: float | None = None  # a second
    state: str = "ok"
    organization: str | None = None
    at_once: int | None = None  # attempts in flight
    burst: float | None = None  # requests at once, where that is not two seconds of them
    day: int | None = None  # tokens a day: the limit that headers state instead of the minute's


@dataclass(frozen=True)
class Scenario:
    """A load, and the service that it meets."""

    keys: list[Given]
    title: str = ""
    callers: int = 60  # of a process; each has always one call waiting; with `rate` calls come by chance instead
    rate: float | None = None
    headers: str = "exact"  # coarse: whole seconds; minute: they speak of a minute's limit; none
    prompt: tuple[int, int] = (40, 40)  # tokens, log-uniform
    max_tokens: int = 16
    characters: float = 4.0  # to a token
    faults: dict[str, float] = field(default_factory=dict)  # error, reset, hang: how probable
    refusal_cost: float = 0.0
    jitter: float = 0.0  # seconds on the way there, in the mean
    changes: tuple[tuple[float, int, float], ...] = ()  # (when, key, requests a second)
    greedy: int = 0  # callers that are one chat
    timeout: float = 5.0
    wording: bool = True  # whether a lack of places is said in words
    seconds: float = SECONDS
    processes: int = 1
    outage: tuple[float, float] | None = None  # when Redis is killed, and when it is back, empty


def secret(index: int) -> str:
    """Give the api key with this number."""
    return f"sk-bench-{index:02d}-Zq7Rk2Vw9Lm4Tb6X"


def _keys(rates: list[float], facts: dict[int, dict[str, str]] | None = None, **all_of_them: object) -> list[Given]:
    keys = [Given(rate, **all_of_them) for rate in rates]
    for index, more in (facts or {}).items():
        keys[index] = replace(keys[index], **more)
    return keys


_MIXED = [1, 1, 2, 2, 5, 5, 10, 10]
_DEAD, _SPENT, _DAY = {"state": "dead"}, {"state": "spent"}, {"state": "day"}
_ONE = {"organization": "one"}
_LONG = {"prompt": (100, 3000), "max_tokens": 64, "characters": 3.3}

SCENARIOS = {
    "A": Scenario(_keys([4] * 10), "ten equal keys"),
    "B": Scenario(_keys(_MIXED), "limits of one to ten"),
    "C": Scenario(_keys([4] * 10, {2: _DEAD, 7: _DEAD, 4: _SPENT}), "two of ten dead, one out of quota"),
    "D": Scenario(_keys([10] * 4), "a limit cut to a fifth and restored", changes=((4.0, 0, 2), (8.0, 0, 10))),
    "E": Scenario(_keys([20] * 6, tokens=6000), "tokens are what lacks", **_LONG),
    "F": Scenario(_keys([4] * 10), "four processes", callers=15, processes=4),
    "G": Scenario(_keys([4] * 10), "little load", rate=4.0),
    "H": Scenario(_keys(_MIXED), "85 % of the limits, by chance", rate=30.6),
    "I": Scenario(_keys(_MIXED), "no headers", headers="none"),
    "J": Scenario(_keys([4] * 10), "faults", faults={"error": 0.04, "reset": 0.01, "hang": 0.005}, timeout=2.5),
    "K": Scenario(_keys([50] * 8, at_once=2), "two at a time, no headers", headers="none", wording=False),
    "L": Scenario(_keys([4] * 10), "refusals count", refusal_cost=1.0),
    "M": Scenario(_keys([6] * 6, dict.fromkeys(range(4), _ONE)), "four of six keys are one organisation's"),
    "P": Scenario(_keys([4] * 6), "a greedy chat beside six light ones", greedy=54),
    "Q": Scenario(_keys([4] * 10, burst=2), "held shorter than stated", headers="minute"),
    "R": Scenario(_keys([6] * 4, {1: _DAY}), "one of four out for the day", callers=40),
    "S": Scenario(_keys(_MIXED), "coarse headers, an uneven way", headers="coarse", jitter=0.05),
    "T": Scenario(_keys([4] * 10), "F, and Redis killed", callers=15, processes=4, outage=(4.0, 8.0)),
    "U": Scenario(_keys([20] * 6, tokens=6000, day=20_000_000), "the minute's limit hidden", **_LONG),
}
