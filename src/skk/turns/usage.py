"""Tokens, added up."""

from __future__ import annotations

from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["TOKENS", "Tokens", "added", "answer_limit", "totals"]

Tokens = tuple[int, int, int, int, int]

# What people ask for.
TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", "cached_tokens")


def added(known: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Add what another step took: numbers are added at every depth, null adds nothing, anything else is the newest.

    >>> added({"prompt_tokens": 3}, {"prompt_tokens": 4, "completion_tokens": 1})
    {'prompt_tokens': 7, 'completion_tokens': 1}
    """
    found = {**known, **{name: value for name, value in more.items() if value is not None or name not in known}}
    for name in known.keys() & more.keys():
        one, other = known[name], more[name]
        if isinstance(one, dict) and isinstance(other, dict):
            with suppress(RecursionError):  # as deep as a stack: that is no count
                found[name] = added(one, other)
        elif _is_number(one) and _is_number(other):
            found[name] = one + other
    return found


def totals(usage: Mapping[str, Any]) -> Tokens:
    """Give the numbers that people ask for, in the order of `TOKENS`, whatever the service calls them.

    >>> totals({"prompt_tokens": 8, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}})
    (8, 2, 10, 0, 5)
    """
    get = usage.get
    prompt, completion = _count(get("prompt_tokens")), _count(get("completion_tokens"))
    thoughts, cached = get("completion_tokens_details"), get("prompt_tokens_details")
    return (
        prompt,
        completion,
        prompt + completion,
        _count(thoughts.get("reasoning_tokens")) if isinstance(thoughts, dict) else 0,
        (_count(cached.get("cached_tokens")) if isinstance(cached, dict) else 0)
        or _count(get("prompt_cache_hit_tokens")),  # DeepSeek's name
    )


def answer_limit(body: Mapping[str, Any]) -> int | None:
    """Give how many tokens all answers to a request may have; None where it does not say."""
    most = _count(body.get("max_completion_tokens")) or _count(body.get("max_tokens"))
    return most * max(1, _count(body.get("n")), _count(body.get("best_of"))) if most else None


def _count(value: object) -> int:
    """Give a number of things; what is none counts as none."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else 0  # some gateways write 8.0


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
