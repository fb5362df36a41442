"""Waiting for a key, in threads and event loops at a real server: first come, first served, and no ghosts.

Each test holds the one key that there is, lets callers queue, and gives the key back.
"""

import asyncio
import gc
import math
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import skk
from skk.errors import AllKeysRateLimitedError, AllKeysRejectedError, RequestDeadlineError
from skk.keys import Lease
from skk.openai import AKPool, Chat

QUESTION = "自然数{}的后面是几?"
LATE = 2.0  # seconds that a busy machine may add; what is wrong takes the pool's patience: a minute


@pytest.fixture
def server():
    from skk.simulator import Simulator

    with Simulator() as running:
        yield running


@pytest.fixture
def make(server):
    """Make a chat with this test's server."""
    return lambda pool, **options: Chat(pool, **{"base_url": server.base_url, "model": "m", **options})


@pytest.fixture
def pool():
    """One key that serves one request at a time."""
    return AKPool(["sk-waiting-key-1"], max_concurrency=1)


@pytest.fixture
def held(pool):
    """Hold the key until `held.served(None)`."""
    lease = pool.enter("m", "the one who holds the key").look()
    assert isinstance(lease, Lease)
    return lease


def books(pool):
    """Give how many are in flight and how many wait."""
    return sum(known["in_flight"] for known in pool.stats()), pool._scheduler.waiting


def until(look, seconds=10.0):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not look() and time.monotonic() < end:
        time.sleep(0.002)
    assert look()


async def until_async(look, seconds=10.0):
    end = time.monotonic() + seconds
    while not look() and time.monotonic() < end:
        await asyncio.sleep(0.002)
    assert look()


def numbers(server):
    """Give the numbers that were asked for, in the order in which the questions came."""
    asked = [request.json["messages"][-1]["content"] for request in server.requests]
    return [int("".join(filter(str.isdigit, text))) for text in asked]


class Loop:
    """An event loop that runs in a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def start(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def close(self):
        if self.thread.is_alive():
            self.start(self._cancel()).result(10)
            self.stop()
        if not self.loop.is_closed():
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    @staticmethod
    async def _cancel():
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def loops():
    """Two event loops in threads of their own."""
    made = [Loop(), Loop()]
    yield made
    for loop in made:
        loop.close()


class Thread(threading.Thread):
    """A thread that keeps what came of its work."""

    def __init__(self, work, *given, **options):
        super().__init__(daemon=True)
        self.work, self.given, self.options = work, given, options
        self.found = None
        self.start()

    def run(self):
        try:
            self.found = self.work(*self.given, **self.options)
        except BaseException as error:
            self.found = error

    def result(self, seconds=20.0):
        self.join(seconds)
        assert not self.is_alive()
        return self.found


# ---------------------------------------------------------------------- the order
def test_threads_are_served_in_the_order_in_which_they_came(server, make, pool, held):
    """First come, first served."""
    threads = []
    for number in range(10):
        threads.append(Thread(make(pool).request, QUESTION.format(number)))
        until(lambda: pool._scheduler.waiting == len(threads))
    held.served(None)
    assert [str(number + 1) for number in range(10)] == [thread.result() for thread in threads]
    assert (list(range(10)), (0, 0)) == (numbers(server), books(pool))


async def test_tasks_are_served_in_the_order_in_which_they_came(server, make, pool, held):
    """First come, first served, whole answers and streams alike."""
    tasks = []

    async def read(number):
        return "".join([piece async for piece in make(pool).async_stream_request(QUESTION.format(number))])

    for number in range(10):
        ask = read(number) if number % 2 else make(pool).async_request(QUESTION.format(number))
        tasks.append(asyncio.create_task(ask))
        await until_async(lambda: pool._scheduler.waiting == len(tasks))
    held.served(None)
    assert [str(number + 1) for number in range(10)] == await asyncio.gather(*tasks)
    assert (list(range(10)), (0, 0)) == (numbers(server), books(pool))


def test_threads_and_loops_stand_in_one_queue(server, make, pool, held, loops):
    """Threads and two event loops: whoever came first is served first, whatever he is."""
    waiting = []
    for number in range(12):
        question = QUESTION.format(number)
        if number % 3:
            waiting.append(loops[number % 3 - 1].start(make(pool).async_request(question)))
        else:
            waiting.append(Thread(make(pool).request, question))
        until(lambda: pool._scheduler.waiting == len(waiting))
    held.served(None)
    assert [str(number + 1) for number in range(12)] == [one.result(20) for one in waiting]
    assert (list(range(12)), (0, 0)) == (numbers(server), books(pool))


def test_a_chat_with_many_requests_does_not_hold_up_a_chat_with_one(server, make, pool, held, loops):
    """Chats take turns: who comes after fifty of another is the second to be served."""
    greedy, modest = make(pool), make(pool)
    many = [loops[0].start(greedy.async_request(QUESTION.format(number))) for number in range(50)]
    until(lambda: pool._scheduler.waiting == 50)
    one = Thread(modest.request, QUESTION.format(999))
    until(lambda: pool._scheduler.waiting == 51)
    held.served(None)
    assert "1000" == one.result()
    assert numbers(server).index(999) <= 1
    assert 50 == len([ask.result(30) for ask in many])


@pytest.mark.parametrize("limit", ["places", "rate"])
def test_nobody_starves(server, make, loops, limit):
    """Threads and loops that ask again and again, at keys that are never enough: nobody has less than half a share.

    How even the shares are where nobody is slow to ask again is shown in virtual time (test_scenarios.py).
    """
    if limit == "rate":
        server.limit(requests=6, per=0.2)
        pool = AKPool(["sk-few-1", "sk-few-2"])
    else:
        pool = AKPool(["sk-few-1", "sk-few-2"], max_concurrency=1)
    done = dict.fromkeys(range(12), 0)
    over = threading.Event()

    def work(i):
        chat = make(pool, msg_max_count=0)
        while not over.is_set():
            chat.request("hi")
            done[i] += 1

    async def work_async(i):
        chat = make(pool, msg_max_count=0)
        while not over.is_set():
            await chat.async_request("hi")
            done[i] += 1

    working = [Thread(work, i) if i % 3 == 0 else loops[i % 3 - 1].start(work_async(i)) for i in done]
    until(lambda: sum(done.values()) >= 96, 30)
    over.set()
    assert [None] * 12 == [one.result(20) for one in working]
    assert (True, (0, 0)) == (min(done.values()) >= sum(done.values()) / 24, books(pool)), done


# ---------------------------------------------------------------------- giving up
@pytest.mark.parametrize("how", ["cancel", "timeout"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_task_that_gives_up_leaves_the_queue(server, make, pool, held, how, streamed):
    """Cancelled or out of time: no ghost waits, and the next is served."""

    async def ask(number):
        if streamed:
            return "".join([piece async for piece in make(pool).async_stream_request(QUESTION.format(number))])
        return await make(pool).async_request(QUESTION.format(number))

    async def impatient():
        async with asyncio.timeout(0.1 if how == "timeout" else None):
            return await ask(1)

    first = asyncio.create_task(impatient())
    await until_async(lambda: pool._scheduler.waiting == 1)
    second = asyncio.create_task(ask(2))
    await until_async(lambda: pool._scheduler.waiting == 2)
    if how == "cancel":
        first.cancel()
    with pytest.raises(asyncio.CancelledError if how == "cancel" else TimeoutError):
        await first
    assert (1, 1) == books(pool)
    held.served(None)
    assert ("3", [2], (0, 0)) == (await second, numbers(server), books(pool))


async def test_a_task_that_is_cancelled_when_it_is_served_gives_the_key_on(server, make, pool, held):
    """The key and the cancellation come at once: the next in the queue has the key."""
    tasks = [asyncio.create_task(make(pool).async_request(QUESTION.format(number))) for number in range(2)]
    await until_async(lambda: pool._scheduler.waiting == 2)
    held.served(None)
    tasks[0].cancel()
    assert "2" == await tasks[1]
    assert ([1], (0, 0)) == (numbers(server), books(pool))


async def test_many_tasks_that_give_up_at_any_moment_leave_nothing(server, make):
    """Sixty tasks, each cancelled somewhere between its first step and its last: the books are empty afterwards."""
    pool = AKPool(["sk-few-1", "sk-few-2"], max_concurrency=2)
    server.delay(0.001)

    async def read(chat):
        return [piece async for piece in chat.async_stream_request("世界上最大的海洋是哪个?")]

    tasks = [asyncio.create_task(read(make(pool))) for _ in range(60)]
    for i, task in enumerate(tasks):
        await asyncio.sleep(0.0007 * (i % 5))
        if i % 4:
            task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert 15 <= sum(isinstance(one, list) for one in found)
    assert (0, 0) == books(pool)
    assert "51" == await make(pool).async_request(QUESTION.format(50))


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signal to a thread")
def test_ctrl_c_while_waiting_leaves_the_queue(make, pool, held):
    """A blocking caller who is interrupted is out of the queue, and the key is free for the next."""

    def interrupt():
        until(lambda: pool._scheduler.waiting == 1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    helper = Thread(interrupt)
    with pytest.raises(KeyboardInterrupt):
        make(pool).request("hi")
    assert (None, (1, 0)) == (helper.result(), books(pool))
    held.served(None)
    assert ("51", (0, 0)) == (make(pool).request(QUESTION.format(50)), books(pool))


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signal to a thread")
@pytest.mark.parametrize("streamed", [False, True])
def test_ctrl_c_in_the_middle_of_an_answer_gives_the_key_back(server, make, pool, streamed):
    """A blocking caller who is interrupted while the answer comes holds nothing."""
    server.fail("stall-stream" if streamed else "stall")
    chat = make(pool)

    def interrupt():
        until(lambda: len(server.requests) == 1 and books(pool) == (1, 0))
        time.sleep(0.1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    helper = Thread(interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(chat.stream_request("hi")) if streamed else chat.request("hi")
    assert (None, (0, 0)) == (helper.result(), books(pool))
    assert "51" == make(pool).request(QUESTION.format(50))


def program(source, *arguments):
    """Run a program in a process of its own and give what it printed."""
    sources = os.path.dirname(os.path.dirname(skk.__file__))
    environment = {**os.environ, "PYTHONPATH": sources, "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", source, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


def test_the_next_watches_the_clock_when_the_first_gives_up(server, make, loops):
    """The first in the queue looks when a key has cooled; if he leaves, the second does."""
    pool = AKPool(["sk-waiting-key-1"])
    server.fail("429", argument=0.5)
    first = loops[0].start(make(pool).async_request(QUESTION.format(1)))
    until(lambda: server.requests and pool._scheduler.waiting == 1)
    second = Thread(make(pool).request, QUESTION.format(2))
    until(lambda: pool._scheduler.waiting == 2)
    began = time.monotonic()
    first.cancel()
    assert "3" == second.result()
    assert time.monotonic() - began < 0.5 + LATE
    assert (0, 0) == books(pool)


@pytest.mark.parametrize("how", ["closed", "stopped"])
def test_a_loop_that_ends_with_waiters_blocks_nobody(make, held, pool, loops, how):
    """A loop that is closed with tasks that wait: they are passed over. One that only stopped still has its turn."""
    gone = loops[0]
    for number in range(3):
        gone.start(make(pool, msg_max_count=0).async_request(QUESTION.format(number)))
    until(lambda: pool._scheduler.waiting == 3)
    thread = Thread(make(pool).request, QUESTION.format(50))
    until(lambda: pool._scheduler.waiting == 4)
    gone.stop()
    if how == "closed":
        tasks = asyncio.all_tasks(gone.loop)
        gone.loop.close()
        for task in tasks:  # it would be told that they are pending
            task._log_destroy_pending = False
        del tasks, task
    held.served(None)
    if how == "stopped":
        time.sleep(0.05)
        gone.thread = threading.Thread(target=gone.loop.run_forever, daemon=True)
        gone.thread.start()
    assert "51" == thread.result()
    until(lambda: books(pool) == (0, 0))


def test_a_loop_that_is_busy_keeps_nobody_from_looking(server, make, loops):
    """The first in the queue watches the clock for all. If his loop does something else for long, others look."""
    pool = AKPool(["sk-waiting-key-1"])
    server.fail("429", argument=0.3)
    first = loops[0].start(make(pool).async_request(QUESTION.format(1)))
    until(lambda: server.requests and pool._scheduler.waiting == 1)
    second = Thread(make(pool).request, QUESTION.format(2))
    until(lambda: pool._scheduler.waiting == 2)
    busy = threading.Event()
    loops[0].loop.call_soon_threadsafe(busy.wait, 15.0)
    try:
        assert "3" == second.result(10.0)
        assert not first.done()
    finally:
        busy.set()
    assert ("2", (0, 0)) == (first.result(10), books(pool))


# ---------------------------------------------------------------------- streams
@pytest.mark.parametrize("how", ["close", "with", "drop", "break"])
def test_a_stream_that_is_left_gives_its_place_back(server, make, pool, how):
    """Closed, dropped, or left by a break: the next is served."""
    server.delay(0.005)
    stream = make(pool).stream_request("世界上最大的海洋是哪个?")
    if how == "with":
        with stream:
            next(stream)
    else:
        for _ in stream:
            assert (1, 0) == books(pool)
            break
    if how == "close":
        stream.close()
    del stream
    gc.collect()
    assert (0, 0) == books(pool)
    assert "51" == make(pool).request(QUESTION.format(50))


@pytest.mark.parametrize("how", ["aclose", "with", "drop", "cancel"])
async def test_an_asynchronous_stream_that_is_left_gives_its_place_back(server, make, pool, how):
    """Closed, dropped or cancelled in the middle: the next is served."""
    server.delay(0.2)
    stream = make(pool).async_stream_request("世界上最大的海洋是哪个?")
    if how == "with":
        async with stream:
            await anext(stream)
    elif how == "cancel":
        await anext(stream)
        task = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        await anext(stream)
        assert (1, 0) == books(pool)
    if how == "aclose":
        await stream.aclose()
    del stream
    gc.collect()
    await until_async(lambda: books(pool) == (0, 0))
    server.delay(0)
    assert "51" == await make(pool).async_request(QUESTION.format(50))


@pytest.mark.parametrize("how", ["close", "drop"])
def test_who_waits_for_a_stream_is_served_when_it_is_left(server, make, pool, loops, how):
    """The key goes on to the next in the queue, and to the one after."""
    server.delay(0.005)
    stream = make(pool).stream_request("世界上最大的海洋是哪个?")
    next(stream)
    waiting = [Thread(make(pool).request, QUESTION.format(50))]
    until(lambda: pool._scheduler.waiting == 1)
    waiting.append(loops[0].start(make(pool).async_request(QUESTION.format(51))))
    until(lambda: pool._scheduler.waiting == 2)
    if how == "close":
        stream.close()
    del stream
    gc.collect()
    assert ["51", "52"] == [one.result(10) for one in waiting]
    assert (0, 0) == books(pool)


def test_a_stream_that_is_not_begun_holds_nothing(make, pool):
    """Only the first `next` asks."""
    stream = make(pool).stream_request("hi")
    assert (0, 0) == books(pool)
    assert "51" == make(pool).request(QUESTION.format(50))
    stream.close()


# ---------------------------------------------------------------------- no key in time
FORMS = ["whole", "streamed", "async", "async streamed"]


@pytest.fixture(params=FORMS)
def ask(request):
    """Ask in one of four forms; gives the answer or the error, and the seconds that it took."""

    async def read(stream):
        return "".join([piece async for piece in stream])

    def asked(chat, **options):
        question = QUESTION.format(50)
        began = time.monotonic()
        try:
            if request.param == "whole":
                found = chat.request(question, **options)
            elif request.param == "streamed":
                found = "".join(chat.stream_request(question, **options))
            elif request.param == "async":
                found = asyncio.run(chat.async_request(question, **options))
            else:
                found = asyncio.run(read(chat.async_stream_request(question, **options)))
        except Exception as error:
            found = error
        return found, time.monotonic() - began

    return asked


def test_a_deadline_ends_the_waiting(ask, make, pool, held, server):
    """Nobody gives the key back: the deadline is told, and nothing was asked."""
    error, took = ask(make(pool), deadline=0.3)
    assert (RequestDeadlineError, [], (1, 0)) == (type(error), server.requests, books(pool))
    assert 0.3 <= took < 0.3 + LATE
    assert held.secret.fingerprint in repr(pool)


def test_max_wait_ends_the_waiting(ask, make, server):
    """The pool's own patience, where no deadline is set."""
    pool = AKPool(["sk-waiting-key-1"], max_concurrency=1, max_wait=0.3)
    held = pool.enter("m", "the one who holds the key").look()
    error, took = ask(make(pool))
    assert (AllKeysRateLimitedError, [], (1, 0)) == (type(error), server.requests, books(pool))
    assert 0.3 <= took < 0.3 + LATE
    assert isinstance(held, Lease)


@pytest.mark.parametrize("patience", ["deadline", "max_wait"])
def test_who_cannot_be_served_in_time_is_told_when_that_is_known(ask, make, server, patience):
    """The only key must rest for longer than anybody waits: the refusal ends the request, and those after it."""
    server.fail("429", times=None, argument=30)
    options = {"deadline": 10.0} if patience == "deadline" else {}
    pool = AKPool(["sk-waiting-key-1"], max_wait=60.0 if options else 10.0)
    for _ in range(2):
        error, took = ask(make(pool), **options)
        assert isinstance(error, AllKeysRateLimitedError), error
        assert 25 < error.retry_after <= 31
        assert took < LATE
    assert (1, (0, 0)) == (len(server.requests), books(pool))


def test_waiters_are_told_when_they_wait_in_vain(server, make, pool, held, loops):
    """A refusal that all must rest for long reaches those who wait already, in threads and in loops."""
    thread = Thread(make(pool).request, "hi", deadline=20)
    task = loops[0].start(make(pool).async_request("hi", deadline=20))
    until(lambda: pool._scheduler.waiting == 2)
    server.fail("429", times=None, argument=100)
    began = time.monotonic()
    held.served(None)
    assert isinstance(thread.result(), AllKeysRateLimitedError)
    assert isinstance(task.exception(10), AllKeysRateLimitedError)
    assert time.monotonic() - began < LATE
    assert (1, (0, 0)) == (len(server.requests), books(pool))


def test_whoever_waits_without_end_is_served(server, make, loops):
    """`max_wait` may be infinite: no timer is asked for so much."""
    pool = AKPool(["sk-waiting-key-1"], max_concurrency=1, max_wait=math.inf)
    held = pool.enter("m", "the one who holds the key").look()
    thread = Thread(make(pool).request, QUESTION.format(1))
    task = loops[0].start(make(pool).async_request(QUESTION.format(2)))
    until(lambda: pool._scheduler.waiting == 2)
    time.sleep(0.05)
    held.served(None)
    assert ("2", "3") == (thread.result(), task.result(10))


def test_a_short_rest_is_waited_for(ask, make, server):
    """Within patience a limit is no failure, and the key is asked twice in all."""
    server.fail("429", argument=0.2)
    pool = AKPool(["sk-waiting-key-1"])
    assert "51" == ask(make(pool, max_retries=0))[0]
    assert (2, (0, 0)) == (len(server.requests), books(pool))


# ---------------------------------------------------------------------- the keys change
def test_waiters_of_a_pool_that_is_emptied_are_told_at_once(make, pool, held, loops):
    """The last key is removed: nobody can serve them any more."""
    thread = Thread(make(pool).request, "hi")
    task = loops[0].start(make(pool).async_request("hi"))
    until(lambda: pool._scheduler.waiting == 2)
    began = time.monotonic()
    pool.remove("sk-waiting-key-1")
    assert isinstance(thread.result(), AllKeysRejectedError)
    assert isinstance(task.exception(10), AllKeysRejectedError)
    assert time.monotonic() - began < LATE
    assert (0, 0) == books(pool)
    held.served(None)


def test_waiters_are_served_by_a_key_that_is_added(server, make, pool, held, loops):
    """It is looked at when it is there, not when somebody else is done."""
    thread = Thread(make(pool).request, QUESTION.format(1))
    task = loops[0].start(make(pool).async_request(QUESTION.format(2)))
    until(lambda: pool._scheduler.waiting == 2)
    pool.add("sk-waiting-key-2")
    assert ("2", "3") == (thread.result(), task.result(10))
    assert ({"sk-waiting-key-2"}, (1, 0)) == ({request.key for request in server.requests}, books(pool))
    held.served(None)


def test_keys_come_and_go_while_requests_are_on_their_way(server, make, loops):
    """Removing and adding in the middle of a load loses no request and leaves nothing behind."""
    keys = [f"sk-changing-{number}" for number in range(4)]
    pool = AKPool(keys, max_concurrency=2)

    def work():
        return [make(pool, msg_max_count=0).request("hi") for _ in range(12)]

    async def work_async():
        return [await make(pool, msg_max_count=0).async_request("hi") for _ in range(12)]

    working = [Thread(work) for _ in range(4)] + [loops[i % 2].start(work_async()) for i in range(4)]
    for turn in range(40):
        pool.remove(keys[turn % 3])
        time.sleep(0.005)
        pool.add(keys[turn % 3])
    assert [12] * 8 == [len(one.result(30)) for one in working]
    assert (96, (0, 0)) == (len(server.requests), books(pool))


# ---------------------------------------------------------------------- many pools, many processes
def test_one_key_in_two_pools(make, server, pool, held):
    """Pools know nothing of each other: one waits for the key that the other uses."""
    other = AKPool(["sk-waiting-key-1"], max_concurrency=1)
    assert "51" == make(other).request(QUESTION.format(50))
    assert ((1, 0), (0, 0)) == (books(pool), books(other))
    held.served(None)


FORKED = """
import gc, os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from skk.openai import AKPool, Chat
pool = AKPool(["sk-fork-1", "sk-fork-2"], max_concurrency=1)
make = lambda: Chat(pool, base_url=sys.argv[1], model="m")
books = lambda: (sum(known["in_flight"] for known in pool.stats()), pool._scheduler.waiting)

def until(wanted):
    ends_at = time.monotonic() + 10
    while books() != wanted and time.monotonic() < ends_at:
        time.sleep(0.002)
    assert wanted == books(), books()

def read():
    for _ in make().stream_request("世界上最大的海洋是哪个?"):
        forked.wait(20)

forked = threading.Event()
stream = make().stream_request("世界上最大的海洋是哪个?")
next(stream)
threads = [threading.Thread(target=read)]
threads[0].start()
until((2, 0))
for number in range(3):
    threads.append(threading.Thread(target=make().request, args=("hi",)))
    threads[-1].start()
    until((2, number + 1))
if not (pid := os.fork()):
    try:
        assert (0, 0) == books(), books()
        began = time.monotonic()
        assert "51" == make().request("自然数50的后面是几?")
        assert time.monotonic() - began < 5
        stream.close()
        del stream
        gc.collect()
        assert (0, 0) == books(), books()
        assert ["51", "51"] == [make().request("自然数50的后面是几?") for _ in range(2)]
        os._exit(0)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(1)
assert 0 == os.waitpid(pid, 0)[1]
assert (2, 3) == books(), books()
forked.set()
assert "海洋" in "".join(stream)
for thread in threads:
    thread.join()
assert (0, 0) == books(), books()
print([known["served"] for known in pool.stats()])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_in_the_middle_of_waiting(server):
    """A child serves at once: who waits and what is in flight is the parent's, whose books the child leaves alone."""
    assert 5 == sum(eval(program(FORKED, server.base_url)))
