"""Every sentence that people read has its Chinese."""

import ast
import gettext
import string
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import skk.texts

SOURCE = Path(skk.texts.__file__).parent.parent.parent
FOLDER = SOURCE / "skk/texts/zh/LC_MESSAGES"


def first(sentence):
    """Give the form for one thing, of a sentence that a library chooses by number."""
    return sentence[0] if isinstance(sentence, tuple) else sentence


def fields(sentence):
    """Give the fields of a sentence, each as it is written, in the order of the alphabet."""
    found = string.Formatter().parse(sentence)
    return sorted(f"{name}!{conversion}:{spec}" for _, name, spec, conversion in found if name is not None)


@pytest.fixture(scope="module")
def marked():
    """All sentences of the source."""
    found = extract_from_dir(SOURCE, [("**.py", "python")], keywords={"mark": None, "mark_plural": (1, 2), "say": None})
    return {first(sentence) for _, _, sentence, _, _ in found}


@pytest.fixture(scope="module")
def chinese():
    """The catalogue: English to Chinese."""
    with (FOLDER / "skk.po").open("rb") as file:
        return {first(entry.id): first(entry.string) for entry in read_po(file, locale="zh") if entry.id}


def test_there_are_sentences(marked):
    """The collector finds what is marked: an empty catalogue must not pass for a complete one."""
    assert "the key pool is empty: pass at least one api key" in marked


def test_no_sentence_is_marked_inside_another():
    """Before Python 3.12 the collector sees an f-string as one word, and misses what is marked in its braces."""
    found = []
    for path in SOURCE.rglob("*.py"):
        inside = [
            part
            for text in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(text, ast.JoinedStr)
            for part in ast.walk(text)
        ]
        names = [part.func.id for part in inside if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)]
        found += [path.name for name in names if name in ("mark", "mark_plural")]
    assert [] == found


def test_every_sentence_has_chinese(marked, chinese):
    """No marked sentence is without a translation; `make texts` names those that are."""
    assert [] == sorted(sentence for sentence in marked if not chinese.get(sentence))


def test_no_chinese_is_left_over(marked, chinese):
    """The catalogue holds no sentence that the source no longer says."""
    assert [] == sorted(chinese.keys() - marked)


def test_every_chinese_sentence_has_the_same_fields(chinese):
    """A translation names exactly the {facts} of its sentence, or saying it would fail."""
    assert {english: fields(english) for english in chinese} == {
        english: fields(translated) for english, translated in chinese.items()
    }


def test_every_chinese_sentence_is_not_its_english(chinese):
    """A translation is no copy of its sentence."""
    assert [] == [english for english, said in chinese.items() if said == english]


def test_the_compiled_catalogue_is_what_the_written_one_says(chinese):
    """skk.mo is what skk.po compiles to: somebody ran `make texts`."""
    with (FOLDER / "skk.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    assert chinese == {english: compiled.gettext(english) for english in chinese}


def test_texts_load_no_gettext_until_somebody_reads_chinese():
    """An English program does not pay for catalogues."""
    code = "import sys, skk.texts; skk.texts.say('x'); print('gettext' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SOURCE), "SKK_LANG": "en"},
        check=True,
    )
    assert "False\n" == done.stdout
