"""Messages: checked once, encoded once, and from then on never changed.

A `Message` keeps the UTF-8 JSON that goes over the wire. A request joins these bytes, an archive
writes them, and reading them is a deep copy: a history of 2,000 messages costs what its JSON costs.
"""

from __future__ import annotations

from skk.errors import InvalidMessageError
from skk.texts import mark, say

from .parts import Multimodal_Part, placeholder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    Part = str | Mapping[str, Any]

__all__ = [
    "INSTEAD_OF_TEXT",
    "Message",
    "assistant_msg",
    "compose",
    "decode",
    "encode",
    "message",
    "plain_text",
    "restored",
    "spoken",
    "system_msg",
    "user_msg",
]

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})

# How messages begin that say a text and nothing else.
_BEGINNINGS = {role: b'{"role":"%b","content":' % role.encode() for role in ("user", "assistant", "system")}

# What may stand in an assistant's message instead of a text.
INSTEAD_OF_TEXT = ("tool_calls", "function_call", "audio", "refusal")

# What the SDK's structured answers hold beside the message itself; the API refuses it.
_NOT_SENT = {"parsed": True, "tool_calls": {"__all__": {"function": {"parsed_arguments"}}}}

# Thoughts go back to the service only with the tool calls that they led to (DeepSeek answers 400 otherwise);
# nobody takes annotations back.
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details")


class Message:
    """One message of a conversation, immutable.

    Attributes:
        role: who speaks: ``"system"``, ``"user"``, ``"assistant"``, ``"tool"`` …
        data: the message as UTF-8 JSON, as it goes over the wire.
        calls: the ids that tie a tool call to its results: all ids of an assistant's message, the one id of a result.
        pinned: whether it stays when the history is trimmed.
        tokens: what it costs, once a `TokenCounter` has counted it: whose count it is, and the count.
    """

    __slots__ = ("calls", "data", "pinned", "role", "tokens")

    def __init__(self, role: str, data: bytes, calls: tuple[str, ...] = (), pinned: bool = False) -> None:
        self.role = role
        self.data = data
        self.calls = calls
        self.pinned = pinned
        self.tokens: tuple[str, int] | None = None

    def with_pin(self, pinned: bool) -> Message:
        """Give the same message, pinned or not."""
        if pinned is self.pinned:
            return self
        same = Message(self.role, self.data, self.calls, pinned)
        same.tokens = self.tokens
        return same

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self.data == other.data and self.pinned == other.pinned

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"Message({self.role!r}, {len(self.data)} bytes{', pinned' if self.pinned else ''})"


def user_msg(*content: Part, **fields: Any) -> dict[str, Any]:
    """Give a message of the user: text, or text and `Multimodal_Part`.

    >>> user_msg("1+1=?")
    {'role': 'user', 'content': '1+1=?'}
    """
    return _message_dict("user", content, fields)


def assistant_msg(*content: Part, **fields: Any) -> dict[str, Any]:
    """Give a message of the assistant, such as an answer to forge."""
    return _message_dict("assistant", content, fields)


def system_msg(*content: Part, **fields: Any) -> dict[str, Any]:
    """Give a system message: what the model is to be."""
    return _message_dict("system", content, fields)


def _message_dict(role: str, content: tuple[Part, ...], fields: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": _content(list(content)) if content else None, **fields}


def message(given: Any, position: object = 0) -> Message:
    """Check one message and encode it.

    Args:
        given: a dict (or an object of the SDK) with ``role`` and ``content``; ``pinned`` is honoured and not sent.
        position: what to call the message in an error.

    Raises:
        InvalidMessageError: the API would refuse it.
    """
    if type(given) is dict and len(given) == 2:  # the common one, a text alone: a third of the cost of the way below
        role, content = given.get("role"), given.get("content")
        if type(content) is str and type(role) is str and role in _BEGINNINGS:
            return spoken(role, content)
    if _is_model(given):  # a message as the SDK gives it
        given = given.model_dump(exclude_none=True, exclude=_NOT_SENT)
    if not isinstance(given, dict):
        reason = say(mark("a message is a dict with role and content, not {type}"), type=type(given).__name__)
        raise InvalidMessageError(position=position, reason=reason)
    fields = dict(given)
    pinned = fields.pop("pinned", False)
    role = fields.pop("role", None)
    content = fields.pop("content", None)
    try:
        if not isinstance(pinned, bool):
            raise ValueError(say(mark("pinned is true or false, not {value!r}"), value=pinned))
        if not isinstance(role, str) or role not in ROLES:
            raise ValueError(
                say(mark("{role!r} is no role; use one of {roles}"), role=role, roles=", ".join(sorted(ROLES)))
            )
        calls = _settle(role, content, fields)
        if isinstance(content, list | tuple):
            content = _content(list(content), many=True) or None
        return Message(role, encode({"role": role, "content": content, **fields}), calls, pinned)
    except (ValueError, TypeError, RecursionError) as error:  # what json cannot say, it says with these
        raise InvalidMessageError(position=position, reason=str(error)) from None


def spoken(role: str, text: str) -> Message:
    """Give the message that says a text and nothing else: a string alone is encoded in a tenth of the time."""
    return Message(role, _BEGINNINGS[role] + encode(text) + b"}")


def restored(role: str, data: bytes, pinned: bool = False) -> Message:
    """Give again a message that `message` once gave, from what was kept of it: it is not checked a second time."""
    calls: tuple[str, ...] = ()
    if role == "tool" or (role == "assistant" and b'"tool_calls"' in data):
        import json

        found = json.loads(data)
        calls = (found["tool_call_id"],) if role == "tool" else _call_ids(found.get("tool_calls", []))
    return Message(role, data, calls, pinned)


def _settle(role: str, content: object, fields: dict[str, Any]) -> tuple[str, ...]:
    """Take out of `fields` what must not be sent, check the rest, and give the ids of tool calls."""
    for name in [name for name, value in fields.items() if value is None]:
        del fields[name]
    calls: tuple[str, ...] = ()
    if role == "assistant":
        for name in [name for name, value in fields.items() if value in ("", [], (), {}) or name == "annotations"]:
            del fields[name]
        calls = _call_ids(fields["tool_calls"]) if "tool_calls" in fields else ()
        if not calls and fields:
            for name in _THOUGHTS:
                fields.pop(name, None)
    elif role == "tool":
        id = fields.get("tool_call_id")
        if not isinstance(id, str):
            raise ValueError(say(mark("a tool message needs the tool_call_id of the call that it answers")))
        calls = (id,)
    if (content is None or content in ([], ())) and not (
        role == "assistant" and any(name in fields for name in INSTEAD_OF_TEXT)
    ):
        raise ValueError(say(mark("content is missing: give it a text")))
    if content is not None and not isinstance(content, str | list | tuple):
        raise ValueError(say(mark("content is a text or a list of parts, not {type}"), type=type(content).__name__))
    return calls


def _call_ids(tool_calls: object) -> tuple[str, ...]:
    try:
        ids = tuple(call["id"] for call in tool_calls)  # type: ignore[attr-defined]  # whatever a server or a file holds
        if all(isinstance(id, str) for id in ids):
            return ids
    except (TypeError, KeyError):
        pass
    raise ValueError(say(mark("tool_calls is a list of calls, each with an id")))


def compose(parts: Iterable[Any], messages: Iterable[Any] = ()) -> tuple[Message, ...]:
    """Make the question of one turn.

    Args:
        parts: texts, parts and whole messages, in order. Texts and parts that follow each other are one
            message of the user: a single text goes out as a str, several as parts; empty texts beside
            others are left out.
        messages: whole messages that follow.

    Raises:
        InvalidMessageError: the API would refuse one of them.
        TypeError: something is none of these.
    """
    parts = tuple(parts)
    if not messages and len(parts) == 1 and type(parts[0]) is str:  # the common question, a text alone
        return (spoken("user", parts[0]),)
    found: list[Message] = []
    said: list[Any] = []
    silent: list[Message] = []

    def close() -> None:
        if said:
            content = _content(said)
            (found if content else silent).append(message({"role": "user", "content": content}, "question"))
            said.clear()

    for part in parts:
        if _is_model(part) or (isinstance(part, dict) and "role" in part):
            close()
            found.append(message(part, "question"))
        else:
            said.append(part)
    close()
    found += [message(given, f"messages[{i}]") for i, given in enumerate(messages)]
    return tuple(found or silent[:1])


def _is_model(given: object) -> bool:
    return callable(getattr(given, "model_dump", None))


def _content(parts: list[Part], many: bool = False) -> str | list[dict[str, Any]]:
    """Give what stands in ``content``: one text as a str, anything more as parts."""
    dressed = [Multimodal_Part.text(part) if isinstance(part, str) else _checked(part) for part in parts]
    spoken = [part for part in dressed if part != {"type": "text", "text": ""}]
    if many:
        return spoken or dressed
    if not spoken:
        return ""
    if len(spoken) == 1 and spoken[0].keys() == {"type", "text"} and isinstance(text := spoken[0]["text"], str):
        return str(text)
    return spoken


def _checked(part: Any) -> dict[str, Any]:
    if isinstance(part, (bytes, bytearray)):
        sentence = mark("bytes are no part of a message: say what they are, as in Multimodal_Part.image(data)")
        raise TypeError(say(sentence))
    if not isinstance(part, dict):
        kind = type(part).__name__
        raise TypeError(say(mark("a part is a str, a Multimodal_Part or a dict with its type, not {type}"), type=kind))
    if not isinstance(part.get("type"), str):
        raise TypeError(say(mark("a part that is a dict needs its type, such as text")))
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        raise TypeError(say(mark("a part of type text has its text as a str")))
    return part


_encoders: list[Callable[[Any], str]] = []


def encode(value: object) -> bytes:
    """Encode as compact UTF-8 JSON.

    Raises:
        ValueError, TypeError: JSON cannot say it (NaN, bytes …).
    """
    if not _encoders:
        import json  # 6 ms, two thirds of an interpreter's start

        plain, escaped = [
            json.JSONEncoder(ensure_ascii=escaped, allow_nan=False, separators=(",", ":"), default=_plain).encode
            for escaped in (False, True)
        ]
        _encoders[:] = plain, json.encoder.encode_basestring, escaped  # all at once: another thread may look
    try:
        return _encoders[type(value) is str](value).encode()
    except UnicodeEncodeError:  # half of a surrogate pair: no UTF-8, but JSON has an escape for it
        return _encoders[-1](value).encode()


def _plain(value: Any) -> object:
    """Say in JSON what the SDK would take too: a model as its fields, a mapping as a dict, any iterable as a list."""
    if _is_model(value):
        return value.model_dump(exclude_none=True)
    if hasattr(value, "keys"):
        return dict(value)
    if hasattr(value, "__iter__") and not isinstance(value, (bytes, bytearray)):
        return list(value)
    raise TypeError(say(mark("a value of type {type} cannot be sent as JSON"), type=type(value).__name__))


def decode(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Give messages as plain dicts, a deep copy."""
    import json

    found: list[dict[str, Any]] = json.loads(b"[" + b",".join([m.data for m in messages]) + b"]")
    return found


def plain_text(given: Mapping[str, Any]) -> str:
    """Give what a message says as one text; what is no text as a short stand-in."""
    content = given.get("content")
    if isinstance(content, list):
        return "".join(part["text"] if part["type"] == "text" else placeholder(part) for part in content)
    if content:
        return str(content)
    names = [_call_name(call) for call in given.get("tool_calls") or []]
    return f"[{', '.join(names)}]" if names else str(given.get("refusal") or "")


def _call_name(call: Mapping[str, Any]) -> str:
    called = call.get("function") or call.get("custom")
    return str(called["name"]) if isinstance(called, dict) and "name" in called else "call"
