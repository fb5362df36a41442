"""Asking again, elsewhere, or with files: ``/regenerate``, ``/edit``, ``/new``, ``/fork``, ``/attach``, ``@path``."""

import base64
import sys
import time

import pytest

COUNTING = ["自然数50的后面是几?", "再往后是几?"]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def said(served):
    return [(message["role"], message["content"]) for message in served.requests[-1].json["messages"]]


@pytest.fixture
def at_terminal(skk_here, served, tmp_path, monkeypatch):
    """Say lines as a person at a terminal, who has no other conversations."""
    monkeypatch.setenv("TERM", "dumb")

    def say_lines(*lines, options=()):
        return skk_here("chat", "--user", "Ada", *options, lines=lines, terminal=True)

    return say_lines


# ---- the last question again


def test_regenerate_asks_the_last_question_again(talk, served):
    """The old answer is not sent, and the new one takes its place."""
    served.reply("one")
    served.reply("two")
    out = talk("?", "/regenerate", "/history").out
    assert ("one\ntwo\n  0  [user] ?\n  1  [assistant] two\n", [("user", "?")]) == (out, said(served))


@pytest.mark.parametrize("line", ["/regenerate", "/edit other"])
def test_a_failure_leaves_the_old_answer(talk, served, line):
    """Nothing came: the history is as it was, and the failure is one line."""
    served.reply("one")
    served.reply("kept")
    first = talk("before", "?", "/history", options=["--no-save"]).out.partition("kept\n")[2]
    served.clear()
    served.reply("one")
    served.reply("kept")
    seen = talk("before", "?", "/model fault:401", line, "/history", options=["--no-save"])
    assert (True, 1) == (seen.out.endswith(first), seen.err.count("\n"))


def test_what_broke_off_takes_the_old_answers_place(talk, served):
    """It was shown, so it is what the person saw last."""
    served.reply("一二三四五六七八九十")
    out = talk("?", "/model fault:cut-stream", "/regenerate", "/history").out
    assert (True, 1) == ("[interrupted]" in out.splitlines()[-1], out.count("[user]"))


def test_undo_after_regenerate_brings_the_old_answer_back(talk, served):
    """The old turn's leaving and the new one's coming are one change."""
    served.reply("one")
    served.reply("two")
    assert talk("?", "/regenerate", "/undo").out.endswith("  0  [user] ?\n  1  [assistant] one\n")


@pytest.mark.parametrize("line", ["/regenerate", "/edit other"])
def test_a_pinned_question_stays_pinned(talk, served, line):
    """Whatever comes of it: an answer, half of one, or a change of mind."""
    out = talk("?", "/pin 0", line, "/history", "/model fault:cut-stream", line, "/history", "/undo").out
    assert [True, True, True] == ["0* [user]" in line for line in out.splitlines() if "[user]" in line][-3:]


@pytest.mark.parametrize("line", ["/regenerate", "/edit", "/edit other"])
def test_nothing_to_ask_again(talk, served, line):
    """Before the first question that is said, and nothing is sent."""
    assert ("there is no question to ask again\n", []) == (talk(line).out, served.requests)


def test_edit_asks_another_question_instead(talk, served):
    """/edit with the question itself."""
    out = talk(*COUNTING, "/edit 1+1=?", "/history").out
    assert ("1+1=2\n", 4) == (out.partition("52\n")[2][:6], out.count("["))
    assert [("user", COUNTING[0]), ("assistant", "51"), ("user", "1+1=?")] == said(served)


def test_edit_alone_reads_the_new_question(talk, served):
    """Without a terminal the old question is told, and the next line is the new one."""
    seen = talk("1+2=?", "/edit", "1+1=?")
    assert ("1+2=?\n", [("user", "1+1=?")]) == (seen.err, said(served))


def test_an_empty_edit_changes_nothing(talk, served):
    """An empty line, or the end of the input."""
    assert ("1+1=2\nnothing was changed\n", 1) == (talk("1+1=?", "/edit", "").out, len(served.requests))


@pytest.mark.parametrize(("line", "text"), [("/regenerate", "看"), ("/edit 再看", "再看")])
def test_pictures_stay_with_the_question(talk, served, tmp_path, line, text):
    """The text alone is edited."""
    (tmp_path / "a.png").write_bytes(PNG)
    talk("/attach a.png", "看", line)
    content = said(served)[0][1]
    assert (1, text, "image_url") == (len(said(served)), content[0]["text"], content[1]["type"])


# ---- another conversation


def test_new_begins_with_nothing(talk, served):
    """What was said before is not sent."""
    out = talk(COUNTING[0], "/new", "1+1=?").out
    assert ("51\na new conversation; the last one is kept: skk chat --resume\n1+1=2\n", 1) == (out, len(said(served)))


def test_new_keeps_what_was_set(talk, served):
    """/new takes away what was said; model, system message and limit are those of the moment."""
    lines = ["/model other", "/system be brief", "?", "/new", "a", "b"]
    talk(*lines, options=["--model", "m", "--system", "be long", "--max-messages", "1"])
    assert ("other", [("system", "be brief"), ("user", "b")]) == (served.requests[-1].model, said(served))


def test_new_without_a_store_promises_nothing(talk, served):
    """--no-save: nothing is kept, and nobody says so."""
    assert "a new conversation\n" == talk("/new", options=["--no-save"]).out


@pytest.mark.parametrize("options", [[], ["--no-save"]])
def test_fork_goes_on_with_what_was_said(talk, served, options):
    """The copy holds the messages so far."""
    out = talk(COUNTING[0], "/fork", COUNTING[1], options=options).out
    assert "51\na copy with 2 messages; the conversation of before stays as it is\n52\n" == out


# ---- files


def test_attach_puts_a_file_into_the_next_question_alone(talk, served, tmp_path):
    """The parts follow the text; the question after that has none."""
    (tmp_path / "a b.png").write_bytes(PNG)
    talk('/attach "a b.png"', "看", "再看")
    first, second = said(served)[0][1], said(served)[-1][1]
    assert (["text", "image_url"], "再看") == ([part["type"] for part in first], second)


def test_attach_lists_and_detach_takes_off(talk, served, tmp_path):
    """/attach alone shows what waits."""
    (tmp_path / "a.txt").write_text("one")
    out = talk("/attach", "/attach a.txt", "/attach", "/detach", "1+1=?").out
    listed = "attached to the next question: a.txt; /detach takes them off\n"
    assert f"nothing is attached\n{listed * 2}nothing is attached\n1+1=2\n" == out
    assert "1+1=?" == said(served)[0][1]


def test_files_wait_when_a_question_fails(talk, served, tmp_path):
    """The next try has them."""
    (tmp_path / "a.txt").write_text("inside")
    served.fail("401")
    talk("/attach a.txt", "lost", "again")
    assert "inside" in str(said(served)[0][1])


def test_a_file_is_named_in_a_question(at_terminal, served, tmp_path):
    """@path puts it there, and that is told."""
    (tmp_path / "a.txt").write_text("inside")
    seen = at_terminal("看@a.txt，好吗", "write to me@a.txt", "what is \\@a.txt")
    assert (1, True) == (seen.err.count("attached: a.txt\n"), "inside" in str(said(served)[0][1]))
    assert ["write to me@a.txt", "what is \\@a.txt"] == [said(served)[at][1] for at in (-3, -1)]


def test_what_is_piped_in_names_no_file(talk, served, tmp_path):
    """Somebody else may have written it."""
    (tmp_path / "a.txt").write_text("inside")
    talk("看 @a.txt")
    assert [("user", "看 @a.txt")] == said(served)


# ---- documents


def test_export_writes_a_document(talk, served, tmp_path):
    """Markdown: a title, who spoke, and a block of code that broke off swallows nothing."""
    served.reply("```python\nx = 1")
    out = talk("写 *x*", "1+1=?", "/export 对话.md", options=["--user", "小明"]).out
    text = (tmp_path / "对话.md").read_text("utf-8")
    assert "对话.md: 4 messages saved" == out.splitlines()[-1]
    assert (True, True, True) == (
        text.startswith("# 写 \\*x\\*\n\n"),
        "\n\n---\n\n**【小明】**\n\n写 *x*\n\n---\n\n**【assistant】**\n\n```python\nx = 1\n```\n\n---\n\n" in text,
        text.endswith("**【assistant】**\n\n1+1=2\n"),
    )


def test_export_as_text_has_nothing_that_steers_a_terminal(talk, served, tmp_path):
    """It may be shown with cat."""
    served.reply("\x1b[31mred\x1b[0m")
    talk("?", "/export talk.txt", options=["--user", "Ada", "--system", "brief"])
    assert "【system】\nbrief\n\n【Ada】\n?\n\n【assistant】\nred\n" == (tmp_path / "talk.txt").read_text("utf-8")


def test_export_as_json_can_be_loaded(talk, served):
    """It is what /save writes."""
    assert talk(COUNTING[0], "/export a.json", "/clear", "/load a.json", COUNTING[1]).out.endswith("52\n")


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.json", "dangling.md"])
def test_export_overwrites_nothing(talk, served, tmp_path, name):
    """The file that is there stays, and the way out is said."""
    (tmp_path / name).write_text("mine") if name.startswith("a") else (tmp_path / name).symlink_to("nowhere")
    seen = talk(f"/export {name}")
    assert f"skk: {name} is there already: name another file, or remove that one\n" == seen.err
    assert not (tmp_path / "nowhere").exists()


# ---- pictures


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sets no limits to a process")
def test_a_picture_that_finds_no_room_leaves_no_file(skk_there, served, tmp_path):
    """A full disk, or a limit: the failure is told, and no half of a picture stays."""
    limited = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (20, 20)); from skk.cli import main; main()"
    seen = skk_there("chat", "--no-save", text="/image a cat\n", python=("-c", limited))
    assert (1, []) == (seen.err.count("\n"), [path.name for path in tmp_path.glob("image-*")])


def test_a_picture_takes_no_name_that_is_there(talk, served, tmp_path):
    """Neither of another one, nor of a link that points nowhere."""
    for second in range(10):
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(time.time() + second))
        (tmp_path / f"image-{stamp}-1.png").write_text("mine")
        (tmp_path / f"image-{stamp}-2.png").symlink_to("nowhere")
    (name,) = talk("/image a cat").out.split()
    assert (True, False) == (name.endswith("-3.png"), (tmp_path / "nowhere").exists())


# ---- what is shown


def test_keys_are_named_and_never_shown(talk, served):
    """The fingerprint tells one from another."""
    from skk.errors import fingerprint

    seen = talk("/keys")
    assert f"{fingerprint('sk-a-key-of-the-tests')}\n" == seen.out


def test_what_the_model_will_not_see_is_faint(skk_here, served, monkeypatch):
    """Where the screen can draw; the reason stands there in words, too."""
    monkeypatch.setenv("TERM", "xterm-256color")
    options = ["--no-save", "--user", "Ada", "--max-messages", "2"]
    seen = skk_here("chat", *options, lines=[COUNTING[0], "/window ?"], terminal=True)
    faint = "\x1b[2m  0- [user] 自然数50的后面是几? (more than msg_max_count=2)\x1b[0m\n"
    assert (True, 1) == (faint in seen.out, seen.out.count("\x1b[2m"))


def test_every_command_that_needs_a_word_tells_its_form(talk):
    """Wrong use gets the form."""
    wrong = [
        "/export",
        "/export a.pdf",
        "/pin x",
        "/image",
        "/save",
        "/load",
        "/remove",
        "/unpin",
        "/undo 1 2",
        "/rollback x",
    ]
    seen = talk(*wrong)
    forms = ["/export FILE.md|.txt|.json"] * 2 + [
        "/pin I...",
        "/image PROMPT",
        "/save FILE",
        "/load FILE",
        "/remove I...",
    ]
    forms += ["/unpin I...", "/undo [N]", "/rollback [N]"]
    assert [f"skk: write it like this: {form}" for form in forms] == seen.err.splitlines()
