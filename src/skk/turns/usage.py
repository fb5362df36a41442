"""Tokens, added up."""

from __future__ import annotations

from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["added", "answer_limit", "totals"]


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


def totals(usage: Mapping[str, Any]) -> dict[str, int]:
    """Give the numbers that people ask for, under plain names, whatever the service calls them.

    >>> totals({"prompt_tokens": 8, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}})
    {'prompt_tokens': 8, 'completion_tokens': 2, 'total_tokens': 10, 'reasoning_tokens': 0, 'cached_tokens': 5}
    """
    prompt, completion = _number(usage, "prompt_tokens"), _number(usage, "completion_tokens")
    cached = _number(usage.get("prompt_tokens_details"), "cached_tokens")
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "reasoning_tokens": _number(usage.get("completion_tokens_details"), "reasoning_tokens"),
        "cached_tokens": cached or _number(usage, "prompt_cache_hit_tokens"),  # DeepSeek's name
    }


def answer_limit(body: Mapping[str, Any]) -> int | None:
    """Give how many tokens all answers to a request may have; None where it does not say."""
    most = _number(body, "max_completion_tokens") or _number(body, "max_tokens")
    return most * max(1, _number(body, "n"), _number(body, "best_of")) if most else None


def _number(fields: Any, name: str) -> int:
    value = fields.get(name) if isinstance(fields, dict) else None
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else 0  # some gateways write 8.0


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
