"""The prompt cache: how much of a prompt the service has read before. What a prompt is as text is said here, once."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from . import rules

__all__ = ["PromptCache", "written"]

_TOKEN = 3  # characters
_BLOCK = 128  # tokens
_LEAST = 1024  # tokens: the service's own figures
_KEPT = 100  # prompts


def written(body: dict[str, Any]) -> str:
    """Write a request's tools and messages as the one text that its tokens are counted in.

    A message is its text behind four characters. They stand for all that is no text, pictures too, and differ
    where that differs: the count stays plain, and yet nothing is taken for the same that is not.
    """
    tools = json.dumps(body["tools"], ensure_ascii=False) if body.get("tools") else ""
    return tools + "".join(map(_message, body["messages"]))


def _message(message: dict[str, Any]) -> str:
    content = message.get("content")
    shape: Any = isinstance(content, str)
    if isinstance(content, list):
        shape = [{**part, "text": None} if part.get("type") == "text" else part for part in content]
    about = json.dumps({**message, "tool_calls": None, "content": shape})
    mark = hashlib.blake2b(about.encode(), digest_size=4).digest().decode("latin-1")
    calls = json.dumps(message["tool_calls"], ensure_ascii=False) if message.get("tool_calls") else ""
    return mark + rules.text_of(message) + calls


class PromptCache:
    """What the newest prompts began with, as chained hashes: a block's hash stands for all of the text up to its end.

    >>> cache = PromptCache()
    >>> cache.meet("sk-x", "m", "a" * 9000), cache.meet("sk-x", "m", "a" * 8000 + "b")
    (0, 2560)
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}  # by age; the number is that of the newest prompt with this block
        self._count = 0

    def meet(self, key: str | None, model: str, prompt: str) -> int:
        """Give how many tokens of a prompt are in the cache, and remember the prompt."""
        self._count += 1
        known = 0
        step = _TOKEN * _BLOCK
        hashed = hashlib.blake2b(f"{key}\0{model}\0".encode(), digest_size=16)
        for end in range(step, len(prompt) + 1, step):
            hashed.update(prompt[end - step : end].encode("utf-8", "surrogatepass"))
            block = hashed.digest()
            known += self._seen.pop(block, None) is not None
            self._seen[block] = self._count
        while self._seen and self._seen[oldest := next(iter(self._seen))] <= self._count - _KEPT:
            del self._seen[oldest]
        return known * _BLOCK if known * _BLOCK >= _LEAST else 0
