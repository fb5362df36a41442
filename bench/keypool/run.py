"""How well pools of api keys use what the keys give: ours, the plain SDK in turn, and LiteLLM's Router.

    python bench/keypool/run.py                            A to G for all of them, H to U for ours: half an hour
    python bench/keypool/run.py --scenarios A B G --adapters skk rr --seeds 1
    python bench/keypool/run.py --calm --again --check     exit status 1 where ours misses a goal

README.md tells what is measured, and how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import figures
from figures import Figures
from processes import Child, Redis, redis_program, wait_for_calm
from scenarios import DRAIN, SCENARIOS, SECONDS

OURS = "skk"
ADAPTERS = (OURS, "rr", "litellm")
COMPARED = "ABCDEFG"  # what every adapter plays if nothing is said; the rest ours alone
OWN = {"litellm"}  # adapters that want an environment of their own
DISTURBED = 0.005  # seconds that the service is late at p95: then others had the machine


def play(letter: str, adapter: str, seed: int, seconds: float, python: str) -> Figures:
    """Run a scenario once."""
    scenario = replace(SCENARIOS[letter], seconds=seconds)
    with ExitStack() as stack:
        upstream = stack.enter_context(Child("upstream.py", letter, seed, seconds))
        address = f"http://127.0.0.1:{int(upstream.read())}/v1"
        program = redis_program() if scenario.processes > 1 else None
        redis = stack.enter_context(Redis(program)) if program else None
        workers = [stack.enter_context(Child("worker.py", python=python)) for _ in range(scenario.processes)]
        told = {"adapter": adapter, "scenario": letter, "seed": seed, "seconds": seconds, "base_url": address}
        told["share"] = redis.url if redis else None
        for process, worker in enumerate(workers):
            worker.tell(json.dumps({**told, "process": process}))
        timers = [threading.Timer(120, _end, [[upstream, *workers]])]  # whoever hangs holds up nobody
        for worker in workers:
            while worker.read().strip() != "ready":
                pass
        upstream.tell("start")
        upstream.read()
        for worker in workers:
            worker.tell("go")
        if redis and scenario.outage:
            down, up = scenario.outage
            timers += [threading.Timer(down, redis.kill), threading.Timer(up, redis.start)]
        timers[0].interval += seconds + DRAIN
        for timer in timers:
            timer.daemon = True
            timer.start()
        found = [json.loads(worker.read()) for worker in workers]
        for timer in timers:
            timer.cancel()
            timer.join()
        upstream.tell("books")
        return figures.of_run(letter, found, json.loads(upstream.read()))


def _end(children: list[Child]) -> None:
    for child in children:
        child.process.kill()


def calmly(play_once: Callable[[], Figures], calm: float | None, again: int) -> Figures:
    """Run when the machine is calm, and once more where it was not: the run that was disturbed least counts."""
    runs: list[Figures] = []
    while len(runs) <= again and not (runs and runs[-1].late <= DISTURBED):
        if calm is not None:
            wait_for_calm(calm)
        runs.append(play_once())
    return min(runs, key=lambda run: run.late)


def interpreters(given: list[str], names: list[str]) -> dict[str, str]:
    """Give each adapter's interpreter; an adapter that has none is left out, with a line that says so."""
    told = dict(each.split("=", 1) for each in given)
    found = {}
    for name in names:
        venvs = os.environ.get("BENCH_VENVS", "")
        place = told.get(name) or (os.path.join(venvs, name, "bin", "python") if name in OWN else sys.executable)
        if os.access(place, os.X_OK):
            found[name] = place
        else:
            print(f"{name} is left out: no environment for it (--python {name}=PATH, or $BENCH_VENVS)", file=sys.stderr)
    return found


def plan(scenarios: list[str] | None, adapters: dict[str, str]) -> list[tuple[str, str]]:
    """Give which scenario is played by whom, neighbours in time where they are compared."""
    letters = list(scenarios or SCENARIOS)
    if redis_program() is None and not {"F", "T"}.isdisjoint(letters):
        print("no Redis on this machine (make services): F goes without, T is left out", file=sys.stderr)
        letters = [letter for letter in letters if SCENARIOS[letter].outage is None]
    everybody = SCENARIOS if scenarios else COMPARED
    return [(it, adapter) for it in letters for adapter in adapters if it in everybody or adapter == OURS]


def turned(runs: list[tuple[str, str]], number: int) -> list[tuple[str, str]]:
    """Give the same for another round, another adapter first in each scenario: a heavy one leaves cold caches."""
    letters, names = (list(dict.fromkeys(run[column] for run in runs)) for column in (0, 1))
    return sorted(runs, key=lambda run: (letters.index(run[0]), (names.index(run[1]) - number) % len(names)))


def _line(letter: str, adapter: str, seed: int, run: Figures) -> str:
    heard = f"{run.goodput:.1f} %, failed {run.failed:.1f} %, {run.refused:.3f} refused for each success"
    return f"{letter} {adapter} seed {seed}: {heard}; the service was {1000 * run.late:.1f} ms late"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, metavar="LETTER", help="A to U")
    parser.add_argument("--adapters", nargs="+", default=ADAPTERS, choices=ADAPTERS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of load")
    parser.add_argument(
        "--python", action="append", default=[], metavar="ADAPTER=PATH", help="an adapter's interpreter"
    )
    parser.add_argument("--calm", nargs="?", type=float, const=70.0, metavar="PERCENT", help="wait until so much idles")
    parser.add_argument(
        "--again", nargs="?", type=int, const=2, default=0, metavar="TIMES", help="repeat what was disturbed"
    )
    parser.add_argument("--check", action="store_true", help="exit status 1 where ours misses a goal")
    parser.add_argument("--ci", action="store_true", help="of the goals only that none fails, and goodput of 94 %%")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run to a file")
    options = parser.parse_args()
    adapters = interpreters(options.python, options.adapters)
    found: dict[tuple[str, str], list[Figures]] = {}
    broken: list[str] = []
    runs = plan(options.scenarios, adapters)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # no process of ours outlives us
    with suppress(KeyboardInterrupt):  # what was measured until then is shown
        for number, seed in enumerate(options.seeds):
            for letter, adapter in turned(runs, number):
                once = partial(play, letter, adapter, seed, options.seconds, adapters[adapter])
                try:
                    run = calmly(once, options.calm, options.again)
                except (RuntimeError, OSError) as error:  # the others go on
                    broken.append(f"{letter} {adapter} seed {seed}: {error}")
                    print(broken[-1], file=sys.stderr)
                    continue
                found.setdefault((letter, adapter), []).append(run)
                print(_line(letter, adapter, seed, run), file=sys.stderr, flush=True)
    print(figures.table(found))
    if options.json:
        known = [
            {"scenario": it, "adapter": by, "runs": [run._asdict() for run in all]} for (it, by), all in found.items()
        ]
        options.json.write_text(json.dumps(known, indent=1), encoding="utf-8")
    missed = broken + (figures.misses(found, options.ci) if options.check else [])
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
