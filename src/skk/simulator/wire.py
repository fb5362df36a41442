"""One connection: HTTP/1.1 read and written by hand, because its whole point is to break the rules on demand."""

from __future__ import annotations

import asyncio
import socket
import struct
from urllib.parse import parse_qsl, unquote, urlsplit

from .record import Recorded

__all__ = ["HungUp", "Line", "keeps", "read_request"]

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_LONGEST_HEAD = 256 * 1024


class HungUp(Exception):  # noqa: N818  # an end, not an error
    """The connection is over; by us, on purpose."""


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Recorded | None:
    """Read the next request; None when the client has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, *_ = first.split(" ")
    if not target.startswith("/"):
        return None
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name
    }
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in headers.get("transfer-encoding", ""):
        body = b""
        while size := int((await reader.readline()).partition(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    return Recorded(method, unquote(parts.path), dict(parse_qsl(parts.query)), headers, body)


def keeps(request: Recorded) -> bool:
    """Tell whether the client wants to keep the connection after this request."""
    return "close" not in request.headers.get("connection", "").lower()


class Line:
    """What a reply is written to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.headers: dict[str, str] = {}  # those that every reply to this request carries

    def write_head(self, status: int, headers: dict[str, str]) -> None:
        """Write the head of a reply."""
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in {**self.headers, **headers}.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def send(
        self, status: int, body: bytes, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        """Send a whole reply."""
        self.write_head(status, {"content-type": kind, "content-length": str(len(body)), **(headers or {})})
        self.writer.write(body)
        await self.writer.drain()

    def begin(self, kind: str | None = "text/event-stream; charset=utf-8") -> None:
        """Begin a reply in chunks."""
        self.write_head(200, {"transfer-encoding": "chunked", **({"content-type": kind} if kind else {})})

    async def chunk(self, data: bytes) -> None:
        """Send one chunk."""
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self.writer.drain()

    async def end(self) -> None:
        """End a reply in chunks."""
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def hang_up(self) -> None:
        """Close in the middle, politely (FIN)."""
        await self.writer.drain()
        raise HungUp

    async def reset(self) -> None:
        """Close in the middle, rudely (RST)."""
        await self.writer.drain()
        await asyncio.sleep(0.02)  # what was sent before should arrive
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        raise HungUp

    async def wait_until_gone(self, seconds: float | None = None) -> None:
        """Keep silent until the client has left."""
        try:
            async with asyncio.timeout(seconds):
                while await self.reader.read(4096):
                    pass
        except TimeoutError:
            return
        raise HungUp
