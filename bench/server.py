"""The far end of the benchmark: an OpenAI-compatible server that costs next to nothing.

Every reply is made of bytes that were encoded before, so that the CPU time of a run is the client's.
The name of the model says what to answer:

    answer           one completion
    answer-2001      the same, if at least 2001 messages came; else status 400
    chunks-2000      a stream of 2000 pieces of text, written at once

It prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import sys

ANSWER = "The Pacific. 太平洋是世界上最大的海洋。" * 4
PIECES = (" the", "海", "洋", " is", " larg", "est", ".\n", ' "太', '平洋"', "，", " 🌊")

_SHARED = {"id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "created": 1_767_225_600, "model": "gpt-4o-mini-2024-07-18"}
_SHARED |= {"service_tier": "default", "system_fingerprint": "fp_34a54ae93c"}
_USAGE = {"prompt_tokens": 19, "completion_tokens": 48, "total_tokens": 67}
_USAGE |= {"prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}}

_HEAD = "HTTP/1.1 {status}\r\ncontent-type: {type}\r\nx-request-id: req_7d1c6e0f2b\r\n{length}\r\n\r\n"
_MODEL = re.compile(rb'"model": ?"([a-z]+)-?(\d*)"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_WINDOW = 4096  # the model stands before or behind the messages: a long body is not searched


def text_of(chunks: int) -> str:
    """Give the text that a stream of so many pieces says."""
    return "".join(_pieces(chunks))


def _pieces(chunks: int) -> list[str]:
    return [PIECES[i % len(PIECES)] for i in range(chunks)]


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
def _stream(chunks: int) -> bytes:
    head = _HEAD.format(status="200 OK", type="text/event-stream", length="transfer-encoding: chunked")
    events = [_event({"role": "assistant", "content": ""})]
    events += [_event({"content": piece}) for piece in _pieces(chunks)]
    return b"".join([head.encode(), *events, _event({}, "stop"), _chunk(b"data: [DONE]\n\n"), _chunk(b"")])


_MESSAGE = {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []}
_CHOICE = {"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop"}
_COMPLETION = _whole("200 OK", {**_SHARED, "object": "chat.completion", "choices": [_CHOICE], "usage": _USAGE})
_REFUSAL = _whole("400 Bad Request", {"error": {"message": "not what was asked for", "type": "invalid_request_error"}})


def reply(body: bytes) -> bytes:
    """Give the whole HTTP response to a request."""
    found = _MODEL.search(body[:_WINDOW]) or _MODEL.search(body[-_WINDOW:])
    if found is None:
        return _REFUSAL
    kind, number = found[1], int(found[2] or 0)
    if kind == b"chunks":
        return _stream(number)
    return _COMPLETION if body.count(b'"role"') >= number else _REFUSAL


class Http(asyncio.Protocol):
    """As much of HTTP/1.1 as the clients need: requests with a content-length, one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._come = bytearray()
        self._awaited = 0

    def data_received(self, data: bytes) -> None:
        self._come += data
        while self._come and len(self._come) >= self._awaited:
            head, found, _ = self._come.partition(b"\r\n\r\n")
            if not found:
                return
            length = _LENGTH.search(head)
            self._awaited = len(head) + 4 + (int(length[1]) if length else 0)
            if len(self._come) >= self._awaited:
                self._transport.write(reply(bytes(self._come[len(head) + 4 : self._awaited])))
                del self._come[: self._awaited]
                self._awaited = 0


async def serve() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Http, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
