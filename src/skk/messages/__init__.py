"""What is said: messages and the parts they are made of, and the answer.

Here what a person hands in becomes the message that the API wants, checked and encoded once.
Nothing here remembers, and nothing here knows the wire.
"""

from __future__ import annotations

from .answer import Answer, Reply, answered, dressed
from .message import (
    INSTEAD_OF_TEXT,
    Message,
    assistant_msg,
    compose,
    decode,
    encode,
    message,
    plain_text,
    restored,
    spoken,
    system_msg,
    user_msg,
)
from .parts import Multimodal_Part

__all__ = [
    "INSTEAD_OF_TEXT",
    "Answer",
    "Message",
    "Multimodal_Part",
    "Reply",
    "answered",
    "assistant_msg",
    "compose",
    "decode",
    "dressed",
    "encode",
    "message",
    "plain_text",
    "restored",
    "spoken",
    "system_msg",
    "user_msg",
]
