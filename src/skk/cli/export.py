"""A talk as a document, for people: Markdown or text."""

from __future__ import annotations

import re
import time

from .render import clean, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = ["FORMS", "Document"]

_SIGN, _ESCAPED = re.compile(r"([\[\]*_`<>#\\])"), r"\\\1"
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


class Document:
    """What is to be read.

    Args:
        user: who asks in it.
        model: who answers.
        system: what the model is to be.
        messages: what was said.
        when: in seconds since 1970; None for now.
    """

    def __init__(
        self,
        user: str,
        model: str | None,
        system: str | None,
        messages: Iterable[dict[str, Any]],
        when: float | None = None,
    ) -> None:
        self.user = one_line(user)
        self.model = clean(model or "")
        self.when = time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
        self._system = system
        self._messages = messages

    def said(self) -> Iterator[tuple[str, str]]:
        """Give who said what; what the model is to be goes first."""
        from skk.messages import plain_text

        if self._system:
            yield "system", clean(self._system).strip()
        for message in self._messages:
            who = self.user if message["role"] == "user" else clean(message["role"])
            yield who, clean(plain_text(message)).strip("\n")


def _markdown(document: Document) -> str:
    """Give a document: who spoke is in bold, since an answer may have headings of its own."""
    said = [(who, _closed(text)) for who, text in document.said()]
    title = next((" ".join(text.split())[:60] for who, text in said if who == document.user), "") or document.model
    about = " · ".join(filter(None, (document.when, document.model)))
    lines = [f"# {_SIGN.sub(_ESCAPED, title)}", about]
    return "\n\n---\n\n".join(["\n\n".join(lines), *(f"**【{who}】**\n\n{text}" for who, text in said)]) + "\n"


def _text(document: Document) -> str:
    return "\n".join(f"【{who}】\n{text}\n" for who, text in document.said())


# By the ending of the file's name.
FORMS: dict[str, Callable[[Document], str]] = {".md": _markdown, ".txt": _text}


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
