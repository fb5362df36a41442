"""A person at a terminal: in this process with streams of the test's, or as a real program."""

import contextlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pexpect.fdpexpect
import pyte
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
def program(tmp_path, warm):
    """Start the program: ``program("chat", LANG="C")`` gives a `subprocess.Popen` with pipes of bytes."""
    started = []

    def start(*arguments, python=("-m", "skk"), **variables):
        if warm and warm.can(python, variables):
            started.append(warm.start(arguments, {**os.environ, "PYTHONPATH": SOURCE, **variables}, tmp_path))
            return started[-1]
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


# The terminal becomes the one that Ctrl-C comes from, then the program runs.
AT_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Terminal:
    """A terminal of the system's with a program in it, and the person before it.

    Attributes:
        written: all that the program wrote.
        has_ended: whether it has been seen that nothing more will come.
        process: the program.
    """

    def __init__(self, words, columns, rows, folder, environ, start=None):
        import pty

        self.written = ""
        self.has_ended = False
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self._person, self._inner = pty.openpty()
        self.resize(columns, rows)
        if start:
            self.process = start(words, environ, folder, [self._inner] * 3, at_terminal=True)
        else:
            self.process = subprocess.Popen(
                [sys.executable, "-c", AT_TERMINAL, *words],
                stdin=self._inner,
                stdout=self._inner,
                stderr=self._inner,
                start_new_session=True,
                cwd=folder,
                env=environ,
            )
        os.close(self._inner)
        self._inner = None
        self._child = pexpect.fdpexpect.fdspawn(self._person, timeout=60)

    def type(self, text):
        """Press keys: a carriage return is Enter."""
        os.write(self._person, text.encode())

    def see(self, *wanted):
        """Wait until each of these stands on the screen; give its lines."""
        return self.until(lambda lines: all(any(text in line for line in lines) for text in wanted), wanted)

    def until(self, holds, wanted="it"):
        """Wait until something holds of the lines on the screen; give them."""
        deadline = time.monotonic() + 30
        while not holds(lines := self.lines()):
            try:
                self._take(deadline - time.monotonic())
            except (pexpect.EOF, pexpect.TIMEOUT):
                if holds(lines := self.lines()):
                    break
                raise AssertionError(f"{wanted} is not there", self.lines(), self.written[-500:]) from None
        return lines

    def wait(self, seconds):
        """Look on for a while."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(pexpect.EOF, pexpect.TIMEOUT):
            while (left := deadline - time.monotonic()) > 0:
                self._take(left)

    def _take(self, seconds):
        try:
            data = self._child.read_nonblocking(65536, max(seconds, 0))
        except pexpect.EOF:
            self.has_ended = True
            raise
        self.written += data.decode("utf-8", "replace")
        self._stream.feed(data)

    def lines(self):
        """Give what stands on the screen and above it, without the empty lines at the end."""
        width = self.screen.columns
        rows = [*list(self.screen.history.top), *(self.screen.buffer[at] for at in range(self.screen.lines))]
        lines = ["".join(row[column].data for column in range(width)).rstrip() for row in rows]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def line(self):
        """Give the line of the cursor, up to it."""
        row = self.screen.buffer[self.screen.cursor.y]
        return "".join(row[column].data for column in range(self.screen.cursor.x))

    def shows_keys(self):
        """Tell whether the terminal itself shows what is typed."""
        import termios

        return bool(termios.tcgetattr(self._person)[3] & termios.ECHO)

    def resize(self, columns, rows=24):
        """Give the window another size; the program is told by the system."""
        import termios

        self.screen.resize(rows, columns)
        termios.tcsetwinsize(self._person, (rows, columns))

    def hang_up(self):
        """Close the window."""
        os.close(self._person)
        self._person = None

    def leave(self):
        """Wait until the program has ended; give its exit status."""
        with contextlib.suppress(pexpect.EOF):
            while True:
                self._take(60)
        return self.process.wait(60)

    def close(self):
        self.process.kill()
        self.process.wait()
        if self._person is not None:
            os.close(self._person)


@pytest.fixture
def terminal(tmp_path, warm):
    """Start a program at a terminal: ``terminal("chat", columns=40, LANG="C")`` gives a `Terminal`."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pty")
    opened = []

    def start(*arguments, columns=80, rows=24, python=("-m", "skk"), **variables):
        away = ("NO_COLOR", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE")  # without byte code a start takes seconds
        environ = {name: value for name, value in os.environ.items() if name not in away}
        environ |= {"PYTHONPATH": SOURCE, "TERM": "xterm-256color", "SKK_LANG": "en", "LC_ALL": "C.UTF-8", **variables}
        if warm and warm.can(python, variables):
            opened.append(Terminal(arguments, columns, rows, tmp_path, environ, warm.start))
        else:
            opened.append(Terminal((*python, *arguments), columns, rows, tmp_path, environ))
        return opened[-1]

    yield start
    for each in opened:
        each.close()
