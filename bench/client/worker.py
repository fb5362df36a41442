"""One side in a process of its own: does the work that it is told to, and says what that cost.

    python worker.py ADAPTER BASE_URL PACKAGE...

First it says which versions of the packages it has. Then it reads lines like ``{"work": "stream", "colour": "async",
"model": "chunks-2000", "times": 5}`` and answers each with the seconds of CPU time that it took, user and system, and
the MB of memory that the process held at most meanwhile; or with an error. Every answer is compared with what was
sent: a fast wrong client is an error. Only the standard library is imported here; what a side costs is its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import importlib.util
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import cache, partial
from pathlib import Path

from adapter import Adapter
from said import ANSWER, QUESTION, conversation, pieces_of

KEY = "sk-benchmark"
CROWD = 200  # streams at once
STATUS = Path("/proc/self/status")


def work_of(make: Callable[[], Adapter], work: str, count: int) -> Callable[[], str]:
    """Make all that is not measured, and give what is: it is called again and again, and gives what it was answered."""

    def fresh() -> str:
        with contextlib.closing(make()) as new:
            return new.ask(QUESTION)

    if work == "fresh":
        return fresh
    client = make()
    if work == "talk":
        return partial(client.talk(conversation(count)), QUESTION)
    return {"ask": lambda: client.ask(QUESTION), "stream": lambda: "".join(client.stream(QUESTION))}[work]


def awork_of(make: Callable[[], Adapter], work: str, count: int) -> Callable[[], Awaitable[str]]:
    """The same in asynchronous code, and many streams at once."""

    async def fresh() -> str:
        async with contextlib.aclosing(make()) as new:
            return await new.aask(QUESTION)

    if work == "fresh":
        return fresh
    client = make()
    if work == "talk":
        return partial(client.atalk(conversation(count)), QUESTION)

    async def stream() -> str:
        return "".join([piece async for piece in client.astream(QUESTION)])

    async def crowd() -> str:
        texts = set(await asyncio.gather(*(stream() for _ in range(CROWD))))
        return texts.pop() if len(texts) == 1 else f"{len(texts)} different texts"

    return {"ask": lambda: client.aask(QUESTION), "stream": stream, "crowd": crowd}[work]


def compare(text: str, expected: str) -> None:
    if text != expected:
        raise ValueError(f"{text[:60]!r}, {len(text)} characters, is not what was sent, {len(expected)} characters")


def repeat(once: Callable[[], str], times: int, expected: str) -> None:
    for _ in range(times):
        compare(once(), expected)


async def arepeat(once: Callable[[], Awaitable[str]], times: int, expected: str) -> None:
    for _ in range(times):
        compare(await once(), expected)


def forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak() -> float | None:
    """Give the MB that the process held at most since `forget_peak`; Linux alone tells."""
    if not STATUS.exists():
        return None
    status = dict(line.split(":", 1) for line in STATUS.read_text(encoding="ascii").splitlines())
    return int(status["VmHWM"].split()[0]) / 1e3


def versions(packages: list[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def loaded(adapter: str) -> type[Adapter]:
    spec = importlib.util.spec_from_file_location("the_adapter", adapter)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Client


def main(adapter: str, base_url: str, *packages: str) -> None:
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a side prints is no answer of ours
    kind = loaded(adapter)
    print(json.dumps(versions(packages)), file=told)

    @cache
    def prepared(work: str, colour: str, model: str) -> tuple[Callable[[], object], str]:
        count = int(model.partition("-")[2].partition("-")[0] or 0)
        expected = "".join(pieces_of(count)) if model.startswith("chunks") else ANSWER
        prepare = awork_of if colour == "async" else work_of
        return prepare(partial(kind, base_url, KEY, model), work, count), expected

    with asyncio.Runner() as runner:
        for line in sys.stdin:
            command = json.loads(line)
            times = command.pop("times")
            try:
                once, expected = prepared(**command)
                gc.collect()
                forget_peak()
                begin = time.process_time()
                if command["colour"] == "async":
                    runner.run(arepeat(once, times, expected))
                else:
                    repeat(once, times, expected)
                cost = {"cpu": time.process_time() - begin, "memory": peak()}
            except Exception as error:
                cost = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(cost), file=told)


if __name__ == "__main__":
    main(*sys.argv[1:])
