"""Server-sent events: bytes in, decoded JSON out. Without I/O, and without the SDK's typed chunks.

A read holds any number of events, and an event may be cut anywhere, also inside a character; lines
end in LF, CRLF or CR. Only ``data`` matters here: comments and other fields are skipped
(https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

from __future__ import annotations

from skk.errors import InvalidResponseError
from skk.turns import DONE, Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EventDecoder", "ValueDecoder", "decode_json"]

try:
    import jiter  # the SDK's own JSON reader: 0.7 µs a chunk, against 2.9 with json

    _from_json: Callable[[bytes], Event] = jiter.from_json
except ImportError:
    import json

    _from_json = json.loads

# An event may be spread over many reads, but not for ever.
LONGEST_EVENT = 64 * 1024 * 1024

BOM = b"\xef\xbb\xbf"

CR = 13  # as a number: `b"\r" in block` takes 0.2 µs, this 0.02


def decode_json(data: bytes) -> Event:
    """Decode one JSON value.

    Raises:
        InvalidResponseError: it is none; the error shows its beginning.
    """
    try:
        return _from_json(data)
    except (ValueError, RecursionError):  # jiter refuses a byte order mark, and a lone surrogate that json takes
        pass
    import json

    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise InvalidResponseError(reason=_beginning(data)) from None


class ValueDecoder:
    """Takes a body as one JSON value. Has the face of `EventDecoder`."""

    __slots__ = ("_blocks",)

    done = False

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def feed(self, block: bytes) -> list[Event]:
        """Take in bytes; a value is there at the end."""
        self._blocks.append(block)
        return []

    def whole(self, body: bytes) -> list[Event]:
        """Give the value that is the whole body. Raises what `finish` does."""
        return [decode_json(body)]

    def finish(self) -> list[Event]:
        """Give the value.

        Raises:
            InvalidResponseError: it is no JSON.
        """
        return [decode_json(b"".join(self._blocks))]


class EventDecoder:
    """Splits a body into events.

    Args:
        longest: how many bytes an event may have.

    Attributes:
        done: whether the end mark was seen; what follows it is ignored.
    """

    __slots__ = ("_beginning", "_between", "_data", "_found", "_longest", "_rest", "_size", "done")

    def __init__(self, longest: int = LONGEST_EVENT) -> None:
        self.done = False
        self._longest = longest
        self._size = 0  # of the lines in `_data`
        self._rest = b""
        self._data: list[bytes] = []
        self._found = False
        self._between = False  # an event was found, and nothing of the next has come
        self._beginning = b""

    def feed(self, block: bytes) -> list[Event]:
        """Take in bytes, give the events that are complete.

        Raises:
            InvalidResponseError: an event is no JSON.
        """
        if (
            self._between
            and block[:5] == b"data:"
            and block[-2:] == b"\n\n"
            and block.find(b"\n") == len(block) - 2
            and CR not in block
        ):
            try:  # the common read, one whole event and no more: half the cost of the long way below
                return [_from_json(block[5:])]
            except (ValueError, RecursionError):
                pass
        if self.done:
            return []
        if not self._found:
            block = self._start(block)
        block = self._rest + block
        if CR in block:
            held = block.endswith(b"\r")  # half of a CRLF, perhaps
            block = block[: -1 if held else None].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            *lines, self._rest = block.split(b"\n")
            self._rest += b"\r" if held else b""
        else:
            *lines, self._rest = block.split(b"\n")
        if self._size + len(self._rest) > self._longest:
            raise InvalidResponseError(reason=_beginning(self._rest or self._data[0]))
        events: list[Event] = []
        data = self._data
        for line in lines:
            if line:
                if line[:5] == b"data:":
                    data.append(line[5:])
                    self._size += len(line)
            elif data:
                try:  # the common event, one line: a call would cost a third more
                    (one,) = data
                    events.append(_from_json(one))
                except (ValueError, RecursionError):
                    if self._event(events):
                        self._between = False
                        return events
                data.clear()
                self._size = 0
        self._found = self._found or bool(events)
        self._between = self._found and not (data or self._rest)
        return events

    def finish(self) -> list[Event]:
        """Give what the end of the body completes.

        Raises:
            InvalidResponseError: there was no event at all; the error shows the body's beginning.
        """
        events: list[Event] = []
        if not self.done:
            if self._rest.startswith(b"data:"):
                self._data.append(self._rest[5:].rstrip(b"\r"))
            if self._data:  # some servers forget the blank line after the last event
                try:
                    self._event(events)
                except InvalidResponseError:  # half an event: the body was cut
                    if not self._found:
                        raise
        if not self._found:
            raise InvalidResponseError(reason=_beginning(self._beginning))
        return events

    def whole(self, body: bytes) -> list[Event]:
        """Give the events of a whole body. Raises what `feed` and `finish` do."""
        return [*self.feed(body), *self.finish()]

    def _start(self, block: bytes) -> bytes:
        """Keep the beginning for an error, and take the byte order mark off, which may come in pieces."""
        before = self._beginning
        self._beginning = (before + block)[:200]
        if len(before) < len(BOM) and BOM.startswith(before):
            if self._beginning.startswith(BOM):
                self._rest = b""
                return (before + block)[len(BOM) :]
        return block

    def _event(self, events: list[Event]) -> bool:
        """Decode the event that is complete. True if it is the end mark."""
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        try:
            events.append(_from_json(data))
        except (ValueError, RecursionError):
            if not (told := data.strip()):
                return False  # it only keeps the connection open
            if told == b"[DONE]":
                self.done = True
                events.append(DONE)
            else:
                events.append(decode_json(data))
        self._found = True
        return self.done


def _beginning(data: bytes) -> str:
    return repr(data[:200].decode("utf-8", "replace")) if data else "nothing at all"
