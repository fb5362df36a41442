"""``skk ask`` as a process: pipes that end late or never, Ctrl-C, locales, and what it loads."""

import io
import json
import os
import signal
import sys
import threading

import pytest

from skk.cli.ask import piped
from skk.cli.environment import Environment
from skk.simulator.pictures import draw

LOADED = (
    "import sys; from skk.cli import main; status = main(); "
    "print(*sorted({name.partition('.')[0] for name in sys.modules} | set(sys.modules)), file=sys.stderr)"
)
STORE = {"sqlalchemy", "aiosqlite", "alembic", "platformdirs", "skk.store", "skk.service"}
SCREEN = {"prompt_toolkit", "skk.cli.markdown", "skk.cli.chat"}  # not rich: the HTTP library of older SDKs loads it
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has none of it")


def loaded(seen):
    return set(seen.err.split())


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_is_not_used_is_not_loaded(skk_there, served, options):
    """Without -c no store, and in a pipe nothing that draws."""
    names = loaded(skk_there("ask", "?", *options, python=("-c", LOADED)))
    assert ("openai" in names, set()) == (True, names & (STORE | SCREEN))


def test_the_store_is_loaded_to_go_on(skk_there, served):
    """The guard can fail: -c loads what keeps conversations."""
    names = loaded(skk_there("ask", "-c", "?", python=("-c", LOADED)))
    assert {"sqlalchemy", "skk.service"} <= names


def test_a_talk_is_gone_on_with_by_other_processes(skk_there, served):
    """One process begins to count, two others go on."""
    skk_there("chat", text="自然数50的后面是几?\n")
    assert ["52\n", "53\n"] == [skk_there("ask", "-c", "再往后是几?").out for _ in range(2)]


STOPS = [(signal.SIGINT, 130)]
if sys.platform != "win32":
    STOPS += [(signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@posix
@pytest.mark.parametrize(("number", "stops"), STOPS, ids=lambda value: getattr(value, "name", ""))
class TestCtrlC:
    """Ctrl-C: one line, 130, no traceback. A signal that ends the program does what it does, with its own status."""

    @pytest.fixture
    def stopped(self, program, served, number):
        """Stop an answer when its first words are there; gives status, stdout and stderr."""
        served.reply("一二三四五六七八九十" * 20)
        served.delay(0.05)

        def stop(*arguments):
            process = program("ask", "x", *arguments)
            process.stdin.close()
            seen = b""
            while "二".encode() not in seen:
                seen += process.stdout.read1(4096)
            process.send_signal(number)
            seen += process.stdout.read()
            served.delay(0)
            return process.wait(60), seen.decode(), process.stderr.read().decode()

        return stop

    def test_what_was_shown_is_kept_with_c(self, skk_there, stopped, served, stops):
        """The next question sees the half of the answer that the person saw, and its mark."""
        served.clear()
        skk_there("chat", text="自然数50的后面是几?\n")
        served.reply("一二三四五六七八九十" * 20)
        served.delay(0.05)
        status, out, err = stopped("-c")
        skk_there("ask", "-c", "?")
        kept = served.requests[-1].json["messages"][-2]["content"]
        assert (stops, "[interrupted]\n", f"{out.removesuffix(chr(10))}\n[interrupted]") == (status, err, kept)

    def test_without_c_it_ends(self, stopped, stops):
        """One line says so."""
        status, _, err = stopped()
        assert (stops, "[interrupted]\n") == (status, err)

    def test_json_is_whole(self, program, served, number, stops):
        """A reader of JSON gets its object also then."""
        served.fail("stall")
        process = program("ask", "x", "--json")
        process.stdin.close()
        while not served.requests:
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.stdout.read(), process.stderr.read()
        assert (stops, "interrupted", b"[interrupted]\n") == (process.wait(60), json.loads(out)["error"]["kind"], err)


@posix
def test_ctrl_c_while_the_pipe_is_waited_for(program, served):
    """A pipe that never ends can be left."""
    process = program("ask", "x", python=("-c", WAITING))
    assert b"reading\n" == process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert (130, b"", []) == (process.wait(60), process.stderr.read().strip(b"\n"), served.requests)


# Says so when stdin is read.
WAITING = """
import io, sys
class Told(io.BufferedReader):
    def read(self, *size):
        print("reading", file=sys.stderr, flush=True)
        return super().read(*size)
sys.stdin = io.TextIOWrapper(Told(io.FileIO(0)))
from skk.cli import main
sys.exit(main())
"""


def test_a_pipe_that_stays_open_is_told_of():
    """Who started the program without a pipe of its own learns what it waits for; what comes is read."""
    out, into = os.pipe()
    told = threading.Event()

    class Stderr(io.StringIO):
        def write(self, text):
            told.set()
            return super().write(text)

    stderr = Stderr()
    with open(out, encoding="utf-8") as stdin:
        environment = Environment(stdin=stdin, stdout=io.StringIO(), stderr=stderr)

        def go_on():
            told.wait(60)
            os.write(into, b"late")
            os.close(into)

        other = threading.Thread(target=go_on)
        other.start()
        data = piped(environment, 0.01)
        other.join()
    assert (b"late", "skk: waiting for the end of what is piped in") == (data, stderr.getvalue()[:44])


def test_a_pipe_that_ends_in_time_is_not_told_of(skk_there, served):
    """Nothing but the answer is seen."""
    assert (0, "1+1=2\n", "") == skk_there("ask", "1+1=?", text="")


@posix
def test_a_stdin_that_cannot_be_read_is_an_empty_one(program, served):
    """`nohup` gives one that can only be written."""
    script = (
        "import os, sys; os.dup2(os.open(os.devnull, os.O_WRONLY), 0); "
        "os.execv(sys.executable, [sys.executable, '-m', 'skk', 'ask', '1+1=?'])"
    )
    out, err = program(python=("-c", script)).communicate(timeout=60)
    assert (b"1+1=2\n", b"") == (out, err)


@posix
@pytest.mark.parametrize("options", [[], ["--json"], ["--attach", "no.png"], ["--schema", "no.json", "--json"]])
def test_a_reader_that_has_gone_is_no_traceback(program, served, options):
    """Whatever was to be printed: 1, and at most the one line of a failure."""
    process = program("ask", "?", *options)
    process.stdout.close()
    process.stdin.close()
    err = process.stderr.read().decode()
    assert (1, True) == (process.wait(60), err in ("", "skk: no.png: no such file or folder\n"))


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such file here")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_is_told(served, tmp_path, program, options):
    """What could not be written is not taken for written."""
    script = (
        "import os, sys; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); "
        f"os.execv(sys.executable, [sys.executable, '-m', 'skk', 'ask', '?', *{options}])"
    )
    process = program(python=("-c", script))
    _, err = process.communicate(timeout=60)
    assert (1, True, False) == (process.returncode, err.startswith(b"skk: "), b"Traceback" in err)


@pytest.mark.parametrize("variables", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}], ids=["C"])
def test_any_locale_takes_chinese(skk_there, served, tmp_path, variables):
    """Names of files, their text, the question and the JSON of the answer are UTF-8."""
    (tmp_path / "猫.png").write_bytes(draw("cat"))
    (tmp_path / "笔记.txt").write_text("你好", encoding="utf-8")
    (tmp_path / "星.json").write_text('{"type": "object", "properties": {"星": {"type": "string"}}}', encoding="utf-8")
    (tmp_path / "密钥.json").write_text('{"api": "sk-of-the-file"}', encoding="utf-8")
    (tmp_path / "设置.ini").write_text("[OpenAI]\nMODEL = m\n", encoding="utf-8")
    files = ["--attach", "猫.png", "--attach", "笔记.txt", "--schema", "星.json", "--json"]
    files += ["--key-file", "密钥.json", "--config", "设置.ini"]
    seen = skk_there("ask", "什么?", *files, **variables)
    [words, picture, text] = served.requests[-1].json["messages"][-1]["content"]
    asked = words["text"], picture["type"], text["text"]
    assert ("什么?", "image_url", "笔记.txt:\n```\n你好\n```") == asked
    assert ("sk-of-the-file", "m") == (served.requests[-1].key, served.requests[-1].model)
    assert (0, "", ["星"]) == (seen.status, seen.err, list(json.loads(seen.out)["parsed"]))


def test_the_key_is_never_shown(skk_there, served):
    """Not by a service that repeats it, neither as text nor as JSON."""
    served.fail("echo-key", times=2)
    seen = [skk_there("ask", "?", *options) for options in ([], ["--json"])]
    assert [False, False] == ["sk-a-key-of-the-tests" in one.out + one.err for one in seen]
