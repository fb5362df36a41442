"""A pool of keys against a real server: who is asked when, and what comes out when nobody can serve (R11, R12)."""

import asyncio
import contextlib
import time
from collections import Counter

import openai
import pytest

from skk.errors import AllKeysRateLimitedError, AllKeysRejectedError, RequestDeadlineError, StreamInterruptedError
from skk.openai import AKPool, Chat

DEAD, LIMITED, SPENT, HEALTHY = (f"sk-pool-{name}" for name in ("dead", "limited", "spent", "healthy"))
TROUBLES = {DEAD: 401, LIMITED: "429", SPENT: "insufficient_quota"}


def keys_asked(server):
    return [request.key for request in server.requests]


def assert_hardly_asked(asked, requests, probes):
    """Each bad key was tried out, and hardly more: the limited one again after ever longer pauses, the others once."""
    assert asked[HEALTHY] == requests
    assert (1, 1) == (asked[DEAD], asked[SPENT])
    assert 1 <= asked[LIMITED] <= probes


@pytest.fixture
def bad_pool(server):
    server.keys(TROUBLES)
    return AKPool([DEAD, LIMITED, SPENT, HEALTHY])


def test_a_thousand_requests_over_bad_keys(server, make_chat, bad_pool):
    """Three of four keys are bad: 1,000 requests succeed, and a key that never serves is hardly asked."""
    chat = make_chat(bad_pool, msg_max_count=2)
    for _ in range(1000):
        assert "51" == chat.request("自然数50的后面是几?")
    assert_hardly_asked(Counter(keys_asked(server)), 1000, probes=12)


async def test_streams_and_tasks_over_bad_keys(server, make_chat, bad_pool):
    """The same for 300 tasks at once, half of them streams: those in flight together may all meet a bad key first."""
    chat = make_chat(bad_pool, msg_max_count=2)

    async def work(i):
        if i % 2:
            return "".join([piece async for piece in chat.async_stream_request("自然数50的后面是几?")])
        return await chat.async_request("自然数50的后面是几?")

    await work(0), await work(0), await work(0), await work(0)  # each key is known now
    server.requests.clear()
    assert ["51"] * 300 == await asyncio.gather(*map(work, range(300)))
    asked = Counter(keys_asked(server))
    assert (300, 0, 0) == (asked[HEALTHY], asked[DEAD], asked[SPENT])


def test_strict_rotation(ask_both, server, make_chat):
    """While all is well keys serve in strict rotation, in list order."""
    chat = make_chat(AKPool(["sk-a-0001", "sk-b-0002", "sk-c-0003"]))
    for _ in range(7):
        ask_both(chat)
    assert ["sk-a-0001", "sk-b-0002", "sk-c-0003"] * 2 + ["sk-a-0001"] == keys_asked(server)


@pytest.fixture(params=["sync", "async"])
def ask_both(request):
    if request.param == "sync":
        yield lambda chat, **options: chat.request("自然数50的后面是几?", **options)
    else:
        with asyncio.Runner() as runner:
            yield lambda chat, **options: runner.run(chat.async_request("自然数50的后面是几?", **options))


async def test_rotation_counts_requests_in_flight(server, make_chat):
    """Requests under way at once are spread as well: twelve over three keys, four for each."""
    server.delay(0.005)
    chat = make_chat(AKPool(["sk-a-0001", "sk-b-0002", "sk-c-0003"]))

    async def read():
        return [piece async for piece in chat.async_stream_request("hello")]

    await asyncio.gather(*[read() for _ in range(12)])
    assert {"sk-a-0001": 4, "sk-b-0002": 4, "sk-c-0003": 4} == Counter(keys_asked(server))


@pytest.mark.parametrize("trouble", [401, 403, 429, 402, "insufficient_quota"])
def test_another_key_is_not_a_retry(ask_both, server, make_chat, trouble):
    """With max_retries=0 the next key is tried all the same."""
    server.keys({"sk-bad-0001": trouble})
    chat = make_chat(AKPool(["sk-bad-0001", "sk-good-0002"]), max_retries=0)
    assert "51" == ask_both(chat)
    assert ["sk-bad-0001", "sk-good-0002"] == keys_asked(server)


@pytest.mark.parametrize("kind", ["401", "429", "insufficient_quota"])
async def test_failover_of_a_stream(server, make_chat, kind):
    """A stream that is refused before its first text goes on with the next key, and nobody sees it."""
    server.fail(kind)
    chat = make_chat(AKPool(["sk-bad-0001", "sk-good-0002"]), max_retries=0)
    assert "51" == "".join([piece async for piece in chat.async_stream_request("自然数50的后面是几?")])
    assert ["sk-bad-0001", "sk-good-0002"] == keys_asked(server)


def test_no_failover_after_the_first_text(server, make_chat):
    """Once text was shown nobody asks again: the next key is not used."""
    server.fail("cut-stream")
    chat = make_chat(AKPool(["sk-a-0001", "sk-b-0002"]))
    with pytest.raises(StreamInterruptedError) as caught:
        list(chat.stream_request("世界上最大的海洋是哪个?"))
    assert ["sk-a-0001"] == keys_asked(server)
    assert caught.value.partial


@pytest.mark.parametrize("status", [401, 403])
def test_all_dead(ask_both, server, make_chat, status):
    """All keys refused: the error names each, is the SDK's class, and each key was asked once."""
    server.keys(dict.fromkeys(["sk-a-0001", "sk-b-0002", "sk-c-0003"], status))
    chat = make_chat(AKPool(["sk-a-0001", "sk-b-0002", "sk-c-0003"]))
    with pytest.raises(AllKeysRejectedError) as caught:
        ask_both(chat)
    assert isinstance(caught.value, openai.AuthenticationError)
    assert (3, 3) == (len(caught.value.errors), len(server.requests))
    with pytest.raises(AllKeysRejectedError):
        ask_both(chat)
    assert 3 == len(server.requests)
    assert [] == chat.fetch_messages()


def test_all_out_of_quota(ask_both, server, make_chat):
    """All keys spent: `.code` says so, as the SDK's users look for it."""
    server.keys(dict.fromkeys(["sk-a-0001", "sk-b-0002"], "insufficient_quota"))
    chat = make_chat(AKPool(["sk-a-0001", "sk-b-0002"]))
    with pytest.raises(openai.RateLimitError) as caught:
        ask_both(chat)
    assert ("insufficient_quota", AllKeysRateLimitedError) == (caught.value.code, type(caught.value))
    assert 2 == len(server.requests)


def test_all_limited_waits_for_the_earliest(ask_both, server, make_chat):
    """All keys limited: the request waits for the one that is ready first, and no longer."""
    server.limit("sk-a-0001", requests=1, per=30)
    server.limit("sk-b-0002", requests=1, per=0.6)
    chat = make_chat(AKPool(["sk-a-0001", "sk-b-0002"]), max_retries=0)
    assert ["51"] * 3 == [ask_both(chat) for _ in range(3)]
    assert "sk-b-0002" == keys_asked(server)[-1]


@pytest.mark.parametrize("limit", ["max_wait", "deadline"])
def test_no_useless_wait(ask_both, server, make_chat, limit):
    """If waiting cannot help, the error comes at once and says how long it would take."""
    server.limit(requests=1, per=30)
    patience = {"max_wait": 5} if limit == "max_wait" else {}
    chat = make_chat(AKPool(["sk-a-0001", "sk-b-0002"], **patience), deadline=5 if limit == "deadline" else None)
    ask_both(chat), ask_both(chat)
    with pytest.raises(AllKeysRateLimitedError) as caught:
        ask_both(chat)
    assert 5 < caught.value.retry_after <= 30
    began = time.monotonic()
    with pytest.raises(AllKeysRateLimitedError):
        ask_both(chat)
    assert 1 > time.monotonic() - began
    assert caught.value.key_fingerprint is None or len(caught.value.key_fingerprint) == 8


@pytest.mark.parametrize("kind", ["503", "close", "reset"])
@pytest.mark.parametrize("retries", [0, 2])
def test_trouble_of_the_service_is_retried(ask_both, server, make_chat, kind, retries):
    """5xx and network trouble are no key's fault: as many retries as `max_retries` says, over all keys together."""
    server.fail(kind, times=None)
    chat = make_chat(AKPool(["sk-a-0001", "sk-b-0002", "sk-c-0003"]), max_retries=retries)
    with pytest.raises(openai.APIError) as caught:
        ask_both(chat)
    assert (retries + 1, retries + 1) == (len(server.requests), caught.value.attempts)
    assert retries + 1 == len(set(keys_asked(server)))
    server.clear()
    assert "51" == ask_both(chat)


def test_a_limit_that_asks_for_no_rest_does_not_spin(ask_both, server, make_chat):
    """429 with a retry-after of 0, again and again, is not asked without end."""
    server.fail("429", times=None, argument=0)
    chat = make_chat(AKPool(["sk-a-0001", "sk-b-0002"], max_wait=0.5), max_retries=0)
    with pytest.raises(openai.RateLimitError):
        ask_both(chat)
    assert len(server.requests) <= 20


@pytest.mark.parametrize("colour", ["request", "async_request"])
async def test_a_caller_s_own_deadline_says_nothing_of_the_key(simulator, colour):
    """Who has no time raises; the key serves on as before."""
    pool = AKPool(["sk-a-0123456789", "sk-b-0123456789"])
    Chat(pool, base_url=simulator.base_url).request("50")
    simulator.fail("stall", times=None, key="sk-a-0123456789")
    hasty = Chat(pool, base_url=simulator.base_url, deadline=0.1, max_retries=0)
    for _ in range(10):
        with contextlib.suppress(RequestDeadlineError):
            if colour == "request":
                hasty.request("50")
            else:
                await hasty.async_request("50")
    assert ["ready", "ready"] == [known["state"] for known in pool.stats()]


def test_a_key_whose_places_are_taken_is_busy(simulator):
    """Nobody knows when it is free: only an answer will tell."""
    pool = AKPool(["sk-a-0123456789"], max_concurrency=1)
    with Chat(pool, base_url=simulator.base_url).stream_request("50") as stream:
        next(stream)
        (known,) = pool.stats()
    assert ("busy", None) == (known["state"], known["next_free"])
