"""`Window`: the messages of the next request, for people to look at."""

from __future__ import annotations

from skk.messages import decode
from skk.texts import mark, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from skk.messages import Message

__all__ = ["LeftOut", "Window"]

_REASONS = {
    "limit": mark("more than msg_max_count={limit}"),
    "tokens": mark("more than max_context_tokens={tokens}"),
    "tool_group": mark("a tool call and its results are not all there"),
}


class LeftOut:
    """A message that is not sent.

    Attributes:
        index: where it stands in the history.
        message: the message, a plain dict.
        kind: why, as a stable word: ``"limit"``, ``"tokens"`` or ``"tool_group"``.
        reason: why, in the person's language.
    """

    __slots__ = ("_facts", "index", "kind", "message")

    def __init__(self, index: int, message: dict[str, Any], kind: str, **facts: Any) -> None:
        self.index = index
        self.message = message
        self.kind = kind
        self._facts = facts

    @property
    def reason(self) -> str:
        return say(_REASONS[self.kind], **self._facts)

    def __repr__(self) -> str:
        return f"<LeftOut {self.index} {self.message['role']}: {self.reason}>"


class Window(list["dict[str, Any]"]):
    """The messages of a request as plain dicts, in order.

    Args:
        sent: the messages.
        history: what they were chosen from.
        left_out: the index of each message of the history that is not sent, and why.
        **facts: the limits.

    Attributes:
        left_out: each message of the history that is not sent, as `LeftOut`, in order.
    """

    def __init__(
        self, sent: Sequence[Message], history: Sequence[Message], left_out: dict[int, str], **facts: Any
    ) -> None:
        super().__init__(decode(sent))
        places = sorted(left_out)
        told = decode([history[i] for i in places])
        self.left_out = [LeftOut(i, given, left_out[i], **facts) for i, given in zip(places, told, strict=True)]
