"""What a person sees of an answer or of a failure. Nothing that steers a terminal gets through."""

from __future__ import annotations

import os
import re

from skk.texts import mark, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from skk.chat import AsyncStream
    from skk.openai import Answer, Chat

    from .environment import Environment
    from .markdown import Screen

__all__ = [
    "INTERRUPTED",
    "Display",
    "Filter",
    "clean",
    "columns",
    "cut",
    "explain",
    "indented",
    "json_line",
    "one_line",
    "remark",
    "remember",
]

# ECMA-48: control sequences (CSI), control strings (OSC, DCS, SOS, PM, APC) and short escapes.
_CSI, _STRING = r"(?:\x1b\[|\x9b)", r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"
_INTRODUCER = re.compile(r"[\x1b\x90\x98\x9b\x9d-\x9f]")
_SEQUENCE = re.compile(
    rf"{_CSI}[0-?]*[ -/]*[@-~]"
    rf"|{_STRING}[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b(?:[ -/]+[0-~]|[0-OQ-WYZ\\`-~])"
)
_BEGINNING = re.compile(rf"(?:{_CSI}[0-?]*[ -/]*|{_STRING}[^\x07\x1b\x9c\n]*\x1b?|\x1b[ -/]*)\Z")
# What turns the direction of what follows: a line would read otherwise than it was written (CVE-2021-42574).
_TURNING = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_CONTROL = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{_TURNING}]")
# What JSON would hold as it is, and what would steer a terminal or end a line for some readers.
_STEERING = re.compile(rf"[\x7f-\x9f\u2028\u2029\ud800-\udfff{_TURNING}]")

# A sequence longer than this is none: a text must not vanish behind a beginning without an end.
_LONGEST = 256


class Filter:
    r"""Takes out of a text, piece by piece, what steers a terminal: of all controls only newlines and tabs stay.

    >>> Filter().feed("a\x1b[31mb")
    'ab'
    """

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Give what may be shown. The beginning of a sequence is held until its end comes."""
        text = self._held + piece
        self._held = ""
        shown: list[str] = []
        at = 0
        while found := _INTRODUCER.search(text, at):
            shown.append(text[at : found.start()])
            at = found.start()
            if sequence := _SEQUENCE.match(text, at):
                at = sequence.end()
            elif len(text) - at <= _LONGEST and _BEGINNING.match(text, at):
                self._held = text[at:]
                at = len(text)
            else:
                at += 1
        shown.append(text[at:])
        return _CONTROL.sub("", "".join(shown))

    def finish(self) -> str:
        """Give what was held and is no sequence after all."""
        held, self._held = self._held, ""
        return _CONTROL.sub("", held)


def clean(text: object) -> str:
    """Give a whole text without what steers a terminal."""
    found = Filter()
    return found.feed(str(text)) + found.finish()


def one_line(text: object) -> str:
    r"""Give a text as one line of a list.

    >>> one_line("a name\n  1  of two\tlines")
    'a name 1 of two lines'
    """
    return " ".join(clean(text).split())


def indented(text: str, by: int = 5) -> str:
    r"""Give a text whose further lines stand to the right of what begins a line, so that none passes for that.

    >>> indented("2\n  0  [user] or so", 3)
    '2\n     0  [user] or so'
    """
    return "\n".join(text.splitlines()).replace("\n", "\n" + " " * by)


def columns(text: str) -> int:
    """Tell how many columns a text takes at a terminal: a Chinese character takes two, an accent none."""
    if text.isascii():
        return len(text)
    try:
        from rich.cells import cell_len  # 5 ms; the rest of rich is not loaded
    except ImportError:  # installed without the extra
        return len(text)
    return cell_len(text)


def cut(text: str, room: int) -> str:
    """Give as much of a text as takes so many columns; "…" stands for the rest.

    >>> cut("a long line", 7)
    'a long…'
    """
    if columns(text) <= room:
        return text
    taken, at = 1, 0
    while at < len(text) and taken + columns(text[at]) <= room:
        taken += columns(text[at])
        at += 1
    return text[:at] + "…"


def json_line(value: object) -> str:
    r"""Give JSON on one line for any reader, which steers no terminal.

    >>> json_line("数\x9b2J\u202e")
    '"数\\u009b2J\\u202e"'
    """
    import json

    text = json.dumps(value, ensure_ascii=False)
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class _Plain:
    """An answer as it comes: for pipes, screen readers and terminals that can do no more."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._last = ""

    def show(self, text: str) -> None:
        self._environment.write(text)
        self._last = text

    def think(self, text: str) -> None:
        """Leave out what was only thought."""

    def make_room(self) -> None:
        """Let what is told next begin on a new line."""
        self.finish()
        self._last = ""

    def finish(self) -> None:
        if self._last and not self._last.endswith("\n"):
            self._environment.write("\n")


def _screen(environment: Environment) -> _Plain | Screen:
    """Give what shows an answer there."""
    if not environment.draws:
        return _Plain(environment)
    try:
        from .markdown import Screen, can_draw  # 180 ms: rich, for a person at a terminal alone
    except ImportError:  # installed without the extra
        return _Plain(environment)
    return Screen(environment) if can_draw() else _Plain(environment)


class Display:
    """One answer on the screen, growing.

    Attributes:
        text: what has been shown, as the model sent it.
    """

    def __init__(self, environment: Environment) -> None:
        self.text = ""
        self._environment = environment
        self._filter = Filter()
        self._thoughts = Filter()
        self._screen: _Plain | Screen | None = None

    async def show(self, stream: AsyncStream) -> Answer:
        """Show an answer while it comes, and give it when it is complete."""
        try:
            async with stream:
                async for piece in stream:
                    self.text += piece
                    self._write(self._filter.feed(piece))
        finally:
            self._write(self._filter.finish())
            self._environment.make_room = None
            if self._screen is not None:
                self._screen.finish()
        assert stream.answer is not None  # a stream that ends without an error is complete
        return stream.answer

    def think(self, piece: str) -> None:
        """Show what the model thinks aloud, as a line that the answer takes the place of."""
        if text := self._thoughts.feed(piece):
            self._begin().think(text)

    def _write(self, text: str) -> None:
        if text:
            self._begin().show(text)

    def _begin(self) -> _Plain | Screen:
        if self._screen is None:
            self._screen = _screen(self._environment)
            self._environment.make_room = self._screen.make_room
        return self._screen


INTERRUPTED = mark("[interrupted]")


def remember(chat: Chat, question: tuple[Any, ...], shown: str, *, pinned: bool = False) -> None:
    """Let a chat remember an answer that was not finished: what the person saw is what the model will see."""
    if shown:
        from skk.openai import assistant_msg, user_msg

        chat.add_dialogs(user_msg(*question, pinned=pinned), assistant_msg(f"{shown}\n{say(INTERRUPTED)}"))


_REMARKS = {
    "length": mark("[cut off: the answer is as long as the model may make it]"),
    "content_filter": mark("[cut off by the service's content filter]"),
}


def remark(answer: Answer) -> str | None:
    """Say what a person should know of an answer; None if it is whole."""
    sentence = _REMARKS.get(answer.finish_reason or "")
    if sentence is None and not answer.strip():
        sentence = mark("[the answer has no text]")
    return None if sentence is None else say(sentence)


# The next step, for failures whose own sentence leaves it to the service's words.
_NEXT = {
    "rate_limit": mark("wait a little and ask again, or look at the account's plan"),
    "permission_denied": mark("use another key or another model"),
    "bad_request": mark("try another model with --model, or ask in other words"),
    "unprocessable": mark("try another model with --model, or ask in other words"),
    "conflict": mark("ask again"),
    "status": mark("ask again, or check the address in --base-url"),
}


# The troubles with files that a person causes; the system's own words are in its own language.
_FILE_TROUBLES: tuple[tuple[type[OSError], str], ...] = (
    (FileNotFoundError, mark("no such file or folder")),
    (PermissionError, mark("no permission for it")),
    (IsADirectoryError, mark("it is a folder: name a file")),
)


def explain(error: Exception) -> str:
    """Give a failure as one line: what happened, and the next step."""
    if isinstance(error, OSError) and error.filename is not None:
        found = (say(sentence) for kind, sentence in _FILE_TROUBLES if isinstance(error, kind))
        line = say(mark("{path}: {reason}"), path=_readable(error.filename), reason=next(found, error.strerror))
    else:
        line = str(error) or type(error).__name__
    if (step := _NEXT.get(getattr(error, "kind", ""))) is not None:
        line = say(mark("{failure}; next: {step}"), failure=line.rstrip(".。"), step=say(step))
    return "skk: " + " ".join(clean(line).split())


def _readable(path: object) -> str:
    """Give a path as it was typed, where the system's encoding (``LC_ALL=C``) has no word for it."""
    return os.fsencode(path).decode("utf-8", "replace") if isinstance(path, (str, bytes)) else str(path)
