"""Asynchronous I/O: the driver and its wire."""

from __future__ import annotations

import asyncio
import sys
import threading

from skk.keys import Lease

from .wire import Wire, begun, decoder_of, is_direct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
    from types import TracebackType
    from typing import Any, Self

    from skk.keys import Place
    from skk.turns import Event, Turn

    from .clients import Client, Connection

__all__ = ["AsyncWire", "adrive"]


async def adrive(turn: Turn, wire: AsyncWire) -> AsyncGenerator[str, None]:
    """Send `turn` over asynchronous I/O, yielding text as it arrives. Its twin is `drive`."""
    while True:
        async with wire.lease(turn) as lease:
            try:
                async with wire.open(turn, lease) as blocks:
                    absorb = turn.absorb
                    async for block in blocks:
                        for text in absorb(block):
                            yield text
                turn.commit()
                lease.served(turn.usage)
                return
            except Exception as error:  # noqa: BLE001  # GeneratorExit, Ctrl-C and cancellation pass through
                failure = wire.classify(error, lease, turn)
                delay = turn.judge(failure, lease.report(failure), wire.now())
        await wire.sleep(delay)


class AsyncWire(Wire):
    """The wire for asynchronous calls; `sleep` is how it waits."""

    def __init__(self, *args: Any, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sleep = sleep
        self._lent = None if self._lone is None else _Lent(self._lone)

    def drive(self, turn: Turn) -> AsyncGenerator[str, None]:
        """Send a turn; its texts come while they come."""
        return adrive(turn, self)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        if seconds > 0:
            await self._sleep(seconds)

    def lease(self, turn: Turn) -> _Lent | _Leasing:
        """Give a lease on a key, waiting for one where that helps.

        Raises:
            RequestDeadlineError, AllKeysRateLimitedError, AllKeysRejectedError: it does not help.
        """
        if self._lent is not None and turn.deadline is None:
            return self._lent
        return _Leasing(self, turn)

    def open(self, turn: Turn, lease: Lease) -> _Reply:
        """Send the turn's request; the reply comes in blocks of events."""
        return _Reply(self, turn, lease)

    async def download(self, turn: Turn, url: str) -> bytes:
        """Fetch a file that the service points to, without the key.

        Raises:
            ChatRequestError: it does not come.
        """
        try:
            client = await self.client(self.connection.towards(url))
            left = None if turn.ends_at is None else turn.ends_at - self.now()
            client.replies += 1
            try:
                async with asyncio.timeout(left):
                    return self.downloaded(await client.http.get(url, **self.fetching(turn)), url)
            finally:
                await client.release()
        except Exception as error:  # named, and raised
            raise self.not_downloaded(error, turn, url) from error

    async def client(self, connection: Connection | None = None) -> Client:
        """Give the client of the running loop, and see that it is closed when the loop ends.

        Nothing is awaited between giving it and counting the reply that it serves, or another task could close it.
        """
        loop = asyncio.get_running_loop()
        connection = self.connection if connection is None else connection
        client = connection.aio(loop)
        if client.keeper is None and client.own:
            client.keeper = _keep(client, connection.forget, loop)
            await anext(client.keeper)
            if unused := connection.unused(loop):
                for other in unused:
                    await other.aclose()
                return await self.client(connection)  # this one may have been closed meanwhile
        return client


async def _keep(
    client: Client, forget: Callable[[asyncio.AbstractEventLoop], None], loop: asyncio.AbstractEventLoop
) -> AsyncGenerator[None, None]:
    """Close a client when its loop ends: nobody says when that is, but suspended generators are closed then."""
    try:
        yield
    finally:
        if not client.http.is_closed:  # else its last user has left before
            forget(loop)
            await client.http.aclose()


class _Lent:
    """A lease that nobody waits for, and that learns nothing when it ends."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    async def __aenter__(self) -> Lease:
        return self._lease

    async def __aexit__(self, *failure: object) -> None:
        pass


class _Leasing:
    def __init__(self, wire: AsyncWire, turn: Turn) -> None:
        self._wire = wire
        self._turn = turn

    async def __aenter__(self) -> Lease:
        place = self._wire.enter(self._turn)
        self._lease = place if isinstance(place, Lease) else await self._granted(place)
        return self._lease

    async def _granted(self, place: Place) -> Lease:
        wire, turn = self._wire, self._turn
        try:
            lease = wire.look(turn, place)
            if not isinstance(lease, Lease):
                bell = _Bell()
                while not isinstance(lease := wire.look(turn, place, bell.ring), Lease):
                    await bell.wait(lease)
        except BaseException:
            place.leave()
            raise
        return lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lease.__exit__(kind, error, trace)


class _Bell:
    """What a task waits for; any thread may ring it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._event = asyncio.Event()

    def ring(self) -> None:
        """End the waiting.

        Raises:
            RuntimeError: the loop is closed.
        """
        if threading.get_ident() == self._thread:
            self._event.set()
        else:
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        """Wait until it rings, but no longer than so many seconds."""
        timer = self._loop.call_later(seconds, self._event.set)
        try:
            await self._event.wait()
        finally:
            timer.cancel()
        self._event.clear()


class _Reply:
    """An open reply; closing it gives the connection back, or up if it was not read to its end."""

    __slots__ = ("_client", "_lease", "_request", "_response", "_turn", "_wire")

    def __init__(self, wire: AsyncWire, turn: Turn, lease: Lease) -> None:
        self._wire = wire
        self._turn = turn
        self._lease = lease

    async def __aenter__(self) -> Self:
        self._client = await self._wire.client()
        self._client.replies += 1
        try:
            client = self._client.with_key(self._lease.secret)
            self._request = request = self._turn.prepare()
            call = self._wire.call(self._turn, request, client, piecemeal=request.streamed)
            send = client.get if request.body is None else client.post
            self._lease.sent()
            sending = send(request.path, **call)
            self._response = await (sending if self._turn.ends_at is None else self._in_time(sending))
        except BaseException:
            await self._client.release()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._response.aclose()
        finally:
            await self._client.release()

    async def __aiter__(self) -> AsyncIterator[list[Event]]:
        headers = begun(self._turn, self._lease, self._response)
        decoder = decoder_of(headers, self._request.streamed)
        if not self._request.streamed:
            yield decoder.whole(await self._response.aread())
            return
        feed = decoder.feed
        direct = is_direct(headers, self._response)
        read = aiter(self._response.stream if direct else self._response.aiter_bytes())
        try:
            block = await self._in_time(_Untold(read))
            if block is not None:
                yield feed(block)
            if self._turn.ends_at is None:
                async for block in read:
                    yield feed(block)
            else:
                while (block := await self._in_time(anext(read, None))) is not None:
                    yield feed(block)
        except Exception:
            if not (self._turn.complete or decoder.done):  # else all that matters has come
                raise
        finally:
            await read.aclose()  # a generator inside another is not closed with it
        yield decoder.finish()

    async def _in_time(self, awaited: Awaitable[Any]) -> Any:
        """Wait for one step, but not beyond the deadline."""
        if self._turn.ends_at is None:
            return await awaited
        async with asyncio.timeout(self._turn.ends_at - self._wire.now()):
            return await awaited


class _Untold:
    """Awaits the first item of a generator, or None, while the loop does not list the generators that begin for it.

    A loop that ends closes all that are on its list at once, and those of the HTTP library, which close each other
    too, are then found "already running". They end with ours, which is on the list.
    """

    def __init__(self, generator: AsyncGenerator[Any, None]) -> None:
        self._generator = generator

    def __await__(self) -> Generator[Any, Any, Any]:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=None)
        try:
            steps = anext(self._generator, None).__await__()
            waits_for = next(steps)
        except StopIteration as done:
            return done.value
        finally:
            sys.set_asyncgen_hooks(*hooks)
        step: Callable[[Any], Any]
        while True:  # what `yield from` does, from the second step on
            try:
                sent = yield waits_for
            except BaseException as error:  # noqa: BLE001  # it goes on to where it belongs
                step, sent = steps.throw, error
            else:
                step = steps.send
            try:
                waits_for = step(sent)
            except StopIteration as done:
                return done.value
