"""The types that users see, as a strict type checker reads them on the installed SDK."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")


def checked(file, cache):
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", f"--cache-dir={cache}", file]
    return subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def cache(request):
    """What mypy has read in earlier runs and other workers: it sees itself what has changed since."""
    return request.config.cache.mkdir("mypy")


def test_the_types_that_users_see(cache):
    """`api.py` shows them; every `assert_type` in it is true."""
    done = checked(ROOT / "tests" / "typing" / "api.py", cache)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["Success: no issues found in 1 source file"])


def test_the_guard_can_fail(cache, tmp_path):
    """A type that is not so is told."""
    file = tmp_path / "wrong.py"
    file.write_text("from skk.openai import Chat\nanswer: int = Chat('sk-a').request('hi')\n")
    assert "Incompatible types in assignment" in checked(file, cache).stdout
