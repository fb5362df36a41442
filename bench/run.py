"""Our library and the plain SDK side by side: what each costs in CPU time, and how many times less we do.

    python bench/run.py                          the table
    python bench/run.py --rounds 9 --check       exit status 1 where a ratio is below its floor
    python bench/run.py --only stream --transport aiohttp
    python bench/run.py --only keypool -- --scenarios A B --seeds 1

Then pools of api keys under load: keypool/run.py, which is given what stands after `--`.
README.md tells what is measured, and how to read it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple

import worker

HERE = Path(__file__).parent
OURS, SDK = "skk", "openai"
POOLS = "keypool"  # their name for --only
IMPORTS = {OURS: "from skk.openai import Chat", SDK: "from openai import OpenAI, AsyncOpenAI", "bare": "pass"}
STARTS = 3.0  # bare interpreters that a process with our import may cost


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        name: what is measured.
        unit: what a figure is for.
        floor: the ratio that is expected at least; None where nothing is.
        times: how often it is done in a round.
        units: how many units one time has.
    """

    name: str
    unit: str
    floor: float | None
    times: int
    units: int = 1


ROWS = (
    Row("import", "process", 20, 5),
    Row("request_sync", "request", 1.45, 200),
    Row("request_async", "request", 1.35, 200),
    Row("stream_sync", "chunk", 8, 5, worker.CHUNKS),
    Row("stream_async", "chunk", 8, 5, worker.CHUNKS),
    Row("long_sync", "request", 150, 5),
    Row("long_async", "request", 150, 5),
    Row("fresh_sync", "request", None, 10),
    Row("fresh_async", "request", None, 10),
)


class Child:
    """A process that answers lines with lines, until its standard input is closed."""

    def __init__(self, environment: dict[str, str], *command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def read(self) -> str:
        if line := self._process.stdout.readline():
            return line
        raise SystemExit("a process of the benchmark has failed; its error stands above")

    def cpu(self, work: str, times: int) -> float:
        """Have some work done; give the seconds that it took."""
        self._process.stdin.write(json.dumps({"work": work, "times": times}) + "\n")
        self._process.stdin.flush()
        return json.loads(self.read())["cpu"]

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *failure: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)


def quiet_environment(folder: str) -> dict[str, str]:
    """Give the environment of all processes: no proxy, no settings, byte code written once."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    for name in [name for name in kept if name.startswith("OPENAI_")] + ["PYTHONDONTWRITEBYTECODE"]:
        kept.pop(name, None)
    return {**kept, "SKK_CONFIG": os.path.join(folder, "none.ini"), "PYTHONPYCACHEPREFIX": folder}


def whole_process(line: str, environment: dict[str, str]) -> float:
    """Give the CPU seconds of an interpreter that does nothing but `line`, from its start to its end."""
    import resource  # not on Windows

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    begin = spent()
    subprocess.run([sys.executable, "-c", line], check=True, env=environment)
    return spent() - begin


def measure(rows: list[Row], rounds: int, transport: str | None) -> dict[str, list[dict[str, float]]]:
    """Give what every round took: by row and by side, CPU seconds per unit. The first round only warms up."""
    found: dict[str, list[dict[str, float]]] = {row.name: [] for row in rows}
    with contextlib.ExitStack() as stack:
        environment = quiet_environment(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Child(environment, str(HERE / "server.py")))
        address = f"http://127.0.0.1:{int(server.read())}/v1"
        more = {OURS: [transport] if transport else [], SDK: []}
        sides = {
            name: stack.enter_context(Child(environment, str(HERE / "worker.py"), name, address, *more[name]))
            for name in (OURS, SDK)
        }

        def cost(row: Row, name: str, times: int) -> float:
            if row.name == "import":
                return min(whole_process(IMPORTS[name], environment) for _ in range(times))
            return sides[name].cpu(row.name, times) / times / row.units

        for number in range(rounds + 1):
            for row in rows:
                names = [*IMPORTS] if row.name == "import" else [OURS, SDK]
                names = names[::-1] if number % 2 else names  # neither side is always the first
                taken = {name: cost(row, name, row.times if number else 1) for name in names}
                if number:
                    found[row.name].append(taken)
    return found


def ratio(taken: dict[str, float]) -> float:
    """Tell how many times less we cost in one round; an import without the interpreter's own start."""
    if "bare" not in taken:
        return taken[SDK] / taken[OURS]
    return (taken[SDK] - taken["bare"]) / max(taken[OURS] - taken["bare"], 0.0005)  # 0.5 ms: the clock's grain


def summary(row: Row, taken: list[dict[str, float]]) -> dict[str, object]:
    """Give the figures of one row: microseconds, and the ratio over the rounds."""
    ratios = sorted(map(ratio, taken))
    cpu = {name: round(median(each[name] for each in taken) * 1e6, 2) for name in taken[0]}
    figures = {"name": row.name, "unit": row.unit, "cpu_us": cpu, "floor": row.floor, "ratio": median(ratios)}
    figures |= {"lowest": ratios[0], "highest": ratios[-1]}
    if "bare" in taken[0]:
        figures["starts"] = median(each[OURS] / each["bare"] for each in taken)
    return figures


def misses(figures: list[dict]) -> list[str]:
    """Name what is below its floor."""
    found = [
        f"{each['name']}: {each['ratio']:.2f}, expected {each['floor']:g}"
        for each in figures
        if each["floor"] is not None and each["ratio"] < each["floor"]
    ]
    return found + [
        f"{each['name']}: {each['starts']:.2f} bare interpreters, expected at most {STARTS:g}"
        for each in figures
        if each.get("starts", 0.0) > STARTS
    ]


def table(figures: list[dict]) -> str:
    lines = [["", "for each", "skk µs", "openai µs", "ratio", "rounds", "floor"]]
    for each in figures:
        floor = "" if each["floor"] is None else f"{each['floor']:g}"
        cpu = [f"{each['cpu_us'][name]:.1f}" for name in (OURS, SDK)]
        spread = f"{each['lowest']:.2f} – {each['highest']:.2f}"
        lines.append([each["name"], each["unit"], *cpu, f"{each['ratio']:.2f}", spread, floor])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join(
            cell.rjust(w) if i > 1 else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    shown += [
        f"a process with our import costs {each['starts']:.2f} bare interpreters (at most {STARTS:g})"
        for each in figures
        if "starts" in each
    ]
    return "\n".join(shown)


def costs(rows: list[Row], given: argparse.Namespace) -> list[str]:
    """Print what each row costs; give what is below its floor, if it is to be checked."""
    taken = measure(rows, given.rounds, given.transport)
    figures = [summary(row, taken[row.name]) for row in rows]
    about = {"python": platform.python_version(), "openai": version("openai"), "transport": given.transport}
    print(" · ".join(f"{name} {value}" for name, value in about.items() if value))
    print(table(figures))
    if given.json:
        given.json.write_text(json.dumps({**about, "rows": figures, "rounds": taken}, indent=1), encoding="utf-8")
    return misses(figures) if given.check else []


def pools(options: list[str], check: bool) -> int:
    """Put pools of api keys under load: unless told otherwise all of it, when the machine is calm."""
    asked = [*(options or ["--calm", "--again"]), *(["--check"] if check else [])]
    return subprocess.run([sys.executable, str(HERE / POOLS / "run.py"), *asked]).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help=f"part of the rows' names, or {POOLS}")
    parser.add_argument("--transport", choices=["aiohttp"], help="our transport= (the SDK's side stays as it is)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and every round to a file")
    parser.add_argument("--check", action="store_true", help="exit status 1 where a ratio is below its floor")
    parser.add_argument(POOLS, nargs="*", metavar="-- OPTION", help=f"options of {POOLS}/run.py")
    given = parser.parse_args()
    rows = [row for row in ROWS if given.only in row.name]
    if not (rows or POOLS.startswith(given.only)) or given.rounds < 1:
        parser.error(f"there is nothing to measure; the rows are {', '.join(row.name for row in ROWS)}, {POOLS}")
    missed = costs(rows, given) if rows else []
    missed += ["pools of keys"] if POOLS.startswith(given.only) and pools(given.keypool, given.check) else []
    for line in missed:
        print(f"below the floor: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
