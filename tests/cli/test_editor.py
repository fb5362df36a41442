"""`Editor`: a line that a person edits, at a real terminal; and where there is none that can do it, a plain one."""

import pytest

from skk.cli.completion import propose, proposes

# Reads line after line, and shows what was read; after Ctrl-C a name.
READING = """
import asyncio, time
from skk.cli.editor import Editor
from skk.cli.environment import Environment

async def past():
    await asyncio.sleep(0.05)
    return ["去年的问题", "old question"]

environment = Environment()
with asyncio.Runner() as runner:
    editor = Editor(
        environment,
        runner,
        commands=lambda: [("help", "this list"), ("history", "show it"), ("model", "ask another")],
        models=lambda: ["gpt-6-luna", "gpt-6-sol", "other"],
        past=past,
    )
    try:
        while True:
            line = editor.read("【小明】", on_ready=lambda: None)
            print("read:", ascii(line))
            if line == "sleep":
                time.sleep(0.3)
            if line is None:
                break
    except KeyboardInterrupt:
        print("left")
        print("name:", ascii(editor.read("name: ", hints=lambda: ["小明", "Ada"])))
"""


@pytest.fixture
def editor(terminal):
    """Start the reader at a terminal, and wait for its prompt."""

    def start(**options):
        one = terminal(python=("-c", READING), **options)
        one.see("【小明】")
        return one

    return start


def test_a_line_is_read(editor):
    """What was typed comes without its end."""
    one = editor()
    one.type("1+1=?\r")
    one.see("read: '1+1=?'")


def test_a_wide_character_is_erased_whole(editor):
    """Backspace takes a Chinese character from the line and both its columns from the screen."""
    one = editor()
    one.type("你好吗")
    one.see("【小明】你好吗")
    one.type("\x7f\x7f")
    assert ["【小明】你"] == one.until(lambda lines: "好" not in lines[0])
    one.type("们\x1b[D在\r")
    one.see(f"read: {'你在们'!a}")


def test_arrow_up_brings_what_was_asked_before(editor):
    """First this talk's questions, then those of former talks, the newest first."""
    one = editor()
    one.type("first\r")
    one.see("read: 'first'")
    one.type("\x1b[A\x1b[A\x1b[A")
    one.see("【小明】old question")
    one.type("\x1b[B!\r")
    one.see(f"read: {'去年的问题!'!a}")


def test_former_questions_are_searched(editor):
    """Ctrl-R finds a question of a former talk."""
    one = editor()
    one.type("\x12")
    one.see("I-search")
    one.type("old")
    one.see("【小明】old question")


@pytest.mark.parametrize("key", ["\x1b\r", "\x0f", "\\\r"], ids=["Alt-Enter", "Ctrl-O", "backslash"])
def test_a_question_may_have_several_lines(editor, key):
    """Alt-Enter, Ctrl-O and a backslash before Enter begin a new line; Enter sends all of them."""
    one = editor()
    one.type(f"one{key}two\r")
    assert "        two" in one.see(r"read: 'one\ntwo'")


def test_pasted_lines_are_one_question(editor):
    """What is pasted is sent when Enter is pressed, and not line by line."""
    one = editor()
    one.type("\x1b[200~one\ntwo\n\x1b[201~three\r")
    one.see(r"read: 'one\ntwo\nthree'")


def test_ctrl_d_on_an_empty_line_is_the_end(editor):
    """With a text it takes the character under the cursor."""
    one = editor()
    one.type("ab\x1b[D\x04\r\x04")
    one.see("read: 'a'", "read: None")
    assert 0 == one.leave()


def test_keys_wait_unseen_while_no_line_is_read(editor):
    """Keys that are pressed between two lines are not drawn over what is shown then; the next line has them."""
    one = editor()
    one.type("sleep\r")
    one.see("read: 'sleep'")
    one.type("next")
    assert ["【小明】sleep", "read: 'sleep'", "【小明】next"] == one.see("【小明】n", "next")


def test_the_terminal_is_given_back(editor):
    """After the talk it shows what is typed."""
    one = editor()
    before = one.shows_keys()
    one.type("\x04")
    one.see("read: None")
    one.leave()
    assert (False, True) == (before, one.shows_keys())


def test_ctrl_c_clears_the_text_and_then_leaves(editor):
    """A text that was typed by mistake goes; on an empty line somebody wants to leave."""
    one = editor()
    one.type("wrong")
    one.see("【小明】wrong")
    one.type("\x03")
    one.until(lambda lines: lines == ["【小明】"])
    one.type("\x03")
    one.see("left")


# Ctrl-C comes while the text to edit is drawn for the first time.
PRESSING = """
import asyncio, io, signal, sys
from skk.cli.editor import Editor
from skk.cli.environment import Environment

class Screen(io.BufferedWriter):
    pressed = False

    def write(self, data):
        if b"text" in data and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)
        return super().write(data)

sys.stdout = sys.__stdout__ = io.TextIOWrapper(Screen(io.FileIO(1, "w")), "utf-8")
with asyncio.Runner() as runner:
    print("read:", ascii(Editor(Environment(), runner).read("> ", default="text")))
"""


def test_one_ctrl_c_counts_once(terminal):
    """Also one that is pressed while the line appears: it clears the text, and does not leave as well."""
    one = terminal(python=("-c", PRESSING))
    one.until(lambda lines: lines == [">"])
    one.wait(0.2)
    one.type("other\r")
    one.see("read: 'other'")


def test_words_for_one_prompt(editor):
    """What is hinted at is completed, and neither commands nor former questions stand in between."""
    one = editor()
    one.type("\x03")
    one.see("name:")
    one.type("/he\t\x1b[A")
    one.see("name: /he")
    one.type("\x15小\t\r")
    one.see(f"name: {'小明'!a}")


def test_commands_are_shown_while_they_are_typed(editor):
    """The menu says what each does; Tab completes as far as it is sure."""
    one = editor()
    one.type("/h")
    one.see("/help     this list", "/history  show it")
    one.type("i\t\r")
    one.see("read: '/history'")


def test_models_are_completed(editor):
    """Behind /model."""
    one = editor()
    one.type("/model gpt\t")
    one.see("/model gpt-6-")
    one.type("l\t\r")
    one.see("read: '/model gpt-6-luna'")


def test_files_are_completed(editor, tmp_path):
    """Behind an "@", in quotes where the name has a blank; the first Enter takes the file."""
    (tmp_path / "图 1.png").touch()
    (tmp_path / "图 2.png").touch()
    one = editor()
    one.type("看@图")
    one.see("图 1.png", "图 2.png")
    one.type("\x1b[B")
    one.see('【小明】看@"图 1.png"')
    one.type("\r 好吗\r")
    one.see("read: " + ascii('看@"图 1.png" 好吗'))


def test_nothing_opens_while_prose_is_typed(editor):
    """The screen holds the line, and the lines below stay empty."""
    one = editor()
    one.type("今天/help@")
    assert ["【小明】今天/help@"] == one.see("help@")


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": "unknown"}], ids=str)
def test_a_dumb_terminal_gets_no_escape_sequence(editor, variables):
    """There a line is read as it comes."""
    one = editor(**variables)
    one.type("1+1=?\r")
    one.see("read: '1+1=?'")
    assert "\x1b" not in one.written


def test_no_color_is_respected(editor):
    """NO_COLOR: the menu too is drawn without a colour."""
    one = editor(NO_COLOR="1")
    one.type("/h")
    one.see("/help")
    assert not any(f"\x1b[{ground}" in one.written or f";{ground}" in one.written for ground in ("38;", "48;"))


# ---- what may be completed


def proposed(before):
    commands = [("help", ""), ("history", "")]
    return [found.text for found in propose(before, lambda: commands, lambda: ["gpt-6-luna", "m"])]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("/", ["/help", "/history"]),
        ("/HI", ["/history"]),
        ("/model ", ["gpt-6-luna", "m"]),
        ("/model LUNA", ["gpt-6-luna"]),
        (" /", []),
        ("a /h", []),
        ("/help ", []),
        ("me@", []),
        ("", []),
    ],
)
def test_words_that_are_proposed(before, expected):
    """Commands at the beginning, models behind /model; an address of a person is none of a file."""
    assert expected == proposed(before)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("/load ", ["a.txt", '"b c.txt"', "sub/"]),
        ('/save "', ['"a.txt"', '"b c.txt"', '"sub/']),
        ("/attach sub/", ["sub/d.png"]),
        ("/export .", [".hidden"]),
        ("看@", ["a.txt", '"b c.txt"', "sub/"]),
        ("see (@a", ["a.txt"]),
        ("@no/such/", []),
        ("\\@a", []),
        ("x@a", []),
    ],
)
def test_files_that_are_proposed(tmp_path, monkeypatch, before, expected):
    """Folders end in a slash, hidden ones wait for a dot, blanks are quoted."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b c.txt", ".hidden", "bad\x1b.txt"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.png").touch()
    assert expected == proposed(before)


def test_a_menu_opens_by_itself_for_these_alone():
    """Prose, numbers and paths in a sentence open none."""
    opening = [
        text
        for text in ("/", "/mod", "/model x", "/load a b", "看@", "1 @x", "今天", "a/b", "/etc/x", "a@b")
        if proposes(text)
    ]
    assert ["/", "/mod", "/model x", "/load a b", "看@", "1 @x"] == opening
