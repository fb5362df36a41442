"""``skk chat``: what a person says, sees, and what is remembered."""

import json

import pytest

COUNTING = ("自然数50的后面是几?", "再往后是几?")


def said(served):
    """Give the last request's messages as pairs."""
    return [(message["role"], message["content"]) for message in served.requests[-1].json["messages"]]


def test_a_talk_counts_on(talk):
    """Piped lines are questions; the answers alone are on stdout, a line each, and the input's end is no failure."""
    assert (0, "51\n52\n", "") == talk(*COUNTING)


def test_the_history_is_sent(talk, served):
    """The second request holds the first turn."""
    talk(*COUNTING)
    assert [("user", COUNTING[0]), ("assistant", "51"), ("user", COUNTING[1])] == said(served)


def test_answers_are_streamed(talk, served):
    """The request asks for a stream."""
    talk(COUNTING[0])
    assert served.requests[-1].json["stream"] is True


def test_blank_lines_are_no_questions(talk, served):
    """An empty line, or one of blanks, sends nothing."""
    talk("", "   ", "\t")
    assert [] == served.requests


def test_a_byte_order_mark_is_not_said(talk, served):
    """A file that begins with a byte order mark can be piped in."""
    talk("\ufeff" + COUNTING[0])
    assert [("user", COUNTING[0])] == said(served)


@pytest.mark.parametrize("options", [["--model", "a-model", "--system", "short", "--max-messages", "2"]])
def test_options_reach_the_chat(talk, served, options):
    """--model, --system and --max-messages hold for every request."""
    talk(*COUNTING, options=options)
    assert ("a-model", [("system", "short"), ("assistant", "51"), ("user", COUNTING[1])]) == (
        served.requests[-1].model,
        said(served),
    )


def test_base_url_and_key_file_go_before_the_environment(skk_here, served, monkeypatch, tmp_path):
    """--base-url and --key-file are asked first."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    (tmp_path / "key.json").write_text('{"api": "sk-from-the-file"}')
    options = ["--base-url", served.base_url, "--key-file", "key.json"]
    skk_here("chat", *options, lines=["1+1=?"])
    assert ["sk-from-the-file"] == [request.key for request in served.requests]


def test_several_key_files_pay_together(skk_here, served, tmp_path):
    """Each key serves in its turn, and goes on with what it has learnt in the next conversation; /keys tells of all."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"api": f"sk-{name}-0123456789"}))
    options = ["--key-file", "one.json", "--key-file", "two.json", "--no-save", "--plain"]
    seen = skk_here("chat", *options, lines=["1+1=?", "/new", "1+2=?", "1+3=?", "/keys"])
    keys = ["sk-one-0123456789", "sk-two-0123456789", "sk-one-0123456789"]
    assert keys == [request.key for request in served.requests if request.path.endswith("/chat/completions")]
    assert ["2", "1"] == [line.split()[3] for line in seen.out.splitlines() if "ready" in line]


def test_a_missing_key_file_is_one_line(skk_here, served):
    """A key file that is not there ends the program with one line."""
    assert (1, "", "skk: no.json: no such file or folder\n") == skk_here("chat", "--key-file", "no.json")


def test_a_wrong_key_file_does_not_show_itself(skk_here, served, tmp_path):
    """A file that holds something else is named, its content is not shown."""
    (tmp_path / "key.json").write_text("sk-in-plain-text")
    seen = skk_here("chat", "--key-file", "key.json")
    expected = 'skk: key.json is no key file: it holds {"api": "your key"} and nothing else\n'
    assert (1, "", expected) == seen


# ---- without a key


def test_without_a_key_the_simulator_answers(skk_here):
    """No key: one line says so, and the talk is with the simulator of this process."""
    seen = skk_here("chat", lines=COUNTING)
    notice = "no api key found: you talk to the built-in simulator, rules and not a model\n"
    assert (0, "51\n52\n", notice) == seen


@pytest.mark.parametrize("model", ["gpt-3.5-turbo", "any name at all", "gpt-4"])
def test_the_simulator_takes_any_model(skk_here, model):
    """Names that are long gone work too."""
    assert "51\n" == skk_here("chat", "--model", model, lines=COUNTING[:1]).out


def test_a_talk_meant_for_a_service_goes_to_no_other(skk_here, simulator):
    """An address without a key: what the person says is not given to the simulator instead."""
    seen = skk_here("chat", "--base-url", simulator.base_url, lines=COUNTING)
    assert (1, "", True) == (seen.status, seen.out, seen.err.startswith("skk: no api key: set OPENAI_API_KEY"))


def test_a_key_in_the_config_file_is_found(skk_here, simulator, monkeypatch, tmp_path):
    """The user's config file gives key, address and model."""
    config = tmp_path / "own.ini"
    config.write_text(f"[OpenAI]\nAPI_SECRET_KEY = sk-of-config\nBASE_URL = {simulator.base_url}\nMODEL = m\n")
    monkeypatch.setenv("SKK_CONFIG", str(config))
    skk_here("chat", lines=COUNTING[:1])
    assert [("sk-of-config", "m")] == [(request.key, request.model) for request in simulator.requests]


# ---- failures


def test_a_failed_request_is_one_line_and_the_talk_goes_on(talk, served):
    """The failure is told with the next step, the next question is answered."""
    served.fail("401", argument=None)
    seen = talk(*COUNTING[:1], COUNTING[0])
    assert (0, "51\n", 1) == (seen.status, seen.out, seen.err.count("\n"))
    assert seen.err.endswith("check the key and base_url\n")


@pytest.mark.parametrize(
    ("kind", "lang"),
    [
        *((kind, "zh") for kind in ("400", "401", "403", "404", "422", "429", "page", "no-choices", "close")),
        *((kind, "en") for kind in ("400", "401", "403", "404", "422", "page", "no-choices")),
    ],
)
def test_every_failure_is_one_line_in_the_persons_language(talk, served, kind, lang):
    """No traceback, one line, in the language of --lang; the next step is in it."""
    served.fail(kind, times=None, argument="0" if kind == "429" else None)
    seen = talk("1+1=?", options=["--lang", lang])
    chinese = any("\u4e00" <= c <= "\u9fff" for c in seen.err)
    steps = ("请",) if lang == "zh" else ("check", "ask again", "try again", "wait", "use another", "ask in other")
    assert (0, "", 1, lang == "zh", True) == (
        seen.status,
        seen.out,
        seen.err.count("\n"),
        chinese,
        any(step in seen.err for step in steps),
    )


def test_a_failed_question_is_not_remembered(talk, served):
    """Nothing was shown, so nothing is kept."""
    served.fail("401")
    talk("lost", "1+1=?")
    assert [("user", "1+1=?")] == said(served)


@pytest.mark.parametrize("kind", ["cut-stream", "reset-stream", "end-stream"])
def test_what_was_shown_before_a_failure_is_remembered(talk, served, kind):
    """An answer that breaks off stays on the screen and in the history, marked; the model sees what was shown."""
    served.reply("一二三四五六七八九十")
    served.fail(kind)
    seen = talk("数一数", "1+1=?")
    shown = seen.out.split("\n")[0]
    expected = [("user", "数一数"), ("assistant", f"{shown}\n[interrupted]"), ("user", "1+1=?")]
    assert (True, expected) == (bool(shown), said(served))


@pytest.mark.parametrize(
    ("finish_reason", "remark"),
    [
        ("length", "[cut off: the answer is as long as the model may make it]\n"),
        ("content_filter", "[cut off by the service's content filter]\n"),
        ("stop", ""),
    ],
)
def test_answers_that_were_cut_off_are_marked(talk, served, finish_reason, remark):
    """The answer is on stdout, the mark on stderr."""
    served.reply("half an answer", finish_reason=finish_reason)
    assert (0, "half an answer\n", remark) == talk("?")


def test_an_answer_without_text_is_marked(talk, served):
    """Silence would look like a hang."""
    served.reply("")
    assert (0, "", "[the answer has no text]\n") == talk("?")


def test_a_full_history_warns_in_one_line(talk):
    """A warning of the library is one line of text, without file and line number."""
    options = ["--max-messages", "2"]
    seen = talk(COUNTING[0], "/pin 0 1", COUNTING[1], options=options)
    assert "skk: all 2 messages that msg_max_count allows are pinned: new turns are not kept; unpin some\n" == seen.err


# ---- commands


def test_history_shows_numbers_roles_and_pins(talk):
    """/history lists every message; a star marks the pinned."""
    assert "51\n  0  [user] 自然数50的后面是几?\n  1  [assistant] 51\n" == talk(COUNTING[0], "/history").out


def test_history_says_when_it_is_empty(talk):
    """/history of nothing says so."""
    assert "the history is empty\n" == talk("/history").out


def test_pin_marks_and_keeps(talk, served):
    """/pin keeps messages under the limit; /unpin lets them go."""
    lines = [COUNTING[0], "/pin 0", "/pin -1", "1+1=?", "/unpin 0, 1", "/history"]
    out = talk(*lines, options=["--max-messages", "3"]).out
    pinned = "  0* [user] 自然数50的后面是几?\n  1* [assistant] 51\n"
    assert (True, True) == (
        pinned in out,
        out.endswith("  0  [user] 自然数50的后面是几?\n  1  [assistant] 51\n  2  [assistant] 1+1=2\n"),
    )


def test_rollback_takes_turns_back_and_shows_the_last(talk, served):
    """/rollback shows the turn that is last then, and the taken turn is not sent."""
    out = talk(*COUNTING, "/rollback", "1+1=?").out
    assert ("51\n52\n[user]:自然数50的后面是几? [assistant]:51\n1+1=2\n", 3) == (out, len(said(served)))


def test_rollback_takes_as_many_as_said(talk):
    """/rollback N takes N turns; when none is left it says so."""
    assert "51\n52\nno turn is left\n" == talk(*COUNTING, "/rollback 2").out


def test_save_and_load_bring_a_talk_back(talk, served, tmp_path):
    """What /save wrote is JSON, and /load goes on from it. Names may hold blanks and Chinese."""
    talk(COUNTING[0], "/save 我的 对话.json")
    kept = json.loads((tmp_path / "我的 对话.json").read_text("utf-8"))
    seen = talk("/load 我的 对话.json", COUNTING[1])
    assert (["user", "assistant"], "我的 对话.json: loaded, the history now holds 2 messages\n52\n") == (
        [message["role"] for message in kept],
        seen.out,
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/load no.json", "skk: no.json: no such file or folder\n"),
        ("/load .", "skk: .: it is a folder: name a file\n"),
        ("/save no/folder.json", "no such file or folder\n"),
        ("/pin 9", "skk: there is no message 9: the history holds 0; nothing was changed\n"),
        ("/pin", "skk: write it like this: /pin I...\n"),
        ("/pin one", "skk: write it like this: /pin I...\n"),
        ("/unpin", "skk: write it like this: /unpin I...\n"),
        ("/rollback 1 2", "skk: write it like this: /rollback [N]\n"),
        ("/rollback -1", "skk: rollback counts turns from the end: -1 is negative\n"),
        ("/rollback x", "skk: write it like this: /rollback [N]\n"),
        ("/save", "skk: write it like this: /save FILE\n"),
        ("/load", "skk: write it like this: /load FILE\n"),
        ("/image", "skk: write it like this: /image PROMPT\n"),
        ("/nonsense", "skk: there is no command /nonsense: /help lists them\n"),
    ],
)
def test_a_bad_command_is_one_line_and_the_talk_goes_on(talk, line, expected):
    """A command that cannot be done says why, and nothing was sent."""
    seen = talk(line, COUNTING[0])
    assert (0, "51\n", True, 1) == (seen.status, seen.out, seen.err.endswith(expected), seen.err.count("\n"))


def test_a_broken_archive_changes_nothing(talk, tmp_path):
    """/load of something else says what and where, and the history stays."""
    (tmp_path / "bad.json").write_text("[{]")
    seen = talk(COUNTING[0], "/load bad.json", COUNTING[1])
    assert ("51\n52\n", True) == (seen.out, seen.err.startswith("skk: bad.json holds no conversation (line 1"))


def test_image_saves_pictures_and_names_them(talk, tmp_path):
    """/image writes PNG files into the current folder under new names; two of them do not meet."""
    names = talk("/image 一只猫", "/image 一只狗").out.split()
    pictures = [(tmp_path / name).read_bytes() for name in names]
    assert (2, True, {b"\x89PNG\r\n\x1a\n"}) == (
        len(set(names)),
        pictures[0] != pictures[1],
        {picture[:8] for picture in pictures},
    )


def test_image_asks_an_image_model(talk, served):
    """--model names who talks, not who draws; the history is not touched."""
    talk("/image a cat", "/history", options=["--model", "a-model"])
    assert [("/v1/images/generations", "gpt-image-2.5-flare")] == [(r.path, r.model) for r in served.requests]


def test_a_failed_image_is_one_line(talk, served):
    """A refusal is told like any other."""
    served.fail("content_policy")
    seen = talk("/image x", COUNTING[0])
    assert ("51\n", 1) == (seen.out, seen.err.count("\n"))


def test_quit_leaves_at_once(talk, served):
    """/quit ends the talk: what follows is not read."""
    assert (0, "", "", []) == (*talk("/quit", COUNTING[0]), served.requests)


def test_help_lists_every_command(talk):
    """/help names all commands of the manual."""
    named = [line.split()[0] for line in talk("/help").out.splitlines()]
    known = "edit regenerate rollback undo remove clear pin unpin history window new fork attach detach image model"
    assert [f"/{name}" for name in f"{known} system keys usage save load export help quit".split()] == named


@pytest.mark.parametrize("line", ["/etc/passwd 是什么?", " /quit", "/ ?", "//", "/1+1"])
def test_what_only_looks_like_a_command_is_a_question(talk, served, line):
    """A path, or a line that begins with a blank, is asked."""
    talk(line)
    assert [("user", line.strip())] == said(served)


# ---- at a terminal


def test_a_person_is_greeted_and_prompted_beside_the_answers(skk_here, served):
    """At a terminal the model's name and the way out are told; stdout holds the answers alone."""
    seen = skk_here("chat", "--model", "m", "--user", "Ada", lines=COUNTING, terminal=True)
    assert (0, "51\n52\n", "m · /help lists the commands, Ctrl-D leaves\n【Ada】【Ada】【Ada】") == seen
