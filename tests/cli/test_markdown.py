"""Markdown on a terminal: whatever the pieces, the screen and what is above it equal one drawing of the whole."""

import random
import re

import pyte
import pytest
from rich.console import Console
from rich.markdown import Markdown

from skk.cli.markdown import Page, make_console, reflows

TEXT = """# 标题 Heading

A paragraph with **bold**, *italic*, `code`, ~~gone~~ and a [link](http://example.com/a?b=c "title"), and
aVeryLongWordThatGoesOnAndOnAndOnWithoutAnyBlankInItSoThatItMustBeFoldedSomewhereOnANarrowScreen_0123456789.
中文段落没有空格所以必须在任意字符处换行,这里有很多很多的汉字,足够在八十列的终端上占据好几行的空间,全角标点也要算两列宽。

Setext heading
--------------

- one
- two 二
  - nested **deep**
    - deeper 更深 with a rather long text that has to be wrapped in a narrow terminal
  1. number

  a second paragraph in the item
- three

1. first
2. second

   ```python
   def inside(list): return "中文"
   ```
10. tenth

```python
def hello(name: str) -> None:
    \"\"\"A docstring
    over lines.\"\"\"
    print(f"你好 {name}", 1 + 2)  # 注释 a long comment that does not fit in a narrow terminal

# not a heading
```

| name | 中文 | right |
|:-----|:--:|----:|
| a | 一二三 | 1 |
| a longer cell | **bold** | 22 |

> a quote
> over lines 引用

---

<div>html</div> and &amp; entity <b>bold</b> <kbd>x

![picture](http://x/y.png) and <http://auto.link/> 😀 🇨🇳 👍🏽

[ref]: http://example.org/ref
A [text][ref] afterwards.

    indented code

***

#hashtag is no heading
para
# heading at once
- list at once
text lazily

~~~
unfinished fence 中文
    more
"""
COLOURS = {"TERM": "xterm-256color"}


class Terminal:
    """A terminal in memory, with what has left the screen above."""

    def __init__(self, width, height):
        self.screen = pyte.HistoryScreen(width, height, history=100_000, ratio=0.5)
        self.screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.ByteStream(self.screen)

    def feed(self, text, chance=None):
        """Take bytes, cut anywhere."""
        data = text.encode()
        while data:
            size = len(data) if chance is None else chance.randint(1, 200)
            self._stream.feed(data[:size])
            data = data[size:]

    def cells(self):
        """Give the lines as characters with their looks, without empty lines at the end."""
        width = self.screen.columns
        rows = [*self.screen.history.top, *(self.screen.buffer[index] for index in range(self.screen.lines))]
        lines = [[row[column] for column in range(width)] for row in rows]
        while lines and not "".join(cell.data for cell in lines[-1]).strip():
            lines.pop()
        return lines

    def lines(self):
        return ["".join(cell.data for cell in line).rstrip() for line in self.cells()]


def page(width, height, environ=None, **options):
    return Page(lambda: (width, height), make_console(COLOURS if environ is None else environ), **options)


def once(text, width, height=24):
    """Give a terminal that shows a text drawn in one go."""
    drawn, terminal = page(width, height), Terminal(width, height)
    drawn.feed(text)
    terminal.feed(drawn.finish())
    return terminal


def streamed(text, width, height, chance):
    """Give a terminal that shows a text which came in pieces and was drawn now and then."""
    drawn, terminal = page(width, height), Terminal(width, height)
    while text:
        size = chance.choice([1, 2, 3, 5, 9, 40])
        drawn.feed(text[:size])
        text = text[size:]
        if chance.random() < 0.4:
            terminal.feed(drawn.frame(), chance)
    terminal.feed(drawn.finish(), chance)
    return terminal


@pytest.mark.parametrize("height", [6, 24])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_screen_equals_one_drawing_of_the_whole(width, height):
    """Characters, colours and the lines above the screen, at three widths, also of tails higher than the screen."""
    chance = random.Random(width + height)
    assert once(TEXT, width, height).cells() == streamed(TEXT, width, height, chance).cells()


def test_blocks_in_any_order_equal_one_drawing():
    """Blocks put together by chance, with and without empty lines between them, end where one drawing ends."""
    chance = random.Random(5)
    blocks = TEXT.split("\n\n")
    lines = TEXT.split("\n")
    for _ in range(12):
        text = "\n\n".join(chance.choices(blocks, k=4)) + "\n" + "\n".join(chance.choices(lines, k=12))
        assert once(text, 40).lines() == streamed(text, 40, 12, chance).lines(), text


@pytest.mark.parametrize(
    "pieces",
    [
        ("para\n#", "hashtag\n"),
        ("[ref]: http://x/\n\none\n\ntwo\n", "\n[text][ref]\n"),
        ("one\n\n[ref]: http", "://x/\n\n[text][ref]\n"),
        ("one\n\n[ref]: http://x/\n'title\n", "goes on'\n\n[text][ref]\n"),
        ("one\n\ntwo\n", "===\n"),
        ("one\n\n| a |\n", "|--|\n| b |\n"),
        ("- a\n- b\n", "\n\n  c\n- d\n\ne\n"),
        ("1. a\n2. b\n3", ". c\n\n    code\n\nd\n- e\n"),
        ("```\n# a\n\n- b\n", "\n```\nc\n"),
    ],
)
def test_nothing_is_finished_too_early(pieces):
    """What the next piece can still change is drawn anew."""
    drawn, terminal = page(40, 24), Terminal(40, 24)
    for piece in pieces:
        drawn.feed(piece)
        terminal.feed(drawn.frame())
    terminal.feed(drawn.finish())
    assert once("".join(pieces), 40).cells() == terminal.cells()


def test_the_drawing_is_rich_s():
    """What rich makes of the whole text is on the screen, line by line; only its empty lines are even."""
    text = TEXT[: TEXT.index("1. first")] + TEXT[TEXT.index("| name") : TEXT.index("<div>")]
    console = Console(width=80, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(Markdown(text, hyperlinks=False))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", captured.get())
    terminal = Terminal(80, 24)
    terminal.feed(plain)
    assert [line for line in terminal.lines() if line] == [line for line in once(text, 80).lines() if line]


def test_a_finished_block_is_written_once():
    """Once the next block has come, the one before is in no frame any more."""
    drawn = page(80, 24)
    drawn.feed("first **block**\n\nsecond\n")
    drawn.frame()
    drawn.feed("and more **bold**\n\nthird")
    assert "first" not in drawn.frame() + drawn.finish()


def test_plain_words_cost_no_redrawing():
    """Words at the end of a paragraph are written as they come, without a sequence."""
    drawn = page(80, 24)
    seen = []
    for piece in ("one", " two", " three"):
        drawn.feed(piece)
        seen.append(drawn.frame())
    assert ["one", " two", " three"] == seen


@pytest.mark.parametrize(("before", "source", "shown"), [("", "- item {}", " • item {}"), ("~~~\n", "- {}", "  - {}")])
def test_a_tail_higher_than_the_screen_shows_its_end(before, source, shown):
    """While a long block grows its last lines are seen, as what they are, and no line of it has left the screen."""
    drawn, terminal = page(40, 12), Terminal(40, 12)
    drawn.feed(before)
    for number in range(100):
        drawn.feed(source.format(number) + "\n")
        terminal.feed(drawn.frame())
    assert [shown.format(number) for number in range(92, 100)] == terminal.lines()


def thinking(width, *thoughts):
    drawn, terminal = page(width, 24), Terminal(width, 24)
    for thought in thoughts:
        drawn.think(thought)
        terminal.feed(drawn.frame())
    return drawn, terminal


def test_thoughts_are_one_line():
    """While the model thinks, the end of its thoughts is seen, in one line that fits."""
    _, terminal = thinking(12, "first\nline ", "二三四五六七八")
    assert ["… 五六七八"] == terminal.lines()


def test_the_answer_takes_the_place_of_the_thoughts():
    """Nothing of them is left when the answer has begun, nor do later ones come back."""
    drawn, terminal = thinking(40, "a thought ", "of some length " * 9)
    for piece in ("# h\n", "\nanswer"):
        drawn.feed(piece)
        drawn.think("more")
        terminal.feed(drawn.frame())
    terminal.feed(drawn.finish())
    assert once("# h\n\nanswer", 40).cells() == terminal.cells()


def test_thoughts_without_an_answer_leave_nothing():
    """Ctrl-C while it thinks: the line is clean."""
    drawn, terminal = thinking(40, "a thought")
    terminal.feed(drawn.finish() + "next")
    assert ["next"] == terminal.lines()


@pytest.mark.parametrize(("before", "after"), [(80, 40), (40, 80), (80, 79)])
def test_after_a_resize_every_block_stands_once(before, after):
    """A block that was finished stays, the one being written is drawn at the new width, and so are later ones."""
    size = [before, 24]
    drawn, terminal = Page(lambda: tuple(size), make_console(COLOURS)), Terminal(before, 24)
    words = "word " * 30
    drawn.feed(f"FIRST {words}\n\nSECOND {words}")
    terminal.feed(drawn.frame())
    size[0] = after
    terminal.screen.resize(24, after)
    drawn.feed(f"\n\nTHIRD {words}\n")
    terminal.feed(drawn.frame() + drawn.finish())
    expected = once(f"SECOND {words}\n\nTHIRD {words}", after).lines()
    seen = terminal.lines()
    assert (1, expected) == (sum("FIRST" in line for line in seen), seen[-len(expected) :])


def test_a_terminal_that_wraps_anew_is_counted_anew():
    """Where lines are wrapped again at a new width, the tail has more rows than were drawn."""
    size = [80, 24]
    drawn = Page(lambda: tuple(size), make_console(COLOURS), reflows=True)
    drawn.feed("a\n\n***\n- same\n- " + "x" * 70)  # 1 + 1 + 4 rows of 20 columns
    drawn.frame()
    size[0] = 20
    assert re.sub(r"\x1b\[[0-9;]*m", "", drawn.frame()).startswith("\r\x1b[5A\x1b[J\n • same\n")


@pytest.mark.parametrize(
    ("environ", "known"),
    [({"TERM": "xterm-256color"}, False), ({"TMUX": "x"}, True), ({"TERM": "tmux-256color"}, True), ({}, False)],
)
def test_terminals_that_wrap_anew_are_known(environ, known):
    """Of an unknown terminal it is not believed: rows counted too high would wipe out finished blocks."""
    assert known is reflows(environ)


@pytest.mark.parametrize(
    ("text", "held"), [("👨‍👩‍👧 " * 5, True), ("“quotes” " * 4, True), ("中文" * 10, False), ("x" * 40, False)]
)
def test_a_line_of_the_tail_cannot_wrap(text, held):
    """Terminals differ in how wide they draw joined emoji: the tail stays countable, the last drawing is free."""
    drawn = page(40, 24)
    drawn.feed(text)
    assert (held, False) == ("\x1b[?7l" in drawn.frame(), "\x1b[?7l" in drawn.finish())


def test_no_color_keeps_structure():
    """NO_COLOR: bold stays, no colour is set."""
    drawn = page(80, 24, {**COLOURS, "NO_COLOR": "1"})
    drawn.feed("# h\n\n- **b** `c`\n\n```python\ndef f(): pass\n```\n")
    written = drawn.finish()
    codes = {code for found in re.findall(r"\x1b\[([0-9;]*)m", written) for code in found.split(";")}
    assert (True, set()) == ("1" in codes, {code for code in codes if code[:1] in ("3", "4", "9") and len(code) > 1})


def test_addresses_at_the_end_are_shown():
    """Where a link's address comes later, both are shown as they were written, each address in a line of its own."""
    assert "[a][1] b\n\n[1]: http://x/\n[2]: http://y/\n" == drawing("[a][1] b\n\n[1]: http://x/\n[2]: http://y/\n")


def test_code_is_highlighted():
    """Words of a language have a colour."""
    assert "\x1b[94mdef\x1b[0m" in drawing("```python\ndef f(): pass\n```\n")


def drawing(text):
    drawn = page(80, 24)
    drawn.feed(text)
    return drawn.finish()


@pytest.mark.parametrize(
    "text",
    ["&#27;[2Jx", "&#155;2Jx", "[a](http://x/%1b]0;t%07)", "`&#7;`", "<http://x/\x9b2J>", "![\x1b[2J](y)", "a&#13;b"],
)
def test_nothing_but_colours_is_drawn(text):
    """What Markdown can spell does not steer the terminal either, even where the filter before did not look."""
    left = re.sub(r"\x1b\[[0-9;]*m", "", drawing(text)).replace("\n", "")
    assert [] == [c for c in left if c < " " or "\x7f" <= c <= "\x9f"]


@pytest.mark.parametrize("width", [1, 5, 20])
@pytest.mark.parametrize(
    "text", [">" * 60 + " x", "- " * 60 + "x", "</kbd>", "1" * 9 + ". x", "|a|\n|-|\n" * 3, "[x]: y"]
)
def test_strange_texts_and_narrow_screens_do_no_harm(text, width):
    """A model can write what no person would, and a window can be a column wide."""
    chance = random.Random(1)
    assert once(text, width).lines() == streamed(text, width, 10, chance).lines()


@pytest.mark.parametrize("width", [10, 40, 200])
def test_a_line_stands_above_the_tail(width):
    """It is no part of a block, and without it the screen equals one drawing of the whole."""
    drawn, terminal, chance = page(width, 24), Terminal(width, 24), random.Random(width)
    for at in range(0, len(TEXT), 9):
        drawn.feed(TEXT[at : at + 9])
        terminal.feed(drawn.frame())
        if chance.random() < 0.2:
            terminal.feed(drawn.clear() + "told\r\n")
    terminal.feed(drawn.finish())
    lines = terminal.lines()
    assert (True, once(TEXT, width).lines()) == ("told" in lines, [line for line in lines if line != "told"])
