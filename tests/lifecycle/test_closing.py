"""`with Chat(...)` and `async with`: each gives back its share of a client, and nobody else's."""

import asyncio
import gc
import os
import sys
import threading
from importlib.util import find_spec

import openai
import pytest

from skk.errors import SkkError
from skk.openai import AKPool, OpenAIClient
from skk.transport.clients import Connection

QUESTION = "世界上最大的海洋是哪个?"
ANSWER = "世界上最大的海洋是太平洋。"
AIOHTTP = find_spec("httpx_aiohttp" if find_spec("httpx") else "aiohttp") is not None  # httpx2 brings its own
TRANSPORTS = [None, pytest.param("aiohttp", marks=pytest.mark.skipif(not AIOHTTP, reason="skk[fast] is missing"))]


def test_the_last_to_leave_closes(server, make_chat, eventually):
    """A chat that leaves breaks none that shares its client; the last one closes the connection."""
    with make_chat() as stays:
        with make_chat("sk-another-test-key") as leaves:
            leaves.request(QUESTION)
            stays.request(QUESTION)
        assert ANSWER == stays.request(QUESTION)
        assert (1, 1) == (server.connections, server.open_connections)
    assert 0 == eventually(lambda: server.open_connections, 0, 2)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_last_to_leave_closes_in_a_loop(server, make_chat, eventually_async, transport):
    """The same in a loop, on both transports."""
    async with make_chat(transport=transport) as stays:
        async with make_chat("sk-another-test-key", transport=transport) as leaves:
            await leaves.async_request(QUESTION)
            await stays.async_request(QUESTION)
        assert ANSWER == await stays.async_request(QUESTION)
        assert (1, 1) == (server.connections, server.open_connections)
    assert 0 == await eventually_async(lambda: server.open_connections, 0, 2)


async def test_who_comes_again_is_a_user_again_in_a_loop(server, make_chat, eventually_async):
    """A chat that left and asks once more keeps the client open when the other one leaves."""
    one, other = make_chat(), make_chat("sk-another-test-key")
    for chat in (one, other):
        await chat.async_request(QUESTION)
    await one.aclose()
    await one.async_request(QUESTION)
    await other.aclose()
    assert ANSWER == await one.async_request(QUESTION)
    assert (1, 1) == (server.connections, server.open_connections)
    await one.aclose()
    assert 0 == await eventually_async(lambda: server.open_connections, 0, 2)


def test_who_comes_again_is_a_user_again(server, make_chat, eventually):
    """The same without a loop."""
    one, other = make_chat(), make_chat("sk-another-test-key")
    for chat in (one, other):
        chat.request(QUESTION)
    one.close()
    one.request(QUESTION)
    other.close()
    assert ANSWER == one.request(QUESTION)
    assert (1, 1) == (server.connections, server.open_connections)
    one.close()
    assert 0 == eventually(lambda: server.open_connections, 0, 2)


def test_ctrl_c_while_a_client_is_taken(server, make_chat, eventually):
    """Wherever it comes, the chat goes on with a client that it can give back."""
    code = Connection.sync.__code__
    lines = {line for _, _, line in code.co_lines() if line is not None} - {code.co_firstlineno}
    for line in sorted(lines):

        def interrupt(frame, event, _, line=line):
            if frame.f_code is code and event == "line" and frame.f_lineno == line:
                raise KeyboardInterrupt
            return interrupt

        chat = make_chat(timeout=100 + line)
        sys.settrace(interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                chat.request(QUESTION)
        finally:
            sys.settrace(None)
        assert ANSWER == chat.request(QUESTION)
        chat.close()
        assert 0 == eventually(lambda: server.open_connections, 0, 2)


def test_a_chat_that_is_gone_is_no_user(server, make_chat, eventually):
    """What was dropped without a word does not keep a client open."""
    make_chat().request(QUESTION)
    gc.collect()
    with make_chat() as chat:
        chat.request(QUESTION)
    assert (1, 0) == (server.connections, eventually(lambda: server.open_connections, 0, 2))


async def test_a_chat_that_is_gone_is_no_user_in_a_loop(server, make_chat, eventually_async):
    """In a loop neither, though it was the first that used the client."""
    await make_chat().async_request(QUESTION)
    gc.collect()
    async with make_chat() as chat:
        await chat.async_request(QUESTION)
    assert (1, 0) == (server.connections, await eventually_async(lambda: server.open_connections, 0, 2))


@pytest.mark.parametrize("leave", ["with", "async with"])
async def test_other_configurations_go_on(server, make_chat, eventually_async, leave):
    """A chat that leaves closes its own client, and not one that another chat has in the same loop."""
    stays, leaves = make_chat(), make_chat(timeout=7)
    for _ in range(2):
        stays.request(QUESTION)
        await stays.async_request(QUESTION)
        if leave == "with":
            with leaves:
                leaves.request(QUESTION)
        else:
            async with leaves:
                await leaves.async_request(QUESTION)
        assert 2 == await eventually_async(lambda: server.open_connections, 2, 2)
    assert 4 == server.connections


async def test_aclose_closes_both_colours(server, make_chat, eventually_async):
    """A chat that was used in both colours gives back both."""
    async with make_chat() as chat:
        await chat.async_request(QUESTION)
        chat.request(QUESTION)
        assert 2 == server.open_connections
    assert 0 == await eventually_async(lambda: server.open_connections, 0, 2)


async def test_a_blocking_with_leaves_the_loop_alone(server, make_chat):
    """`with` is for blocking calls: what a loop has opened goes on."""
    with make_chat() as chat:
        await chat.async_request(QUESTION)
    assert ANSWER == await chat.async_request(QUESTION)
    assert (1, 1) == (server.connections, server.open_connections)


@pytest.mark.parametrize("leave", ["close", "aclose"])
async def test_a_chat_serves_on_after_it_was_closed(server, make_chat, eventually_async, leave):
    """A closed chat can be used again: it opens a connection, and closing it again closes that."""
    chat = make_chat()
    for _ in range(2):
        for _ in range(2):
            if leave == "close":
                chat.close()
            else:
                await chat.aclose()
        assert 0 == await eventually_async(lambda: server.open_connections, 0, 2)
        for _ in range(2):
            assert ANSWER == (chat.request(QUESTION) if leave == "close" else await chat.async_request(QUESTION))
    assert (2, 1) == (server.connections, server.open_connections)


def test_closing_what_was_never_used(program):
    """A chat that asked nothing has nothing to close, and does not load the SDK for it."""
    source = """
import asyncio, sys
from skk.openai import Chat
with Chat("sk-lifecycle-test-key") as chat:
    pass
asyncio.run(chat.aclose())
print("openai" in sys.modules)
"""
    assert "False\n" == program(source)


def test_with_gives_the_chat_and_lets_errors_through(server, make_chat, eventually):
    """`with` gives the chat itself; an error inside passes, and the connection is closed while it is in hand."""
    chat = make_chat()
    with pytest.raises(ZeroDivisionError), chat as given:
        given.request(QUESTION)
        assert chat is given
        raise ZeroDivisionError
    assert 0 == eventually(lambda: server.open_connections, 0, 2)
    with pytest.raises(SkkError) as caught, chat:
        chat.request(QUESTION)
        chat.request(QUESTION, model="fault:400")
    assert (400, 0) == (caught.value.status_code, eventually(lambda: server.open_connections, 0, 2))


async def test_async_with_gives_the_chat_and_lets_errors_through(server, make_chat, eventually_async):
    """The same in a loop."""
    chat = make_chat()
    with pytest.raises(SkkError) as caught:
        async with chat as given:
            await given.async_request(QUESTION)
            assert chat is given
            await given.async_request(QUESTION, model="fault:400")
    assert 400 == caught.value.status_code
    assert 0 == await eventually_async(lambda: server.open_connections, 0, 2)


def test_an_open_stream_comes_to_its_end(server, make_chat, eventually):
    """A chat may be closed while a stream is open: that is read to its end, and closes the connection."""
    server.delay(0.02)  # or all of it would have come already
    with make_chat() as chat:
        stream = chat.stream_request(QUESTION)
        first = next(stream)
    assert (ANSWER, 1) == (first + "".join(stream), server.connections)
    assert 0 == eventually(lambda: server.open_connections, 0, 2)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_open_stream_comes_to_its_end_in_a_loop(server, make_chat, eventually_async, transport):
    """The same in a loop; what is asked meanwhile goes over another connection."""
    server.delay(0.02)
    async with make_chat(transport=transport) as chat:
        stream = chat.async_stream_request(QUESTION)
        pieces = [await anext(stream)]
    assert ANSWER == await chat.async_request(QUESTION)
    pieces += [piece async for piece in stream]
    await chat.aclose()
    assert (ANSWER, 2) == ("".join(pieces), server.connections)
    assert 0 == await eventually_async(lambda: server.open_connections, 0, 2)


@pytest.mark.parametrize("end", ["closed", "dropped", "cut"])
async def test_a_stream_that_ends_early_closes_too(server, make_chat, eventually_async, end):
    """A stream that outlives its chat's client closes it in whatever way it ends."""
    async with make_chat() as chat:
        if end == "cut":
            server.fail("cut-stream")
        stream = chat.async_stream_request(QUESTION)
        await anext(stream)
    if end == "closed":
        await stream.aclose()
    elif end == "dropped":
        del stream
    else:
        with pytest.raises(SkkError):
            [piece async for piece in stream]
    assert 0 == await eventually_async(lambda: server.open_connections, 0, 2)


def test_a_running_request_is_not_torn(server, make_chat, eventually):
    """A request of another thread, begun before the chat was closed, is answered; then the connection closes."""
    server.delay(0.02)
    answers = []

    def ask():
        answers.append("".join(chat.stream_request(QUESTION)))

    with make_chat() as chat:
        chat.request(QUESTION)
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert 4 == eventually(lambda: len(server.requests), 4)
    for thread in threads:
        thread.join()
    assert [ANSWER] * 3 == answers
    assert 0 == eventually(lambda: server.open_connections, 0, 2)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_running_task_is_not_torn(server, make_chat, eventually_async, transport):
    """The same in a loop, and a task that is cancelled closes what it used as well."""
    server.delay(0.02)

    async def ask():
        return "".join([piece async for piece in chat.async_stream_request(QUESTION)])

    async with make_chat(transport=transport) as chat:
        tasks = [asyncio.create_task(ask()) for _ in range(3)]
        assert 3 == await eventually_async(lambda: len(server.requests), 3)
    tasks[0].cancel()
    assert [ANSWER] * 2 == (await asyncio.gather(*tasks, return_exceptions=True))[1:]
    assert 0 == await eventually_async(lambda: server.open_connections, 0, 2)


def test_closing_while_all_are_asking(server, make_chat, eventually):
    """Chats that share a client come and go in four threads: no request fails, and in the end nothing is open."""
    failures = []

    def come_and_go():
        try:
            for _ in range(25):
                with make_chat() as chat:
                    assert ANSWER == chat.request(QUESTION)
                    assert ANSWER == "".join(chat.stream_request(QUESTION))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ([], 200) == (failures, len(server.requests))
    assert 0 == eventually(lambda: server.open_connections, 0, 2)


async def test_closing_while_all_are_asking_in_a_loop(server, make_chat, eventually_async):
    """The same with four tasks."""

    async def come_and_go():
        for _ in range(25):
            async with make_chat() as chat:
                assert ANSWER == await chat.async_request(QUESTION)
                assert ANSWER == "".join([piece async for piece in chat.async_stream_request(QUESTION)])

    await asyncio.gather(*[come_and_go() for _ in range(4)])
    assert 200 == len(server.requests)
    assert 0 == await eventually_async(lambda: server.open_connections, 0, 2)


async def test_options_of_one_call_are_given_back_too(server, make_chat, eventually_async):
    """A call with an address of its own opened another client: it is this chat's as well."""
    async with make_chat() as chat:
        other = server.base_url.replace("127.0.0.1", "localhost")
        chat.request(QUESTION, base_url=other)
        await chat.async_request(QUESTION, base_url=other)
        assert 2 == server.open_connections
    assert 0 == await eventually_async(lambda: server.open_connections, 0, 2)


def test_a_callers_client_stays_open(server, make_chat):
    """A caller's HTTP client is not closed."""
    with openai.DefaultHttpxClient() as http:
        with make_chat(http_client=http) as chat:
            chat.request(QUESTION)
        assert not http.is_closed
        make_chat(http_client=http).request(QUESTION)
        assert (1, 1) == (server.connections, server.open_connections)


async def test_a_callers_async_client_stays_open(server, make_chat, eventually_async):
    """One for loops neither; what blocking calls opened beside it is ours and closes."""
    async with openai.DefaultAsyncHttpxClient() as http:
        async with make_chat(http_client=http) as chat:
            await chat.async_request(QUESTION)
            chat.request(QUESTION)
        assert not http.is_closed
        assert 1 == await eventually_async(lambda: server.open_connections, 1, 2)
        await chat.async_request(QUESTION)
        assert 2 == server.connections


def test_a_pool_is_given_back(server, make_chat, eventually):
    """With a pool of keys it is the same: its keys share the connection."""
    with make_chat(AKPool(["sk-a-0001", "sk-b-0002"])) as chat:
        for _ in range(4):
            chat.request(QUESTION)
    assert (1, 0) == (server.connections, eventually(lambda: server.open_connections, 0, 2))


def test_the_client_of_a_file(server, tmp_path, make_chat, eventually):
    """`OpenAIClient` is a user like a chat, and gives back its share as well."""
    config = tmp_path / "config.ini"
    config.write_text(f"[OpenAI]\nAPI_SECRET_KEY = sk-lifecycle-test-key\nBASE_URL = {server.base_url}\nMODEL = m\n")
    with OpenAIClient(config) as client:
        client.chat_request(QUESTION)
    assert (1, 0) == (server.connections, eventually(lambda: server.open_connections, 0, 2))


async def test_configurations_that_nobody_uses_close(server, make_chat, eventually_async):
    """A loop that sees many configurations keeps the newest ones alone, without a close of any chat."""
    stays = make_chat(organization="stays")
    for i in range(20):
        await stays.async_request(QUESTION)
        gc.collect()
        await make_chat(organization=str(i)).async_request(QUESTION)
    assert 17 == await eventually_async(lambda: server.open_connections, 17, 2)
    await stays.async_request(QUESTION)
    assert 21 == server.connections


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_closes_what_is_its_own(server, program):
    """A forked child that closes its chat leaves the parent's connection as it is."""
    source = """
import os, sys
from skk.openai import Chat
with Chat("sk-fork-test-key", base_url=sys.argv[1], model="m") as chat:
    chat.request("hello")
    stream = chat.stream_request("hello")
    next(stream)
    for used in (False, True):
        if not (pid := os.fork()):
            if used:
                chat.request("hello")
            chat.close()
            os._exit(0)
        assert 0 == os.waitpid(pid, 0)[1]
        chat.request("hello")
    assert "".join(stream)
"""
    program(source, server.base_url)
    assert (5, 3) == (len(server.requests), server.connections)


EXITS = {
    "with": "with chat: chat.request('hello')",
    "with-stream": "with chat: list(chat.stream_request('hello'))",
    "with-left-stream": "with chat: stream = chat.stream_request('hello'); next(stream)",
    "with-left-stream-unbound": "with chat: next(chat.stream_request('hello'))",
    "never-left": "chat.__enter__(); chat.request('hello')",
    "error": """
try:
    with chat:
        chat.request('hello')
        chat.request('hello', model='fault:400')
except Exception as error:
    kept = error""",
    "async-with": """
async def work():
    async with chat:
        await chat.async_request('hello')
        return [piece async for piece in chat.async_stream_request('hello')]
asyncio.run(work())""",
    "async-with-left-stream": """
async def work():
    global stream
    async with chat:
        stream = chat.async_stream_request('hello')
        await anext(stream)
asyncio.run(work())""",
    "async-with-left-by-the-loop": """
async def work():
    async with chat:
        await chat.async_request('hello')
        yield 1
        await asyncio.sleep(9)
async def main():
    global left
    left = work()
    await anext(left)
asyncio.run(main())""",
    "async-with-cancelled": """
async def work(begun):
    async with chat:
        await chat.async_request('hello')
        begun.set()
        await chat.async_request('hello', model='fault:stall')
async def main():
    begun = asyncio.Event()
    task = asyncio.create_task(work(begun))
    await begun.wait()
    await asyncio.sleep(0.05)
asyncio.run(main())""",
    "with-around-loops": """
with chat:
    for _ in range(2):
        asyncio.run(chat.async_request('hello'))
        chat.request('hello')""",
    "aclose-in-another-loop": """
asyncio.run(chat.async_request('hello'))
asyncio.run(chat.aclose())""",
}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_interpreter_ends_quietly_after_with(server, program, eventually, transport):
    """After any use of `with` the process ends without a warning: each way in a child of its own."""
    source = f"""
import asyncio, gc, openai, openai.resources.chat.completions, os, sys
from skk.openai import Chat
import skk.transport.aio, skk.transport.sync
gc.freeze()  # what is loaded by now is no garbage of any way
for way in {list(EXITS.values())!r}:  # a fork saves most of a second; it has used nothing yet
    sys.stdout.flush()
    if not os.fork():
        chat = Chat("sk-lifecycle-test-key", base_url=sys.argv[1], model="m", transport={transport!r})
        exec(way)
        sys.exit(7)
    assert 7 << 8 == os.wait()[1], way
"""
    program(source, server.base_url)
    assert len(server.requests) >= len(EXITS)
    assert 0 == eventually(lambda: server.open_connections, 0)
