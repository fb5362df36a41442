"""`Draft`: an answer as far as it has come, put together from whatever a server sends.

Servers differ: some never send a finish_reason, some never an end mark, some send ``content: null``,
chunks without choices, or a whole answer where a stream was asked for. What is an answer in any of
these shapes becomes one; what is none raises here, once.
"""

from __future__ import annotations

from skk.errors import SkkError
from skk.messages import Reply, encode
from skk.texts import mark, say

from .turn import DONE, Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["Draft", "unreadable"]

# What comes whole in one fragment, and is not put together from several.
_WHOLE = frozenset({"id", "type", "name"})


class Draft:
    """The first choice of a reply, growing.

    Attributes:
        pieces: the texts so far, in order; those of a refusal too.
        fields: the fields of the assistant's message so far, beside role and content.
        finish_reason, usage, model: as the service sent them.
    """

    __slots__ = ("_calls", "_ended", "_found", "_streamed", "fields", "finish_reason", "model", "pieces", "usage")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.fields: dict[str, Any] = {}
        self.finish_reason: str | None = None
        self.usage: Reply | None = None
        self.model: str | None = None
        self._calls: list[dict[str, Any]] = []
        self._found = False
        self._streamed = False
        self._ended = False

    def absorb(self, events: Sequence[Event]) -> list[str]:
        """Take in events, give the texts that are new.

        Raises:
            InvalidResponseError: they are no answer.
        """
        pieces = self.pieces
        start = len(pieces)
        for event in events:
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
                    and self._streamed
                ):
                    pieces.append(text)
                    continue
            except (KeyError, TypeError, ValueError, AttributeError):
                pass
            if event is DONE:
                self._ended = True
            else:
                try:
                    self._absorb(event)
                except (KeyError, TypeError, ValueError, AttributeError) as error:  # whatever shape it was not of
                    if isinstance(error, SkkError):
                        raise
                    raise unreadable(event) from error
        return pieces[start:]

    def _absorb(self, event: dict[str, Any]) -> None:
        if not isinstance(event, dict):
            raise TypeError
        if event.get("error"):
            raise _reported(event["error"])
        self.model = event.get("model") or self.model
        if usage := event.get("usage"):
            self.usage = Reply(usage)
        for choice in event.get("choices") or ():
            if not choice.get("index"):  # with n > 1 the first choice is the answer
                self._found = True
                self.finish_reason = choice.get("finish_reason") or self.finish_reason
                if "message" in choice:
                    self._fill(choice["message"].items())
                else:
                    self._streamed = True
                    self._fill((choice["delta"] or {}).items())

    def _fill(self, fields: Any) -> None:
        for name, value in fields:
            if value is None or name == "role":
                continue
            if name == "content":
                self._say(value)
            elif name == "tool_calls":
                for call in value:
                    self._call(call)
            else:
                _merge(self.fields, name, value)
                if name == "refusal":
                    self._say(value)
                elif name == "audio" and value.get("transcript"):
                    self._say(value["transcript"])

    def _say(self, content: object) -> None:
        if isinstance(content, list):
            content = "".join([part["text"] for part in content if part.get("type") == "text"])
        if not isinstance(content, str):
            raise TypeError
        if content:
            self.pieces.append(content)

    def _call(self, fragment: dict[str, Any]) -> None:
        """Put a fragment of a tool call where it belongs: by its index, else by its id, else to the last."""
        index = fragment.get("index")
        if index is None:
            ids = [call.get("id") for call in self._calls]
            if not self._streamed or (fragment.get("id") and fragment["id"] not in ids):
                index = len(ids)
            else:
                index = ids.index(fragment["id"]) if fragment.get("id") else len(ids) - 1
        if not 0 <= index <= len(self._calls) + 128:
            raise ValueError
        while len(self._calls) <= index:
            self._calls.append({})
        for name, value in fragment.items():
            if name != "index" and value is not None:
                _merge(self._calls[index], name, value)

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

            raise InvalidResponseError(reason=say(mark("a reply without choices")))
        if self.finish_reason == "content_filter" and not self.pieces:
            from skk.errors import ContentPolicyViolationError

            raise ContentPolicyViolationError

    def message(self) -> dict[str, Any]:
        """Give the assistant's message as it came."""
        fields = dict(self.fields)
        if self._calls:
            fields["tool_calls"] = [_whole_call(call, i) for i, call in enumerate(self._calls)]
        text = "".join(self.pieces)
        spoken = None if "refusal" in fields or "audio" in fields else text
        return {"role": "assistant", "content": spoken or (None if fields.keys() & _INSTEAD else ""), **fields}

    def kept(self) -> dict[str, Any]:
        """Give the assistant's message in the form that the API takes back."""
        fields = self.message()
        if "audio" in fields:
            fields["audio"] = {"id": fields["audio"].get("id")}
        elif text := "".join(self.pieces):
            fields["content"] = text
        return fields


_INSTEAD = {"tool_calls", "function_call", "audio", "refusal"}


def _merge(target: dict[str, Any], name: str, value: Any) -> None:
    """Put a fragment to what has come: texts and lists grow, objects merge, anything else is the newest."""
    known = target.get(name)
    if isinstance(value, dict):
        inner = target.setdefault(name, {}) if known is None or isinstance(known, dict) else {}
        for key, item in value.items():
            if item is not None:
                _merge(inner, key, item)
    elif known is not None and name in _WHOLE:
        pass  # some servers send the name again with every fragment
    elif (isinstance(value, str) and isinstance(known, str)) or (isinstance(value, list) and isinstance(known, list)):
        target[name] = known + value  # type: ignore[operator]  # mypy does not see that both are of one kind
    else:
        target[name] = value


def _whole_call(call: dict[str, Any], index: int) -> dict[str, Any]:
    """Give a tool call as the API takes it back, whatever a server left out."""
    function = call.get("function")
    if isinstance(function, dict):
        arguments = function.get("arguments", "")
        if not isinstance(arguments, str):  # some servers send the object itself
            arguments = encode(arguments).decode()
        call = {**call, "function": {**function, "arguments": arguments}}
    return {"id": f"call_{index}", "type": "function", **call}


def unreadable(event: object) -> Exception:
    """Give the error for something that is no answer, with its beginning."""
    from skk.errors import InvalidResponseError

    return InvalidResponseError(reason=repr(event)[:200])


def _reported(error: Any) -> Exception:
    """Give the error for an error object where an answer was expected."""
    from skk.errors import InvalidResponseError

    fields = error if isinstance(error, dict) else {"message": error}
    found = InvalidResponseError(reason=say(mark("an error: {message}"), message=str(fields.get("message"))[:500]))
    found.body = error
    found.message = str(fields.get("message"))
    for name in ("code", "type", "param"):
        if fields.get(name) is not None:
            setattr(found, name, str(fields[name]))
    return found
