"""The face: the names that users import, each loaded when it is first asked for.

>>> from skk.openai import Chat
>>> chat = Chat(api_key="sk-test", model="gpt-6-luna")
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from skk.chat import Chat, GroupChat
    from skk.endpoints import OpenAIClient
    from skk.keys import AKPool
    from skk.messages import Answer, Multimodal_Part, assistant_msg, system_msg, user_msg

__all__ = [
    "AKPool",
    "Answer",
    "Chat",
    "GroupChat",
    "Multimodal_Part",
    "OpenAIClient",
    "assistant_msg",
    "system_msg",
    "user_msg",
]

_HOME = {
    "AKPool": "skk.keys",
    "Answer": "skk.messages",
    "Chat": "skk.chat",
    "GroupChat": "skk.chat",
    "Multimodal_Part": "skk.messages",
    "OpenAIClient": "skk.endpoints",
    "assistant_msg": "skk.messages",
    "system_msg": "skk.messages",
    "user_msg": "skk.messages",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
