"""The service over HTTP, in a process of its own: the books of service.py, asked in real time.

    python upstream.py SCENARIO SEED SECONDS

It prints its port. A line `start` begins the books and the clock, a line `books` has them printed as JSON. It ends when
its standard input does. A request with the key `WARM` is answered beside the books: clients warm up with it.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
from contextlib import suppress
from dataclasses import replace

from scenarios import MODEL, SCENARIOS, WARM, secret

from service import WAY, Reply, Service

TICK = 0.01  # how often the process looks how late it is itself: others use the machine too

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\nauthorization: *Bearer +(\S+)", re.IGNORECASE)
_REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests", 503: "Service Unavailable"}


class Upstream:
    """One run: the service, and the clock that it goes by."""

    def __init__(self, scenario, seed: int) -> None:
        self._scenario, self._seed = scenario, seed
        self._keys = {secret(index): index for index in range(len(scenario.keys))}
        self.start()

    def start(self) -> None:
        self._service = Service(self._scenario, self._seed)
        self._way = random.Random(f"{self._seed} way")
        self._begin = asyncio.get_running_loop().time()
        self._late: list[float] = []

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._begin

    def books(self) -> dict[str, object]:
        """Tell what could have been granted at most, what was asked, and how late this process itself was (p95)."""
        requests, tokens = self._service.most()
        late = sorted(self._late) or [0.0]
        return {
            "requests": requests,
            "tokens": tokens,
            "attempts": self._service.attempts,
            "refused": self._service.refused,
            "late": late[int(0.95 * len(late))],
        }

    async def tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(TICK)
            self._late.append(loop.time() - before - TICK)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests, one after the other."""
        with suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                key = _KEY.search(head)
                name = key[1].decode() if key else ""
                if not await (self._warm(writer) if name == WARM else self._answer(name, body, reader, writer)):
                    break
                await writer.drain()
        writer.transport.abort()

    async def _warm(self, writer: asyncio.StreamWriter) -> bool:
        _send(writer, Reply(200), json.dumps({"at": 0.0, "work": 0.0, "tokens": 0}))
        return True

    async def _answer(self, name, body, reader, writer) -> bool:
        if self._scenario.jitter:
            await asyncio.sleep(min(1.0, self._way.expovariate(1 / self._scenario.jitter)))
        if (index := self._keys.get(name)) is None:
            _send(writer, Reply(401, {}, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"))
            return True
        characters = sum(len(message["content"]) for message in json.loads(body)["messages"])
        service, at = self._service, self._now()
        reply = service.ask(at, index, characters)
        if reply.status < 0:
            await reader.read()  # silence, until the client has enough of it
            return False
        await asyncio.sleep(WAY + reply.work)
        if reply.status == 200:
            service.left(index, self._now() - at - WAY - reply.work)
        if reply.status:
            _send(writer, reply, json.dumps({"at": at, "work": reply.work, "tokens": reply.tokens}))
        return reply.status > 0


def _send(writer: asyncio.StreamWriter, reply: Reply, text: str = "") -> None:
    if reply.status == 200:
        choice = {"index": 0, "finish_reason": "stop", "logprobs": None}
        choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        usage = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.tokens - reply.prompt_tokens}
        usage["total_tokens"] = reply.tokens
        answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_767_225_600, "model": MODEL}
        answer |= {"choices": [choice], "usage": usage}
    else:
        error = {"message": reply.text or "The server is overloaded.", "type": reply.type or "server_error"}
        answer = {"error": error | {"param": None, "code": reply.code or None}}
    body = json.dumps(answer).encode()
    headers = {"content-type": "application/json", "content-length": len(body)} | reply.headers
    lines = [f"HTTP/1.1 {reply.status} {_REASONS[reply.status]}", *(f"{name}: {it}" for name, it in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)


async def main(letter: str, seed: str, seconds: str) -> None:
    upstream = Upstream(replace(SCENARIOS[letter], seconds=float(seconds)), int(seed))
    server = await asyncio.start_server(upstream.talk, "127.0.0.1", 0, backlog=1024)
    ticks = asyncio.create_task(upstream.tick())
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip() == "start":
            upstream.start()
        print(json.dumps(upstream.books()), flush=True)
    ticks.cancel()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
