"""What a turn costs of itself: all between `Chat.request` and the SDK's `post`, with an answer at hand.

    python bench/turn.py            the table
    python bench/turn.py --check    exit status 1 where a figure is above its goal

The SDK's client is one that knows its answer, in the HTTP library's own response; all the rest is what a chat uses, the
decoding of the answer included. A piece is what a chat's stream costs more than splitting and decoding the same events,
one in each read. A figure is that of the calmest of many rounds, and warm: beside a real request, whose code pushes
ours out of the processor's caches, it is two to three times as much.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

from skk.openai import AKPool, Chat
from skk.transport.clients import HTTP, Client, Connection
from skk.transport.sse import EventDecoder

sys.path.append(str(Path(__file__).parent / "client"))
import server
from said import QUESTION

ROUNDS, TURNS = 200, 10
KEY = "sk-benchmark"


def answer(model, **fields):
    asked = {"model": model, "messages": [{"role": "user", "content": QUESTION}], **fields}
    return b"".join(server.reply(json.dumps(asked).encode())[0])


HEAD, _, COMPLETION = answer("answer").partition(b"\r\n\r\n")
HEADERS = [tuple(line.split(b": ", 1)) for line in HEAD.split(b"\r\n")[1:]]
PIECES = answer("chunks-2000", stream=True).split(b"\r\n")
BLOCKS = [line for line in PIECES if line.startswith(b"data: ")]


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


async def calmest(work, units, key=KEY):
    """Give the microseconds of a unit in the calmest round. The history of a chat is short: it begins anew in each."""
    asked, found = chat(key), []
    for _ in range(ROUNDS):
        before = time.process_time()
        await work(asked)
        found.append(time.process_time() - before)
        asked.clear()
    return min(found) / units * 1e6


async def piece(streaming, alone):
    return await calmest(streaming, len(BLOCKS)) - await calmest(alone, len(BLOCKS))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit status 1 where a figure is above its goal")
    options = parser.parse_args()
    rows = [
        ("turn", 20.0, calmest(turn, TURNS)),
        ("turn, async", 25.0, calmest(async_turn, TURNS)),
        ("piece", 0.5, piece(stream, decoding)),
        ("piece, async", 1.0, piece(async_stream, async_decoding)),
        ("turn, a pool of one key", None, calmest(turn, TURNS, AKPool([KEY]))),
        ("turn, a pool of one key, async", None, calmest(async_turn, TURNS, AKPool([KEY]))),
    ]
    above = False
    for name, goal, measure in rows:
        found = asyncio.run(measure)
        above = above or (goal is not None and found > goal)
        print(f"{name:36} {found:8.2f} us{f'   goal {goal:g}' if goal else ''}")
    return int(above and options.check)


if __name__ == "__main__":
    sys.exit(main())
