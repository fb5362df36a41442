"""Starts an OpenAI-compatible server that nobody here wrote: aimock, from the npm registry (its license: MIT).

`make services` installs it into `.services/`, pinned by package-lock.json. Where it is missing, these tests are
skipped and say so; with SKK_REQUIRE_PARTS=1 (CI sets it) they fail instead, so that a proof is never left out unseen.
What it answers is in replies.json; it takes only the key KEY, and what nothing stands for is a 503 (`--strict`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

HERE = Path(__file__).parent
SERVER = HERE.parents[1] / ".services/aimock/node_modules/@copilotkit/aimock/dist/cli.js"
KEY = "sk-of-the-other-server"


def missing(what: str) -> NoReturn:
    """Skip, or fail where every real part must be there."""
    sentence = f"{what} is missing: `make services` installs the server that these tests talk to"
    if os.environ.get("SKK_REQUIRE_PARTS") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


class OtherServer:
    """The running server: where it listens, and what it has received."""

    key = KEY

    def __init__(self, address: str) -> None:
        self.address = address
        self.base_url = f"{address}/v1"
        # loopback is asked directly, whatever proxies the environment names
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def _call(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(
            self.address + path, method=method, headers={"Authorization": f"Bearer {self.key}"}
        )
        with self._opener.open(request, timeout=10) as response:
            return response.read()

    def forget(self) -> None:
        """Empty the journal."""
        self._call("DELETE", "/v1/_requests")

    def received(self) -> list[dict[str, Any]]:
        """The bodies it was sent since, in order."""
        return [entry["body"] for entry in json.loads(self._call("GET", "/v1/_requests"))]


@pytest.fixture(scope="session")
def running_server() -> Iterator[OtherServer]:
    node = shutil.which("node")
    if node is None:
        missing("Node.js")
    if not SERVER.exists():
        missing("aimock")
    # small pieces, so that a stream is one; nothing of our environment but what a program needs to start
    arguments = ["--host", "127.0.0.1", "--port", "0", "--chunk-size", "5", "--strict", "--fixtures", "replies.json"]
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [node, str(SERVER), *arguments],
        cwd=HERE,
        env={**kept, "AIMOCK_API_KEYS": KEY},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    with process:
        try:
            said = []
            for line in process.stdout or ():
                said.append(line)
                if found := re.search(r"listening on (http://127\.0\.0\.1:\d+)", line):
                    break
            else:
                pytest.fail(f"aimock did not start: {''.join(said)}", pytrace=False)
            yield OtherServer(found[1])
        finally:
            process.terminate()


@pytest.fixture
def server(running_server: OtherServer) -> OtherServer:
    running_server.forget()
    return running_server
