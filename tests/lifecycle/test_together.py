"""Threads, tasks, chats and pools at once: nothing is lost, nothing is mixed (P2, R10)."""

import asyncio
import sys
import threading
from collections import Counter

import pytest

from skk.openai import AKPool


@pytest.fixture
def eager_switches():
    """Let threads take turns every few microseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def run_threads(count, work):
    failures = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failures


def pairs(chat):
    """Give each question with the answer that stands after it, as numbers."""
    said = [message["content"] for message in chat.fetch_messages()]
    return [(int("".join(filter(str.isdigit, q))), int(a)) for q, a in zip(said[::2], said[1::2], strict=True)]


@pytest.mark.parametrize("each", [3, pytest.param(20, marks=pytest.mark.prove)])
def test_threads_on_one_chat(chat, eager_switches, each):
    """64 threads ask one chat: every turn is there, and every answer stands behind its question."""

    def work(i):
        for j in range(each):
            number = i * 100 + j
            if j % 2:
                list(chat.stream_request(f"自然数{number}的后面是几?"))
            else:
                chat.request(f"自然数{number}的后面是几?")

    run_threads(64, work)
    wanted = sorted((i * 100 + j, i * 100 + j + 1) for i in range(64) for j in range(each))
    assert wanted == sorted(pairs(chat))


async def test_tasks_on_one_chat(chat):
    """200 tasks ask one chat: every turn is there, and every answer stands behind its question."""

    async def work(i):
        if i % 2:
            return "".join([piece async for piece in chat.async_stream_request(f"自然数{i}的后面是几?")])
        return await chat.async_request(f"自然数{i}的后面是几?")

    answers = await asyncio.gather(*map(work, range(200)))
    assert [str(i + 1) for i in range(200)] == answers
    assert [(i, i + 1) for i in range(200)] == sorted(pairs(chat))


def test_one_pool_for_many_chats_threads_and_loops(server, make_chat, eager_switches):
    """Chats in threads and in loops share a pool: all are served, and each key serves as often as the next."""
    pool = AKPool([f"sk-shared-key-{i}" for i in range(4)])
    for _ in range(40):  # each key has made its slow start
        make_chat(pool).request("hi")
    server.requests.clear()
    chats = [make_chat(pool) for _ in range(8)]

    def work(i):
        if i % 2:
            for _ in range(5):
                chats[i].request("自然数50的后面是几?")
        else:
            asyncio.run(in_a_loop(i))

    async def in_a_loop(i):
        await asyncio.gather(*[chats[i].async_request("自然数50的后面是几?") for _ in range(5)])

    run_threads(8, work)
    assert [10] * 8 == [len(chat.fetch_messages()) for chat in chats]
    assert dict.fromkeys((f"sk-shared-key-{i}" for i in range(4)), 10) == Counter(r.key for r in server.requests)


def test_changes_by_hand_while_others_ask(chat, eager_switches):
    """Adding and asking at once: messages added together stay together, and so does each turn."""

    def work(i):
        for j in range(3):
            if i % 2:
                chat.request(f"自然数{i * 100 + j}的后面是几?")
            else:
                question = {"role": "user", "content": f"自然数{i * 100 + j}的后面是几?"}
                chat.add_dialogs(question, {"role": "assistant", "content": str(i * 100 + j + 1)})

    run_threads(16, work)
    assert [(i * 100 + j, i * 100 + j + 1) for i in range(16) for j in range(3)] == sorted(pairs(chat))
