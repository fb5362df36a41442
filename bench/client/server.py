"""The far end: an OpenAI-compatible server that costs next to nothing, in a process of its own.

The bytes of every reply are made before they are asked for. The name of the model says what is wanted:

    answer              one completion
    answer-2000         the same, at the end of the conversation with 2,000 messages
    chunks-2000         a stream of 2,000 pieces, written at once
    chunks-1000-1       a stream of 1,000 pieces, written one by one, 1 ms apart

A request that is not whole, messages and question, gets status 400. The server prints its port, and ends when its
standard input does.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from said import ANSWER, QUESTION, conversation, pieces_of

_SHARED = {"id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "created": 1_767_225_600, "model": "gpt-4o-mini-2024-07-18"}
_SHARED |= {"service_tier": "default", "system_fingerprint": "fp_34a54ae93c"}
_USAGE = {"prompt_tokens": 19, "completion_tokens": 48, "total_tokens": 67}
_USAGE |= {"prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}}

_HEAD = "HTTP/1.1 {status}\r\ncontent-type: {type}\r\nx-request-id: req_7d1c6e0f2b\r\n{length}\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _whole(status: str, value: object) -> bytes:
    body = _json(value)
    head = _HEAD.format(status=status, type="application/json", length=f"content-length: {len(body)}")
    return head.encode() + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    event = {**_SHARED, "object": "chat.completion.chunk", "choices": [choice], "obfuscation": "kJ3vQ9xZ"}
    return _chunk(b"data: " + _json(event) + b"\n\n")  # real servers, too, send each event as a chunk of its own


@functools.cache
def _stream(count: int, paced: bool) -> list[bytes]:
    """Give what is written of a stream, block by block."""
    head = _HEAD.format(status="200 OK", type="text/event-stream", length="transfer-encoding: chunked").encode()
    first = head + _event({"role": "assistant", "content": ""})
    last = _event({}, "stop") + _chunk(b"data: [DONE]\n\n") + _chunk(b"")
    blocks = [first, *[_event({"content": piece}) for piece in pieces_of(count)], last]
    return blocks if paced else [b"".join(blocks)]


_MESSAGE = {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []}
_CHOICE = {"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop"}
_COMPLETION = _whole("200 OK", {**_SHARED, "object": "chat.completion", "choices": [_CHOICE], "usage": _USAGE})
_REFUSAL = _whole("400 Bad Request", {"error": {"message": "not what was asked for", "type": "invalid_request_error"}})


@functools.cache
def _expected(count: int) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in conversation(count)]


def _said(message: dict[str, object]) -> tuple[object, object]:
    content = message["content"]
    return message["role"], "".join(part["text"] for part in content) if isinstance(content, list) else content


class _Known(NamedTuple):
    """A conversation that was found whole.

    Attributes:
        inner: its bytes from the first text to the last.
        count: how many messages it has.
        left: how its first message reads without those.
    """

    inner: bytes
    count: int
    left: tuple[object, object]


_known: list[_Known] = []


def _decoded(body: bytes) -> tuple[dict[str, Any], int, float, list[tuple[object, object]]]:
    asked = json.loads(body)
    _, *numbers = asked["model"].split("-")
    count, pace, *_ = [*map(int, numbers), 0, 0]
    return asked, count, pace / 1000, [_said(message) for message in asked["messages"]]


def _read(body: bytes) -> tuple[dict[str, Any], int, float, list[tuple[object, object]]]:
    """Decode a request. What is known of it is not read again.

    To read 300 KB anew takes longer than a fast client needs, and pushes its data out of the processor's caches.
    """
    start = body.find(b'"0. ') + 1
    for inner, messages, left in _known:
        if body.startswith(inner, start):
            with suppress(LookupError):  # it has another style after all
                asked, count, pace, said = _decoded(body[:start] + body[start + len(inner) :])
                if (count, said[0]) == (messages, left):
                    return asked, count, pace, _expected(count) + said[1:]
    return _decoded(body)


def _learn(body: bytes, count: int) -> None:
    start, end = body.find(b'"0. ') + 1, body.find(b'"%d. ' % (count - 1)) + 1
    inner = body[start:end]
    if start and inner and all(inner != known.inner for known in _known):
        with suppress(LookupError):  # first and last message name their role in different places: read it each time
            _known.append(_Known(inner, count, _decoded(body[:start] + body[end:])[3][0]))


def reply(body: bytes) -> tuple[list[bytes], float]:
    """Give the HTTP response to a request: what is written, block by block, and the seconds between two blocks."""
    try:
        asked, count, pace, said = _read(body)
        streamed = asked["model"].startswith("chunks-")
        if said[-1] != ("user", QUESTION) or asked.get("stream", False) is not streamed:
            return [_REFUSAL], 0
        if streamed:
            return _stream(count, pace > 0), pace
        if said[:count] != _expected(count):
            return [_REFUSAL], 0
        if count:
            _learn(body, count)
        return [_COMPLETION], 0
    except (ValueError, LookupError, TypeError):
        return [_REFUSAL], 0


class Http(asyncio.Protocol):
    """As much of HTTP/1.1 as the clients need: requests with a content-length, one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._come = bytearray()
        self._awaited = 0

    def data_received(self, data: bytes) -> None:
        self._come += data
        while self._come and len(self._come) >= self._awaited:
            end = self._come.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            length = _LENGTH.search(self._come, 0, end)
            self._awaited = end + (int(length[1]) if length else 0)
            if len(self._come) >= self._awaited:
                blocks, pace = reply(bytes(self._come[end : self._awaited]))
                del self._come[: self._awaited]
                self._awaited = 0
                self._write(iter(blocks), pace)

    def _write(self, blocks: Iterator[bytes], pace: float) -> None:
        for block in blocks:
            if self._transport.is_closing():
                return
            self._transport.write(block)
            if pace:
                asyncio.get_running_loop().call_later(pace, self._write, blocks, pace)
                return


async def serve() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Http, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
