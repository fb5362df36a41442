"""What the tests of a chat's life share: a server whose connections start at none, programs of their own, waiting."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from skk.openai import Chat
from skk.simulator import Simulator

# the development mode also makes the loop tell of every step that is slow, as any step is on a busy machine
QUIET = "import logging; logging.getLogger('asyncio').setLevel(logging.ERROR)\n"
SOURCES = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir, "src")


@pytest.fixture
def server():
    """A simulator of this test alone, so that its connections can be counted."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def make_chat(server):
    """Make a chat with this test's server."""

    def make(api_key="sk-lifecycle-test-key", **options):
        return Chat(api_key, **{"base_url": server.base_url, "model": "m", **options})

    return make


@pytest.fixture
def chat(make_chat):
    return make_chat()


@pytest.fixture
def eventually():
    """Wait until something is so, for a few seconds at most, and give what it is then."""

    def wait(look, expected, seconds=5.0):
        ends_at = time.monotonic() + seconds
        while (found := look()) != expected and time.monotonic() < ends_at:
            time.sleep(0.005)
        return found

    return wait


@pytest.fixture
def eventually_async():
    """The same for a test inside a loop, which goes on meanwhile."""

    async def wait(look, expected, seconds=5.0):
        ends_at = time.monotonic() + seconds
        while (found := look()) != expected and time.monotonic() < ends_at:
            await asyncio.sleep(0.005)
        return found

    return wait


@pytest.fixture
def program():
    """Run a program in a process of its own, every warning an error, and give what it printed."""

    def run(source, *arguments, flags=("-X", "dev", "-W", "error"), quiet=True):
        environment = {**os.environ, "PYTHONPATH": SOURCES, "PYTHONUTF8": "1"}
        done = subprocess.run(
            [sys.executable, *flags, "-c", QUIET + source, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=100,
            env=environment,
        )
        assert (0, "") == (done.returncode, done.stderr if quiet else ""), done.stderr
        return done.stdout

    return run


@pytest.fixture
def descriptors():
    """Count the open descriptors of this process."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this system does not list a process's descriptors")
    return lambda: len(os.listdir("/proc/self/fd"))
