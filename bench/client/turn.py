"""What a turn costs of itself: all between `Chat.request` and the SDK's `post`, with an answer at hand.

    python bench/client/turn.py            the table
    python bench/client/turn.py --check    exit status 1 where a figure is above its goal

The SDK's client is one that knows its answer, in the HTTP library's own response; all the rest is what a chat uses, the
decoding of the answer included. A piece is what a chat's stream costs more than splitting and decoding the same events,
one in each read. All is warm: beside a real request, whose code pushes ours out of the processor's caches, it is two to
three times as much.

A neighbour on the same core makes all of it half as dear again, and not all Python alike. So each round also times a
little Python that never changes: what it takes, by what it took on a core of its own where the goals were set, is the
round's pace. A figure is the median of the rounds at a pace near 1; where too few come in time, of those nearest to it,
and the pace that is printed says so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from statistics import median

import server
from said import QUESTION
from worker import KEY

from skk.openai import AKPool, Chat
from skk.transport.clients import HTTP, Client, Connection
from skk.transport.sse import EventDecoder

ROUNDS, TURNS = 200, 10

# Rounds are made until so many had no neighbour, or this many seconds have passed.
QUIET, PATIENCE = 1.1, 20.0

# What a step of the yardstick takes on a core of its own, on the machine where the goals were set: microseconds.
STEPS, STEP = 500, 0.36


def reply(**asked):
    """Give the bytes that the benchmark's server answers."""
    (written,), _ = server.reply(json.dumps({**asked, "messages": [{"role": "user", "content": QUESTION}]}).encode())
    return written


HEAD, _, COMPLETION = reply(model="answer").partition(b"\r\n\r\n")
HEADERS = [tuple(line.split(b": ", 1)) for line in HEAD.split(b"\r\n")[1:]]
BLOCKS = [line for line in reply(model="chunks-2000", stream=True).split(b"\r\n") if line.startswith(b"data: ")]


class Body(HTTP.SyncByteStream, HTTP.AsyncByteStream):
    """The events of a stream, one in each read."""

    def __iter__(self):
        return iter(BLOCKS)

    async def __aiter__(self):
        for block in BLOCKS:
            yield block


WHOLE = HTTP.Response(200, headers=HEADERS, content=COMPLETION)
STREAM = HTTP.Response(200, headers=[(b"content-type", b"text/event-stream")], stream=Body())


class Sdk:
    """The SDK's client, with its answer at hand."""

    def with_options(self, **_):
        return self

    def post(self, *_, stream, **__):
        return STREAM if stream else WHOLE


class AsyncSdk(Sdk):
    async def post(self, *_, stream, **__):
        return STREAM if stream else WHOLE


class Canned(Connection):
    """A connection to nowhere: its clients are those above."""

    def _make(self, sync):
        return Client(Sdk() if sync else AsyncSdk(), None, sync=sync, own=False)


def chat(key):
    found = Chat(key, model="answer")
    found._account._connection = Canned({"http_client": object()})  # one of a caller's is never shared
    return found


async def turn(asked):
    for _ in range(TURNS):
        asked.request(QUESTION)


async def async_turn(asked):
    for _ in range(TURNS):
        await asked.async_request(QUESTION)


async def stream(asked):
    for _ in asked.stream_request(QUESTION):
        pass


async def async_stream(asked):
    async for _ in asked.async_stream_request(QUESTION):
        pass


async def decoding(_):
    feed = EventDecoder().feed
    for block in Body():
        feed(block)


async def async_decoding(_):
    feed = EventDecoder().feed
    async for block in Body():
        feed(block)


class Step:
    """What the yardstick makes."""

    __slots__ = ("asked", "said")

    def __init__(self, asked, said):
        self.asked, self.said = asked, said


async def yardstick(_):
    for i in range(STEPS):
        made = Step({"role": "user", "content": i}, (i,))
        b",".join([b"x", b"y"]), made.asked["content"]


async def measured(units, *works, key=KEY):
    """Give what a unit of the first work takes more than one of the others, in µs, and the pace."""
    asked, rounds, quiet, until = chat(key), [], 0, time.monotonic() + PATIENCE
    while quiet < ROUNDS and (time.monotonic() < until or len(rounds) < ROUNDS):
        taken = []
        for work in (*works, yardstick):
            begin = time.process_time()
            await work(asked)
            taken.append((time.process_time() - begin) * 1e6)
        asked.clear()  # each round begins with an empty history
        whole, *others, steps = taken
        pace = steps / STEPS / STEP
        quiet += pace <= QUIET
        rounds.append((pace, (whole - sum(others)) / units))
    paces, found = zip(*sorted(rounds)[:ROUNDS], strict=True)
    return median(found), median(paces)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit status 1 where a figure is above its goal")
    options = parser.parse_args()
    rows = [
        ("turn", 20.0, measured(TURNS, turn)),
        ("turn, async", 25.0, measured(TURNS, async_turn)),
        ("piece", 0.5, measured(len(BLOCKS), stream, decoding)),
        ("piece, async", 1.0, measured(len(BLOCKS), async_stream, async_decoding)),
        ("turn, a pool of one key", None, measured(TURNS, turn, key=AKPool([KEY]))),
        ("turn, a pool of one key, async", None, measured(TURNS, async_turn, key=AKPool([KEY]))),
    ]
    above = False
    for name, goal, measure in rows:
        found, pace = asyncio.run(measure)
        above = above or (goal is not None and found > goal)
        print(f"{name:36} {found:8.2f} us   pace {pace:.2f}{f'   goal {goal:g}' if goal else ''}")
    return int(above and options.check)


if __name__ == "__main__":
    sys.exit(main())
