"""What the scheduler of api keys costs: CPU time a call, all of its steps together.

    python bench/client/keys.py            the table
    python bench/client/keys.py --check    exit status 1 where a figure is above its goal
    python bench/client/keys.py --only wire

Under load every key's limit is known and used up, and so many callers wait that each answer lets one go; the quiet
path is one key, one caller. Time stands still for the scheduler unless nobody may go. Parsing of headers is a row of
its own.

The rows of the wire are what a call over HTTP costs more with a pool of one key than with the key alone: calls with and
without one in turn, in one process, and the median of their differences; of several rounds the calmest. Where limits
are stated, less than half of one is left, and the pool's clock runs so fast that calls are far apart: then the headers
of every answer are read.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections import deque
from statistics import median

import server
from said import QUESTION
from worker import KEY

from skk.keys.evidence import Limits, Outcome, Seen, read
from skk.keys.scheduler import Scheduler
from skk.openai import AKPool, Chat

ROUNDS = 5
PAIRS = 600  # calls of each kind in a round on the wire
HEADERS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-tokens": "149876",
    "x-ratelimit-reset-tokens": "49ms",
    "openai-organization": "org",
    "date": "Sat, 21 Nov 2026 14:00:00 GMT",
}


def quiet(calls: int, seen: Seen) -> float:
    """Give the microseconds of a call that finds its key free."""
    scheduler = Scheduler(["a"], 0.0)
    now, before = 0.0, time.process_time()
    for _ in range(calls):
        now += 1.0
        ticket = scheduler.ticket(now, "m", "chat", 400, 64, now + 60.0)
        if not scheduler.serve(now, ticket):
            raise RuntimeError("the key is not free")
        scheduler.sent(now, ticket.lease)
        scheduler.settle(now + 0.5, ticket.lease, seen)
    return (time.process_time() - before) / calls * 1e6


class Load:
    """Callers that always have one call waiting, and keys of ten requests a second and as many at once."""

    RATE, CAP, WORK = 10.0, 20.0, 0.25

    def __init__(self, keys: int, callers: int, tokens: bool) -> None:
        self.scheduler = Scheduler(range(keys), 0.0)
        self.tokens = tokens
        self.now = self.spent = 0.0
        self.levels = [[self.CAP, 0.0] for _ in range(keys)]
        self.answers: deque[tuple[float, object, Seen]] = deque()
        for caller in range(callers):
            self.ask(caller)

    def ask(self, caller: object) -> None:
        characters = 400 + hash(caller) % 7 * 400
        ticket = self.clocked(self.scheduler.ticket, self.now, "m", caller, characters, 64, self.now + 1e6)
        self.clocked(self.scheduler.join, ticket)

    def clocked(self, step, *args):
        before = time.process_time()
        found = step(*args)
        self.spent += time.process_time() - before
        return found

    def run(self, calls: int) -> float:
        """Give the microseconds a call."""
        done = 0
        while done < calls:
            for ticket in self.clocked(self.scheduler.dispatch, self.now):
                self.clocked(self.scheduler.sent, self.now, ticket.lease)
                self.answers.append((self.now + self.WORK, ticket, self.served(ticket.lease.key)))
            wake = self.clocked(lambda: self.scheduler.wake)
            if self.answers and self.answers[0][0] <= wake:
                self.now, ticket, seen = self.answers.popleft()
                self.clocked(self.scheduler.settle, self.now, ticket.lease, seen)
                self.ask(ticket.chat)
                done += 1
            else:
                self.now = max(self.now + 1e-4, wake)
        return self.spent / calls * 1e6

    def served(self, key: int) -> Seen:
        books = self.levels[key]
        books[0] = min(self.CAP, books[0] + (self.now - books[1]) * self.RATE) - 1.0
        books[1] = self.now
        limits = Limits(int(self.CAP), max(0, int(books[0])), (self.CAP - books[0]) / self.RATE, 0.002)
        plenty = Limits(10**9, 10**9 - 50_000_000, 3.0, 0.002) if self.tokens else None
        return Seen(Outcome.OK, limits, plenty)


def parsing(calls: int) -> float:
    """Give the microseconds that the headers of one answer take to read."""
    before = time.process_time()
    for _ in range(calls):
        read(Outcome.OK, HEADERS)
    return (time.process_time() - before) / calls * 1e6


async def request(chat: Chat) -> None:
    chat.request(QUESTION)


async def async_request(chat: Chat) -> None:
    await chat.async_request(QUESTION)


async def stream(chat: Chat) -> None:
    for _ in chat.stream_request(QUESTION):
        pass


async def async_stream(chat: Chat) -> None:
    async for _ in chat.async_stream_request(QUESTION):
        pass


async def added(ask, address: str, speed: float) -> float:
    """Give the microseconds of a call that a pool of one key adds."""
    pool = AKPool([KEY], clock=lambda: time.monotonic() * speed)
    model = "answer" if "request" in ask.__name__ else "chunks-20"
    alone, pooled = (Chat(key, model=model, base_url=address, msg_max_count=0) for key in (KEY, pool))

    async def cost(chat: Chat) -> int:
        before = time.thread_time_ns()
        await ask(chat)
        return time.thread_time_ns() - before

    found = []
    for number in range(PAIRS):
        if number % 2:  # neither is always the first
            without, among = await cost(alone), await cost(pooled)
        else:
            among, without = await cost(pooled), await cost(alone)
        found.append(among - without)
    return median(found) / 1e3


def wire(ask, *, stated: bool = False) -> float:
    """Give what a pool adds to a call: the calmest round."""
    command = [sys.executable, __file__, "--serve"] if stated else [sys.executable, server.__file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        address = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        found = min(asyncio.run(added(ask, address, 1000.0 if stated else 1.0)) for _ in range(ROUNDS))
        process.stdin.close()
    return found


def serve() -> None:
    """Be the server, and state limits with every answer."""
    little = {**HEADERS, "x-ratelimit-remaining-requests": "200", "x-ratelimit-reset-requests": "36s"}
    plain, limits = server.reply, "".join(f"\r\n{name}: {value}" for name, value in little.items())

    def reply(body: bytes) -> tuple[list[bytes], float]:
        (head, *blocks), pace = plain(body)
        return [head.replace(b"\r\n", limits.encode() + b"\r\n", 1), *blocks], pace

    server.reply = reply
    asyncio.run(server.serve())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit status 1 where a figure is above its goal")
    parser.add_argument("--only", default="", help="part of the rows' names")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    bare, heard = Seen(Outcome.OK), read(Outcome.OK, HEADERS)
    rows = [
        ("one key, quiet", 8.0, lambda: quiet(20_000, bare)),
        ("one key, quiet, with headers", None, lambda: quiet(20_000, heard)),
        ("reading the headers of an answer", None, lambda: parsing(20_000)),
        ("10 keys, 60 waiting", 50.0, lambda: Load(10, 60, False).run(3000)),
        ("10 keys, 60 waiting, tokens too", None, lambda: Load(10, 60, True).run(3000)),
        ("100 keys, 1,000 waiting", 150.0, lambda: Load(100, 1000, False).run(5000)),
        ("100 keys, 1,000 waiting, tokens too", None, lambda: Load(100, 1000, True).run(1000)),
        ("wire, request", 30.0, lambda: wire(request)),
        ("wire, async request", 30.0, lambda: wire(async_request)),
        ("wire, stream", 30.0, lambda: wire(stream)),
        ("wire, async stream", 30.0, lambda: wire(async_stream)),
        ("wire, request, limits stated", None, lambda: wire(request, stated=True)),
    ]
    above = False
    for name, goal, measure in [row for row in rows if options.only in row[0]]:
        found = measure() if name.startswith("wire") else median(measure() for _ in range(ROUNDS))
        above = above or (goal is not None and found > goal)
        print(f"{name:36} {found:8.1f} us{f'   goal {goal:g}' if goal else ''}")
    return int(above and options.check)


if __name__ == "__main__":
    sys.exit(main())
