"""``skk chat`` as a person has it: the real program at a real terminal."""

import random
import signal
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")

COUNTING = ("自然数50的后面是几?", "再往后是几?")

# Holds each large module back until the file "go" is there; "early" says that one was wanted before the prompt came,
# for which the terminal is told to show no keys.
HOLDING = """
import os, sys, termios, time

def hold(event, details):
    if event == "import" and details[0] in {"openai", "rich", "sqlalchemy", "pygments", "alembic", "skk.service"}:
        if termios.tcgetattr(0)[3] & termios.ECHO:
            open("early", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.01)

sys.addaudithook(hold)
from skk.cli import main
sys.exit(main())
"""


@pytest.fixture
def chat(served, terminal):
    """Start a talk at a terminal, and wait for its prompt."""

    def start(*options, kept=False, **settings):
        one = terminal("chat", "--user", "小明", *([] if kept else ["--no-save"]), *options, **settings)
        one.see("【小明】")
        return one

    return start


def prompted(lines):
    """Tell whether the program waits for a line."""
    return lines[-1:] == ["【小明】"]


def test_a_talk(chat):
    """Prompt, question and answer, one below the other, and Ctrl-D leaves."""
    one = chat("--model", "m")
    for question in COUNTING:
        one.type(f"{question}\r")
        one.until(prompted)
    one.type("\x04")
    expected = [f"【小明】{COUNTING[0]}", "51", f"【小明】{COUNTING[1]}", "52", "【小明】"]
    assert (0, expected) == (one.leave(), one.lines()[1:])


def test_nothing_large_is_loaded_before_the_first_prompt(served, terminal, tmp_path):
    """The SDK, the store and what draws are loaded while the person types: until then nothing waits for them."""
    one = terminal("chat", "--user", "小明", python=("-c", HOLDING))
    one.see("【小明】")
    one.type("1+1=?")
    one.see("【小明】1+1=?")
    (tmp_path / "go").touch()
    one.type("\r")
    one.see("1+1=2")
    assert not (tmp_path / "early").exists()


def test_former_talks_questions_come_back(chat):
    """Arrow-up brings what was asked in another talk; the program keeps no file for it."""
    first = chat(kept=True)
    first.type("1+1=?\r")
    first.until(prompted)
    first.type("\x04")
    first.leave()
    one = chat(kept=True)
    one.type("\x1b[A")
    one.see("【小明】1+1=?")


def test_the_name_is_asked_and_completed(chat, terminal):
    """Who talks is asked for; a name that was there before is completed."""
    first = chat(kept=True)
    first.type("1+1=?\r")
    first.until(prompted)
    first.type("\x04")
    first.leave()
    one = terminal("chat")
    one.see("your name", "users so far: 小明")
    one.type("小\t\r")
    one.see("1+1=?", "number of a conversation")


def test_the_last_question_is_edited(chat, served):
    """/edit puts it into the line; the answer to the new one takes the old one's place."""
    one = chat()
    one.type("1+1=?\r")
    one.see("1+1=2")
    one.type("/edit\r")
    one.until(lambda lines: lines[-1] == "【小明】1+1=?")
    one.type("\x7f\x7f\x7f2=?\r")
    one.see("1+2=3")
    assert ["1+2=?"] == [message["content"] for message in served.requests[-1].json["messages"]]


def test_an_edit_is_left_with_ctrl_c(chat):
    """The first one clears the line, the second one leaves the edit, and not the talk."""
    one = chat()
    one.type("1+1=?\r")
    one.see("1+1=2")
    one.type("/edit\r")
    one.until(lambda lines: lines[-1] == "【小明】1+1=?")
    one.type("\x03")
    one.until(prompted)
    one.type("\x03")
    one.see("nothing was changed")
    one.until(prompted)
    one.type("/history\r")
    one.see("1  [assistant] 1+1=2")


def test_what_is_typed_during_an_answer_waits(chat, served):
    """It is not drawn into the answer, and is the next line."""
    served.reply("一二三四五六七八九十" * 5)
    served.delay(0.03)
    one = chat()
    one.type("数一数\r")
    one.see("二")
    one.type("1+1=?\r")
    served.delay(0)
    lines = one.see("1+1=2")
    assert ["【小明】数一数", "一二三四五六七八九十" * 4, "一二三四五六七八九十", "【小明】1+1=?", "1+1=2"] == lines[
        1:6
    ]


@pytest.mark.parametrize("columns", [40, 100])
def test_a_resize_in_the_middle_of_an_answer(chat, served, columns):
    """Every block stands once; those that come later are as wide as the terminal is then."""
    served.reply("".join(f"# head {number}\n\n{'word ' * 20}\n\n" for number in range(4)))
    served.delay(0.003)
    one = chat(columns=70, rows=40)
    one.type("?\r")
    one.see("head 1")
    one.resize(columns, 40)
    lines = one.until(lambda lines: prompted(lines) and any("head 3" in line for line in lines))
    last = next(at for at, line in enumerate(lines) if "head 3" in line)
    assert ([1] * 4, True) == (
        [sum(f"head {number}" in line for line in lines) for number in range(4)],
        columns - 5 < len(lines[last + 2]) <= columns,
    )


def test_a_resize_at_the_prompt(chat):
    """The line that is being typed stands once."""
    one = chat(columns=70)
    one.type("今天天气怎么样")
    one.see("【小明】今天天气怎么样")
    one.resize(40)
    one.type("?")
    assert 1 == sum("今天" in line for line in one.see("怎么样?"))


def test_a_reader_that_leaves_ends_the_talk_in_silence(program, served):
    """`skk chat | head -1`: when nobody reads any more, nothing is told, and nothing stays."""
    process = program("chat", "--no-save")
    process.stdin.write(b"1+1=?\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"1+1=2\n"
    process.stdout.close()
    process.stdin.write(b"1+2=?\n")
    process.stdin.close()
    assert (b"", 1) == (process.stderr.read(), process.wait(60))


# ---- Ctrl-C


def test_ctrl_c_stops_an_answer_and_keeps_what_was_shown(chat, served):
    """It is marked, the model sees it, and the talk goes on."""
    served.reply("一二三四五六七八九十" * 50)
    served.delay(0.03)
    one = chat()
    one.type("数一数\r")
    one.see("三四")
    one.type("\x03")
    one.see("[interrupted]")
    served.delay(0)
    one.type("1+1=?\r")
    one.see("1+1=2")
    kept = served.requests[-1].json["messages"][1]["content"]
    assert (True, True) == (kept.startswith("一二三四"), kept.endswith("\n[interrupted]"))


def test_ctrl_c_twice_always_leaves(chat, served):
    """Once for the text that was typed, or the answer; once for the talk."""
    served.fail("stall")
    one = chat(kept=True)
    one.type("?\r")
    one.see("【小明】?")
    one.type("\x03")
    one.until(prompted)
    one.type("text")
    one.see("【小明】text")
    one.type("\x03")
    one.until(prompted)
    one.type("\x03")
    assert (130, False) == (one.leave(), "Traceback" in one.written)
    assert len(one.lines()) == one.screen.cursor.y  # the shell's prompt follows without an empty line


def test_ctrl_c_leaves_also_while_something_is_loaded(served, terminal):
    """Pressed until the program has gone, wherever that is on its way out: nothing is a traceback."""
    one = terminal("chat", "--user", "小明", python=("-c", HOLDING))
    one.see("【小明】")
    for _ in range(20):
        one.type("\x03")
        one.wait(0.1)
        if one.has_ended:
            break
    left = one.leave() in (130, -signal.SIGINT)
    assert (True, True, False) == (left, one.shows_keys(), "Traceback" in one.written)


def respond(one, mark):
    """See that a line can be typed, or that the program has left; what is typed at the moment of Ctrl-C it clears."""
    for _ in range(30):
        one.type(f"\x15{mark}")  # Ctrl-U
        for _ in range(50):
            one.wait(0.02)
            if one.has_ended or f"】{mark}" in one.lines()[-1]:
                return
    raise AssertionError(f"{mark} is not there", one.lines())


@pytest.mark.parametrize(("moments", "seed"), [(8, 5), pytest.param(150, 6, marks=pytest.mark.prove)])
def test_ctrl_c_at_random_moments(chat, served, moments, seed):
    """Once or twice, wherever the talk is: it goes on or has left with 130, without a traceback."""
    chosen = random.Random(seed)
    talks = []

    def begin():
        talks.append(chat())
        talks[-1].type("1+1=?\r")
        talks[-1].until(lambda lines: prompted(lines) and len(lines) > 2)

    begin()
    for moment in range(moments):
        one = talks[-1]
        served.reply("# head\n\nsome *words* and `code`\n\n" * 9)
        served.delay(chosen.choice([0, 0.01]))
        one.type(chosen.choice(["?\r", "text", "/regenerate\r", "/edit ??\r", "?\r1+1=?\r", "/window\r"]))
        one.wait(chosen.choice([0, 0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]))
        for _ in range(chosen.choice([1, 1, 1, 1, 1, 2])):
            one.type("\x03")
            one.wait(chosen.choice([0, 0.001]))
        respond(one, f"#{moment}")
        if one.has_ended:
            begin()
        else:
            one.type("\x15")  # Ctrl-U
    talks[-1].type("\x04")
    assert not [one.written for one in talks if "Traceback" in one.written]
    assert {one.leave() for one in talks} <= {0, 130, -signal.SIGINT}  # a shell says 130 of the last two
    assert all(one.shows_keys() for one in talks)


# ---- a line beside an answer

WARNING = "skk: all 2 messages that msg_max_count allows are pinned: new turns are not kept; unpin some"


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_a_warning_during_an_answer_has_a_line_of_its_own(chat, served, term):
    """Above what still grows, or behind the piece that is there; the answer stands once."""
    one = chat("--max-messages", "2", columns=100, TERM=term)
    one.type("1+1=?\r")
    one.see("1+1=2")
    one.type("/pin 0 1\r")
    one.see("1* [assistant]")
    served.reply("head\n\n" + "一二三四五六七八九十" * 6)
    served.delay(0.03)
    one.type("?\r")
    lines = one.until(lambda lines: prompted(lines) and WARNING in " ".join(lines))
    answer = ["head", "", "一二三四五六七八九十" * 5, "一二三四五六七八九十"]
    expected = [*answer, WARNING] if term == "dumb" else [WARNING, *answer]
    assert ["【小明】?", *expected, "【小明】"] == lines[lines.index("【小明】?") :]
