"""The stage: what a group's model is told, and what its answer means. Pure functions on texts."""

from __future__ import annotations

import json
import re
from itertools import islice

from skk.errors import GroupAnswerError
from skk.messages import Answer
from skk.texts import mark, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

__all__ = ["GroupAnswer", "Line", "question", "scene", "shape"]


# Where a list of objects may begin, and how many such places are looked at: each costs a try to read on from there.
_LIST = re.compile(r"\[\s*\{")
_MOST_PLACES = 100


class Line:
    """One line of the play. Two lines with the same words are two lines.

    Raises:
        TypeError: a name or the remark is no str.
    """

    __slots__ = ("audiences", "remark", "speaker")

    def __init__(self, speaker: str, audiences: Iterable[str], remark: str = "") -> None:
        names = [audiences] if isinstance(audiences, str) else list(audiences)
        for word in (speaker, *names, remark):
            if not isinstance(word, str):
                raise TypeError(f"speaker, audiences and remark are texts, not {type(word).__name__}")
        self.speaker = speaker
        self.audiences = "、".join(names)
        self.remark = remark

    def as_dict(self) -> dict[str, str]:
        return {"speaker": self.speaker, "audiences": self.audiences, "remark": self.remark}


class GroupAnswer(Answer):
    """A group's answer: the text, which also knows its lines."""

    @property
    def lines(self) -> list[dict[str, str]]:
        """The lines, as ``{"speaker", "audiences", "remark"}`` in the order asked for.

        Raises:
            GroupAnswerError: the text is no list of lines; `.text` holds it.
        """
        try:
            found = json.loads(self)
        except (ValueError, RecursionError) as error:
            raise GroupAnswerError(text=str(self), reason=str(error)) from None
        if not isinstance(found, list) or not all(_is_line(line) for line in found):
            reason = say(mark("each line is an object with speaker, audiences and remark"))
            raise GroupAnswerError(text=str(self), reason=reason)
        return [Line(line["speaker"], line["audiences"], line["remark"]).as_dict() for line in found]


def scene(system: str | None, roles: Mapping[str, str]) -> str | None:
    """Give the system message: what the chat is to be, and who is who."""
    for name, role in roles.items():
        if not isinstance(role, str):
            raise TypeError(f"the role of {name} is a text that describes it, not {type(role).__name__}")
    persons = [f"【{name}】{' '.join(role.split())}" for name, role in roles.items()]
    told = [system] if system is not None else []
    if persons:
        told.append(
            "You write the lines of these persons in a conversation, each in their own voice:\n" + "\n".join(persons)
        )
    return "\n\n".join(told) if told else None


def question(said: Sequence[Line], wanted: Sequence[Line]) -> str:
    """Give the user's message: the lines that are new, and those that the model is to write."""
    template = json.dumps([line.as_dict() for line in wanted], ensure_ascii=False)
    new = [
        f"{i}、【{line.speaker}】对【{line.audiences}】说：{' '.join(line.remark.split())}"
        for i, line in enumerate(said, 1)
    ]
    told = ["New lines:\n" + "\n".join(new)] if new else []
    told.append(
        "Write the next lines, in this order and in the language of the conversation. Answer with this JSON array "
        "alone, every remark filled in:\n" + template
    )
    return "\n\n".join(told)


def shape(answer: Answer) -> GroupAnswer:
    """Take off what stands around the list of lines: a code fence, some talk. Anything else stays as it is."""
    return GroupAnswer(_list_of_lines(answer) or str(answer), **vars(answer))


def _list_of_lines(text: str) -> str | None:
    decoder = json.JSONDecoder()
    for place in islice(_LIST.finditer(text), _MOST_PLACES):
        try:
            found, end = decoder.raw_decode(text, place.start())
        except (ValueError, RecursionError):
            continue
        if all(_is_line(line) for line in found):
            if all(isinstance(line["audiences"], str) for line in found):
                return text[place.start() : end]
            lines = [Line(line["speaker"], line["audiences"], line["remark"]).as_dict() for line in found]
            return json.dumps(lines, ensure_ascii=False)  # audiences are one text, also where a model made a list
    return None


def _is_line(line: Any) -> bool:
    return (
        isinstance(line, dict)
        and isinstance(line.get("speaker"), str)
        and isinstance(line.get("remark"), str)
        and (
            isinstance(line.get("audiences"), str)
            or (isinstance(line.get("audiences"), list) and all(isinstance(name, str) for name in line["audiences"]))
        )
    )
