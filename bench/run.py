"""The benchmarks of `make bench`: what a client costs (client/), then pools of api keys under load (keypool/).

    python bench/run.py                          both
    python bench/run.py --only stream --check    rows of the first; what stands here is given to client/run.py
    python bench/run.py --only keypool -- --scenarios A B --seeds 1    the second, with what stands after --

The exit status is 1 where one of them has failed, or with --check missed a goal.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

POOLS = "keypool"


def run(folder: str, options: list[str]) -> int:
    return subprocess.run([sys.executable, str(Path(__file__).parent / folder / "run.py"), *options]).returncode


def main(told: list[str]) -> int:
    """Run what is asked for; give the exit status."""
    if told in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    at = told.index("--") if "--" in told else len(told)
    options, pools = told[:at], told[at + 1 :]
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--only", default="")
    parser.add_argument("--check", action="store_true")
    given, _ = parser.parse_known_args(options)
    status = 0 if given.only == POOLS else run("client", options)
    if given.only in ("", POOLS):  # unless told otherwise all of it, when the machine is calm
        check = ["--check"] if given.check else []
        status |= run(POOLS, [*(pools or ["--calm", "--again"]), *check])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
