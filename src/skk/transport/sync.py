"""Blocking I/O: the driver and its wire."""

from __future__ import annotations

import contextlib
import threading
import time

from skk.errors import RequestDeadlineError
from skk.keys import Lease

from .wire import Wire, begun, decoder_of, is_direct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import TracebackType
    from typing import Any, Self

    from skk.turns import Event, Turn

    from .clients import Client

__all__ = ["SyncWire", "drive"]


def drive(turn: Turn, wire: SyncWire) -> Generator[str]:
    """Send `turn` over blocking I/O, yielding text as it arrives. Its twin is `adrive`."""
    while True:
        with wire.lease(turn) as lease:
            try:
                with wire.open(turn, lease) as blocks:
                    absorb = turn.absorb
                    for block in blocks:
                        for text in absorb(block):  # noqa: UP028  # its twin cannot say `yield from`
                            yield text
                turn.commit()
                lease.served(turn.usage)
                return
            except Exception as error:  # noqa: BLE001  # GeneratorExit, Ctrl-C and cancellation pass through
                failure = wire.classify(error, lease, turn)
                delay = turn.judge(failure, lease.report(failure), wire.now())
        wire.sleep(delay)


class SyncWire(Wire):
    """The wire for blocking calls; `sleep` is how it waits."""

    def __init__(self, *args: Any, sleep: Callable[[float], None] = time.sleep, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sleep = sleep

    def drive(self, turn: Turn) -> Generator[str]:
        """Send a turn; its texts come while they come."""
        return drive(turn, self)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        if seconds > 0:
            self._sleep(seconds)

    def lease(self, turn: Turn) -> Lease:
        """Give a lease on a key, waiting for one where that helps.

        Raises:
            RequestDeadlineError, AllKeysRateLimitedError, AllKeysRejectedError: it does not help.
        """
        if self._lone is not None and turn.deadline is None:
            return self._lone
        place = self.enter(turn)
        if isinstance(place, Lease):
            return place
        try:
            lease = self.look(turn, place)
            if not isinstance(lease, Lease):
                bell = _Bell()
                while not isinstance(lease := self.look(turn, place, bell.ring), Lease):
                    bell.wait(lease)
        except BaseException:
            place.leave()
            raise
        return lease

    def open(self, turn: Turn, lease: Lease) -> _Reply:
        """Send the turn's request; the reply comes in blocks of events."""
        return _Reply(self, turn, lease)

    def download(self, turn: Turn, url: str) -> bytes:
        """Fetch a file that the service points to, without the key.

        Raises:
            ChatRequestError: it does not come.
        """
        try:
            client = self.connection.towards(url).sync()
            try:
                return self.downloaded(client.http.get(url, **self.fetching(turn)), url)
            finally:
                del client  # the traceback of an error would keep it open
        except Exception as error:  # named, and raised
            raise self.not_downloaded(error, turn, url) from error


class _Bell:
    """What a thread waits for. Not an `Event`: the collector may ring it in the middle of its own work."""

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """End the waiting."""
        with contextlib.suppress(RuntimeError):  # it has rung already
            self._silent.release()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, but no longer than so many seconds."""
        self._silent.acquire(timeout=seconds)


class _Reply:
    """An open reply; closing it gives the connection back, or up if it was not read to its end."""

    __slots__ = ("_client", "_lease", "_piecemeal", "_request", "_response", "_turn", "_wire")

    def __init__(self, wire: SyncWire, turn: Turn, lease: Lease) -> None:
        self._wire = wire
        self._turn = turn
        self._lease = lease

    def __enter__(self) -> Self:
        self._client: Client | None = self._wire.connection.sync()
        try:
            client = self._client.with_key(self._lease.secret)
            self._request = request = self._turn.prepare()
            # With a deadline even a whole reply is read piece by piece, to look at the clock between.
            self._piecemeal = request.streamed or self._turn.ends_at is not None
            call = self._wire.call(self._turn, request, client, piecemeal=self._piecemeal)
            send = client.get if request.body is None else client.post
            self._lease.sent()
            self._response = send(request.path, **call)
        except BaseException as error:
            self._interrupted(type(error))
            self._client = None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._interrupted(kind)
        try:
            self._response.close()
        except BaseException as interruption:
            self._interrupted(type(interruption))
            raise
        finally:
            self._client = None  # a client that everybody has left closes here

    def _interrupted(self, kind: type[BaseException]) -> None:
        if issubclass(kind, (Exception, GeneratorExit)):
            return
        if self._client is not None:  # Ctrl-C, or a thread's end
            self._wire.connection.distrust(self._client)

    def __iter__(self) -> Iterator[list[Event]]:
        headers = begun(self._turn, self._lease, self._response)
        decoder = decoder_of(headers, self._request.streamed)
        if not self._piecemeal:
            yield decoder.whole(self._response.read())
            return
        feed, ends_at = decoder.feed, self._turn.ends_at
        direct = is_direct(headers, self._response)
        try:
            for block in self._response.stream if direct else self._response.iter_bytes():
                yield feed(block)
                if ends_at is not None and self._wire.now() >= ends_at and not (self._turn.complete or decoder.done):
                    raise RequestDeadlineError(seconds=self._turn.deadline)
        except Exception:
            if not (self._turn.complete or decoder.done):  # else all that matters has come
                raise
        yield decoder.finish()
