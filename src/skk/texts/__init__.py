"""What people read, in English and Chinese.

Every sentence is written in English where it is used. Its Chinese stands in
``zh/LC_MESSAGES/skk.po``; ``make texts`` compiles that file. Logs stay English and never pass
through here.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gettext import NullTranslations

__all__ = ["language", "mark", "say"]

_catalogues: dict[str, NullTranslations] = {}


def mark(sentence: str) -> str:
    """Give the sentence back: the mark by which the catalogue's collector finds it."""
    return sentence


def language() -> str:
    """Tell the language of the person: ``"zh"`` or ``"en"``.

    ``SKK_LANG`` decides, else the locale of the environment, else that of the system.
    """
    for name in ("SKK_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    import locale  # 1 ms, and only where the environment says nothing (Windows, a Mac's desktop)

    return "zh" if (locale.getlocale()[0] or "").lower().startswith(("zh", "chinese")) else "en"


def say(sentence: str, /, **facts: object) -> str:
    """Give the sentence in the person's language, with the facts put in.

    >>> say("{count} messages", count=2)
    '2 messages'
    """
    if language() == "zh":
        sentence = _catalogue("zh").gettext(sentence)
    return sentence.format_map(facts) if facts else sentence


def _catalogue(name: str) -> NullTranslations:
    if name not in _catalogues:
        import gettext  # 3 ms: paid by those who read Chinese, at the first sentence

        _catalogues[name] = gettext.translation("skk", os.path.dirname(__file__), [name], fallback=True)
    return _catalogues[name]
