"""Nothing that steers a terminal reaches it."""

import json
import random
import re

import pytest

from skk.cli.render import Filter, clean, columns, explain, indented, json_line, one_line
from skk.errors import ArchiveFormatError


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("plain 中文 😀\n\ttext", "plain 中文 😀\n\ttext"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x1b]0;a title\x07here", "here"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;aGFja2Vk\x07", ""),
        ("\x1bP+q544e\x1b\\x", "x"),
        ("\x1b(0x\x1bcy\x1b7z", "xyz"),
        ("\x9b31mred", "red"),
        ("\x9d0;title\x9cx", "x"),
        ("a\rb\x08c\x07d\x00e\x7ff\x85g", "abcdefg"),
        ("lines\r\nend", "lines\nend"),
        ("\x1b", ""),
        ("\x1b[", "["),
        ("\x1b]no end", "]no end"),
        ("\x1b]no end\nnext line", "]no end\nnext line"),
        ("\x1b[31\x1b[32mx", "[31x"),
        ("half a pair \ud83d", "half a pair "),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_sequences_are_taken_out_wherever_they_are_cut(sent, shown, size):
    """C0 (but newline and tab), C1, CSI, OSC, DCS and short escapes go, in whatever pieces they come."""
    stream = Filter()
    pieces = [stream.feed(sent[at : at + size]) for at in range(0, len(sent), size)]
    assert shown == "".join(pieces) + stream.finish()


def test_no_piece_ever_holds_a_control_character():
    """Of 2,000 random texts in random pieces nothing but printable text, newlines and tabs is shown."""
    chance = random.Random(1)
    letters = "\x1b\x1b\x9b\x9d\x90\x07\x9c[]P\\;m0?\n\t\r\x00\x7f\x85 a中"
    for _ in range(2000):
        stream, shown = Filter(), ""
        for _ in range(chance.randint(1, 5)):
            shown += stream.feed("".join(chance.choices(letters, k=chance.randint(0, 12))))
        shown += stream.finish()
        assert [] == [c for c in shown if c not in "\n\t" and (c < " " or "\x7f" <= c <= "\x9f")]


def test_a_beginning_without_an_end_hides_nothing():
    """A model cannot hide the rest of its answer behind an open control string."""
    assert "x" * 5000 in clean("\x1b]" + "x" * 5000)


def test_a_short_text_is_not_held_back():
    """What is no sequence is shown at once."""
    assert "[1] a" == Filter().feed("[1] a")


def test_a_failure_is_one_clean_line():
    """What a server or a file says does not steer the terminal either."""
    error = ArchiveFormatError(path="a\x1b[2J.json", position="b\nc", reason="\x1b]0;x\x07d")
    assert "skk: a.json holds no conversation (b c: d); nothing was loaded" == explain(error)


TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def test_nothing_turns_the_direction_of_a_line():
    """A text that is read in another order than it was written; joined characters stay joined."""
    assert "ab👨‍👩‍👧" == clean(f"a{TURNING}b👨‍👩‍👧")


@pytest.mark.parametrize("between", ["\n", "\t", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", " \n\n "])
def test_a_line_of_a_list_is_one(between):
    """Whatever ends a line for some reader; words stay apart where blanks were."""
    assert ("a b" if between not in "\x0b\x0c\x1c\x85" else "ab") == one_line(f"a{between}b")


def test_only_our_lines_begin_at_the_left():
    """However a message breaks its lines."""
    assert "a\n     b\n     c\n     d" == indented("a\nb\r\nc\u2028d")


@pytest.mark.parametrize(
    ("text", "wide"), [("", 0), ("ab", 2), ("数a", 3), ("e\u0301", 1), ("（", 2), ("😀", 2), ("👨‍👩‍👧", 2)]
)
def test_columns(text, wide):
    """As a terminal counts them."""
    assert wide == columns(text)


def test_json_steers_nothing_and_stays_the_same_value():
    """Escaped, not left out."""
    said = {"text": f"数\x1b[31m\x7f\x9b\u2028\u2029\ud800{TURNING}😀"}
    line = json_line(said)
    assert (said, "数", [], True) == (json.loads(line), "".join(re.findall("数", line)), _found(line), "😀" in line)


def _found(line):
    return re.findall(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{TURNING}]", line)
