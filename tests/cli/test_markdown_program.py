"""Markdown in the real program, at a terminal of the system's: what stands on the screen at the end."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyte
import pytest

import skk

if sys.platform == "win32":
    pytest.skip("Windows has no pty", allow_module_level=True)
else:
    import pty
    import termios

pytestmark = pytest.mark.usefixtures("served")

ANSWER = "# 标题\n\n- one **two**\n- 三\n\n```python\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nend\n"
SEEN = ["标题", "", " • one two", " • 三", "", "  x = 1", "", " a  b", " ────", " 1  2", "", "end"]


class Person:
    """Somebody at a terminal where the program runs."""

    def __init__(self, folder, words, variables, width=80, height=24):
        self.screen = pyte.HistoryScreen(width, height, history=10_000, ratio=0.5)
        self.written = ""
        self._stream = pyte.ByteStream(self.screen)
        self._terminal, inner = pty.openpty()
        termios.tcsetwinsize(inner, (height, width))
        environ = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        source = str(Path(skk.__file__).parent.parent)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "skk", *words],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            cwd=folder,
            env={**environ, "PYTHONPATH": source, "TERM": "xterm-256color", "SKK_LANG": "en", **variables},
        )
        os.close(inner)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # Linux says so at the end
                return
            if not data:
                return
            self.written += data.decode("utf-8", "replace")
            self._stream.feed(data)

    def type(self, text):
        os.write(self._terminal, text.encode())

    def see(self, text):
        """Wait until something is on the screen."""
        end = time.monotonic() + 30
        while not any(text in line for line in self.lines()):
            assert time.monotonic() < end, self.lines()
            time.sleep(0.02)

    def lines(self):
        width = self.screen.columns
        rows = [*list(self.screen.history.top), *(self.screen.buffer[at] for at in range(self.screen.lines))]
        lines = ["".join(row[column].data for column in range(width)).rstrip() for row in rows]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def leave(self):
        self.process.wait(30)
        self._reader.join(5)

    def close(self):
        self.process.kill()
        self.process.wait()
        self._reader.join(5)
        os.close(self._terminal)


@pytest.fixture
def person(tmp_path):
    people = []

    def sit_down(*words, width=80, **variables):
        people.append(Person(tmp_path, words, variables, width))
        return people[-1]

    yield sit_down
    for one in people:
        one.close()


def test_an_answer_is_drawn(person, served):
    """Heading, list, code and table stand on the screen, once, whatever the pieces were."""
    served.reply(ANSWER)
    served.delay(0.02)
    one = person("ask", "question", width=40)
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


def test_an_answer_stopped_by_ctrl_c_is_left_whole(person, served):
    """The blocks so far stand once, the remark and the prompt have lines of their own, and the talk goes on."""
    served.reply("# head\n\n" + "word " * 400)
    served.delay(0.05)
    one = person("chat")
    one.see(">")
    one.type("question\r")
    one.see("word word word")
    one.process.send_signal(signal.SIGINT)
    one.see("[interrupted]")
    served.delay(0)
    one.type("1+1=?\r")
    one.see("> 1+1=?")
    lines = one.lines()
    at = lines.index("[interrupted]")
    assert (1, True, "> 1+1=?") == (
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
    served.delay(0.15)
    drawn, piped = (skk_here("ask", "1+1=?", "--model", "reasoner", terminal=yes).out for yes in (True, False))
    assert (True, "\r\x1b[J1+1=2\n", "1+1=2\n") == (drawn.startswith("\x1b[2m… "), drawn[-10:], piped)
