"""Times as services write them, in seconds.

There are five ways: Go's durations (``6ms``, ``1m30s``), bare seconds, Unix time in seconds or milliseconds,
RFC 3339 and HTTP's dates. They are told apart by their shape, and a point in time is measured from the
answer's own ``date`` where it has one: their clock need not be ours.
"""

from __future__ import annotations

import re

__all__ = ["FINE", "MILLISECOND", "UNITS", "WHOLE", "Clock", "duration_of", "number_of", "seconds_of"]


class Clock:
    """The service's time of day, read only when something needs it."""

    __slots__ = ("_date", "_wall")

    def __init__(self, date: str | None, wall: float) -> None:
        self._date = date
        self._wall = wall

    def now(self) -> float:
        stamp = _point(self._date) if self._date else None
        return self._wall if stamp is None else stamp


MILLISECOND, FINE, WHOLE = 0.001, 0.002, 1.0  # seconds to which a time is exact
_UNIT = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "d": 86400.0}
_WORDS = {"millisecond": "ms", "milliseconds": "ms", "second": "s", "seconds": "s", "sec": "s", "secs": "s"}
_WORDS |= {"minute": "m", "minutes": "m", "min": "m", "mins": "m", "hour": "h", "hours": "h", "day": "d", "days": "d"}
UNITS = "|".join(sorted((*_UNIT, *_WORDS), key=len, reverse=True))

# A number this large is a point in time: the year 1973 in milliseconds, in seconds.
MILLISECONDS, _SECONDS = 1e11, 1e8


def seconds_of(text: str, clock: Clock) -> tuple[float, float] | None:
    """Give the seconds that a text names, and how exact they are; None if it names none."""
    number = number_of(text)
    if number is None:
        if (found := duration_of(text)) is not None:
            return found
        stamp = _point(text)
        return None if stamp is None else (max(0.0, stamp - clock.now()), WHOLE)
    if number > _SECONDS:
        stamp = number / 1000 if number > MILLISECONDS else number
        return max(0.0, stamp - clock.now()), WHOLE
    return max(0.0, number), FINE if "." in text else WHOLE


def number_of(text: str | None) -> float | None:
    if not text or text[-1] in "sSmMhHdDzZ":  # a duration: no need to fail at it first
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if -1e15 < number < 1e15 else None


def duration_of(text: str) -> tuple[float, float] | None:
    """Read ``6ms``, ``1.5s``, ``1m30s``; the commonest two shapes without a pattern."""
    try:
        if text[-2:] == "ms":
            return float(text[:-2]) * 1e-3, FINE
        if text[-1:] == "s" and "m" not in text and "h" not in text:
            return float(text[:-1]), FINE if "." in text else WHOLE
    except ValueError:
        pass
    parts = re.findall(rf"([\d.]+)({UNITS})", text, re.IGNORECASE)
    if not parts or "".join(amount + unit for amount, unit in parts) != text:
        return None
    try:
        total = sum(float(amount) * _UNIT[_WORDS.get(unit.lower(), unit.lower())] for amount, unit in parts)
    except ValueError:
        return None
    fine = "." in text or any(_WORDS.get(unit.lower(), unit.lower()) in ("ms", "us", "µs", "ns") for _, unit in parts)
    return total, FINE if fine else WHOLE


def _point(text: str) -> float | None:
    """Read a point in time as seconds since 1970: RFC 3339, or a date as HTTP writes it."""
    from datetime import UTC, datetime  # 4 ms that only a date costs
    from email.utils import parsedate_to_datetime

    try:
        stamp = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
        return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
