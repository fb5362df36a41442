"""What search compares, and what a database can hold."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["fold", "storable", "user_name"]

# PostgreSQL takes no NUL, no database a half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    r"""Give the text with U+FFFD for each character that a database cannot hold.

    >>> storable("a\x00b")
    'a\ufffdb'
    """
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\ufffd", text)


def fold(text: str) -> str:
    r"""Give the form in which texts are compared: upper and lower case, composed and decomposed letters are the same.

    >>> fold("Straße") == fold("STRASSE"), fold("é") == fold("E\u0301")
    (True, True)
    """
    text = storable(text)
    if text.isascii():
        return text.lower()
    # Unicode's canonical caseless matching, then composed, so that a character is one
    decomposed = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFC", decomposed)


def user_name(given: str) -> str:
    r"""Give the name that a user is kept under: in composed letters, without blanks around it.

    >>> user_name(" Rene\u0301 ")
    'René'
    """
    return storable(unicodedata.normalize("NFC", given).strip())
