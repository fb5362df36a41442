"""Loops that begin and end, loops in threads, and processes that fork: a chat serves in all of them (R15)."""

import asyncio
import gc
import os
import threading
import weakref

import pytest

QUESTION = "自然数50的后面是几?"
TWENTY_LOOPS = """
import asyncio, gc, sys
from skk.openai import Chat
chat = Chat("sk-lifecycle-test-key", base_url=sys.argv[1], model="m")

async def whole():
    return await asyncio.gather(*[chat.async_request("hello") for _ in range(3)])

async def stream():
    return [piece async for piece in chat.async_stream_request("hello")]

async def left():  # a stream that nobody reads to its end
    global kept
    kept = chat.async_stream_request("hello")
    await anext(kept)

async def broken():
    await chat.async_request("hello")
    raise ZeroDivisionError

for _ in range(5):
    for work in (whole, stream, left, broken):
        try:
            asyncio.run(work())
        except ZeroDivisionError:
            pass
gc.collect()
print(len(chat.fetch_messages()))
"""


def test_twenty_loops_in_one_program(server, program, eventually):
    """One chat in twenty loops, streams left and loops broken among them: no warning, and no socket is left."""
    assert f"{2 * 5 * (3 + 1 + 0 + 1)}\n" == program(TWENTY_LOOPS, server.base_url)
    assert 0 == eventually(lambda: server.open_connections, 0)


def test_no_socket_outlives_its_loop(server, chat, eventually, descriptors):
    """When a loop has ended its connections are closed, not when the collector comes by."""
    asyncio.run(chat.async_request(QUESTION))
    before = descriptors()
    for _ in range(10):
        asyncio.run(chat.async_request(QUESTION))
        assert 0 == eventually(lambda: server.open_connections, 0)
    assert abs(descriptors() - before) <= 2


def test_no_loop_outlives_its_use(chat):
    """A loop that has ended can be collected: nothing of ours holds it."""

    async def work():
        await chat.async_request(QUESTION)
        return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(work()) for _ in range(3)]
    gc.collect()
    assert [None] * 3 == [loop() for loop in loops]


def test_a_loop_by_hand(server, chat, eventually):
    """new_event_loop, run_until_complete, shutdown_asyncgens: connections last as long as the loop."""
    loop = asyncio.new_event_loop()
    assert ["51"] * 3 == [loop.run_until_complete(chat.async_request(QUESTION)) for _ in range(3)]
    assert (1, 1) == (server.connections, server.open_connections)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert 0 == eventually(lambda: server.open_connections, 0)


def test_loops_in_threads(chat):
    """A chat that was made outside serves the loops of several threads at once."""
    found = []

    async def work():
        found.extend(await asyncio.gather(*[chat.async_request(QUESTION) for _ in range(5)]))

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (["51"] * 20, 40) == (found, len(chat.fetch_messages()))


async def test_blocking_use_inside_a_loop(chat):
    """A blocking request in a loop's thread, and in a worker of it, serves as well."""
    assert "51" == chat.request(QUESTION)
    assert "51" == await asyncio.to_thread(chat.request, QUESTION)
    assert "51" == await chat.async_request(QUESTION)
    assert "51" == "".join(chat.stream_request(QUESTION))


async def test_a_request_inside_a_stream(chat):
    """While a stream is read the same chat may be asked: the pairs go in in the order of completion."""
    async for _ in chat.async_stream_request("世界上最大的海洋是哪个?"):
        if len(chat.fetch_messages()) < 2:
            await chat.async_request(QUESTION)
    assert ["51", "世界上最大的海洋是太平洋。"] == [m["content"] for m in chat.fetch_messages()[1::2]]


FORKS = """
import asyncio, os, sys, threading
from skk.openai import AKPool, Chat
pooled = AKPool([f"sk-fork-key-{i}" for i in range(3)])
chats = [
    Chat("sk-fork-test-key", base_url=sys.argv[1], model="m"),
    Chat(pooled, base_url=sys.argv[1], model="m"),
    Chat("sk-fork-test-key", base_url=sys.argv[1], model="m", timeout=__import__("openai").Timeout(20)),
]

def ask(chat, number):
    assert str(number + 1) == chat.request(f"自然数{number}的后面是几?")
    assert str(number + 1) == "".join(chat.stream_request(f"自然数{number}的后面是几?"))

async def ask_in_a_loop(number):
    for chat in chats:
        assert str(number + 1) == await chat.async_request(f"自然数{number}的后面是几?")

for chat in chats:
    ask(chat, 1)
asyncio.run(ask_in_a_loop(1))

children = []
for child in range(3):
    if not (pid := os.fork()):
        try:
            for i in range(4):
                for chat in chats:
                    ask(chat, child * 1000 + i)
            asyncio.run(ask_in_a_loop(child * 1000))
            asyncio.run(ask_in_a_loop(child * 1000))
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(pid)
for i in range(4):
    for chat in chats:
        ask(chat, 7000 + i)
asyncio.run(ask_in_a_loop(7000))
print([os.waitpid(pid, 0)[1] for pid in children], [len(chat.fetch_messages()) for chat in chats])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_fork_after_use(server, program):
    """Children of a process whose chats and pool are warm are all served, and so is the parent meanwhile."""
    turns = 2 + 1 + 8 + 1
    assert f"[0, 0, 0] {[2 * turns] * 3}\n" == program(FORKS, server.base_url)
    assert 3 * 4 * (4 * 2 + 2) - 3 * 4 * 2 + 12 <= len(server.requests)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_the_parents_connection_is_the_parents(server, program):
    """A child opens connections of its own, and the parent goes on with the one that it had."""
    source = """
import os, sys
from skk.openai import Chat
import openai
for options in ({}, {"timeout": openai.Timeout(20)}):
    chat = Chat("sk-fork-test-key", base_url=sys.argv[1], model="m", **options)
    chat.request("hello")
    if not (pid := os.fork()):
        chat.request("hello")
        os._exit(0)
    assert 0 == os.waitpid(pid, 0)[1]
    chat.request("hello")
"""
    program(source, server.base_url)
    assert (6, 4) == (len(server.requests), server.connections)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_waits_for_no_lock_of_its_parent(server, program):
    """What goes at a fork is not closed: another thread may be inside of it, and is not there in the child."""
    source = """
import os, sys, threading
from skk.openai import Chat
chats = [Chat("sk-fork-test-key", base_url=sys.argv[1], model="m", timeout=20 + i) for i in range(20)]
for chat in chats:
    chat.request("hello")  # the first are held by their chats alone, and by nothing else
http = chats[0]._account._connect().sync().http
inside, over = threading.Event(), threading.Event()

def close():
    with http._transport._pool._optional_thread_lock._lock:
        inside.set()
        over.wait()

closing = threading.Thread(target=close)
closing.start()
inside.wait()
if not (pid := os.fork()):
    os._exit(0)
for _ in range(100):
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        break
    over.wait(0.1)
else:
    os.kill(pid, 9)
over.set()
closing.join()
print(bool(done))
"""
    assert "True\n" == program(source, server.base_url)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_lets_go_of_the_connections_of_a_loop(server, program, descriptors):
    """Its parent could not hang up while a child holds them."""
    source = """
import asyncio, os, sys
from skk.openai import Chat

def sockets():
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum("socket:" in os.readlink(link) for link in links if os.path.islink(link))

chat = Chat("sk-fork-test-key", base_url=sys.argv[1], model="m")
loop = asyncio.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))
before = sockets()
loop.run_until_complete(chat.async_request("hello"))
assert before + 1 == sockets()
if not (pid := os.fork()):
    os._exit(sockets() - before)
print(os.waitpid(pid, 0)[1])
loop.run_until_complete(chat.aclose())
loop.close()
"""
    assert "0\n" == program(source, server.base_url)


def test_uvloop(server, program):
    """Under uvloop it is the same."""
    pytest.importorskip("uvloop", reason="uvloop is not installed")
    source = TWENTY_LOOPS.replace("import asyncio,", "import uvloop, asyncio,").replace("asyncio.run", "uvloop.run")
    assert "50\n" == program(source, server.base_url)
