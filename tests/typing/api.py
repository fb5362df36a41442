"""Never run, only read by the type checker: the types that users see."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, assert_type

import openai

from skk.chat import AsyncStream, Stream
from skk.endpoints import async_chat_completions, chat_completions
from skk.errors import (
    AnswerFormatError,
    ChatRequestError,
    ModelRetiredError,
    RateLimitError,
    SkkError,
    ToolRoundsError,
)
from skk.history import Window
from skk.messages import Reply
from skk.openai import AKPool, Answer, Chat, GroupChat, Multimodal_Part, OpenAIClient, user_msg
from skk.tools import ToolCall


def asking(chat: Chat) -> None:
    """Whole and streamed."""
    answer = chat.request("hello", Multimodal_Part.image("cat.png"), temperature=0)
    assert_type(answer, Answer)
    text: str = answer
    assert_type(text.upper(), str)
    assert_type(answer.finish_reason, str | None)
    assert_type(answer.usage, Reply | None)
    assert_type(answer.tool_calls, list[dict[str, Any]])
    stream = chat.stream_request("hello")
    assert_type(stream, Stream)
    for piece in stream:
        assert_type(piece, str)
    assert_type(stream.answer, Answer | None)
    pieces: Iterator[str] = iter(stream)
    assert_type(next(pieces), str)


async def asking_asynchronously(chat: Chat) -> None:
    """Whole and streamed."""
    assert_type(await chat.async_request("hello"), Answer)
    stream = chat.async_stream_request("hello")
    assert_type(stream, AsyncStream)
    async for piece in stream:
        assert_type(piece, str)
    pieces: AsyncIterator[str] = aiter(stream)
    assert_type(await anext(pieces), str)


def remembering(chat: Chat) -> None:
    """History and archives."""
    assert_type(chat.fetch_messages(), list[dict[str, Any]])
    chat.add_dialogs(user_msg("hello"), {"role": "assistant", "content": "hi"})
    chat.pin_messages(0, -1)
    chat.msg_max_count = None
    chat.system = "brief"
    assert_type(chat.model, str)
    assert_type(chat.pool, AKPool | None)
    chat.load("talk.json", user="me")
    window = chat.window("hello", Multimodal_Part.image("cat.png"))
    assert_type(window, Window)
    assert_type(window[0], dict[str, Any])
    assert_type([left.reason for left in window.left_out], list[str])
    chat.remove(0, -1)
    chat.clear()
    assert_type(chat.undo(2), int)
    assert_type(chat.fork(), Chat)
    assert_type(GroupChat().fork(), GroupChat)
    assert_type(chat.usage, Reply)


def calling(chat: Chat) -> None:
    """Tools and structured answers."""

    def add(a: int, b: int = 1) -> int:
        return a + b

    def allow(call: ToolCall) -> bool:
        return call.name == "add" and call.arguments["a"] > 0

    assert_type(chat.request("1+2?", tools=[add], on_tool=allow, max_tool_rounds=3), Answer)
    try:
        chat.request("1+2?", response_format={"type": "json_object"})
    except AnswerFormatError as error:
        assert_type(error.path, str)
    except ToolRoundsError as error:
        assert_type(error.steps, Sequence[dict[str, Any]])


def ending() -> None:
    """Clients are given back."""
    with Chat() as chat:
        assert_type(chat, Chat)


async def ending_asynchronously() -> None:
    """Clients are given back, those of the loop too."""
    async with Chat() as chat:
        assert_type(chat, Chat)


def paying() -> None:
    """Keys of every kind."""
    Chat(AKPool(["sk-a", "sk-b"], max_wait=1))
    Chat("sk-a")
    Chat(lambda: "sk-a")
    assert_type(AKPool(["sk-a"]).fetch_key(), str)


def failing(error: SkkError) -> None:
    """Named failures are also the SDK's."""
    if isinstance(error, RateLimitError):
        sdk: openai.RateLimitError = error
        status: int = sdk.status_code
        assert_type(str(status), str)
        assert_type(error.partial, str)
    if isinstance(error, ModelRetiredError):
        named: ChatRequestError = error
        assert_type(named.attempts, int)


async def others(group: GroupChat, client: OpenAIClient) -> None:
    """Groups, the configured client, raw calls."""
    assert_type(group.roles, dict[str, str])
    assert_type(group.request([("a", ["b"])]).lines, list[dict[str, str]])
    assert_type(client.chat_request("hello"), Reply)
    assert_type(chat_completions(model="m", messages=[]), Reply)
    assert_type(await async_chat_completions(model="m", messages=[]), Reply)
