"""One exchange as plain state: prepare → absorb → commit, and judge on failure.

A turn does no I/O and knows no SDK: two small drivers in the transport room ask it what to send,
hand it what came, and ask it what a failure means. Every rule of a conversation stands here once,
for both colours, whole or streamed.
"""

from __future__ import annotations

from .chat import ChatTurn, Terms
from .image import ImageTurn
from .raw import RawTurn
from .turn import DONE, Event, Request, Turn
from .usage import TOKENS, Tokens, answer_limit

__all__ = [
    "DONE",
    "TOKENS",
    "ChatTurn",
    "Event",
    "ImageTurn",
    "RawTurn",
    "Request",
    "Terms",
    "Tokens",
    "Turn",
    "answer_limit",
]
