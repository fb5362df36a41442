"""What the scheduler of api keys costs: CPU time a call, all of its steps together.

    python bench/keys.py            the table
    python bench/keys.py --check    exit status 1 where a figure is above its goal

Under load every key's limit is known and used up, and so many callers wait that each answer lets one go; the quiet
path is one key, one caller. Time stands still for the scheduler unless nobody may go. Parsing of headers is a row of
its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from statistics import median

from skk.keys.evidence import Limits, Outcome, Seen, read
from skk.keys.scheduler import Scheduler

ROUNDS = 5
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
        scheduler.submit(now, "m", "chat", 400, 64, now + 60.0)
        for ticket in scheduler.dispatch(now):
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
        self.clocked(self.scheduler.submit, self.now, "m", caller, characters, 64, self.now + 1e6)

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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit status 1 where a figure is above its goal")
    options = parser.parse_args()
    bare, heard = Seen(Outcome.OK), read(Outcome.OK, HEADERS)
    rows = [
        ("one key, quiet", 8.0, lambda: quiet(20_000, bare)),
        ("one key, quiet, with headers", None, lambda: quiet(20_000, heard)),
        ("reading the headers of an answer", None, lambda: parsing(20_000)),
        ("10 keys, 60 waiting", 50.0, lambda: Load(10, 60, False).run(3000)),
        ("10 keys, 60 waiting, tokens too", None, lambda: Load(10, 60, True).run(3000)),
        ("100 keys, 1,000 waiting", 150.0, lambda: Load(100, 1000, False).run(5000)),
        ("100 keys, 1,000 waiting, tokens too", None, lambda: Load(100, 1000, True).run(1000)),
    ]
    above = False
    for name, goal, measure in rows:
        found = median(measure() for _ in range(ROUNDS))
        above = above or (goal is not None and found > goal)
        print(f"{name:36} {found:8.1f} us{f'   goal {goal:g}' if goal else ''}")
    return int(above and options.check)


if __name__ == "__main__":
    sys.exit(main())
