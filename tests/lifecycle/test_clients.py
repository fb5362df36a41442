"""The SDK's clients: one for each configuration, never one for each request, and gone when nobody needs them."""

import asyncio
import gc
import os
import resource
import subprocess
import sys
import threading

import openai
import pytest

from skk.openai import AKPool

SECOND = {
    "headers": {"default_headers": {"x-team": "blue"}},
    "timeout": {"timeout": 7},
    "organization": {"organization": "org-1"},
    "retries": {"max_retries": 5},
}


def test_a_hundred_requests_on_one_connection(server, chat):
    """Requests one after the other use one connection, and a stream that was read to its end gives it back."""
    for _ in range(50):
        chat.request("hello")
        list(chat.stream_request("hello"))
    assert (100, 1) == (len(server.requests), server.connections)


def test_fifty_chats_on_one_connection(server, make_chat):
    """A new chat is no new client, whatever key or pool it has."""
    payers = ["sk-lifecycle-test-key", "sk-another-test-key", AKPool(["sk-a-0001", "sk-b-0002"])]
    for i in range(50):
        make_chat(payers[i % 3]).request("hello")
    assert (50, 1) == (len(server.requests), server.connections)


async def test_one_connection_in_each_loop(server, make_chat):
    """In a loop it is the same: one connection for requests in turn, streams and new chats."""
    for _ in range(10):
        chat = make_chat()
        await chat.async_request("hello")
        assert [piece async for piece in chat.async_stream_request("hello")]
    assert (20, 1) == (len(server.requests), server.connections)


def test_equal_configurations_are_one(server, make_chat):
    """What is equal is the same configuration, however it was written."""
    for _ in range(3):
        make_chat(timeout=openai.Timeout(5), default_headers={"a": "1", "b": "2"}).request("hello")
        make_chat(timeout=openai.Timeout(5), default_headers={"b": "2", "a": "1"}).request("hello")
    assert 1 == server.connections


@pytest.mark.parametrize("what", SECOND)
def test_another_configuration_is_another_client(server, make_chat, what):
    """Headers, timeouts and names of one chat never reach another's requests."""
    plain, other = make_chat(), make_chat(**SECOND[what])
    for chat in (plain, other, plain, other):
        chat.request("hello")
    changing = ("content-length", "idempotency-key", "x-stainless-retry-count")
    headers = [{k: v for k, v in request.headers.items() if k not in changing} for request in server.requests]
    assert (headers[0], headers[1]) == (headers[2], headers[3])
    assert 2 == server.connections
    if what in ("headers", "organization"):
        assert headers[0] != headers[1]


@pytest.mark.parametrize("copied", [False, True], ids=["its own", "a dict in its place"])
def test_a_changed_environment_is_another_configuration(server, monkeypatch, make_chat, copied):
    """What the SDK reads from the environment counts from the next chat on."""
    if copied:  # as some programs do for a while
        monkeypatch.setattr(os, "environ", dict(os.environ))
    make_chat().request("hello")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-2")
    make_chat().request("hello")
    assert [None, "org-2"] == [request.headers.get("openai-organization") for request in server.requests]


def test_the_environment_may_be_a_dict_when_clients_are_loaded():
    """Programs put a dict in its place for a while; the first request may come then."""
    code = "import os; os.environ = dict(os.environ); import skk.transport.clients"
    assert 0 == subprocess.run([sys.executable, "-c", code]).returncode


def test_a_callers_own_client(server, make_chat):
    """A caller's HTTP client is used and never closed, also when its chat is gone."""
    http = openai.DefaultHttpxClient(headers={"x-mine": "1"})
    chat = make_chat(http_client=http)
    chat.request("hello")
    del chat
    gc.collect()
    assert not http.is_closed
    make_chat(http_client=http).request("hello")
    assert (["1", "1"], 1) == ([request.headers.get("x-mine") for request in server.requests], server.connections)
    http.close()


async def test_a_callers_own_async_client(server, make_chat):
    """One for loops serves there, and blocking calls of the same chat get a client of ours."""
    async with openai.DefaultAsyncHttpxClient(headers={"x-mine": "1"}) as http:
        chat = make_chat(http_client=http)
        await chat.async_request("hello")
        chat.request("hello")
    assert ["1", None] == [request.headers.get("x-mine") for request in server.requests]


EXITS = {
    "sync": "chat.request('hello')",
    "stream": "list(chat.stream_request('hello'))",
    "async": "asyncio.run(chat.async_request('hello'))",
    "left-stream": "stream = chat.stream_request('hello'); next(stream)",
    "left-stream-unbound": "next(chat.stream_request('hello'))",
    "left-async-stream": """
async def left():
    global stream
    stream = chat.async_stream_request('hello')
    await anext(stream)
asyncio.run(left())""",
    "never-begun": "stream = chat.stream_request('hello'), chat.async_stream_request('hello')",
    "broken-loop": """
async def broken():
    await chat.async_request('hello')
    1 / 0
try:
    asyncio.run(broken())
except ZeroDivisionError:
    pass""",
    "cancelled": """
async def cancelled():
    await chat.async_request('hello')
    chat.model = 'fault:stall'
    asyncio.create_task(chat.async_request('hello'))
    await asyncio.sleep(0.05)
asyncio.run(cancelled())""",
    "thread": "import threading; t = threading.Thread(target=chat.request, args=('hello',)); t.start(); t.join()",
    "own-client": "Chat('sk-x-12345678', base_url=sys.argv[1], timeout=openai.Timeout(3), model='m').request('x')",
}


def test_the_interpreter_ends_quietly(server, program, eventually):
    """After any use the process ends without a warning: each way in a child of its own."""
    source = f"""
import asyncio, gc, openai, openai.resources.chat.completions, os, subprocess, sys
from skk.openai import Chat
import skk.transport.aio, skk.transport.sync
gc.freeze()  # what is loaded by now is no garbage of any way
ways = {list(EXITS.values())!r}
for way in ways:  # a fork saves most of a second; it has used nothing yet, so it is as good as a new process
    sys.stdout.flush()
    if not os.fork():
        chat = Chat("sk-lifecycle-test-key", base_url=sys.argv[1], model="m")
        exec(way)
        sys.exit(7)
    assert 7 << 8 == os.wait()[1], way
"""
    program(source, server.base_url)
    assert len(server.requests) >= len(EXITS) - 1
    assert 0 == eventually(lambda: server.open_connections, 0)


def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.prove)])
def test_soak(server, make_chat, descriptors, eventually, count):
    """Many requests of many chats: descriptors, threads and memory stay what they were (R16)."""

    def use(times):
        for i in range(times):
            if i % 10 == 0:
                chat = make_chat(AKPool([f"sk-soak-{i % 7}-{j}" for j in range(2)]), msg_max_count=4)
            if i % 3 == 2:
                asyncio.run(chat.async_request("hello")) if i % 30 == 2 else list(chat.stream_request("hello"))
            elif i % 7 == 6:
                next(chat.stream_request("hello"))
            else:
                chat.request("hello")
            server.requests.clear()
        gc.collect()

    use(400)
    before = (descriptors(), threading.active_count(), memory())
    use(count)
    assert abs(eventually(descriptors, before[0]) - before[0]) <= 2
    assert before[1] == threading.active_count()
    assert memory() - before[2] <= 4 * 2**20
