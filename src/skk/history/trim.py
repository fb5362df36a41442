"""Which messages stay: rules on tuples of messages, without state.

Each rule gives the ranges that go, first to last and apart from each other; `without` takes them out. A tool
call and its results are one unit: the API refuses the one without the other.
"""

from __future__ import annotations

from skk.messages import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    T = TypeVar("T")

Messages = tuple[Message, ...]
Ranges = list[tuple[int, int]]

__all__ = ["excess", "incomplete", "last_turn", "turns", "units", "without"]


def unit(messages: Messages, start: int) -> int:
    """Give the end of the unit that starts at `start`: one message, or a tool call with its results."""
    end = start + 1
    if messages[start].role == "assistant" and messages[start].calls:
        while end < len(messages) and messages[end].role == "tool":
            end += 1
    return end


def units(messages: Messages, indexes: Iterable[int]) -> Ranges:
    """Give the units that these messages belong to."""
    found: Ranges = []
    for i in sorted(set(indexes)):
        start = i
        while start and messages[start].role == "tool":
            start -= 1
        end = unit(messages, start)
        _put(found, (start, end) if end > i else (i, i + 1))
    return found


def _put(ranges: Ranges, new: tuple[int, int]) -> None:
    """Add a range that starts no earlier than the last one, as one with that where they meet."""
    if ranges and ranges[-1][1] >= new[0]:
        ranges[-1] = (ranges[-1][0], max(ranges[-1][1], new[1]))
    else:
        ranges.append(new)


def without(items: tuple[T, ...], ranges: Ranges) -> tuple[T, ...]:
    """Take these ranges out."""
    if len(ranges) == 1:  # the usual cut: at either end it is one copy
        return items[: ranges[0][0]] + items[ranges[0][1] :]
    kept = list(items)
    for start, end in reversed(ranges):
        del kept[start:end]
    return tuple(kept)


def excess(messages: Messages, over: int, *, question: int = 0, size: Callable[[Message], int] | None = None) -> Ranges:
    """Give the earliest units without a pin that must go.

    Args:
        messages: the history, with the question last.
        over: how much must go.
        question: how many of the last messages are the question, which stays.
        size: how much a message is; None counts messages.
    """
    found: Ranges = []
    asked = len(messages) - question
    start = at = 0
    while over > 0 and at < asked:  # stops once the excess is gone: the rest is never looked at
        end = at + 1
        pinned = messages[at].pinned
        if messages[at].calls:
            end = unit(messages, at)
            pinned = any(m.pinned for m in messages[at:end])
        if end <= asked and not pinned:
            over -= end - at if size is None else sum(map(size, messages[at:end]))
        else:  # it stays, and what goes begins anew after it
            if start < at:
                found.append((start, at))
            start = end
        at = end
    return found if start == at else [*found, (start, at)]


def incomplete(messages: Messages, *, question: int = 0) -> Ranges:
    """Give the tool calls whose results are not all there, and results without their call: the API refuses both.

    Args:
        messages: the history, with the question last.
        question: how many of the last messages are the question, of which nothing is left out.
    """
    found: Ranges = []
    asked = len(messages) - question
    at = 0
    while at < asked:
        end = unit(messages, at)
        head, *results = messages[at:end]
        if end <= asked and head.calls and not _answered(head, results):
            _put(found, (at, end))
        at = end
    return found


def _answered(call: Message, results: list[Message]) -> bool:
    return sorted(call.calls) == sorted(id for result in results for id in result.calls)


def turns(messages: Messages, count: int) -> Ranges:
    """Give the last `count` turns. System messages belong to no turn and stay.

    A turn is a user message and all that answered it; what stands before the first user message is
    half a turn and counts as one.
    """
    found: Ranges = []
    at = end = len(messages)
    while at and count:
        at -= 1
        if messages[at].role in ("system", "developer"):
            if at + 1 < end:
                found.insert(0, (at + 1, end))
            end = at
        elif messages[at].role == "user":
            count -= 1
    if at < end:
        found.insert(0, (at, end))
    return found


def last_turn(messages: Messages) -> Messages:
    """Give the last turn, without system messages."""
    start = next((i for i in reversed(range(len(messages))) if messages[i].role == "user"), 0)
    return tuple(m for m in messages[start:] if m.role not in ("system", "developer"))
