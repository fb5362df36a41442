"""The program as a process: signals, pipes, locales, proxies, and what it loads."""

import signal
import sys
import time

import pytest

import skk

COUNTING = "自然数50的后面是几?\n再往后是几?\n"


def read_until(stream, wanted):
    """Read bytes until `wanted` is among them."""
    found = b""
    while wanted not in found:
        piece = stream.read1(4096)
        assert piece, found
        found += piece
    return found


def test_version_is_one_line(skk_there):
    """`skk --version` names program and version."""
    assert (0, f"skk {skk.__version__}\n", "") == skk_there("--version")


@pytest.mark.parametrize(
    "variables",
    [
        {"LANG": "C", "PYTHONUTF8": "0"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "latin-1"},
        dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"), "http://127.0.0.1:9"),
        dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), "socks5://127.0.0.1:9"),
        {"OPENAI_MODEL": "gpt-3.5-turbo"},
    ],
    ids=str,
)
def test_a_newcomer_talks_whatever_the_machine_says(skk_there, variables):
    """Without a key, in any locale and behind proxies that point nowhere, Chinese is counted on."""
    seen = skk_there("chat", text=COUNTING, **variables)
    assert (0, "51\n52\n", 1) == (seen.status, seen.out, seen.err.count("\n"))


def test_chinese_arguments_and_files_work_in_the_c_locale(skk_there, served, tmp_path):
    """The words of the command line and names of files are UTF-8 even where the locale knows only ASCII."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    answer = skk_there("ask", "自然数50的后面是几?", **plain)
    talk = skk_there("chat", text="/save 对话.json\n/load 没有.json\n", **plain)
    expected = ((0, "51\n", ""), (0, "对话.json: 0 messages saved\n", "skk: 没有.json: no such file or folder\n"))
    assert (expected, True) == ((answer, talk), (tmp_path / "对话.json").exists())


def test_bytes_that_are_no_text_crash_nothing(skk_there, served):
    """Undecodable input is asked with a stand-in character, and the talk goes on."""
    seen = skk_there("chat", text=b"\xff\xfe\x80\n" + COUNTING.encode())
    assert (0, True, "�") == (
        seen.status,
        seen.out.endswith("51\n52\n"),
        served.requests[0].json["messages"][0]["content"][0],
    )


def test_a_closed_stdin_is_an_empty_one(program, served):
    """`skk ask … <&-` asks; nothing is waited for."""
    script = "import os, sys; os.close(0); os.execv(sys.executable, [sys.executable, '-m', 'skk', 'ask', '1+1=?'])"
    out, err = program(python=("-c", script)).communicate(timeout=60)
    assert (b"1+1=2\n", b"") == (out, err)


def test_a_reader_that_leaves_is_no_failure_to_tell(program, served):
    """`skk ask … | head -1`: when nobody reads any more the program ends silently."""
    served.reply("line\n" * 50)
    served.delay(0.02)
    process = program("ask", "?")
    process.stdin.close()
    read_until(process.stdout, b"line\n")
    process.stdout.close()
    err = process.stderr.read()
    assert (b"", True) == (err, process.wait(30) != 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a child process")
class TestCtrlC:
    """Ctrl-C, as a terminal sends it."""

    def test_during_an_answer_it_stops_that_answer_alone(self, program, served):
        """The answer is marked, the talk goes on, and the model sees what was shown."""
        served.reply("一二三四五六七八九十" * 20)
        served.delay(0.05)
        process = program("chat")
        process.stdin.write("数一数\n".encode())
        process.stdin.flush()
        shown = read_until(process.stdout, "二".encode())
        process.send_signal(signal.SIGINT)
        told = read_until(process.stderr, b"\n")
        served.delay(0)
        out, _ = process.communicate(b"1+1=?\n", timeout=60)
        shown = (shown + out).decode().removesuffix("1+1=2\n").removesuffix("\n")
        sent = [message["content"] for message in served.requests[-1].json["messages"]]
        assert (0, b"[interrupted]\n", ["数一数", f"{shown}\n[interrupted]", "1+1=?"]) == (
            process.returncode,
            told,
            sent,
        )

    def test_before_the_first_word_nothing_is_kept(self, program, served):
        """An answer of which nothing was shown leaves no trace."""
        served.fail("stall")
        process = program("chat")
        process.stdin.write(b"?\n")
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not served.requests:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        told = read_until(process.stderr, b"\n")
        out, _ = process.communicate(b"1+1=?\n", timeout=60)
        sent = [message["content"] for message in served.requests[-1].json["messages"]]
        assert (0, b"[interrupted]\n", b"1+1=2\n", ["1+1=?"]) == (process.returncode, told, out, sent)

    def test_at_the_prompt_it_leaves_with_130(self, program, served):
        """Nothing is going on: the talk is over."""
        process = program("chat")
        process.stdin.write(b"1+1=?\n")
        process.stdin.flush()
        read_until(process.stdout, b"2\n")
        time.sleep(0.2)  # from the last byte to the next read
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (130, b"\n") == (process.returncode, err)

    def test_ask_exits_with_130(self, program, served):
        """What came stays on stdout, the mark is on stderr."""
        served.reply("一二三四五六七八九十" * 20)
        served.delay(0.05)
        process = program("ask", "?")
        process.stdin.close()
        read_until(process.stdout, "一".encode())
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert (b"[interrupted]\n", 130) == (process.stderr.read(), process.wait(60))

    def test_the_simulator_ends_with_it(self, program):
        """`skk simulator` says where it listens, and serves until Ctrl-C."""
        process = program("simulator", "--port", "0")
        address = read_until(process.stdout, b"\n").decode().strip()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (True, b"", True) == (address.startswith("http://127.0.0.1:"), err, process.returncode in (0, 130))


def test_an_answer_is_shown_while_it_comes(program, served):
    """The first words are there before the last ones were sent."""
    served.reply("一二三四五六七八九十" * 100)
    served.delay(0.05)
    process = program("ask", "?")
    process.stdin.close()
    assert "十" * 2 not in read_until(process.stdout, "二".encode()).decode("utf-8", "ignore")


def test_without_click_one_line_names_the_extra(skk_there):
    """The library alone is installed: the program says what to install, and shows no traceback."""
    code = "import sys; sys.modules['click'] = None; from skk.cli import main; sys.exit(main())"
    expected = "skk: the terminal program needs one more package: pip install 'skk[cli]'\n"
    assert (1, "", expected) == skk_there("--version", python=("-c", code))


@pytest.mark.parametrize("arguments", [["--help"], ["chat", "--help"], ["--version"], ["ask"]])
def test_help_loads_no_sdk(skk_there, arguments):
    """Help, version and usage come at once: the SDK and asyncio are not loaded."""
    code = (
        "import sys; from skk.cli import main; main(); "
        "print([name for name in ('openai', 'asyncio', 'skk.simulator') if name in sys.modules], file=sys.stderr)"
    )
    assert skk_there(*arguments, python=("-c", code)).err.endswith("[]\n")


def test_a_person_at_a_real_terminal(served, terminal):
    """At a terminal: a greeting, the answer to a Chinese line that was corrected, and Ctrl-C leaves."""
    one = terminal("chat", "--model", "m", "--user", "小明")
    one.see("m · /help lists the commands", "【小明】")
    one.type("自然数50的后面是几个\x7f?\r")
    one.until(lambda lines: lines[-2:] == ["51", "【小明】"])
    one.type("\x03")
    assert (130, "自然数50的后面是几?") == (one.leave(), served.requests[-1].json["messages"][0]["content"])
