"""The pool under load: many threads at once, keys that are no good, and no key at all (R9, R11, R12)."""

import asyncio
import sys
import threading
import time
from collections import Counter
from itertools import chain
from statistics import median

import openai
import pytest

from skk.errors import AllKeysRateLimitedError, AllKeysRejectedError, EmptyPoolError
from skk.keys import Lease
from skk.openai import AKPool, Chat
from skk.simulator import Simulator

QUESTION = "自然数50的后面是几?"
KEYS = ["sk-load-first-01", "sk-load-second-02", "sk-load-third-03"]
DEAD, LIMITED, SPENT, HEALTHY = (f"sk-load-{name}-01" for name in ("dead", "limited", "spent", "healthy"))
prove = pytest.mark.prove


@pytest.fixture
def server():
    with Simulator() as running:
        yield running


@pytest.fixture
def make(server):
    """Make a chat with this test's server."""
    return lambda pool, **options: Chat(
        pool, **{"base_url": server.base_url, "model": "m", "msg_max_count": 0, **options}
    )


@pytest.fixture
def frequent_switches():
    """Let threads take turns every microsecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def asked(server):
    return Counter(request.key for request in server.requests)


# ---------------------------------------------------------------------- R9
@pytest.mark.parametrize("fetches", [50, pytest.param(2000, marks=prove)])
def test_64_threads_fetch_evenly(frequent_switches, fetches):
    """64 threads fetch from one pool: no error, and no key is given more often than another."""
    pool, found, errors = AKPool(KEYS), [], []

    def fetch():
        try:
            found.append(Counter(pool.fetch_key() for _ in range(fetches)))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = sum(found, Counter())
    assert ([], 64 * fetches) == (errors, counts.total())
    assert max(counts.values()) - min(counts[key] for key in KEYS) <= 1


# ---------------------------------------------------------------------- R11
@pytest.mark.parametrize(("retry_after", "probes"), [(300, 1), (None, 10)])
@pytest.mark.parametrize("requests", [200, pytest.param(1000, marks=prove)])
async def test_bad_keys_cost_next_to_nothing(server, make, requests, retry_after, probes):
    """One key of four is good: every request succeeds, twenty at a time, and each bad one is tried once.

    One that names no time and says that plenty is left is tried again, less and less often.
    """
    server.keys({DEAD: 401, SPENT: "insufficient_quota"})
    server.fail("429", times=None, key=LIMITED, argument=retry_after)
    pool = AKPool([DEAD, LIMITED, SPENT, HEALTHY])
    chats = [make(pool) for _ in range(20)]
    assert "51" == await chats[0].async_request(QUESTION)  # each key is known now

    async def work(chat):
        return [await chat.async_request(QUESTION) for _ in range(requests // len(chats))]

    answers = await asyncio.gather(*map(work, chats))
    assert ["51"] * requests == list(chain(*answers))
    counts = asked(server)
    assert 1 <= counts.pop(LIMITED) <= probes
    assert {DEAD: 1, SPENT: 1, HEALTHY: requests + 1} == counts


@pytest.mark.parametrize("requests", [200, pytest.param(1000, marks=prove)])
async def test_a_service_in_trouble_is_not_asked_more(server, make, requests):
    """Where every attempt fails there is one for each request and hardly more: retries are paid for by successes."""
    server.fail("500", times=None)
    pool = AKPool(KEYS)
    chats = [make(pool) for _ in range(20)]

    async def work(chat):
        return [type(await failure(chat.async_request(QUESTION))) for _ in range(requests // len(chats))]

    found = list(chain(*await asyncio.gather(*map(work, chats))))
    assert (requests, {True}) == (len(found), {issubclass(kind, openai.InternalServerError) for kind in found})
    assert requests <= len(server.requests) <= 1.1 * requests


async def failure(awaitable):
    try:
        return await awaitable
    except openai.OpenAIError as error:
        return error


# ---------------------------------------------------------------------- R12
@pytest.mark.parametrize("keys", [[], (), iter([])])
def test_no_pool_without_a_key(keys):
    """An empty pool is refused where it is made."""
    with pytest.raises(EmptyPoolError):
        AKPool(keys)


def dead(server, pool):
    server.keys(dict.fromkeys(KEYS, 401))
    return AllKeysRejectedError


def spent(server, pool):
    server.keys(dict.fromkeys(KEYS, "insufficient_quota"))
    return AllKeysRateLimitedError


def emptied(server, pool):
    for key in KEYS:
        pool.remove(key)
    return AllKeysRejectedError


@pytest.mark.parametrize("trouble", [dead, spent, emptied])
@pytest.mark.parametrize("times", [1, pytest.param(20, marks=prove)])
def test_where_no_key_can_serve_the_error_comes_at_once(server, make, trouble, times):
    """A typed error, with each key asked once at most; all three of them within a tenth of a second."""
    took, found = [], set()
    expected = None
    for _ in range(times):
        server.clear()
        pool = AKPool(KEYS)
        expected = trouble(server, pool)
        chat = make(pool)
        began = time.monotonic()
        with pytest.raises(expected):
            chat.request(QUESTION)
        took.append(time.monotonic() - began)
        found |= set(asked(server).values())
    assert found <= {1}
    if times > 1:  # one alone may be the one that loads the SDK, or that others hold up
        assert median(took) <= 0.1


def test_a_key_that_is_removed_while_it_serves_ends_in_peace():
    """Its answer is taken, it is in no books afterwards, and who waits is told at once that no key is left."""
    pool = AKPool(KEYS[:1], max_concurrency=1)
    lease = pool.enter("m", "first").look()
    waiting = pool.enter("m", "second")
    assert isinstance(lease, Lease)
    assert isinstance(waiting.look(), float)
    pool.remove(KEYS[0])
    with pytest.raises(AllKeysRejectedError):
        waiting.look()
    lease.served(None)
    assert [] == pool.stats()
