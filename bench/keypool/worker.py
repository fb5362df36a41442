"""One process of load: it opens a pool of keys, has callers ask through it, and prints what they saw as JSON.

It is told on standard input what to do, in one line of JSON; it prints `ready` and waits for a line `go`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from scenarios import DRAIN, MODEL, SCENARIOS, WARM, Given, secret

from service import WAY

BREATH = 0.25  # seconds that a caller pauses who saw an error


@dataclass
class Offer:
    """What an adapter's `Pool` is made of.

    Attributes:
        keys: the api keys.
        limits: what the service holds for each key, for pools that want to be told; None where nobody states it.
        share: the URL of a Redis where several processes use the keys and there is one.
    """

    keys: list[str]
    base_url: str
    timeout: float
    limits: dict[str, Given] | None = None
    share: str | None = None
    model: str = MODEL


class Load:
    """The callers, and what became of their calls."""

    def __init__(self, pool, scenario, seconds: float, seed: int, process: int) -> None:
        self._pool, self._scenario, self._seconds, self._process = pool, scenario, seconds, process
        self._prompts, self._arrivals = (random.Random(f"{seed} {process} {what}") for what in ("prompts", "arrivals"))
        self._begin = 0.0
        self.calls = self.late = 0
        self.failures: Counter[str] = Counter()
        self.good: list[tuple[str, float, int]] = []  # who, seconds added, tokens

    async def run(self) -> int:
        """Let them call; give how many calls were still open at the end."""
        self._begin = time.monotonic()
        tasks = await self._by_chance() if self._scenario.rate else self._always()
        await asyncio.sleep(self._seconds - self._now())
        _, late = await asyncio.wait(tasks, timeout=DRAIN) if tasks else ([], [])
        for task in late:
            task.cancel()
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(found, Exception):
                raise found
        return len(late)

    def _now(self) -> float:
        return time.monotonic() - self._begin

    def _always(self) -> list[asyncio.Task[None]]:
        greedy = self._scenario.greedy
        names = ["greedy" if i < greedy else f"{self._process}-{i}" for i in range(self._scenario.callers)]
        return [asyncio.create_task(self._caller(name)) for name in names]

    async def _by_chance(self) -> list[asyncio.Task[bool]]:
        tasks: list[asyncio.Task[bool]] = []
        when = 0.0
        while (when := when + self._arrivals.expovariate(self._scenario.rate)) < self._seconds:
            await asyncio.sleep(when - self._now())
            tasks.append(asyncio.create_task(self._call(f"{self._process}-{len(tasks) % 20}")))
        return tasks

    async def _caller(self, name: str) -> None:
        await asyncio.sleep(self._prompts.random() * 0.05)
        while self._now() < self._seconds:
            if not await self._call(name):
                await asyncio.sleep(BREATH)

    async def _call(self, name: str) -> bool:
        low, high = self._scenario.prompt
        prompt = "word" * int(low * (high / low) ** self._prompts.random())
        self.calls += 1
        since = time.monotonic()
        try:
            text = await self._pool.ask(name, prompt, self._scenario.max_tokens)
        except Exception as error:  # whatever a library raises, its caller has no answer
            self.failures[type(error).__name__] += 1
            return False
        took, answer = time.monotonic() - since, json.loads(text)
        if answer["at"] > self._seconds:
            self.late += 1
        else:
            self.good.append((name, took - answer["work"] - WAY, answer["tokens"]))
        return True


async def main() -> None:
    told = json.loads(sys.stdin.readline())
    scenario = SCENARIOS[told["scenario"]]
    adapter = importlib.import_module(f"adapters.{told['adapter']}")
    warm = adapter.Pool(Offer([WARM], told["base_url"], scenario.timeout))
    for _ in range(3):  # what is loaded at the first call is no part of the measure
        await warm.ask("warm", "word", 8)
    await warm.close()
    keys = [secret(index) for index in range(len(scenario.keys))]
    limits = None if scenario.headers == "none" else dict(zip(keys, scenario.keys, strict=True))
    pool = adapter.Pool(Offer(keys, told["base_url"], scenario.timeout, limits, told["share"]))
    load = Load(pool, scenario, told["seconds"], told["seed"], told["process"])
    print("ready", flush=True)
    if not await asyncio.to_thread(sys.stdin.readline):
        return  # whoever wanted the load is gone
    before = time.process_time()
    still_open = await load.run()
    cpu = time.process_time() - before
    found = {"calls": load.calls, "late": load.late, "failures": load.failures, "good": load.good}
    print(json.dumps({**found, "open": still_open, "cpu": cpu}), flush=True)
    with suppress(Exception):
        await asyncio.wait_for(pool.close(), 3)


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)  # a library's threads keep nobody waiting
