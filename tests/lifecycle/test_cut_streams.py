"""Streams that end too early are told from those that are complete, always (R3), and faults by the thousand (R2)."""

import asyncio
import random

import openai
import pytest

from skk.errors import ChatRequestError, SkkError, StreamInterruptedError, StreamTruncatedError
from skk.simulator import FAULTS

QUESTION = "世界上最大的海洋是哪个?"
ANSWER = "世界上最大的海洋是太平洋。"
CUTS = {
    "cut-stream": StreamInterruptedError,
    "reset-stream": StreamInterruptedError,
    "end-stream": StreamTruncatedError,
}


def read(chat):
    """Read a stream, and give what was shown, the stream, and the error."""
    shown, stream = [], chat.stream_request(QUESTION)
    try:
        shown.extend(piece for piece in stream)
    except SkkError as error:
        return "".join(shown), stream, error
    return "".join(shown), stream, None


async def read_async(chat):
    shown, stream = [], chat.async_stream_request(QUESTION)
    try:
        async for piece in stream:
            shown.append(piece)  # noqa: PERF401  # what was shown before an error counts
    except SkkError as error:
        return "".join(shown), stream, error
    return "".join(shown), stream, None


@pytest.mark.parametrize("points", [100, pytest.param(1000, marks=pytest.mark.prove)])
def test_every_cut_is_found(server, make_chat, points):
    """A stream cut anywhere, politely or not, raises; what was shown is on the error, the stream and the chat."""
    chance = random.Random(4)
    chat = make_chat()
    text = "".join(chance.choice("abc太平洋 \n") for _ in range(60))
    lengths = set()
    with asyncio.Runner() as runner:
        for i in range(points):
            kind = chance.choice(sorted(CUTS))
            server.reply(text)
            server.fail(kind, argument=chance.randrange(1, 30))
            shown, stream, error = read(chat) if i % 2 else runner.run(read_async(chat))
            # a reset may also take what had come before it, and then the service was never reached
            assert isinstance(error, CUTS[kind]) or (kind == "reset-stream" and not shown), (kind, shown, error)
            assert [shown] * 3 == [error.partial, stream.partial, chat.last_partial]
            assert text.startswith(shown)
            assert (None, []) == (stream.answer, chat.fetch_messages())
            lengths.add(len(shown))
    assert len(lengths) > 10


@pytest.mark.parametrize("kind", ["no-done", "no-finish", "after-done", "crlf", "split-utf8", "no-content-type"])
@pytest.mark.parametrize("times", [10, pytest.param(100, marks=pytest.mark.prove)])
def test_no_false_alarm(server, make_chat, kind, times):
    """A service that sends only a finish_reason, or only the end mark, is believed."""
    chat = make_chat()
    server.fail(kind, times=None)
    with asyncio.Runner() as runner:
        for i in range(times):
            shown, stream, error = read(chat) if i % 2 else runner.run(read_async(chat))
            assert (None, shown, "") == (error, stream.answer, chat.last_partial)
    assert 2 * times == len(chat.fetch_messages())


def test_without_a_finish_reason_and_without_an_end_mark(server, make_chat):
    """All of the text and neither mark is no answer: nobody knows that it is all."""
    server.fail("no-finish-no-done")
    shown, _, error = read(make_chat())
    assert (ANSWER, ANSWER, StreamTruncatedError) == (shown, error.partial, type(error))


@pytest.mark.prove
def test_faults_by_the_thousand(server, make_chat):
    """24,000 faults of every kind in four forms: no history is wrong, and no exception is foreign (R2)."""
    rounds = 24_000 // (len(FAULTS) * 4) + 1
    before = [{"role": "user", "content": "自然数50的后面是几?"}, {"role": "assistant", "content": "51"}]
    count = 0

    async def one(kind, form):
        nonlocal count
        wanted = FAULTS[kind].stream if "stream" in form else FAULTS[kind].whole
        limits = {}
        if wanted == "error" and kind in ("slow", "stall", "stall-stream"):  # else a busy machine may be that slow
            limits = {"deadline": 0.03} if kind == "slow" else {"timeout": 0.03}
        chat = make_chat(max_retries=0, **limits)
        chat.model = f"fault:{kind}"
        chat.add_dialogs(*before)
        count += 1
        try:
            if form == "whole":
                chat.request(QUESTION)
            elif form == "stream":
                list(chat.stream_request(QUESTION))
            elif form == "async":
                await chat.async_request(QUESTION)
            else:
                _ = [piece async for piece in chat.async_stream_request(QUESTION)]
        except Exception as error:
            assert isinstance(error, ChatRequestError | SkkError), (kind, form, error)
            assert isinstance(error, openai.OpenAIError), (kind, form, error)
            assert ("error", before) == (wanted, chat.fetch_messages()), (kind, form, error)
        else:
            assert ("answer", 4) == (wanted, len(chat.fetch_messages())), (kind, form)
            assert before == chat.fetch_messages()[:2]

    async def all_of_them():
        for _ in range(rounds):
            server.requests.clear()
            for kind in sorted(FAULTS):
                for form in ("whole", "stream", "async", "async-stream"):
                    await one(kind, form)

    asyncio.run(all_of_them())
    assert count >= 24_000
