"""Every script of the benchmarks: nobody runs all of them every day."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
SCRIPTS = [file for file in sorted(BENCH.rglob("*.py")) if "parse_args()" in file.read_text(encoding="utf-8")]


@pytest.mark.parametrize("file", SCRIPTS, ids=[file.relative_to(BENCH).as_posix() for file in SCRIPTS])
def test_it_starts(file):
    """What it imports is there."""
    done = subprocess.run([sys.executable, str(file), "--help"], capture_output=True, text=True)
    assert (0, True) == (done.returncode, done.stdout.startswith("usage:")), done.stderr
