"""What comes back: `Answer`, the text of a chat's answer, and `Reply`, any reply as it came."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Answer", "Reply", "answered", "dressed"]


class Reply(dict[str, "Any"]):
    """A JSON object that also answers attributes, at every depth.

    >>> reply = Reply({"choices": [{"index": 0}]})
    >>> reply.choices[0].index, reply["choices"][0]["index"], reply.get("usage")
    (0, 0, None)
    """

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        for name, value in self.items():
            self[name] = dressed(value)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"this reply has no {name!r}; it has {', '.join(map(str, self))}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *map(str, self)]


def dressed(value: Any) -> Any:
    """Give a JSON value whose objects answer attributes."""
    if isinstance(value, dict):
        reply = Reply.__new__(Reply)
        for name, item in value.items():
            kind = type(item)
            reply[name] = item if kind is int or kind is str else dressed(item)  # spares most calls
        return reply
    return [dressed(item) for item in value] if isinstance(value, list) else value


class Answer(str):
    """The text of an answer: a `str` in every respect, which also knows how it came about.

    Attributes:
        message: the assistant's message as it came, a plain dict.
        usage: the tokens, as the service counts them (``answer.usage["total_tokens"]`` or
            ``answer.usage.total_tokens``), None where it sent no count.
        finish_reason: ``"stop"``, ``"length"`` (cut off), ``"tool_calls"`` …, None where none came.
        reasoning: what a reasoning model thought aloud, None where nothing came.
        refusal: the text of a refusal (then it is the answer's text too), else None.
        tool_calls: the calls that the model asks for, as dicts; ``[]`` if none.
        parsed: the structured value, None where none was asked for.
        model: the model that answered, as the service names it.
        request_id: the service's name for the request.

    >>> Answer("51", finish_reason="stop") == "51"
    True
    """

    # no __slots__: a str subclass cannot have them
    def __new__(cls, text: str = "", **about: Any) -> Answer:
        self = str.__new__(cls, text)
        self.__dict__ = about
        return self

    message: dict[str, Any] | None = None
    finish_reason: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    parsed: Any = None
    model: str | None = None
    request_id: str | None = None

    def _repr_markdown_(self) -> str:
        """Show the answer in a notebook."""
        return str(self)

    @property
    def usage(self) -> Reply | None:
        known = self.__dict__.get("usage")
        if type(known) is dict:  # as it came: most are never looked at
            try:
                known = dressed(known)
            except RecursionError:  # as deep as a stack: that is no count
                known = None
            self.__dict__["usage"] = known
        return known

    @usage.setter
    def usage(self, usage: Reply | None) -> None:
        self.__dict__["usage"] = usage

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        return (self.message or {}).get("tool_calls") or []


def answered(text: str, about: dict[str, Any]) -> Answer:
    """Give the answer that says `text`, with what is known of it: without handing over names, in half the time."""
    answer = str.__new__(Answer, text)
    answer.__dict__ = about
    return answer
