"""Which messages stay: rules on tuples of messages, without state.

A tool call and its results are one unit: the API refuses the one without the other.
"""

from __future__ import annotations

from skk.messages import Message

Messages = tuple[Message, ...]

__all__ = ["complete", "last_turn", "trim", "without_turns"]


def unit(messages: Messages, start: int) -> int:
    """Give the end of the unit that starts at `start`: one message, or a tool call with its results."""
    end = start + 1
    if messages[start].role == "assistant" and messages[start].calls:
        while end < len(messages) and messages[end].role == "tool":
            end += 1
    return end


def trim(messages: Messages, limit: int | None, *, question: int = 0) -> Messages:
    """Let the earliest unpinned messages go until `limit` are left.

    Args:
        messages: the history, with the question last.
        limit: how many may stay; None means all.
        question: how many of the last messages are the question, which stays.
    """
    excess = 0 if limit is None else len(messages) - limit
    kept: list[Message] = []
    asked = len(messages) - question
    at = 0
    while excess > 0 and at < asked:  # stops once the excess is gone: the rest is never looked at
        end = unit(messages, at)
        if end > asked or any(m.pinned for m in messages[at:end]):
            kept += messages[at:end]
        else:
            excess -= end - at
        at = end
    return (*kept, *messages[at:]) if kept else messages[at:]


def complete(messages: Messages, *, question: int = 0) -> Messages:
    """Leave out tool calls whose results are not all there, and results without their call: the API refuses both.

    Args:
        messages: the history, with the question last.
        question: how many of the last messages are the question, of which nothing is left out.
    """
    if not any(m.calls for m in messages):
        return messages
    kept: list[Message] = []
    asked = len(messages) - question
    at = 0
    while at < asked:
        end = unit(messages, at)
        head, *results = messages[at:end]
        if end > asked or not head.calls or _answered(head, results):
            kept += messages[at:end]
        at = end
    return (*kept, *messages[at:])


def _answered(call: Message, results: list[Message]) -> bool:
    return sorted(call.calls) == sorted(id for result in results for id in result.calls)


def without_turns(messages: Messages, count: int) -> Messages:
    """Take the last `count` turns away. System messages belong to no turn and stay.

    A turn is a user message and all that answered it; what stands before the first user message is
    half a turn and counts as one.
    """
    kept: list[Message] = []
    at = len(messages)
    while at and count:
        at -= 1
        if messages[at].role in ("system", "developer"):
            kept.append(messages[at])
        elif messages[at].role == "user":
            count -= 1
    return (*messages[:at], *reversed(kept))


def last_turn(messages: Messages) -> Messages:
    """Give the last turn, without system messages."""
    start = next((i for i in reversed(range(len(messages))) if messages[i].role == "user"), 0)
    return tuple(m for m in messages[start:] if m.role not in ("system", "developer"))
