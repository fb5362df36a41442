"""What each endpoint answers, whole or in pieces, before any fault changes it."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import rules
from .cache import written
from .faults import dumps, event
from .wire import HungUp, Line

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CREATED",
    "ChatCall",
    "Plain",
    "PlainStream",
    "count_image_tokens",
    "count_tokens",
    "cut_text",
    "pieces_of_completion",
]

CREATED = 1_763_600_000


class Plain:
    """A reply that is one JSON value."""

    streamed = False
    key: str | None = None
    argument: str | None = None
    asked: dict[str, Any] = {}  # never changed
    message: Any = None
    finish_reason: str | None = None

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def whole(self) -> dict[str, Any]:
        """Give the reply as one JSON value."""
        return self._body

    def events(self) -> list[Any]:
        """Give the reply as the events of a stream."""
        return [self._body]

    async def normal(self, line: Line) -> None:
        """Send the reply as it should be."""
        await line.send(200, dumps(self._body))


class PlainStream(Plain):
    """A plain completion in pieces."""

    streamed = True

    def __init__(self, body: dict[str, Any], events: list[Any]) -> None:
        super().__init__(body)
        self._events = events

    def events(self) -> list[Any]:
        """Give the events of the stream."""
        return self._events

    async def normal(self, line: Line) -> None:
        """Send the stream as it should be."""
        line.begin()
        await line.chunk(b"".join(map(event, self._events)))
        await line.end()


def pieces_of_completion(
    about: dict[str, Any], choices: list[dict[str, Any]], usage: dict[str, Any] | None
) -> list[Any]:
    """Cut a plain completion into the events of a stream."""
    found: list[Any] = []
    for choice in choices:
        pieces = [{**choice, "text": piece, "finish_reason": None} for piece in _in_pieces(choice["text"])]
        found += [{**about, "choices": [piece]} for piece in [*pieces, {**choice, "text": ""}]]
    if usage is not None:
        found.append({**about, "choices": [], "usage": usage})
    return [*found, b"[DONE]"]


class ChatCall(Plain):
    """A chat's reply, whole or in pieces.

    Args:
        remember: given the prompt, tells how many of its tokens were cached; called once, when there is an answer.
    """

    def __init__(
        self,
        body: dict[str, Any],
        scripted: dict[str, Any] | None,
        remember: Callable[[str], int],
        *,
        number: int,
        pace: float,
    ) -> None:
        super().__init__({})
        self.streamed = bool(body.get("stream"))
        self._remember = remember
        self.asked = body
        self._pace = pace
        self._id = f"chatcmpl-{number:08x}"
        self._scripted_usage = None
        if scripted is not None:
            self.message, self.finish_reason = dict(scripted["message"]), scripted["finish_reason"]
            self._scripted_usage = scripted["usage"]
            return
        self.message, self.finish_reason = rules.answer(body)
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        if isinstance(text := self.message["content"], str):
            stops = [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or []
            for stop in stops:
                text = text.partition(stop)[0]
            self.message["content"], cut = cut_text(text, most)
            self.finish_reason = "length" if cut == "length" else self.finish_reason

    def _text(self) -> str:
        content = self.message.get("content")
        return content if isinstance(content, str) else ""

    @cached_property
    def _prompt(self) -> tuple[int, int]:
        """The characters of the prompt, and its cached tokens."""
        prompt = written(self.asked)
        return len(prompt), self._remember(prompt)

    def _usage(self) -> dict[str, Any]:
        prompt, cached = self._prompt  # also for an answer that was scripted: its prompt has been read
        if self._scripted_usage is not None:
            return dict(self._scripted_usage)
        count = self.asked.get("n") or 1
        thoughts = self.message.get("reasoning_content") or self.message.get("reasoning") or ""
        return count_tokens(prompt, len(self._text()) * count, cached, len(thoughts) * count)

    def _head(self, kind: str) -> dict[str, Any]:
        about = {"id": self._id, "object": kind, "created": CREATED, "model": self.asked["model"]}
        return {**about, "system_fingerprint": "fp_rules", "service_tier": "default"}

    def whole(self) -> dict[str, Any]:
        message = {"refusal": None, **self.message}
        choices = [
            {"index": i, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
            for i in range(self.asked.get("n") or 1)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self._usage()}

    def events(self) -> list[Any]:
        """Give the events of a stream: role, pieces, finish, usage, end mark."""
        usage = self._usage()
        with_usage = bool((self.asked.get("stream_options") or {}).get("include_usage"))
        none = {"usage": None} if with_usage else {}
        head = {**self._head("chat.completion.chunk"), **none}
        count = self.asked.get("n") or 1

        def chunk(delta: Any, finish_reason: str | None = None, index: int = 0) -> dict[str, Any]:
            return {
                **head,
                "choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
            }

        found: list[Any] = []
        deltas = [{"role": "assistant", "content": "", "refusal": None}, *_deltas(self.message)]
        for delta in deltas:
            # other choices say something else, so that a client that mixes them up is found out
            found += [
                chunk(delta if i == 0 or "content" not in delta else {"content": f"<{i}>"}, index=i)
                for i in range(count)
            ]
        if self.finish_reason is not None:
            found += [chunk({}, self.finish_reason, i) for i in range(count)]
        if with_usage:
            found.append({**head, "choices": [], "usage": usage})
        return [*found, b"[DONE]"]

    async def normal(self, line: Line) -> None:
        if not self.streamed:
            return await line.send(200, dumps(self.whole()))
        line.begin()
        if not self._pace:
            await line.chunk(b"".join(map(event, self.events())))
        else:
            for one in self.events():
                if line.writer.transport.is_closing() or line.reader.at_eof():
                    raise HungUp
                await line.chunk(event(one))
                await asyncio.sleep(self._pace)
        return await line.end()


def _deltas(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut a message into deltas: texts in pieces of one to three characters, tool calls in fragments."""
    found: list[dict[str, Any]] = []
    for name, value in message.items():
        if name in ("role", "tool_calls") or value is None:
            continue
        if isinstance(value, str):
            found += [{name: piece} for piece in _in_pieces(value)]
        else:
            found.append({name: value})
    for index, call in enumerate(message.get("tool_calls") or []):
        function = call.get("function", {})
        opened = {**call, "function": {**function, "arguments": ""}}
        found.append({"tool_calls": [{"index": index, **opened}]})
        for piece in _in_pieces(function.get("arguments", "")):
            found.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    return found


def _in_pieces(text: str) -> list[str]:
    pieces, at, size = [], 0, 1
    while at < len(text):
        pieces.append(text[at : at + size])
        at, size = at + size, size % 3 + 1
    return pieces


def cut_text(text: str, most: Any) -> tuple[str, str]:
    """Cut a text at so many tokens: a token is one to three characters, as it is streamed."""
    pieces = _in_pieces(text)
    if isinstance(most, int) and len(pieces) > most:
        return "".join(pieces[:most]), "length"
    return text, "stop"


def count_tokens(prompt: int, completion: int, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    """Count tokens by a plain rule: one for every three characters, and one; thoughts are part of the completion."""
    thought = -(-reasoning // 3)
    asked, said = prompt // 3 + 1, completion // 3 + 1 + thought
    usage: dict[str, Any] = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return {**usage, "completion_tokens_details": {"reasoning_tokens": thought}}


def count_image_tokens(prompt: int) -> dict[str, Any]:
    tokens = prompt // 3 + 1
    details = {"text_tokens": tokens, "image_tokens": 0}
    return {"input_tokens": tokens, "output_tokens": 272, "total_tokens": tokens + 272, "input_tokens_details": details}
