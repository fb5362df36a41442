"""From what processes saw to figures: of a run, of a median over runs, as a table, and beside the goals."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from scenarios import SCENARIOS


class Goal(NamedTuple):
    """What our pool has to reach in a scenario, as the median over seeds."""

    goodput: float  # percent, at least
    refused: float  # attempts for each success, at most
    jain: float | None = 0.99  # None: who calls by chance, or is many, is not served alike


GOALS = {
    **dict.fromkeys("ABDFJMR", Goal(99, 0.03)),
    "C": Goal(99, 0.04),
    "E": Goal(98, 0.03),
    "G": Goal(99, 0.03, None),
    "H": Goal(99, 0.03, None),
    "I": Goal(99, 0.2),
    "K": Goal(97, 0.05),
    "L": Goal(98, 0.03),
    "P": Goal(99, 0.03, None),
    "Q": Goal(99, 0.05),
    "S": Goal(98, 0.05),
    "T": Goal(97, 0.5, 0.9),
    "U": Goal(97, 0.03),
}
LIGHT = 1.0  # seconds added at p99 for the light chats of P
OVER = 0.001  # seconds added at p50 more than the plain SDK, under little load
CI_GOODPUT = 94.0  # whatever else the machine does


class Figures(NamedTuple):
    """One run, or the median of several."""

    goodput: float  # percent of what the service could have granted
    failed: float  # percent of the calls
    refused: float  # attempts for each success
    p50: float  # seconds added to the service's work and way; in P for the light chats
    p99: float
    jain: float | None
    cpu: float  # milliseconds for each success
    attempts: float  # for each call
    open: float  # calls without an answer at the end
    late: float  # seconds, at p95: how late the service was itself


def of_run(letter: str, processes: list[dict], books: dict) -> Figures:
    """Sum up the processes of a run, by the service's books."""
    scenario = SCENARIOS[letter]
    good = [call for each in processes for call in each["good"]]
    calls = sum(each["calls"] for each in processes)
    served = max(1, len(good) + sum(each["late"] for each in processes))
    got, most = (len(good), books["requests"])
    if scenario.rate is not None:
        most = calls
    elif books["tokens"]:
        got, most = sum(tokens for _, _, tokens in good), books["tokens"]
    added = sorted(seconds for name, seconds, _ in good if name != "greedy") or [0.0]
    shares: dict[str, int] = {}
    for name, _, _ in good:
        shares[name] = shares.get(name, 0) + 1
    callers = scenario.callers * scenario.processes if scenario.rate is None else len(shares)
    squares = callers * sum(share * share for share in shares.values())
    return Figures(
        goodput=100 * got / max(1, most),
        failed=100 * sum(sum(each["failures"].values()) for each in processes) / max(1, calls),
        refused=books["refused"] / served,
        p50=added[len(added) // 2],
        p99=added[int(0.99 * len(added))],
        jain=None if scenario.greedy or not squares else len(good) ** 2 / squares,
        cpu=1000 * sum(each["cpu"] for each in processes) / served,
        attempts=books["attempts"] / max(1, calls),
        open=sum(each["open"] for each in processes),
        late=books["late"],
    )


def of_runs(runs: list[Figures]) -> Figures:
    """Give the median of every figure; calls that failed and calls that stay open are not hidden by it."""
    middle = [None if None in column else median(column) for column in zip(*runs, strict=True)]
    worst = {"failed": sum(run.failed for run in runs) / len(runs), "open": max(run.open for run in runs)}
    return Figures(*middle)._replace(**worst)


def table(found: dict[tuple[str, str], list[Figures]]) -> str:
    """Write one Markdown table: scenarios down, adapters within."""
    lines = [
        "| | scenario | by | runs | goodput % | failed % | refused/success | p50 s | p99 s | Jain | CPU ms/success |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for (letter, adapter), runs in sorted(found.items(), key=lambda item: item[0][0]):
        it = of_runs(runs)
        jain = "–" if it.jain is None else f"{it.jain:.3f}"
        cells = [letter, SCENARIOS[letter].title, adapter, len(runs), f"{it.goodput:.1f}", f"{it.failed:.1f}"]
        cells += [f"{it.refused:.3f}", f"{it.p50:.3f}", f"{it.p99:.3f}", jain, f"{it.cpu:.1f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    still = {name: of_runs(runs).open for name, runs in found.items()}
    lines += [
        f"\n{adapter}, {letter}: {calls:g} calls still open" for (letter, adapter), calls in still.items() if calls
    ]
    return "\n".join(lines)


def misses(found: dict[tuple[str, str], list[Figures]], ci: bool) -> list[str]:
    """Name what our pool has not reached; in `ci`, where many share a machine, only the coarsest of it."""
    said: list[str] = []

    def expect(reached: bool, letter: str, what: str) -> None:
        if not reached:
            said.append(f"{letter}: {what}")

    for (letter, adapter), runs in found.items():
        if adapter != "skk":
            continue
        it, goal = of_runs(runs), GOALS[letter]
        expect(it.failed == 0, letter, f"{it.failed:.2f} % of the calls failed, expected none")
        least = CI_GOODPUT if ci else goal.goodput
        expect(it.goodput >= least, letter, f"goodput {it.goodput:.2f} %, expected {least:g}")
        if ci:
            continue
        most = f"expected at most {goal.refused:g}"
        expect(round(it.refused, 3) <= goal.refused, letter, f"{it.refused:.3f} refused for each success, {most}")
        if goal.jain is not None:
            expect(it.jain >= goal.jain, letter, f"Jain {it.jain:.3f}, expected {goal.jain:g}")
        if letter == "P":
            expect(it.p99 <= LIGHT, letter, f"light chats wait {it.p99:.2f} s at p99, expected at most {LIGHT:g}")
        if letter == "G":
            expect(it.attempts == 1, letter, f"{it.attempts:.3f} attempts a call, expected one")
        if plain := found.get((letter, "rr")):
            plain = of_runs(plain)
            expect(
                it.cpu < plain.cpu, letter, f"{it.cpu:.2f} ms CPU, expected less than the plain SDK's {plain.cpu:.2f}"
            )
            if letter == "G":
                more = 1000 * (it.p50 - plain.p50)
                expect(more <= 1000 * OVER, letter, f"{more:.2f} ms at p50 over the plain SDK, expected at most 1")
    return said
