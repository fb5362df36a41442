"""What a client of an OpenAI-compatible server costs in CPU time: ours, the plain SDK, its peers, a bare socket.

    python bench/client/run.py                                  Markdown
    python bench/client/run.py --venvs FOLDER                   with the peers that have an environment there
    python bench/client/run.py --only request --sides openai skk llm --rounds 3
    python bench/client/run.py --check                          exit status 1 where we miss a goal, or a peer is ahead
    python bench/client/run.py --adapter mine.py                with a client of your own: see adapter.py

../README.md tells what is measured, and how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import chart
import report
from processes import Child, quiet_environment
from rows import BARE, IMPORT, ROWS, Row
from sides import HERE, SIDES, Side

MARKS = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)
PEERS = 3  # rounds, at most
PEAK = """
import os
if os.path.exists("/proc/self/status"):
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def spent_by_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Bench:
    """The server and the sides, each in a process of its own, while they are measured."""

    def __init__(self, sides: list[Side], venvs: Path | None, seconds: float) -> None:
        self.sides = sides
        self.visitors = {side.name for side in sides if side.package}
        self._seconds = seconds
        self.versions: dict[str, dict[str, str]] = {}
        self.broken: list[str] = []
        self._stack = ExitStack()
        self._environment = quiet_environment(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._address = f"http://127.0.0.1:{self._child(sys.executable, 'server.py').read()}/v1"
        self._imports = {side.name: (side.python(venvs), side.line) for side in sides if side.line}
        self._imports[BARE] = (sys.executable, "pass")
        self._workers: dict[str, Child] = {}
        for side in sides:
            worker = self._child(side.python(venvs), "worker.py", str(side.file()), self._address, *side.packages())
            with self.trying(side.name):
                self.versions[side.name] = worker.read()
                self._workers[side.name] = worker

    def _child(self, python: str, file: str, *arguments: str) -> Child:
        return self._stack.enter_context(Child(self._environment, python, str(HERE / file), *arguments))

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Note what goes wrong; the others go on."""
        try:
            yield
        except ChildProcessError as error:
            self.broken.append(f"{what}: {error}")
            print(self.broken[-1], file=sys.stderr)

    def able(self, row: Row, colour: str) -> list[str]:
        """Name the sides that a row is measured of."""
        if row is IMPORT:
            return [*self._imports]
        return [side.name for side in self.sides if colour in side.colours and side.name in self._workers]

    def cost(self, row: Row, colour: str, side: str, times: int) -> report.Figures:
        """Have a side do something so many times; give the CPU seconds for a unit, and the MB at most.

        Raises:
            ChildProcessError: it could not, or the answer was not what was sent.
        """
        if row is IMPORT:
            return self._import_cost(*self._imports[side], times)
        cost = self._workers[side].ask(work=row.work, colour=colour, model=row.model, times=times)
        return {**cost, "cpu": cost["cpu"] / times / row.units}

    def _import_cost(self, python: str, line: str, times: int) -> report.Figures:
        begin = spent_by_children()
        for _ in range(times):
            done = subprocess.run([python, "-c", line + PEAK], capture_output=True, text=True, env=self._environment)
            if done.returncode:
                raise ChildProcessError(done.stderr.strip()[-1000:])
        spent = spent_by_children() - begin
        return {"cpu": spent / times, "memory": float(done.stdout) / 1e3 if done.stdout.strip() else None}

    def times(self, row: Row, colour: str, side: str) -> int:
        """Warm a side up, and tell how often it does the work of a row in a round."""
        if row.times == 1:
            return 1  # large enough to be warm soon
        self.cost(row, colour, side, 1)
        spent = self.cost(row, colour, side, 1)["cpu"] * row.units
        return max(1, min(row.times, int(self._seconds / spent)))

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()


Times = dict[str, int]  # by side: how often it does the work of a row in a round


def play(bench: Bench, row: Row, colour: str, times: Times, number: int) -> report.Round:
    """Give what one round of a row took. One side comes after the other, each is first in turn.

    Peers are several times slower, and most of what a round takes: they have a few rounds, and one of 200 streams.
    """
    sides = [side for side in bench.able(row, colour) if side in times]
    if number >= (1 if row.work == "crowd" else PEERS):
        sides = [side for side in sides if side not in bench.visitors]
    first = number % max(len(sides), 1)
    taken = {}
    for side in sides[first:] + sides[:first]:
        with bench.trying(f"{row.name}, {colour}, {side}"):
            taken[side] = bench.cost(row, colour, side, times[side])
    bare = taken.pop(BARE)["cpu"] if row is IMPORT else None
    return report.compared(taken, bare)


def measure(bench: Bench, rows: list[Row], rounds: int) -> dict[tuple[str, str], list[report.Round]]:
    """Give what every round took, by row and colour."""
    times: dict[tuple[Row, str], Times] = {(row, colour): {} for row in rows for colour in row.colours}
    for (row, colour), known in times.items():
        for side in bench.able(row, colour):
            with bench.trying(f"{row.name}, {colour}, {side}"):
                known[side] = bench.times(row, colour, side)
    found: dict[tuple[str, str], list[report.Round]] = {}
    with suppress(KeyboardInterrupt):  # what was measured until then is shown
        for number in range(rounds):
            for (row, colour), known in times.items():
                print(f"round {number + 1} of {rounds}: {row.name}, {colour}", file=sys.stderr)
                found.setdefault((row.name, colour), []).append(play(bench, row, colour, known, number))
    return found


def about(bench: Bench) -> str:
    """Say when, on what, and with which versions; the SDK of a peer stands in brackets."""
    system = f"{time.strftime('%Y-%m-%d')}, CPython {platform.python_version()}, {platform.system()}"
    found = [f"{system}, {os.cpu_count()} cores"]
    for side, versions in bench.versions.items():
        told = [f"{name} {version}" for name, version in versions.items()]
        found += [f"{told[0]} ({', '.join(told[1:])})"] if side in bench.visitors else told
    return " · ".join(dict.fromkeys(found))


def chosen(given: argparse.Namespace) -> list[Side]:
    """Give the sides that are wanted; those that have no environment are left out, with a line that says so."""
    wanted = [side for side in SIDES if not given.sides or side.name in given.sides]
    wanted += [Side(file.stem, str(file.absolute()), None, peer=False) for file in given.adapter]
    for side in wanted:
        if side.python(given.venvs) is None:
            print(f"{side.name} is left out: no environment for it (--venvs, or $BENCH_VENVS)", file=sys.stderr)
    return [side for side in wanted if side.python(given.venvs)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help=f"part of a row's name: {', '.join(row.name for row in ROWS)}")
    parser.add_argument("--sides", nargs="+", choices=[side.name for side in SIDES], help="by default all there are")
    parser.add_argument("--seconds", type=float, default=0.5, help="that a side works at a row in a round, about")
    parser.add_argument("--venvs", type=Path, default=os.environ.get("BENCH_VENVS"), help="the peers' environments")
    parser.add_argument("--adapter", type=Path, action="append", default=[], metavar="FILE", help="one more side")
    parser.add_argument("--check", action="store_true", help="exit status 1 where a goal is missed, or a peer ahead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and every round to a file")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw a chart")
    parser.add_argument("--into", type=Path, nargs="+", default=[], metavar="FILE", help="put the tables into pages")
    given = parser.parse_args()
    given.venvs = given.venvs and Path(given.venvs).absolute()
    rows = [row for row in ROWS if given.only == row.name] or [row for row in ROWS if given.only in row.name]
    if not rows or given.rounds < 1:
        parser.error("there is nothing to measure")
    with Bench(chosen(given), given.venvs, given.seconds) as bench:
        rounds = measure(bench, rows, given.rounds)
    found = {place: report.medians(taken) for place, taken in rounds.items()}
    shown = report.markdown(about(bench), found)
    print(shown)
    for page in given.into:
        page.write_text(MARKS.sub(lambda _: f"\n{shown}\n\n", page.read_text("utf-8")), encoding="utf-8")
    if given.json:
        every = [{"row": row, "colour": colour, "rounds": taken} for (row, colour), taken in rounds.items()]
        given.json.write_text(json.dumps({"versions": bench.versions, "rows": every}, indent=1), encoding="utf-8")
    if given.svg:
        given.svg.write_text(chart.drawn(found), encoding="utf-8")
    faults = bench.broken + (report.missed(found) if given.check else [])
    for fault in faults:
        print(f"missed: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
