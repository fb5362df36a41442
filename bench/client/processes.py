"""The processes of a run: what they find around them, and how they are spoken to."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile


def quiet_environment(folder: str) -> dict[str, str]:
    """Give the environment of all processes: no proxy, nobody's settings, a home of their own, byte code is written."""
    ours = ("OPENAI_", "SKK_", "LITELLM_", "LLM_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    kept = {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    told = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_AGENTS_DISABLE_TRACING": "1"}  # nothing from the network
    return {**kept, **told, "HOME": folder, "SKK_CONFIG": os.path.join(folder, "none.ini")}


class Child:
    """A process that answers lines with lines, until its standard input is closed."""

    def __init__(self, environment: dict[str, str], *command: str) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=environment
        )

    def read(self) -> object:
        if line := self._process.stdout.readline():
            return json.loads(line)
        self._errors.seek(0)
        raise ChildProcessError(self._errors.read().strip()[-1000:] or "the process has ended")

    def ask(self, **command: object) -> dict:
        """Have something done; give what it cost.

        Raises:
            ChildProcessError: it went wrong.
        """
        with contextlib.suppress(BrokenPipeError):  # then there is nothing to read either
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        answer = self.read()
        if "error" in answer:
            raise ChildProcessError(answer["error"])
        return answer

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *failure: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()
