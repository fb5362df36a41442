"""Where in a text the words stand that a search has found."""

from __future__ import annotations

import unicodedata

from skk.store import fold

__all__ = ["divided"]


def divided(text: str, wanted: str) -> tuple[str, str, str]:
    """Give what stands before the first of what was looked for, that itself, and what follows.

    As in a search, upper and lower case are the same, and so are composed and decomposed letters; what is given is
    composed. Where it is not there, all of the text follows.

    >>> divided("Die STRASSE lang", "straße")
    ('Die ', 'STRASSE', ' lang')
    """
    text = unicodedata.normalize("NFC", text)
    folded, key = fold(text), fold(wanted)
    start = folded.find(key) if key else -1
    if start < 0:
        return "", "", text
    end = start + len(key)
    if len(folded) != len(text):  # some characters are longer when folded, such as "ß"
        start, end = _unfolded(text, start, end)
    return text[:start], text[start:end], text[end:]


def _unfolded(text: str, start: int, end: int) -> tuple[int, int]:
    """Give the places in a text that two places in its folded form belong to."""
    first, at = None, 0
    for index, character in enumerate(text):
        if at >= end:
            return first or 0, index
        at += len(fold(character))
        if first is None and at > start:
            first = index
    return first or 0, len(text)
