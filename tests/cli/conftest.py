"""A person at a terminal: in this process with streams of the test's, or as a real program."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import skk
from skk.cli import main
from skk.cli.environment import Environment

SOURCE = str(Path(skk.__file__).parent.parent)


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """What is kept of the talks lies with the test; gives its address."""
    url = f"sqlite:///{tmp_path}/data/skk.db"
    monkeypatch.setenv("SKK_DATABASE_URL", url)
    return url


class Seen(NamedTuple):
    """What a person sees."""

    status: int
    out: str
    err: str


@pytest.fixture
def skk_here(tmp_path, monkeypatch):
    """Run the program in this process: ``skk_here("chat", lines=["..."])``."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, lines=(), terminal=False):
        out, err = io.StringIO(), io.StringIO()
        environment = Environment(
            stdin=io.StringIO("".join(f"{line}\n" for line in lines)),
            stdout=out,
            stderr=err,
            stdin_is_terminal=terminal,
            stdout_is_terminal=terminal,
        )
        return Seen(main(arguments, environment), out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def served(simulator, monkeypatch):
    """The simulator, with key and address in the environment, as a person's service."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-key-of-the-tests")
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    return simulator


@pytest.fixture
def talk(served, skk_here):
    """Say lines in ``skk chat``, with the simulator as the service."""

    def say_lines(*lines, options=()):
        return skk_here("chat", *options, lines=lines)

    return say_lines


@pytest.fixture
def program(tmp_path):
    """Start the program: ``program("chat", LANG="C")`` gives a `subprocess.Popen` with pipes of bytes."""
    started = []

    def start(*arguments, python=("-m", "skk"), **variables):
        # -X dev and -W error would blame the SDK's own imports; our warnings are seen on stderr
        process = subprocess.Popen(
            [sys.executable, *python, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": SOURCE, **variables},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(BrokenPipeError):  # what the program did not read
                pipe.close()


@pytest.fixture
def skk_there(program):
    """Run the program to its end: ``skk_there("ask", "…", text="…")``."""

    def run(*arguments, text="", **options):
        process = program(*arguments, **options)
        out, err = process.communicate(text.encode() if isinstance(text, str) else text, timeout=60)
        return Seen(process.returncode, out.decode(), err.decode())

    return run
