"""A talk as a document, for people: Markdown or text."""

from __future__ import annotations

import re
import time

from .render import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .chat import Talk

__all__ = ["FORMS"]

_SIGN, _ESCAPED = re.compile(r"([\[\]*_`<>#\\])"), r"\\\1"
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def _markdown(talk: Talk) -> str:
    """Give a document: who spoke is in bold, since an answer may have headings of its own."""
    said = [(who, _closed(text)) for who, text in _said(talk)]
    title = next((" ".join(text.split())[:60] for who, text in said if who == talk.user), "") or talk.chat.model
    lines = [f"# {_SIGN.sub(_ESCAPED, title)}", f"{time.strftime('%Y-%m-%d %H:%M')} · {clean(talk.chat.model)}"]
    return "\n\n---\n\n".join(["\n\n".join(lines), *(f"**【{who}】**\n\n{text}" for who, text in said)]) + "\n"


def _text(talk: Talk) -> str:
    return "\n".join(f"【{who}】\n{text}\n" for who, text in _said(talk))


# By the ending of the file's name.
FORMS: dict[str, Callable[[Talk], str]] = {".md": _markdown, ".txt": _text}


def _said(talk: Talk) -> Iterator[tuple[str, str]]:
    """Give who said what; what the model is to be goes first."""
    from skk.messages import plain_text

    if talk.chat.system:
        yield "system", clean(talk.chat.system).strip()
    for message in talk.chat.fetch_messages():
        who = clean(talk.user) if message["role"] == "user" else clean(message["role"])
        yield who, clean(plain_text(message)).strip("\n")


def _closed(text: str) -> str:
    """End a block of code that has no end (an answer that broke off), so that it does not swallow what follows."""
    fence = ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if found and not fence:
            fence = found[1]
        elif found and found[1].startswith(fence) and not found[2].strip():
            fence = ""
    return f"{text}\n{fence}" if fence else text
