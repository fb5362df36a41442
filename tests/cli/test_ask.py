"""``skk ask``: one question, the answer alone on stdout."""

import pytest

from skk.cli.environment import typed


@pytest.fixture
def ask(served, skk_here):
    """Ask once, with what is piped in."""

    def run(*arguments, piped=()):
        return skk_here("ask", *arguments, lines=piped)

    return run


def test_the_answer_alone_is_on_stdout(ask):
    """Exit 0, the answer and a newline, nothing else."""
    assert (0, "51\n", "") == ask("自然数50的后面是几?")


@pytest.mark.parametrize(
    ("words", "piped", "asked"),
    [
        (["translate:"], ["one", "two"], "translate:\n\none\ntwo"),
        (["only the prompt"], [], "only the prompt"),
        ([], ["only", "", "the pipe"], "only\n\nthe pipe"),
        (["several", "words"], [], "several words"),
        (["--", "-5 + 3?"], [], "-5 + 3?"),
        (["/quit"], [], "/quit"),
        (["x"], ["  indented"], "x\n\n  indented"),
    ],
)
def test_the_question_is_the_prompt_then_what_is_piped_in(ask, served, words, piped, asked):
    """Argument, pipe, or both; nothing in them is a command."""
    ask(*words, piped=piped)
    assert [asked] == [request.json["messages"][-1]["content"] for request in served.requests]


def test_a_terminal_is_not_waited_for(served, skk_here):
    """At a terminal the argument is the question: nobody types an end of input."""
    skk_here("ask", "the argument", lines=["never read"], terminal=True)
    assert "the argument" == served.requests[-1].json["messages"][-1]["content"]


@pytest.mark.parametrize(
    "arguments", [[], ["ask"], ["ask", ""], ["ask", "--nonsense", "x"], ["nonsense"], ["chat", "x"]]
)
def test_wrong_usage_is_2(served, skk_here, arguments):
    """What cannot be understood exits with 2, says so on stderr, and sends nothing."""
    seen = skk_here(*arguments)
    assert (2, "", True, []) == (seen.status, seen.out, bool(seen.err), served.requests)


@pytest.mark.parametrize("option", [["--max-messages", "-1"], ["--max-messages", "x"], ["--lang", "fr"], ["--model"]])
def test_a_wrong_option_is_2(served, skk_here, option):
    """Options are checked before anything is done."""
    assert 2 == skk_here("chat", *option).status


def test_without_a_key_the_next_step_is_named(skk_here, simulator):
    """No key: exit 1, one line that says what to do; the simulator does not stand in."""
    seen = skk_here("ask", "1+1=?")
    assert (1, "", 1) == (seen.status, seen.out, seen.err.count("\n"))
    assert seen.err.startswith("skk: no api key: set OPENAI_API_KEY")


def test_a_failure_is_1(ask, served):
    """A refused request exits with 1 and one line on stderr."""
    served.fail("401")
    seen = ask("?")
    assert (1, "", 1) == (seen.status, seen.out, seen.err.count("\n"))


def test_a_bad_key_is_1(served, skk_here, monkeypatch):
    """A key that cannot be one is not sent, and not shown."""
    monkeypatch.setenv("OPENAI_API_KEY", "put your key here")
    seen = skk_here("ask", "?")
    assert (1, "", False, []) == (seen.status, seen.out, "put your" in seen.err, served.requests)


def test_a_broken_answer_is_1_with_what_came(ask, served):
    """What came before the break is on stdout, the failure on stderr."""
    served.reply("一二三四五六七八九十")
    served.fail("cut-stream")
    seen = ask("?")
    assert (1, True, 1) == (seen.status, seen.out.startswith("一"), seen.err.count("\n"))


def test_a_cut_off_answer_is_marked_on_stderr(ask, served):
    """finish_reason length: exit 0, the mark beside the answer."""
    served.reply("half", finish_reason="length")
    assert (0, "half\n", "[cut off: the answer is as long as the model may make it]\n") == ask("?")


def test_the_answers_own_newline_is_not_doubled(ask, served):
    """An answer that ends with a newline gets no second one."""
    served.reply("a\nb\n")
    assert "a\nb\n" == ask("?").out


def test_no_sequence_of_the_model_is_shown(ask, served):
    """What would steer the terminal is taken out of the stream, in whatever pieces it comes."""
    served.reply("\x1b[2J\x1b]0;owned\x07safe\x1b[31m text\x9b0m")
    assert "safe text\n" == ask("?").out


def test_options_reach_the_request(ask, served):
    """--model and --system hold for the one question."""
    ask("--model", "m", "--system", "be short", "?")
    request = served.requests[-1]
    assert ("m", {"role": "system", "content": "be short"}) == (request.model, request.json["messages"][0])


@pytest.mark.parametrize("words", [["--lang", "zh"], ["--lang=zh"]])
def test_lang_goes_before_the_environment(skk_here, words):
    """--lang decides the language of failures and of the help, in both spellings."""
    failure = skk_here("ask", *words, "?").err
    help = skk_here("ask", *words, "--help").out
    assert (True, True) == ("没有 API 密钥" in failure, "要使用的模型" in help)


def test_what_was_typed_is_utf8():
    """Bytes that Python could not read in the C locale are read as UTF-8; what is no UTF-8 crashes nothing."""
    assert ["你好", "plain", "�"] == typed(
        [b"\xe4\xbd\xa0\xe5\xa5\xbd".decode("ascii", "surrogateescape"), "plain", "\udcff"]
    )
