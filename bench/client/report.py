"""What was found, as figures, as Markdown, and as a list of what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from rows import ASYNC, IMPORT, LIMITS, OURS, OURS_AIOHTTP, OURSELVES, ROWS, SDK, SDK_AIOHTTP, SOCKET, STARTS, SYNC, Row
from sides import SIDES

Figures = dict[str, float]  # of a side: see `compared`
Round = dict[str, Figures]  # by side
Found = dict[tuple[str, str], Round]  # by row and colour


def compared(taken: Round, bare: float | None = None) -> Round:
    """Put ratios beside what a round took: both sides of each are of the same minute, on the same machine.

    ``cpu`` is seconds for a unit, ``memory`` MB at most. ``less`` is how many times less than the plain SDK it is,
    ``more`` how many times what the bare socket takes. An import is without what a bare interpreter costs, and
    ``more`` is how many bare interpreters the whole process costs.
    """
    base, grain = (bare, 0.0005) if bare else (0.0, 0.0)  # 0.5 ms: nearer to nothing is noise
    least = taken[SOCKET]["cpu"] if SOCKET in taken else bare
    return {
        side: {
            "cpu": (own := max(figures["cpu"] - base, grain)),
            **({"memory": figures["memory"]} if figures["memory"] is not None else {}),
            **({"less": (taken[SDK]["cpu"] - base) / own} if SDK in taken else {}),
            **({"more": figures["cpu"] / least} if least else {}),
        }
        for side, figures in taken.items()
    }


def medians(rounds: list[Round]) -> Round:
    """Give the medians over rounds, for each side."""

    def over(side: str, name: str) -> float:
        return median(each[side][name] for each in rounds if name in each.get(side, {}))

    return {side: {name: over(side, name) for name in figures} for side, figures in rounds[0].items()}


def missed(found: Found) -> list[str]:
    """Name what misses its goal, and the peers that are ahead of us; aiohttp is compared with aiohttp."""
    faults = []
    for row in ROWS:
        for (side, colour), goal in zip(OURSELVES, row.goals, strict=True):
            less = _less(found, row, side, colour)
            if goal and less and less < goal:
                faults.append(f"{row.name}, {colour}, {side}: {less:.2f} times less than {SDK}, not {goal:g}")
        for colour in row.colours:
            sides = found.get((row.name, colour), {})
            for side in SIDES:
                ours = sides.get(OURS_AIOHTTP if side.name == SDK_AIOHTTP else OURS) or sides.get(OURS)
                if side.peer and side.name in sides and ours and sides[side.name]["cpu"] <= ours["cpu"]:
                    faults.append(f"{row.name}, {colour}: {side.name} is ahead")
    starts = found.get((IMPORT.name, SYNC), {}).get(OURS, {}).get("more", 0.0)
    return faults + ([f"import: {starts:.2f} bare interpreters, not {STARTS:g}"] if starts > STARTS else [])


def _less(found: Found, row: Row, side: str, colour: str) -> float | None:
    return found.get((row.name, colour), {}).get(side, {}).get("less")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(lines: Iterable[list[str]]) -> str:
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---", *["--:"] * (len(head) - 1)], *rest))


def _goals(found: Found) -> str:
    lines = [[f"{SDK} ÷ {OURS}", SYNC, ASYNC, "async, aiohttp"]]
    for row in ROWS:
        cells = [row.name]
        for (side, colour), goal in zip(OURSELVES, row.goals, strict=True):
            less, most = _less(found, row, side, colour), _less(found, row, LIMITS[side], colour)
            of = f" of {_number(most)}" if goal and most else ""
            cells.append(_number(less) + of + (f" ({goal:g})" if goal and less else ""))
        lines += [cells] if any(cells[1:]) else []
    return _table(lines)


def _row(row: Row, found: Found) -> str:
    colours = [colour for colour in row.colours if (row.name, colour) in found]
    ratio = "it ÷ bare start" if row is IMPORT else f"it ÷ {SOCKET}"
    head = [f"{row.name}, for each {row.unit}"]
    for colour in colours:
        head += [f"{colour}: µs", f"{SDK} ÷ it", ratio, "MB"]
    lines = [head]
    known = dict.fromkeys([side.name for side in SIDES])  # in this order, then others
    known |= dict.fromkeys(side for colour in colours for side in found[row.name, colour])
    for side in known:
        if not any(side in found[row.name, colour] for colour in colours):
            continue
        cells = [side]
        for colour in colours:
            figures = found[row.name, colour].get(side, {})
            microseconds = figures["cpu"] * 1e6 if figures else None
            memory = figures.get("memory")
            cells += [_number(microseconds), *(_number(figures.get(name)) for name in ("less", "more"))]
            cells.append(f"{memory:.0f}" if memory else "")
        lines.append(cells)
    return _table(lines)


def markdown(about: str, found: Found) -> str:
    """Give all tables: first how we stand beside the plain SDK, with the goal in brackets, then each row for all."""
    rows = [row for row in ROWS if any((row.name, colour) in found for colour in row.colours)]
    return "\n\n".join([about, _goals(found), *[_row(row, found) for row in rows]])
