"""A talk that is ended from outside: its window is closed (SIGHUP), or somebody ends the program (SIGTERM)."""

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import sys
import threading
import time

import pytest

from skk.cli.stopping import ending, listening

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither")

LONG = "一二三四五六七八九十" * 50


@pytest.fixture
def kept(own_store):
    """Give what is kept: the texts, in order."""

    def read():
        with contextlib.closing(sqlite3.connect(own_store.removeprefix("sqlite:///"))) as database:
            rows = database.execute("select data from contents order by conversation, position").fetchall()
        return [json.loads(data)["content"] for (data,) in rows]

    return read


@pytest.fixture
def chat(served, terminal):
    """Start a talk at a terminal, and wait for its prompt."""

    def start(**settings):
        one = terminal("chat", "--user", "Ada", **settings)
        one.see("【Ada】")
        return one

    return start


def close(one):
    """As a terminal does it: the system's SIGHUP, and another one of the shell's."""
    one.hang_up()
    one.process.send_signal(signal.SIGHUP)
    return one.process.wait(60)


def end(one):
    """And again later: what comes between readline's prompt and its waiting is only noted until something wakes it."""
    again = threading.Timer(10, os.kill, [one.process.pid, signal.SIGTERM])
    again.start()
    one.process.send_signal(signal.SIGTERM)
    try:
        return one.leave()
    finally:
        again.cancel()


def hang_up_alone(one):
    """As `kill -HUP` does: the terminal is still there."""
    one.process.send_signal(signal.SIGHUP)
    return one.leave()


FULL, DUMB = "xterm-256color", "dumb"  # where a line is edited, and where it is read
ENDS = [(close, 129, FULL), (close, 129, DUMB), (end, 143, FULL), (hang_up_alone, 129, FULL)]


@pytest.mark.parametrize(("how", "status", "term"), ENDS)
def test_what_was_shown_is_kept(chat, served, kept, how, status, term):
    """In the middle of an answer: it is marked, as with Ctrl-C."""
    served.reply(LONG)
    served.delay(0.03)
    one = chat(TERM=term)
    one.type("数一数\r")
    one.see("三四")
    assert status == how(one)
    question, answer = kept()
    shown, mark = answer.split("\n")
    assert ("数一数", True, "[interrupted]") == (question, LONG.startswith(shown) and "三四" in shown, mark)


@pytest.mark.parametrize(("how", "status", "term"), [*ENDS, (end, 143, DUMB)])
def test_at_the_prompt_it_leaves(chat, kept, how, status, term):
    """Whatever stands there; what was said is kept."""
    one = chat(TERM=term)
    one.type("1+1=?\r")
    one.until(lambda lines: lines[-1] == "【Ada】" and len(lines) > 2)
    one.type("half a line")
    one.see("【Ada】half a line")
    assert (status, ["1+1=?", "1+1=2"]) == (how(one), kept())


@pytest.mark.parametrize(("how", "line"), [(end, ""), (end, "数一数\r"), (hang_up_alone, "数一数\r")])
def test_the_terminal_is_given_back(chat, served, how, line):
    """The shell that follows shows what is typed, on a line of its own; nothing is a traceback."""
    served.reply(LONG)
    served.delay(0.03)
    one = chat()
    one.type(line)
    one.see("三四" if line else "【Ada】")
    how(one)
    assert (True, 0, False) == (one.shows_keys(), one.screen.cursor.x, "Traceback" in one.written)


def test_a_name_is_waited_for(served, terminal):
    """It may come before the talk has begun, too."""
    one = terminal("chat")
    one.see("your name")
    one.type("Ad")
    one.see("Ad")
    assert (143, True) == (end(one), one.shows_keys())


def test_an_edit_is_left_with_the_talk(chat, kept):
    """Also where there is a text to edit."""
    one = chat()
    one.type("1+1=?\r")
    one.see("1+1=2")
    one.type("/edit\r")
    one.until(lambda lines: lines[-1] == "【Ada】1+1=?")
    assert (143, ["1+1=?", "1+1=2"]) == (end(one), kept())


def test_without_a_terminal(program, served, kept):
    """A script's talk is kept, too."""
    process = program("chat", "--user", "Ada")
    process.stdin.write(b"1+1=?\n")
    process.stdin.flush()
    assert b"1+1=2\n" == process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert (143, ["1+1=?", "1+1=2"], False) == (process.returncode, kept(), b"Traceback" in err)


# As the background job of a script is started.
BACKGROUND = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from skk.cli import main; exit(main())"


@pytest.fixture
def silent():
    """Take connections and say nothing; gives the address of such a database."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://u:p@127.0.0.1:{server.getsockname()[1]}/d", server


@pytest.mark.parametrize("arguments", ["chat --user Ada --resume 1", "chat --user Ada", "ask -c ?"])
def test_where_ctrl_c_is_ignored_it_is_heeded(program, served, silent, arguments):
    """Also before the talk has begun."""
    pytest.importorskip("asyncpg")
    url, server = silent
    process = program(*arguments.split(), python=("-c", BACKGROUND), SKK_DATABASE_URL=url)
    if arguments.startswith("ask"):
        process.stdin.close()
    connection, _ = server.accept()
    process.send_signal(signal.SIGTERM)
    with connection:
        err = process.stderr.read()
        assert (143, False) == (process.wait(60), b"Traceback" in err)


def test_where_ctrl_c_is_ignored_what_was_shown_is_kept(program, skk_there, served, kept):
    """In the middle of an answer; Ctrl-C itself, which is meant for others, does nothing."""
    skk_there("chat", text="1+1=?\n")
    served.reply(LONG)
    served.delay(0.03)
    process = program("ask", "-c", "数一数", python=("-c", BACKGROUND))
    process.stdin.close()
    seen = process.stdout.read1(4096)
    process.send_signal(signal.SIGINT)
    while "九十一".encode() not in seen:
        seen += process.stdout.read1(4096)
    process.send_signal(signal.SIGTERM)
    seen += process.stdout.read()
    assert (143, f"{seen.decode().strip()}\n[interrupted]") == (process.wait(60), kept()[-1])


def test_what_cannot_be_kept_is_tried_once(program, served, own_store):
    """Whoever ends a talk does not wait twice for a store that does not answer."""
    process = program("chat", "--user", "Ada")
    process.stdin.write(b"1+1=?\n")
    process.stdin.flush()
    assert b"1+1=2\n" == process.stdout.readline()
    served.reply(LONG)
    served.delay(0.03)
    process.stdin.write("数一数\n".encode())
    process.stdin.flush()
    process.stdout.read1(4096)
    with contextlib.closing(sqlite3.connect(own_store.removeprefix("sqlite:///"))) as database:
        database.execute("alter table contents rename to away")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert (1, 1) == (process.returncode, err.count(b"skk: "))


def test_a_later_signal_is_not_put_off():
    """The second one of a shell does nothing; when leaving has taken long, another one breaks it off."""
    done = []
    with pytest.raises(SystemExit) as left, ending(lambda: None, patience=0.2), listening(lambda: done.append("told")):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
        done.append("leaving")
        time.sleep(0.3)
        signal.raise_signal(signal.SIGTERM)
        done.append("never")
    assert (143, ["told", "leaving"]) == (left.value.code, done)


def test_nohup_is_respected(program, served):
    """Who has said that a closed window is to end nothing has their way."""
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); from skk.cli import main; exit(main())"
    process = program("chat", "--no-save", python=("-c", ignoring))
    process.stdin.write(b"1+1=?\n")
    process.stdin.flush()
    assert b"1+1=2\n" == process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(b"1+2=?\n", timeout=60)
    assert (0, b"1+2=3\n") == (process.returncode, out)


@pytest.mark.parametrize(("times", "seed"), [(3, 1), pytest.param(60, 2, marks=pytest.mark.prove)])
def test_it_comes_at_random_moments(chat, served, times, seed):
    """Wherever the talk is: it leaves, the terminal is given back, and nothing is a traceback."""
    chosen = random.Random(seed)
    served.reply("# head\n\nsome *words* and `code`\n\n" * 9, times=2 * times)
    served.delay(0.01)
    for _ in range(times):
        one = chat()
        one.type(chosen.choice(["?\r", "?\r/regenerate\r", "?\r/edit ??\r", "?\r/new\r/fork\r", "/image ?\r"]))
        one.wait(chosen.uniform(0, chosen.choice([0.02, 0.2, 1.0])))
        assert (143, True, False) == (end(one), one.shows_keys(), "Traceback" in one.written)
