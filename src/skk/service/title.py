"""What a conversation is about."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["title_of"]

_LONGEST = 60


def title_of(messages: Iterable[Mapping[str, Any]]) -> str:
    """Give how the first question begins; "" where none was asked."""
    from skk.messages import plain_text

    for message in messages:
        if message["role"] == "user":
            words = " ".join(plain_text(message).split())
            return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
    return ""
