"""Markdown in the real program, at a terminal of the system's: what stands on the screen at the end."""

import pytest

pytestmark = pytest.mark.usefixtures("served")

ANSWER = "# 标题\n\n- one **two**\n- 三\n\n```python\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nend\n"
SEEN = ["标题", "", " • one two", " • 三", "", "  x = 1", "", " a  b", " ────", " 1  2", "", "end"]


def test_an_answer_is_drawn(terminal, served):
    """Heading, list, code and table stand on the screen, once, whatever the pieces were."""
    served.reply(ANSWER)
    served.delay(0.02)
    one = terminal("ask", "question", columns=40)
    one.leave()
    assert SEEN == [line.strip() if "标" in line else line for line in one.lines()]


@pytest.fixture
def shown(skk_here, served, monkeypatch):
    """Give what ``skk ask`` writes to a terminal for an answer."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def ask(answer, *options):
        served.reply(answer)
        return skk_here("ask", "question", *options, terminal=True).out

    return ask


def test_markdown_is_drawn_where_there_is_a_terminal(shown):
    """Without any option: bold is bold."""
    assert "a \x1b[1mb\x1b[0m\n" == shown("a **b**\n")


def test_plain_is_plain(shown):
    """--plain: what the model wrote."""
    assert ANSWER == shown(ANSWER, "--plain")


def test_a_dumb_terminal_gets_plain_text(shown, monkeypatch):
    """TERM=dumb: what the model wrote, and no escape."""
    monkeypatch.setenv("TERM", "dumb")
    assert ANSWER == shown(ANSWER)


def test_no_color_is_respected(shown, monkeypatch):
    """NO_COLOR: Markdown is drawn, without a colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert "a \x1b[1mb\x1b[0m \x1b[1mc\x1b[0m\n" == shown("a **b** `c`\n")


def test_a_model_cannot_steer_the_terminal(shown):
    """Sequences from the model, written or spelt, are in nothing that the program writes."""
    assert "a title b \ufffd[31m \x1b[1mc\x1b[0m\n" == shown("a \x1b[2Jtitle\x1b]0;x\x07 b &#27;[31m **c**\n")


def test_an_answer_stopped_by_ctrl_c_is_left_whole(terminal, served):
    """The blocks so far stand once, the remark and the prompt have lines of their own, and the talk goes on."""
    served.reply("# head\n\n" + "word " * 400)
    served.delay(0.05)
    one = terminal("chat", "--user", "Ada")
    one.see("【Ada】")
    one.type("question\r")
    one.see("word word word")
    one.type("\x03")
    one.see("[interrupted]")
    served.delay(0)
    one.type("1+1=?\r")
    lines = one.see("【Ada】1+1=?", "1+1=2")
    at = lines.index("[interrupted]")
    assert (1, True, "【Ada】1+1=?") == (
        sum("head" in line for line in lines),
        lines[at - 1].startswith("word"),
        lines[at + 1],
    )


def test_an_answer_into_a_pipe_draws_nothing(skk_there, served):
    """``skk ask`` in a script pays for nothing that only a person sees; the HTTP library of older SDKs loads rich."""
    code = "import sys; from skk.cli import main; main(); sys.exit('skk.cli.markdown' in sys.modules)"
    served.reply(ANSWER)
    assert (0, ANSWER, "") == skk_there("ask", "question", python=("-c", code))


def test_thoughts_are_folded(skk_here, served, monkeypatch):
    """What a reasoning model thinks aloud is a faint line that goes when the answer comes; a script never sees it."""
    monkeypatch.setenv("TERM", "xterm-256color")
    served.delay(0.03)
    drawn, piped = (skk_here("ask", "1+1=?", "--model", "reasoner", terminal=yes).out for yes in (True, False))
    assert (True, "\r\x1b[J1+1=2\n", "1+1=2\n") == (drawn.startswith("\x1b[2m… "), drawn[-10:], piped)
