"""The SDK's aiohttp client: chosen by `transport="aiohttp"`, and told apart by nothing but its speed."""

import asyncio
import gc
from importlib.util import find_spec

import pytest

import skk.errors
from skk.errors import SkkError
from skk.openai import AKPool
from skk.simulator import FAULTS

if find_spec("httpx_aiohttp" if find_spec("httpx") else "aiohttp") is None:  # httpx2 brings its own
    pytest.skip("skk[fast] is not installed", allow_module_level=True)

QUESTION = "世界上最大的海洋是哪个?"
ANSWER = "世界上最大的海洋是太平洋。"


async def outcome(chat, streamed):
    """Give the name of the error, or the answer."""
    try:
        if streamed:
            return "".join([piece async for piece in chat.async_stream_request(QUESTION)])
        return str(await chat.async_request(QUESTION))
    except SkkError as error:
        return type(error)


SAMPLE = {
    "401",
    "429",
    "503",
    "bad-gzip",
    "close",
    "cut-body",
    "cut-reset",
    "cut-stream",
    "echo-key",
    "empty-body",
    "end-stream",
}
SAMPLE |= {
    "gzip",
    "half-headers",
    "page",
    "redirect",
    "reset",
    "reset-stream",
    "slow",
    "split-utf8",
    "stall",
    "stall-stream",
}


@pytest.mark.parametrize(
    "kind", [kind if kind in SAMPLE else pytest.param(kind, marks=pytest.mark.prove) for kind in sorted(FAULTS)]
)
def test_faults_read_the_same(server, make_chat, kind):
    """Each fault gives the answer, or the very error, that the default transport gives."""
    limits = {"deadline": 0.3} if kind == "slow" else {"timeout": 0.3}
    found = []
    for transport in (None, "aiohttp"):
        chat = make_chat(transport=transport, max_retries=0, **limits)
        server.clear()
        server.fail(kind, times=None)

        async def work(chat=chat):
            return [await outcome(chat, streamed) for streamed in (False, True)]

        found.append(asyncio.run(work()))
    if kind in ("reset-stream", "cut-reset"):  # what had come before may be lost with it: then nothing was shown
        assert all(issubclass(error, skk.errors.APIConnectionError) for error in found[1] if isinstance(error, type))
    else:
        assert found[0] == found[1]


async def test_many_at_once(server, make_chat):
    """100 requests at once, streams among them, over a pool."""
    chat = make_chat(AKPool(["sk-a-0001", "sk-b-0002"]), transport="aiohttp")
    assert [ANSWER] * 100 == await asyncio.gather(*[outcome(chat, i % 2) for i in range(100)])
    assert 200 == len(chat.fetch_messages())


def test_a_refused_connection_is_no_timeout(make_chat):
    """Where nobody listens the error is a connection's, not a timeout's."""
    chat = make_chat(base_url="http://127.0.0.1:9/v1", transport="aiohttp", max_retries=0)
    assert skk.errors.APIConnectionError is asyncio.run(outcome(chat, False))


def test_blocking_calls_go_the_usual_way(make_chat):
    """The transport is for loops; blocking calls of the same chat are served as ever."""
    assert ANSWER == make_chat(transport="aiohttp").request(QUESTION)


def test_loops_end_quietly(server, make_chat, eventually):
    """No socket and no warning is left when a loop ends, with streams left in it."""
    chat = make_chat(transport="aiohttp")

    async def work():
        await chat.async_request(QUESTION)
        stream = chat.async_stream_request(QUESTION)
        await anext(stream)

    for _ in range(5):
        asyncio.run(work())
        gc.collect()
        assert 0 == eventually(lambda: server.open_connections, 0)


async def test_cancelling_hangs_up(server, make_chat, eventually_async):
    """A cancelled request closes its connection."""
    chat = make_chat(transport="aiohttp", model="fault:stall")
    task = asyncio.create_task(chat.async_request(QUESTION))
    while not server.requests:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 0 == await eventually_async(lambda: server.open_connections, 0)
