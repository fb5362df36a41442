"""The library against a server from a package registry: what both understand is the protocol, not our idea of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest

from skk.openai import Chat

pytestmark = pytest.mark.other_server

Ask = Callable[..., str]


async def _all(pieces: Any) -> str:
    return "".join([piece async for piece in pieces])


FORMS: dict[str, Ask] = {
    "request": lambda chat, *parts: chat.request(*parts),
    "stream_request": lambda chat, *parts: "".join(chat.stream_request(*parts)),
    "async_request": lambda chat, *parts: asyncio.run(chat.async_request(*parts)),
    "async_stream_request": lambda chat, *parts: asyncio.run(_all(chat.async_stream_request(*parts))),
}


@pytest.fixture(params=FORMS)
def ask(request: pytest.FixtureRequest) -> Ask:
    return FORMS[request.param]


@pytest.fixture
def chat(server: Any) -> Chat:
    return Chat(api_key=server.key, base_url=server.base_url, model="gpt-4o", max_retries=0)


def test_an_answer_and_a_history(chat: Chat, server: Any, ask: Ask) -> None:
    """The second request carries the first turn, and both servers' words are in the history."""
    assert ["51", "52"] == [ask(chat, "自然数50的后面是几?"), ask(chat, "再往后是几?")]

    said = [
        {"role": "user", "content": "自然数50的后面是几?"},
        {"role": "assistant", "content": "51"},
        {"role": "user", "content": "再往后是几?"},
        {"role": "assistant", "content": "52"},
    ]
    assert said == chat.fetch_messages()
    assert [said[:1], said[:3]] == [body["messages"] for body in server.received()]


def test_a_stream_comes_in_pieces(chat: Chat) -> None:
    """A stream yields what it has when it has it, in whole characters."""
    pieces = list(chat.stream_request("一首诗"))
    assert len(pieces) > 3
    assert "春江潮水连海平,海上明月共潮生。滟滟随波千万里,何处春江无月明!" == "".join(pieces)


def test_a_tool_call_is_handled_by_hand(chat: Chat, server: Any) -> None:
    """The call is in the answer, its result goes in by hand, and the server takes the history that follows."""
    weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    (call,) = chat.request("天气", tools=[weather]).tool_calls
    chat.add_dialogs({"role": "tool", "tool_call_id": call["id"], "content": "晴"})
    assert "北京晴" == chat.request("请说结果")
    assert ["user", "assistant", "tool", "user"] == [message["role"] for message in server.received()[-1]["messages"]]


@pytest.mark.parametrize(
    ("question", "error"),
    [("too much", openai.RateLimitError), ("nothing stands for this", openai.InternalServerError)],
)
def test_a_refused_request_leaves_the_history(
    chat: Chat, ask: Ask, question: str, error: type[openai.OpenAIError]
) -> None:
    """An error status is the SDK's error by its name, and the turn did not happen."""
    before = chat.fetch_messages()
    with pytest.raises(error):
        ask(chat, question)
    assert before == chat.fetch_messages()


def test_a_wrong_key_is_said_to_be_one(server: Any, ask: Ask) -> None:
    """401 is AuthenticationError."""
    chat = Chat(api_key="sk-of-nobody", base_url=server.base_url, model="gpt-4o", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        ask(chat, "自然数50的后面是几?")


def test_a_cut_stream_is_an_error_not_an_answer(chat: Chat) -> None:
    """A line cut in the middle of an answer is named, and half an answer is not kept."""
    from skk.errors import StreamInterruptedError

    pieces: list[str] = []
    with pytest.raises(StreamInterruptedError):
        pieces.extend(chat.stream_request("cut"))
    assert [] == chat.fetch_messages()


def test_a_picture_is_drawn(chat: Chat) -> None:
    """`dalle` gives the bytes of a PNG and leaves the history alone."""
    (picture,) = chat.dalle("a red dot", model="gpt-image-1")
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert [] == chat.fetch_messages()
