"""Keys as a table: one line for each, with its state in words and what is left of its limits. Never a key."""

from __future__ import annotations

import time

from skk.texts import mark, say

from .render import columns, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

__all__ = ["HEADS", "aligned", "limits", "of_model", "state"]

HEADS = {
    "key": mark("key"),
    "state": mark("state"),
    "in_flight": mark("in flight"),
    "served": mark("served"),
    "requests": mark("req/min"),
    "tokens": mark("tok/min"),
    "left": mark("left"),
}

# A rest that is longer is told by the time of day at which it ends.
_LONG = 120.0

# From here on the day is told too.
_HALF_A_DAY = 12 * 3600.0

_SHUT = {
    "rejected": (mark("refused until {time}"), mark("refused, is asked again")),
    "out_of_quota": (mark("out of quota until {time}"), mark("out of quota, is asked again")),
    "barred": (mark("not for this model until {time}"), mark("not for this model, is asked again")),
}


def state(known: str, next_free: float | None) -> str:
    """Say in words how a key is doing, and until when.

    Args:
        known: its state, as `AKPool.stats` and `Onlooker.read` tell it.
        next_free: seconds until it may serve; None where that is not known.
    """
    if known in _SHUT:
        until, again = _SHUT[known]
        return say(until, time=_clock(next_free)) if next_free else say(again)
    if known == "cooling" and next_free is not None:
        if next_free > _LONG:
            return say(mark("rests until {time}"), time=_clock(next_free))
        return say(mark("rests for {seconds:.0f} s"), seconds=max(1.0, next_free))
    if known == "busy" and next_free is not None and next_free >= 1:
        return say(mark("busy for {seconds:.0f} s"), seconds=next_free)
    return say(_PLAIN[known]) if known in _PLAIN else one_line(known)


_PLAIN = {"ready": mark("ready"), "busy": mark("busy"), "cooling": mark("rests")}


def of_model(stat: Mapping[str, Any], model: str) -> tuple[str, float | None]:
    """Give a key's state with a model, and seconds until it may serve, of what `AKPool.stats` tells of it."""
    known = stat["models"].get(model)
    if stat["state"] in _SHUT:
        return stat["state"], stat["next_free"]
    if known is None:
        return "ready", 0.0
    if known["barred"]:
        return "barred", known["next_free"]
    if known["next_free"] == 0:
        return "ready", 0.0
    return "cooling" if known["rests"] > 0 else "busy", known["next_free"]


def limits(known: Mapping[str, Any]) -> list[str]:
    """Give what is known of the requests and of the tokens: how many a minute, and how many are left."""
    found = []
    for name in ("requests", "tokens"):
        limit = known.get(name) or {}
        found += [_number(limit.get("per_minute")), _number(limit.get("left"), down=True)]
    return found


def aligned(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int = 2) -> list[str]:
    """Give lines whose columns stand below each other: the first `left` ones flush left, the others right."""
    cells = [list(heads), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(columns(row[at]) for row in cells) for at in range(len(heads))]
    lines = []
    for row in cells:
        blanks = [" " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)]
        line = "  ".join(
            cell + blank if at < left else blank + cell
            for at, (cell, blank) in enumerate(zip(row, blanks, strict=True))
        )
        lines.append(line.rstrip())
    return lines


def _clock(seconds: float) -> str:
    """Give the time of day after so many seconds, with the day where it may be taken for another day's."""
    then = time.localtime(time.time() + seconds)
    return time.strftime("%H:%M" if seconds < _HALF_A_DAY else "%m-%d %H:%M", then)


def _number(number: float | None, *, down: bool = False) -> str:
    """Give a number in few characters; what is left is never told as more than it is."""
    if number is None:
        return "-"
    if number >= 1e6:
        return f"{(int(number / 1e4) / 100 if down else number / 1e6):.2f}M"
    if down or number >= 100:
        return f"{int(number + 1e-6):,}" if down else f"{number:,.0f}"
    return f"{number:.2f}".rstrip("0").rstrip(".")
