"""``skk chat --classic``: the program that skk grew out of, byte for byte."""

import json
import os
import signal
import sys
import time

import pytest

PERSONA = {"role": "system", "content": "一个有10年Python开发经验的资深算法工程师"}
ASK_USER = "请输入用户名称: "
LEFT = "*********退出程序**********\n"
RESET = "**************************\n*********重置对话**********\n**************************\n"
RESET_BY_FORCE = "******************************\n*********强制重置对话**********\n******************************\n"
COUNTING = ("自然数50的后面是几?", "再往后是几?")
FIRST = [{"role": "user", "content": COUNTING[0]}, {"role": "assistant", "content": "51"}]
NOTICE = "没有找到 API 密钥：现在和你对话的是内置模拟器，它只按规则回答，不是模型\n"

# Root, whom nothing is forbidden, gives that right up (PR_CAPBSET_DROP); then the program runs.
FORBIDDEN = """
import ctypes, os, sys
for right in (1, 2):
    ctypes.CDLL(None).prctl(24, right, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-m", "skk", *sys.argv[1:]])
"""

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither pty nor SIGINT for a child process")
linux = pytest.mark.skipif(sys.platform != "linux", reason="a right of root's is given up in Linux's way")


def read_until(stream, wanted):
    """Read bytes until `wanted` is among them."""
    found = b""
    while wanted not in found:
        piece = stream.read1(4096)
        assert piece, found.decode()
        found += piece
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the program, with room for a key beside it."""
    place = tmp_path / "ChatCMD"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def classic(skk_here, folder, monkeypatch):
    """Type lines into the program, in this process; its input ends after them."""

    def say_lines(*lines, options=()):
        monkeypatch.chdir(folder)
        return skk_here("chat", "--classic", *options, lines=lines)

    return say_lines


@pytest.fixture
def saved(folder):
    """Read the file."""
    return lambda: json.loads((folder / "user_messages.json").read_bytes())


@pytest.fixture
def key_file(folder):
    """Write the old key file: its text, or a key."""

    def write(text):
        envs = folder.parent / "envs"
        envs.mkdir(exist_ok=True)
        (envs / "openai_key").write_text(text, "utf-8")

    return write


def said(served):
    """Give the last request's messages."""
    return [(message["role"], message["content"]) for message in served.requests[-1].json["messages"]]


# ---- a talk


def test_a_whole_talk_byte_for_byte(program, tmp_path, served):
    """Prompts, answers, both resets' stars, and the words at the end: to the byte, through pipes of a real process."""
    lines = ["小明", *COUNTING, "1", "Ada", "1+1=?", "0"]
    out, err = program("chat", "--classic").communicate("".join(f"{line}\n" for line in lines).encode(), timeout=60)
    expected = (
        f"{ASK_USER}【小明】【ChatGPT】51\n【小明】【ChatGPT】52\n【小明】{RESET}"
        f"{ASK_USER}【Ada】【ChatGPT】1+1=2\n【Ada】{LEFT}"
    )
    assert (expected, "") == (out.decode(), err.decode())


def test_the_file_byte_for_byte(classic, served, folder):
    """One line of JSON, as Python writes it by default: ASCII alone, the persona first, no end of line."""
    classic("小明", COUNTING[0], "0")
    expected = (
        r'{"\u5c0f\u660e": [{"role": "system", "content": '
        r'"\u4e00\u4e2a\u670910\u5e74Python\u5f00\u53d1\u7ecf\u9a8c\u7684\u8d44\u6df1\u7b97\u6cd5\u5de5\u7a0b\u5e08"}, '
        r'{"role": "user", "content": "\u81ea\u7136\u657050\u7684\u540e\u9762\u662f\u51e0?"}, '
        r'{"role": "assistant", "content": "51"}]}'
    )
    assert expected.encode() == (folder / "user_messages.json").read_bytes()


def test_all_messages_go_each_time(classic, served):
    """The persona opens what is sent, and every message follows."""
    classic("小明", *COUNTING)
    expected = [("system", PERSONA["content"]), ("user", COUNTING[0]), ("assistant", "51"), ("user", COUNTING[1])]
    assert expected == said(served)


def test_1_begins_empty(classic, served):
    """After a reset the next user's talk holds nothing of the one before."""
    classic("小明", COUNTING[0], "1", "Ada", "1+1=?")
    assert [("system", PERSONA["content"]), ("user", "1+1=?")] == said(served)


def test_1_saves(classic, served, saved):
    """After a reset both users are in the file."""
    classic("小明", COUNTING[0], "1", "Ada", "0")
    assert {"小明": [PERSONA, *FIRST], "Ada": [PERSONA]} == saved()


@pytest.mark.parametrize("line", ["0 ", " 0", "00", "1 ", "11", "quit", ""])
def test_only_0_and_1_are_commands(classic, served, line):
    """Everything else is said, as it was typed; a line without a word too."""
    classic("小明", line)
    assert ("user", line) == said(served)[-1]


def test_after_five_rounds_the_talk_is_reset_by_force(classic, served, saved):
    """Eleven messages: the stars, saved, another user, who starts empty."""
    seen = classic("小明", COUNTING[0], *COUNTING[1:] * 4, "Ada", "1+1=?", "0")
    rounds = "".join(f"【小明】【ChatGPT】{number}\n" for number in range(51, 56))
    expected = f"{ASK_USER}{rounds}{RESET_BY_FORCE}{ASK_USER}【Ada】【ChatGPT】1+1=2\n【Ada】{LEFT}"
    assert (expected, {"小明": 11, "Ada": 3}) == (seen.out, {user: len(talk) for user, talk in saved().items()})


def test_four_rounds_are_not_reset(classic, served):
    """Nine messages are no reason."""
    assert "强制" not in classic("小明", COUNTING[0], *COUNTING[1:] * 3).out


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_its_texts_are_chinese_always(classic, lang):
    """Whatever the language of the person, and of --lang."""
    assert NOTICE == classic("小明", options=["--lang", lang]).err


def test_what_steers_a_terminal_is_not_shown(classic, served, saved):
    """Escape sequences of an answer are kept in the file, and not shown."""
    served.reply("\x1b[31m红\x1b[0m")
    seen = classic("小明", "?")
    assert (True, "\x1b[31m红\x1b[0m") == ("】红\n" in seen.out, saved()["小明"][-1]["content"])


@pytest.mark.parametrize("option", ["--system", "--max-messages"])
def test_options_that_would_break_it_are_refused(classic, served, option):
    """It has its own system message and sends all messages: that is said, and nothing begins."""
    seen = classic("小明", options=[option, "1"])
    assert (2, "", True) == (seen.status, seen.out, option in seen.err)


def test_the_model_can_be_chosen(classic, served):
    """--model holds here too."""
    classic("小明", "?", options=["--model", "m"])
    assert "m" == served.requests[-1].model


# ---- leaving


def test_the_end_of_the_input_saves_and_leaves(classic, served, saved):
    """No word, no failure, and the talk is in the file."""
    seen = classic("小明", COUNTING[0])
    assert (0, f"{ASK_USER}【小明】【ChatGPT】51\n【小明】", "") == seen
    assert {"小明": [PERSONA, *FIRST]} == saved()


@pytest.mark.parametrize("lines", [[], ["小明"]])
def test_leaving_before_anything_was_said_saves_nothing(classic, served, folder, lines):
    """The end of the input right after the name does not replace an older talk."""
    (folder / "user_messages.json").write_text('{"小明": []}', "utf-8")
    assert (0, '{"小明": []}') == (classic(*lines).status, (folder / "user_messages.json").read_text("utf-8"))


def test_an_empty_talk_that_is_left_with_0_is_saved(classic, served, saved):
    """As the classic program did."""
    classic("小明", "0")
    assert {"小明": [PERSONA]} == saved()


@posix
class TestCtrlC:
    """Ctrl-C, as a terminal sends it: once is enough."""

    def test_at_the_prompt_it_saves_and_leaves(self, program, tmp_path, served):
        """The talk is in the file, and the exit status is 130."""
        process = program("chat", "--classic")
        process.stdin.write(f"小明\n{COUNTING[0]}\n".encode())
        process.stdin.flush()
        read_until(process.stdout, "51\n【小明】".encode())
        time.sleep(0.2)  # from the last byte to the next read
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        saved = json.loads((tmp_path / "user_messages.json").read_bytes())
        assert (130, b"\n", {"小明": [PERSONA, *FIRST]}) == (process.returncode, err, saved)

    def test_during_an_answer_it_saves_what_was_said_before(self, program, tmp_path, served):
        """The question that has no answer is not kept."""
        process = program("chat", "--classic")
        process.stdin.write(f"小明\n{COUNTING[0]}\n".encode())
        process.stdin.flush()
        read_until(process.stdout, "51\n【小明】".encode())
        served.fail("stall")
        process.stdin.write("再往后是几?\n".encode())
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while len(served.requests) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        saved = json.loads((tmp_path / "user_messages.json").read_bytes())
        assert (130, b"", b"\n", {"小明": [PERSONA, *FIRST]}) == (process.returncode, out, err, saved)


def close(one):
    """As a terminal does it: the system's SIGHUP, and another one of the shell's."""
    one.hang_up()
    one.process.send_signal(signal.SIGHUP)
    return one.process.wait(60)


def end(one):
    one.process.send_signal(signal.SIGTERM)
    return one.leave()


@posix
@pytest.mark.parametrize(("how", "status"), [(close, 129), (end, 143)])
@pytest.mark.parametrize("during", ["", "stall"])
def test_a_talk_that_is_ended_from_outside_is_saved(served, terminal, tmp_path, how, status, during):
    """Its window is closed, or somebody ends the program: at the prompt and during an answer, as with Ctrl-C."""
    one = terminal("chat", "--classic")
    one.see(ASK_USER.strip())
    one.type("小明\n")
    one.see("【小明】")
    one.type(f"{COUNTING[0]}\n")
    one.until(lambda lines: lines[-2:] == ["【ChatGPT】51", "【小明】"])
    if during:
        served.fail(during)
        one.type("再往后是几?\n")
        while len(served.requests) < 2:
            one.wait(0.01)
    left = how(one)
    saved = json.loads((tmp_path / "user_messages.json").read_bytes())
    assert (status, False, {"小明": [PERSONA, *FIRST]}) == (left, "Traceback" in one.written, saved)


def test_at_a_real_terminal(served, terminal, tmp_path):
    """Prompts, echo and answers without an escape code; Chinese is erased by characters; Ctrl-D saves and leaves."""
    one = terminal("chat", "--classic")
    one.see(ASK_USER.strip())
    one.type("小明\n")
    one.see("【小明】")
    one.type(f"{COUNTING[0][:-1]}个\x7f?\n")
    one.until(lambda lines: lines[-2:] == ["【ChatGPT】51", "【小明】"])
    one.type("\x04")
    status = one.leave()
    shown = f"{ASK_USER}小明\n【小明】{COUNTING[0]}\n【ChatGPT】51\n【小明】\n"
    saved = json.loads((tmp_path / "user_messages.json").read_bytes())
    assert (0, shown, {"小明": [PERSONA, *FIRST]}) == (
        status,
        one.written.replace("个\b \b", "").replace("\r\n", "\n"),
        saved,
    )


def test_a_reader_that_leaves_does_not_cost_the_talk(program, tmp_path, served):
    """`skk chat --classic | head -1`: what was said is saved."""
    process = program("chat", "--classic")
    process.stdin.write(f"小明\n{COUNTING[0]}\n".encode())
    process.stdin.flush()
    read_until(process.stdout, b"51\n")
    process.stdout.close()
    process.stdin.write("再往后是几?\n".encode())
    process.stdin.close()
    err = process.stderr.read()
    process.wait(60)
    saved = json.loads((tmp_path / "user_messages.json").read_bytes())
    assert (b"", [PERSONA, *FIRST]) == (err, saved["小明"][:3])


# ---- failing requests


def test_a_failed_request_is_a_line_and_the_talk_goes_on(classic, served, saved):
    """The line is on stderr, stdout holds the next prompt, and the lost question is not kept."""
    served.fail("401", argument=None)
    seen = classic("小明", "lost", COUNTING[0], "0")
    assert f"{ASK_USER}【小明】【小明】【ChatGPT】51\n【小明】{LEFT}" == seen.out
    assert (True, 1, {"小明": [PERSONA, *FIRST]}) == (
        seen.err.startswith("错误代码："),
        seen.err.count("\n"),
        saved(),
    )


@pytest.mark.parametrize("kind", ["400", "403", "404", "422", "page", "no-choices", "close", "error-in-200"])
def test_no_failure_is_a_traceback(classic, served, kind):
    """Each is one line in Chinese, and the program ends well."""
    served.fail(kind, times=None)
    seen = classic("小明", "?", "0")
    assert (0, 1, True) == (seen.status, seen.err.count("\n"), seen.err.startswith("错误代码："))


def test_an_answer_that_was_cut_off_is_marked(classic, served):
    """The mark is on stderr."""
    served.reply("half", finish_reason="length")
    assert (True, True) == ((seen := classic("小明", "?")).out.endswith("】half\n【小明】"), seen.err.startswith("["))


# ---- the key


def test_the_old_key_file_goes_before_the_environment(classic, served, key_file):
    """../envs/openai_key is asked first."""
    key_file('{"api": "sk-old-file"}')
    classic("小明", "?")
    assert "sk-old-file" == served.requests[-1].key


def test_a_key_file_that_was_named_goes_before_the_old_one(classic, served, key_file, folder):
    """--key-file was typed."""
    key_file('{"api": "sk-old-file"}')
    (folder / "own.json").write_text('{"api": "sk-named"}')
    classic("小明", "?", options=["--key-file", "own.json"])
    assert "sk-named" == served.requests[-1].key


def test_without_the_old_key_file_the_environment_is_asked(classic, served):
    """The settings are the second place."""
    classic("小明", "?")
    assert "sk-a-key-of-the-tests" == served.requests[-1].key


def test_the_config_file_is_asked_too(classic, simulator, monkeypatch, tmp_path):
    """Neither the old file nor the environment: the user's config file."""
    (tmp_path / "own.ini").write_text(f"[OpenAI]\nAPI_SECRET_KEY = sk-of-config\nBASE_URL = {simulator.base_url}\n")
    monkeypatch.setenv("SKK_CONFIG", str(tmp_path / "own.ini"))
    classic("小明", "?")
    assert "sk-of-config" == simulator.requests[-1].key


@pytest.mark.parametrize("text", ["", "sk-in-plain-text", "[]", '{"api": "你的 api keys"}', '{"api": null}'])
def test_an_old_key_file_that_holds_no_key_is_told_and_passed_over(classic, served, key_file, text):
    """One line without its content, then the settings."""
    key_file(text)
    seen = classic("小明", "?")
    assert ("sk-a-key-of-the-tests", 1, True, False) == (
        served.requests[-1].key,
        seen.err.count("\n"),
        seen.err.startswith("错误代码：../envs/openai_key"),
        "sk-in" in seen.err,
    )


def test_the_key_file_gives_no_address(classic, served, key_file):
    """A key only: what else stands there is nothing to us."""
    key_file('{"api": "sk-old-file", "base_url": "http://127.0.0.1:9/v1"}')
    assert "【ChatGPT】51" in classic("小明", COUNTING[0]).out


def test_without_any_key_the_simulator_answers(classic):
    """That is said on stderr; stdout is the same."""
    assert (0, f"{ASK_USER}【小明】【ChatGPT】51\n【小明】{LEFT}", NOTICE) == classic("小明", COUNTING[0], "0")


def test_a_talk_meant_for_a_service_goes_to_no_other(classic, simulator):
    """An address without a key: one line in Chinese, and nothing was sent."""
    seen = classic("小明", "?", options=["--base-url", simulator.base_url])
    assert (1, "", True, []) == (seen.status, seen.out, seen.err.startswith("错误代码："), simulator.requests)


# ---- the file


def test_other_users_are_kept_and_the_same_user_is_replaced(classic, served, saved, folder):
    """What others said stays as it is, whatever it is."""
    old = {"小明": [PERSONA, {"role": "user", "content": "old"}], "Ada": [PERSONA], "B": {"odd": [1.5, None, "\ud83d"]}}
    (folder / "user_messages.json").write_text(json.dumps(old))
    classic("小明", COUNTING[0], "0")
    assert {**old, "小明": [PERSONA, *FIRST]} == saved()


@pytest.mark.parametrize("content", [b"", b"\n", b"{}", b"\xef\xbb\xbf{}"])
def test_an_empty_file_is_one_without_users(classic, served, saved, folder, content):
    """Nothing is in it."""
    (folder / "user_messages.json").write_bytes(content)
    classic("小明", "0")
    assert {"小明": [PERSONA]} == saved()


def test_nothing_else_is_left_in_the_folder(classic, served, folder):
    """No lock and no temporary file."""
    classic("小明", "1", "Ada", "0")
    assert ["user_messages.json"] == os.listdir(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"Ada": [', "Expecting value: line 1 column 10 (char 9)"),
        (b"\x00" * 9, "Expecting value: line 1 column 1 (char 0)"),
        (b"\xff{}", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"[]", "./user_messages.json 不是 {用户名称: 对话}"),
        (b"[" * 200_000, "maximum recursion depth exceeded"),
    ],
    ids=["cut", "zeros", "bytes", "list", "deep"],
)
def test_a_damaged_file_is_told_and_never_overwritten(classic, served, folder, content, told):
    """The trouble is one line on stdout, the file is the same to the byte, and the talk goes on."""
    (folder / "user_messages.json").write_bytes(content)
    seen = classic("小明", "1", "Ada", COUNTING[0], "0")
    assert content == (folder / "user_messages.json").read_bytes()
    assert (1, True, True, "") == (
        seen.status,
        f"{RESET}错误代码：{told}" in seen.out,
        f"【ChatGPT】51\n【Ada】{LEFT}错误代码：" in seen.out,
        seen.err,
    )


def test_what_could_not_be_saved_is_saved_when_it_can_be(program, served, tmp_path):
    """A talk that met a damaged file stays in memory; when the file is mended both talks are in it."""
    file = tmp_path / "user_messages.json"
    file.write_text("{")
    process = program("chat", "--classic")
    process.stdin.write(f"小明\n{COUNTING[0]}\n1\n".encode())
    process.stdin.flush()
    read_until(process.stdout, "错误代码".encode())
    file.write_text('{"B": []}')
    process.communicate(b"Ada\n0\n", timeout=60)
    assert (0, {"B": [], "小明": [PERSONA, *FIRST], "Ada": [PERSONA]}) == (
        process.returncode,
        json.loads(file.read_bytes()),
    )


@linux
def test_a_folder_that_takes_no_file_is_told(skk_there, served, tmp_path):
    """The words are the classic program's, and the talk goes on."""
    os.chmod(tmp_path, 0o555)
    seen = skk_there(python=("-c", FORBIDDEN, "chat", "--classic"), text="小明\n1\nAda\n1+1=?\n0\n")
    os.chmod(tmp_path, 0o755)
    told = "错误代码：[Errno 13] Permission denied: './user_messages.json'\n"
    expected = f"{ASK_USER}【小明】{RESET}{told}{ASK_USER}【Ada】【ChatGPT】1+1=2\n【Ada】{LEFT}{told}"
    assert (1, expected, "", []) == (*seen, os.listdir(tmp_path))


def test_a_folder_in_the_place_of_the_file_is_told(classic, served, folder):
    """It stays."""
    (folder / "user_messages.json").mkdir()
    seen = classic("小明", "0")
    assert (1, True, True) == (seen.status, f"{LEFT}错误代码：" in seen.out, (folder / "user_messages.json").is_dir())


def test_two_programs_at_once_lose_nothing(program, served, tmp_path):
    """Three programs save 60 users each, all at once: every one is in the file."""
    talks = {name: [f"{name}{number}" for number in range(60)] for name in "abc"}
    processes = {name: program("chat", "--classic") for name in talks}
    for process in processes.values():  # all are there
        read_until(process.stdout, ASK_USER.encode())
    for name, process in processes.items():
        process.stdin.write("\n1\n".join(talks[name]).encode() + b"\n0\n")
        process.stdin.flush()
    for process in processes.values():
        process.communicate(timeout=60)
    users = json.loads((tmp_path / "user_messages.json").read_bytes())
    assert ([0] * 3, {user for users in talks.values() for user in users}, ["user_messages.json"]) == (
        [process.returncode for process in processes.values()],
        users.keys(),
        os.listdir(tmp_path),
    )
