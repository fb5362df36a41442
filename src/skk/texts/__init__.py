"""What people read, in English and Chinese.

Every sentence is written in English where it is used. Its Chinese stands in
``zh/LC_MESSAGES/skk.po``; ``make texts`` compiles that file. Logs stay English and never pass
through here.
"""

from __future__ import annotations

import os
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from gettext import NullTranslations
    from typing import Self

__all__ = ["CATALOGUES", "in_english", "language", "mark", "mark_plural", "say", "speaking"]

CATALOGUES = os.path.dirname(__file__)

_catalogues: dict[str, NullTranslations] = {}
_spoken: ContextVar[str | None] = ContextVar("skk_language", default=None)


def mark(sentence: str) -> str:
    """Give the sentence back: the mark by which the catalogue's collector finds it."""
    return sentence


def mark_plural(one: str, many: str) -> tuple[str, str]:
    """Mark a sentence that a library chooses by number: Chinese has one form for both."""
    return one, many


def language() -> str:
    """Tell the language of the person: ``"zh"`` or ``"en"``.

    What `speaking` says here decides, else ``SKK_LANG``, else the locale of the environment, else that of
    the system.
    """
    if (chosen := _spoken.get()) is not None:
        return chosen
    for name in ("SKK_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    import locale  # 1 ms, and only where the environment says nothing (Windows, a Mac's desktop)

    return "zh" if (locale.getlocale()[0] or "").lower().startswith(("zh", "chinese")) else "en"


class speaking:  # noqa: N801  # a verb, as with contextlib's own; contextlib itself costs 2.5 ms
    """Speak this language, ``"zh"`` or ``"en"``, within a ``with`` block; None changes nothing.

    It holds for this thread or task alone.
    """

    def __init__(self, language: str | None) -> None:
        self._language = language

    def __enter__(self) -> None:
        spoken = _spoken.get() if self._language is None else self._language
        self._token: Token[str | None] = _spoken.set(spoken)

    def __exit__(self, *failure: object) -> None:
        _spoken.reset(self._token)


def say(sentence: str, /, **facts: object) -> str:
    """Give the sentence in the person's language, with the facts put in.

    >>> say("{count} messages", count=2)
    '2 messages'
    """
    if language() != "zh":
        return sentence.format_map(facts) if facts else sentence
    chinese = _catalogue("zh").gettext(sentence)
    return _Said(chinese.format_map(facts) if facts else chinese, in_english(sentence, facts))


def in_english(sentence: str, facts: Mapping[str, object]) -> str:
    """Give the sentence for a log: in English, and the facts that are sentences themselves too."""
    if not facts:
        return sentence
    return sentence.format_map({name: getattr(fact, "english", fact) for name, fact in facts.items()})


class _Said(str):
    """A translated sentence that knows its English: it may become a fact of another one, and go into a log."""

    english: str

    def __new__(cls, text: str, english: str = "") -> Self:
        self = super().__new__(cls, text)
        self.english = english
        return self

    def __str__(self) -> str:  # `str(error)` gives the sentence with its English, not a copy without
        return self


def _catalogue(name: str) -> NullTranslations:
    if name not in _catalogues:
        import gettext  # 3 ms: paid by those who read Chinese, at the first sentence

        _catalogues[name] = gettext.translation("skk", CATALOGUES, [name], fallback=True)
    return _catalogues[name]
