"""Answers in pieces: what a stream knows, and how it is left."""

import asyncio
import gc

import pytest

from skk.openai import Chat

OCEAN = "世界上最大的海洋是哪个?"
ANSWER = "世界上最大的海洋是太平洋。"


@pytest.fixture
def slow(own_simulator):
    """A chat at a server that takes its time between two pieces."""
    own_simulator.delay(0.05)
    chat = Chat("sk-test-key", base_url=own_simulator.base_url, model="m")
    chat.server = own_simulator
    return chat


def hung_up(chat, until):
    """Whether the server has seen the connection go; a stream that goes on would keep it open for a second."""
    return until(lambda: chat.server.open_connections == 0, 0.4)


def test_a_stream_knows_what_has_come(chat):
    """`.partial` is what has come (perhaps more than was read), `.answer` is there when the stream is done."""
    stream = chat.stream_request(OCEAN)
    first = next(stream)
    assert (True, None) == (stream.partial.startswith(first), stream.answer)
    rest = "".join(stream)
    assert (ANSWER, ANSWER, ANSWER) == (first + rest, stream.answer, stream.partial)
    assert stream.answer is chat.last_answer
    assert [] == list(stream)


def test_the_turn_enters_with_the_last_piece(chat):
    """The history is as it was until the stream is done."""
    stream = chat.stream_request(OCEAN)
    next(stream)
    assert [] == chat.fetch_messages()
    for _ in stream:
        pass
    assert 2 == len(chat.fetch_messages())


def test_nothing_is_sent_before_the_first_piece_is_asked_for(chat, simulator):
    """A stream that nobody reads sends nothing; the history is looked at when it is sent."""
    stream = chat.stream_request("再往后呢?")
    assert [] == simulator.requests
    chat.request("自然数50的后面是几?")
    assert "52" == "".join(stream)


def test_break_leaves_the_history(slow, until):
    """Leaving the loop hangs up; the history is as it was, and the text that came is at `last_partial`."""
    for piece in slow.stream_request(OCEAN):  # noqa: B007  # it is looked at below
        break
    assert hung_up(slow, until)
    assert ([], piece, None) == (slow.fetch_messages(), slow.last_partial, slow.last_answer)


def test_close_hangs_up(slow, until):
    """`close()` hangs up; after it nothing comes."""
    stream = slow.stream_request(OCEAN)
    next(stream)
    stream.close()
    assert hung_up(slow, until)
    assert ([], None, []) == (list(stream), stream.answer, slow.fetch_messages())
    stream.close()


def test_with_hangs_up(slow, until):
    """`with` hangs up, whatever happens inside."""
    with pytest.raises(ZeroDivisionError), slow.stream_request(OCEAN) as stream:
        next(stream)
        1 / 0  # noqa: B018
    assert hung_up(slow, until)
    assert [] == slow.fetch_messages()


def test_collection_hangs_up(slow, until):
    """A stream that is forgotten hangs up."""
    stream = slow.stream_request(OCEAN)
    next(stream)
    del stream
    gc.collect()
    assert hung_up(slow, until)


def test_a_stream_that_was_never_read_closes(chat, simulator):
    """A stream can be closed before it has begun; nothing was sent."""
    chat.stream_request(OCEAN).close()
    with chat.stream_request(OCEAN):
        pass
    assert [] == simulator.requests


def test_the_chat_goes_on_after_a_stream_was_left(slow):
    """The next request has a connection of its own and the history of before."""
    slow.server.delay(0.005)
    list(slow.stream_request("自然数50的后面是几?"))
    for _ in slow.stream_request("再往后呢?"):
        break
    assert "52" == slow.request("再往后呢?")


def test_an_async_stream_knows_what_has_come(chat):
    """The asynchronous stream has the same face."""

    async def main():
        stream = chat.async_stream_request(OCEAN)
        first = await anext(stream)
        assert (True, None) == (stream.partial.startswith(first), stream.answer)
        rest = "".join([piece async for piece in stream])
        assert (ANSWER, ANSWER, ANSWER) == (first + rest, stream.answer, stream.partial)
        assert [] == [piece async for piece in stream]

    asyncio.run(main())
    assert 2 == len(chat.fetch_messages())


@pytest.mark.parametrize("way", ["break", "aclose", "async with", "forget", "cancel"])
def test_leaving_an_async_stream_hangs_up(slow, way):
    """However an asynchronous stream is left: the connection is closed, the history is as it was."""

    async def read_on(started):
        async for _ in slow.async_stream_request(OCEAN):
            started.set()

    async def leave():
        if way == "break":
            async for _ in slow.async_stream_request(OCEAN):
                break
        elif way == "async with":
            async with slow.async_stream_request(OCEAN) as stream:
                await anext(stream)
        elif way == "cancel":
            started = asyncio.Event()
            task = asyncio.create_task(read_on(started))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            stream = slow.async_stream_request(OCEAN)
            await anext(stream)
            if way == "aclose":
                await stream.aclose()
            del stream
            gc.collect()

    async def main():
        await leave()
        for _ in range(40):
            if slow.server.open_connections == 0:
                return True
            await asyncio.sleep(0.01)
        return False

    assert asyncio.run(main())
    assert [] == slow.fetch_messages()


def test_one_chat_in_several_loops(chat):
    """A chat that was made outside a loop works in any, one after the other."""

    async def count(question):
        return await chat.async_request(question)

    assert ["51", "52"] == [asyncio.run(count("自然数50的后面是几?")), asyncio.run(count("再往后呢?"))]
    assert "53" == chat.request("再往后呢?")

    async def stream():
        return "".join([piece async for piece in chat.async_stream_request("再往后呢?")])

    assert ["54", "55"] == [asyncio.run(stream()), asyncio.run(stream())]


def test_a_loop_that_ends_leaves_no_connection(own_simulator, until):
    """When the loop ends its connections are closed."""
    chat = Chat("sk-test-key", base_url=own_simulator.base_url)
    asyncio.run(chat.async_request("hello"))
    assert until(lambda: own_simulator.open_connections == 0)
