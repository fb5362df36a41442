"""`Draft`: an answer as far as it has come, put together from whatever a server sends.

Servers differ: some never send a finish_reason, some never an end mark, some send ``content: null``,
chunks without choices, or a whole answer where a stream was asked for. What is an answer in any of
these shapes becomes one; what is none raises here, once.
"""

from __future__ import annotations

import json
import random
from contextlib import suppress
from functools import partial

from skk.errors import InvalidMessageError, SkkError
from skk.failure import CallerFailed
from skk.messages import INSTEAD_OF_TEXT, Message, encode, message
from skk.texts import mark

from .turn import DONE, Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

__all__ = ["Draft", "unreadable"]

# What comes whole in one fragment, and is not put together from several.
_WHOLE = frozenset({"id", "type", "name"})

# What reading a value of another shape than expected, or one as deep as a stack, ends in.
_SHAPE_ERRORS = (LookupError, TypeError, ValueError, AttributeError, RecursionError)


class Draft:
    """The first choice of a reply, growing.

    Attributes:
        pieces: the texts so far, in order; those of a refusal too.
        fields: the fields of the assistant's message so far, beside role and content.
        finish_reason, usage, model: as the service sent them.
        thought_aloud: whether `on_reasoning` was called.

    Args:
        on_reasoning: called with each piece of what the model thinks aloud.
    """

    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    model: str | None = None
    thought_aloud = False
    _aside: frozenset[int] = frozenset()  # the places of pieces that are a refusal's or a transcript's
    _found = False
    _ended = False

    def __init__(self, on_reasoning: Callable[[str], object] | None = None) -> None:
        self.pieces: list[str] = []
        self.fields: dict[str, Any] = {}
        self._calls: list[dict[str, Any]] = []
        self._thoughts: list[Callable[[], object]] = []
        self._on_reasoning = on_reasoning
        self._streamed = False  # read for each piece: not of the class, where Python finds it a little later

    def absorb(self, events: Sequence[Event]) -> list[str]:
        """Take in events, give the texts that are new.

        Raises:
            InvalidResponseError: they are no answer.
        """
        pieces = self.pieces
        new: list[str] = []
        for event in events:
            if self._streamed:
                try:  # the common chunk, a piece of text and nothing else: three times as fast as the long way below
                    (choice,) = event["choices"]
                    delta = choice["delta"]
                    text = delta["content"]
                    if (
                        type(text) is str
                        and text
                        and len(delta) == 1
                        and choice.get("finish_reason") is None
                        and not choice.get("index")
                        and event.get("usage") is None
                    ):
                        pieces.append(text)
                        new.append(text)
                        continue
                except (KeyError, TypeError, ValueError, AttributeError):
                    pass
            if event is DONE:
                self._ended = True
            else:
                before = len(pieces)
                try:
                    self._absorb(event)
                except SkkError:
                    raise
                except _SHAPE_ERRORS as error:
                    raise unreadable(event) from error
                while self._thoughts:
                    self.thought_aloud = True
                    try:
                        _tell(self._thoughts.pop(0))
                    except Exception as error:
                        raise CallerFailed from error
                new += pieces[before:]
        return new

    def _absorb(self, event: dict[str, Any]) -> None:
        if not isinstance(event, dict):
            raise TypeError
        if event.get("error"):
            raise unreadable(event)
        self.model = _text(event.get("model")) or self.model
        if usage := event.get("usage"):
            if not isinstance(usage, dict):
                raise TypeError
            self.usage = usage
        for place, choice in enumerate(event.get("choices") or ()):
            index = choice.get("index")
            if (place if index is None else index) == 0:  # with n > 1 the first choice is the answer
                if (message := choice.get("message")) is not None:
                    self._fill(message, whole=not self._calls)
                elif self._streamed or "delta" in choice:  # the last chunk may have a finish_reason alone
                    self._streamed = True
                    self._fill(choice.get("delta") or {})
                else:
                    raise TypeError
                self._found = True
                self.finish_reason = _text(choice.get("finish_reason")) or self.finish_reason

    def _fill(self, fields: dict[str, Any], whole: bool = False) -> None:
        for name, value in fields.items():
            if value is None or name == "role":
                continue
            if name == "content":
                if type(value) is str and value:
                    self.pieces.append(value)
                else:
                    self._say(value)
            elif name == "tool_calls":
                for place, call in enumerate(value):
                    self._call(call, place if whole else None)
            elif value or name not in INSTEAD_OF_TEXT:
                _merge(self.fields, name, value)
                if name == "refusal":
                    self._say_aside(_text(value))
                elif name == "audio":
                    self._say_aside(_text(value.get("transcript")))

        if self._on_reasoning is not None:
            thought = fields.get("reasoning_content") or fields.get("reasoning")  # DeepSeek's name, and vLLM's
            if thought and isinstance(thought, str):
                self._thoughts.append(partial(self._on_reasoning, thought))

    def _say(self, content: object) -> None:
        if isinstance(content, list):
            content = "".join([part["text"] for part in content if part.get("type") == "text"])
        if not isinstance(content, str):
            raise TypeError
        if content:
            self.pieces.append(content)

    def _say_aside(self, text: str | None) -> None:
        """Say what is a text to people, and not the message's content."""
        if text:
            self._aside |= {len(self.pieces)}
            self.pieces.append(text)

    def _call(self, fragment: dict[str, Any], place: int | None) -> None:
        """Put a fragment of a tool call where it belongs: by its index, else by its id, else to the last.

        A fragment that names a function, without an index or with another call's, begins a call. In a whole
        message nothing is a fragment: each call has its place.
        """
        calls, id, index = self._calls, _text(fragment.get("id")), fragment.get("index")
        function = fragment.get("function") or {}
        begins = bool(function.get("name"))
        if place is not None:
            index = place
        elif index is None:
            ids = [call.get("id") for call in calls]
            if id and id in ids:
                index = ids.index(id)
            else:
                index = len(calls) if id or begins or not calls else len(calls) - 1
        if begins and 0 <= index < len(calls) and _is_other(calls[index], id, function):
            index = len(calls)  # some servers give all calls the index 0, or one id
        if not 0 <= index <= len(calls) + 128:
            raise ValueError
        while len(calls) <= index:
            calls.append({})
        for name, value in fragment.items():
            if name != "index" and value not in (None, ""):
                _merge(calls[index], name, value)

    def check(self) -> None:
        """See that the answer is complete.

        Raises:
            StreamTruncatedError: the stream ended without a finish_reason or an end mark.
            InvalidResponseError: there was no choice in it.
            ContentPolicyViolationError: the filter left no text.
        """
        if self._streamed and self.finish_reason is None and not self._ended:
            from skk.errors import StreamTruncatedError

            raise StreamTruncatedError(length=len("".join(self.pieces)))
        if not self._found:
            from skk.errors import InvalidResponseError

            raise InvalidResponseError(mark("the service sent a reply without choices: check base_url and model"))
        if self.finish_reason == "content_filter" and not self.pieces:
            from skk.errors import ContentPolicyViolationError

            raise ContentPolicyViolationError

    def message(self) -> dict[str, Any]:
        """Give the assistant's message as it came.

        Raises:
            InvalidResponseError: it holds a tool call that is none.
        """
        fields = self.fields
        if self._calls or "function_call" in fields:
            fields = self._with_calls()
        aside = self._aside
        said = [piece for place, piece in enumerate(self.pieces) if place not in aside] if aside else self.pieces
        content = "".join(said)
        return {"role": "assistant", "content": content or (None if fields.keys() & INSTEAD_OF_TEXT else ""), **fields}

    def _with_calls(self) -> dict[str, Any]:
        """Give the fields, and the calls as the API takes them back."""
        fields = dict(self.fields)
        try:
            if "function_call" in fields:
                fields["function_call"] = _whole_function(fields["function_call"])
            if calls := [_whole_call(call) for call in self._calls if call]:
                known: set[str] = set()
                for call, kept in zip(calls, filter(None, self._calls), strict=True):
                    if call["id"] in known:  # two calls of one id could not be answered
                        call["id"] = kept["id"] = _new_id()
                    known.add(call["id"])
                fields["tool_calls"] = calls
        except _SHAPE_ERRORS as error:
            raise unreadable({**fields, "tool_calls": self._calls}) from error
        return fields

    def kept(self, given: dict[str, Any]) -> Message:
        """Give the assistant's message, `given` as it came, in the form that the API takes back.

        Raises:
            InvalidResponseError: it holds a tool call that is none.
        """
        fields = dict(given)
        fields.pop("pinned", None)  # a word of our own archives
        if (id := fields.pop("audio", {}).get("id")) is not None:
            fields["audio"] = {"id": id}
        elif text := "".join(self.pieces):
            fields["content"] = text
        try:
            return message(fields, "answer")
        except InvalidMessageError as error:  # a tool call without a name, an id that is a number …
            raise unreadable(given) from error


def _tell(tell: Callable[[], object]) -> None:
    told = tell()
    if hasattr(told, "__await__"):
        if hasattr(told, "close"):
            told.close()  # it will not be awaited
        raise TypeError("on_reasoning= is called, not awaited: give a function that is not asynchronous")


def _text(value: object) -> str | None:
    """Give a text, or None for none.

    Raises:
        TypeError: it is something else.
    """
    if value is None or isinstance(value, str):
        return value
    raise TypeError


def _merge(target: dict[str, Any], name: str, value: Any) -> None:
    """Put a fragment to what has come: texts and lists grow, objects merge, anything else is the newest."""
    known = target.get(name)
    if isinstance(value, dict):
        if not isinstance(known, dict):
            known = target[name] = {}
        for key, item in value.items():
            if item is not None:
                _merge(known, key, item)
    elif known is None:
        target[name] = value
    elif known and name in _WHOLE:
        pass  # some servers send the name again with every fragment
    elif (isinstance(value, str) and isinstance(known, str)) or (isinstance(value, list) and isinstance(known, list)):
        target[name] = known + value  # type: ignore[operator]  # mypy does not see that both are of one kind
    else:
        target[name] = value


def _whole_call(call: dict[str, Any]) -> dict[str, Any]:
    """Give a tool call as the API takes it back, whatever a server left out."""
    # An id of ours is kept with the call, and no other answer of the conversation has it.
    id = call.setdefault("id", _new_id())
    if "function" in call or call.get("type") in (None, "function"):
        call = {**call, "type": "function", "function": _whole_function(call["function"])}
    return {"id": id, **call}


def _is_other(known: dict[str, Any], id: str | None, function: dict[str, Any]) -> bool:
    """Tell whether a fragment with a name begins another call: its id is another, or the known call is whole."""
    if id and known.get("id", id) != id:
        return True
    arguments = (known.get("function") or {}).get("arguments")
    if isinstance(arguments, str) and arguments.startswith("{") and function.get("arguments"):
        with suppress(ValueError):
            json.loads(arguments)
            return True
    return False


def _new_id() -> str:
    return f"call_{random.getrandbits(64):016x}"


def _whole_function(function: dict[str, Any]) -> dict[str, Any]:
    name, arguments = function["name"], function.get("arguments", {})
    if not isinstance(name, str) or not name:
        raise TypeError
    if not isinstance(arguments, str):  # some servers send the object itself
        arguments = encode(arguments).decode()
    return {**function, "arguments": arguments}


def unreadable(event: Any) -> Exception:
    """Give the error for something that is no answer: its own words if it is an error object, else its beginning."""
    from skk.errors import InvalidResponseError

    error = event.get("error") if isinstance(event, dict) else None
    try:
        if not error:
            return InvalidResponseError(reason=repr(event)[:200])
        fields = error if isinstance(error, dict) and "message" in error else {"message": error}
        message = str(fields["message"])
    except RecursionError:
        return InvalidResponseError(reason="[[[[…")
    sentence = mark("the service sent an error instead of an answer: {message}")
    found = InvalidResponseError(sentence, message=message[:2000])
    found.body = error
    for name in ("code", "type", "param"):
        if fields.get(name) is not None:
            setattr(found, name, str(fields[name]))
    return found
