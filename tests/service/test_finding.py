"""Where in a text the words stand that a search has found."""

import unicodedata

import pytest

from skk.service import divided


@pytest.mark.parametrize(
    ("text", "wanted", "parts"),
    [
        ("自然数50的后面", "数", ("自然", "数", "50的后面")),
        ("Die STRASSE lang", "straße", ("Die ", "STRASSE", " lang")),
        ("ß Die Straße lang", "STRASSE", ("ß Die ", "Straße", " lang")),
        ("ßßßa", "A", ("ßßß", "a", "")),
        ("ß", "s", ("", "ß", "")),
        ("ßx", "sx", ("", "ßx", "")),
        ("İstanbul x", "X", ("İstanbul ", "x", "")),
        ("aXbx", "x", ("a", "X", "bx")),
        ("100%", "%", ("100", "%", "")),
        ("abc", "z", ("", "", "abc")),
        ("abc", "", ("", "", "abc")),
        ("", "a", ("", "", "")),
        ("a\0b", "b", ("a\0", "b", "")),
    ],
)
def test_a_text_is_divided_where_search_found_it(text, wanted, parts):
    """What was found is given as it is written."""
    assert parts == divided(text, wanted)


def test_decomposed_letters_are_found_and_given_composed():
    """A name from a Mac is the name that is typed; what stands before does not shift it."""
    text = unicodedata.normalize("NFD", "éééé Café gut")
    assert ("éééé ", "Café", " gut") == divided(text, "CAFÉ")
