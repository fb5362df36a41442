"""`deadline=` bounds everything: silence, drips, retries, waiting for keys (R13)."""

import asyncio
import time

import openai
import pytest

from skk.errors import AllKeysRateLimitedError, ChatRequestError, RequestDeadlineError
from skk.openai import AKPool

LATE = 2.0  # seconds that a busy machine may add; what is wrong takes longer: minutes, or for ever

FORMS = ["whole-sync", "stream-sync", "whole-async", "stream-async"]


@pytest.fixture(params=FORMS)
def ask_in_time(request):
    """Ask in one of four forms, and give what came out and after how many seconds."""
    form = request.param
    runner = asyncio.Runner()

    async def read(chat, options):
        return "".join([piece async for piece in chat.async_stream_request("世界上最大的海洋是哪个?", **options)])

    def ask(chat, **options):
        began = time.monotonic()
        try:
            if form == "whole-sync":
                found = chat.request("世界上最大的海洋是哪个?", **options)
            elif form == "stream-sync":
                found = "".join(chat.stream_request("世界上最大的海洋是哪个?", **options))
            elif form == "whole-async":
                found = runner.run(chat.async_request("世界上最大的海洋是哪个?", **options))
            else:
                found = runner.run(read(chat, options))
        except ChatRequestError as error:
            found = error
        return found, time.monotonic() - began

    ask.form = form
    with runner:
        yield ask


@pytest.mark.parametrize(
    ("kind", "argument"), [("stall", None), ("slow", 0.05), ("stall-stream", 3), ("503", 1.5), ("503", None)]
)
@pytest.mark.parametrize("where", ["chat", "request"])
def test_deadline(ask_in_time, server, make_chat, kind, argument, where):
    """Whatever keeps a request, it ends with the deadline, and the history is as it was."""
    if kind == "stall-stream" and ask_in_time.form.startswith("whole"):
        pytest.skip("a fault of streams")
    server.fail(kind, times=None, argument=argument)
    chat = make_chat(**({"deadline": 0.3} if where == "chat" else {}))
    error, took = ask_in_time(chat, **({"deadline": 0.3} if where == "request" else {}))
    if kind == "503":  # a retry that would come too late is not waited for: the service's word is worth more
        assert isinstance(error, openai.InternalServerError), repr(error)
        assert took < 0.3 + LATE
    else:
        assert [True] * 3 == [
            isinstance(error, cls) for cls in (RequestDeadlineError, openai.APITimeoutError, TimeoutError)
        ]
        assert 0.29 <= took < 0.3 + LATE
    assert ("世界上最大的" if kind == "stall-stream" else "").startswith(error.partial)
    assert bool(error.partial) == (kind == "stall-stream")
    assert [] == chat.fetch_messages()


def test_a_deadline_ends_retries(ask_in_time, server, make_chat):
    """Tries count together: many short timeouts do not last longer than the deadline."""
    server.fail("stall", times=None)
    error, took = ask_in_time(make_chat(deadline=0.6, timeout=0.1, max_retries=100))
    assert isinstance(error, (RequestDeadlineError, openai.APITimeoutError))
    assert took < 0.6 + LATE
    assert 1 <= len(server.requests) <= 6


def test_a_deadline_lets_retries_happen(ask_in_time, server, make_chat):
    """Within the deadline trouble that passes is tried again, as without one."""
    server.fail("503", times=2, argument=0.01)
    answer, _ = ask_in_time(make_chat(deadline=20))
    assert "世界上最大的海洋是太平洋。" == answer
    assert 3 == len(server.requests)


def test_a_requests_deadline_wins_over_the_chats(ask_in_time, server, make_chat):
    """A request's own deadline holds, and None takes the chat's away."""
    server.fail("503", times=1, argument=0.4)
    answer, _ = ask_in_time(make_chat(deadline=0.2), deadline=None)
    assert "世界上最大的海洋是太平洋。" == answer


def test_a_deadline_bounds_the_wait_for_a_key(ask_in_time, server, make_chat):
    """Keys that are ready after the deadline are not waited for."""
    server.limit(requests=1, per=30)
    chat = make_chat(AKPool(["sk-a-0001"]), deadline=0.5)
    assert "世界上最大的海洋是太平洋。" == ask_in_time(chat)[0]
    error, took = ask_in_time(chat)
    assert isinstance(error, (AllKeysRateLimitedError, RequestDeadlineError))
    assert took < 0.5 + LATE


def test_a_slow_answer_within_the_deadline_is_an_answer(ask_in_time, server, make_chat):
    """A deadline that is kept changes nothing."""
    server.delay(0.01)
    answer, _ = ask_in_time(make_chat(deadline=30))
    assert "世界上最大的海洋是太平洋。" == answer


def test_a_deadline_of_nothing(ask_in_time, server, make_chat):
    """`deadline=0` is over at once: nothing is sent."""
    error, _ = ask_in_time(make_chat(deadline=0))
    assert (RequestDeadlineError, []) == (type(error), server.requests)


def test_the_deadline_does_not_stay(ask_in_time, server, make_chat):
    """After a deadline the same chat and its connections serve on."""
    server.fail("stall")
    chat = make_chat(deadline=0.2)
    assert isinstance(ask_in_time(chat)[0], RequestDeadlineError)
    assert "世界上最大的海洋是太平洋。" == ask_in_time(chat, deadline=30)[0]
