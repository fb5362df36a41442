"""``skk ask``: one question, the answer alone on stdout."""

import contextlib
import json
import re
import sqlite3

import pytest

from skk import errors
from skk.cli.environment import typed
from skk.cli.report import _STATUSES
from skk.simulator.pictures import draw


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
    """No key: exit 3, one line that says what to do; the simulator does not stand in."""
    seen = skk_here("ask", "1+1=?")
    assert (3, "", 1) == (seen.status, seen.out, seen.err.count("\n"))
    assert seen.err.startswith("skk: no api key: set OPENAI_API_KEY")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        *(("401", 3), ("403", 3), ("402", 3), ("insufficient_quota", 3)),
        *(("429", 4), ("500", 4), ("503", 4), ("close", 4), ("cut-stream", 4), ("408", 4)),
        *(("400", 1), ("404", 1), ("page", 1)),
    ],
)
def test_the_exit_status_says_whose_trouble_it_is(ask, served, fault, status):
    """3: look at the account. 4: try again later. 1: anything else. One line on stderr, without the key."""
    served.fail(fault, times=9, argument=0.01 if fault.isdigit() else None)  # to try again costs no second
    seen = ask("?")
    assert (status, 1, False) == (seen.status, seen.err.count("\n"), "sk-a-key" in seen.err + seen.out)


def test_a_bad_key_is_3(served, skk_here, monkeypatch):
    """A key that cannot be one is not sent, and not shown."""
    monkeypatch.setenv("OPENAI_API_KEY", "put your key here")
    seen = skk_here("ask", "?")
    assert (3, "", False, []) == (seen.status, seen.out, "put your" in seen.err, served.requests)


def test_a_broken_answer_shows_what_came(ask, served):
    """What came before the break is on stdout, the failure on stderr."""
    served.reply("一二三四五六七八九十")
    served.fail("cut-stream")
    seen = ask("?")
    assert (4, True, 1) == (seen.status, seen.out.startswith("一"), seen.err.count("\n"))


@pytest.mark.parametrize(
    ("reply", "reason", "mark"),
    [
        ("half", "length", "[cut off: the answer is as long as the model may make it]"),
        ("half", "content_filter", "[cut off by the service's content filter]"),
        (" ", "stop", "[the answer has no text]"),
    ],
)
def test_an_answer_that_is_not_whole_is_5(ask, served, reply, reason, mark):
    """A script must not take half an answer for one; what there is stands on stdout, the mark beside it."""
    served.reply(reply, finish_reason=reason)
    assert (5, f"{reply}\n", f"{mark}\n") == ask("?")


def test_a_refusal_is_5(ask, served):
    """The model's words of refusal are shown, and the status says that they are none of an answer."""
    served.reply({"role": "assistant", "content": None, "refusal": "I will not."})
    assert (5, "I will not.\n", "[the model refuses to answer]\n") == ask("?")


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


class TestAttach:
    """--attach puts files into the question."""

    def test_files_follow_the_question(self, ask, served, tmp_path):
        """Each once, in the order of the options."""
        (tmp_path / "a.py").write_text("x = 1\n")
        (tmp_path / "cat.png").write_bytes(draw("cat"))
        ask("what?", "--attach", "cat.png", "--attach", "a.py", "--attach", "cat.png")
        [words, picture, text] = served.requests[-1].json["messages"][-1]["content"]
        assert ("what?", "image_url", "a.py:\n```python\nx = 1\n```") == (words["text"], picture["type"], text["text"])

    def test_a_dash_is_what_is_piped_in(self, served, skk_there):
        """Bytes of a picture come through the pipe as they are."""
        seen = skk_there("ask", "what is it?", "--attach", "-", text=draw("cat"))
        kinds = [part["type"] for part in served.requests[-1].json["messages"][-1]["content"]]
        assert (0, ["text", "image_url"]) == (seen.status, kinds)

    @pytest.mark.parametrize("arguments", [["x", "--attach", "-"], ["--attach", "a.png"]])
    def test_nothing_to_attach_or_to_ask_is_2(self, ask, served, arguments):
        """A file alone is no question, and an empty pipe no file."""
        assert (2, []) == (ask(*arguments).status, served.requests)

    @pytest.mark.parametrize("name", ["no.png", ".", "binary"])
    def test_what_cannot_be_attached_is_told(self, ask, served, tmp_path, name):
        """Nothing is sent, and the line names the file."""
        (tmp_path / "binary").write_bytes(b"\0\1\2")
        seen = ask("x", "--attach", name)
        assert (1, "", True, []) == (seen.status, seen.out, seen.err.startswith(f"skk: {name}"), served.requests)

    @pytest.mark.parametrize("data", [draw("cat"), b"%PDF-1.4", bytes(3)])
    def test_piped_bytes_that_are_no_text_are_no_question(self, served, skk_there, data):
        """They would be asked as nonsense; the line says how to attach them."""
        seen = skk_there("ask", "what is it?", text=data)
        assert (2, "", True, []) == (seen.status, seen.out, "--attach -" in seen.err, served.requests)

    def test_a_stray_byte_in_a_piped_text_crashes_nothing(self, served, skk_there):
        """A log with one bad byte is still asked about."""
        skk_there("ask", text=b"caf\xe9 au lait")
        assert "caf� au lait" == served.requests[-1].json["messages"][-1]["content"]

    def test_an_at_sign_is_a_letter(self, ask, served, tmp_path):
        """A script's arguments may hold anything: no file leaves the machine that no option names."""
        (tmp_path / "a.py").write_text("x = 1\n")
        ask("what is @a.py?")
        assert "what is @a.py?" == served.requests[-1].json["messages"][-1]["content"]


class TestJson:
    """--json prints one line, whatever happens."""

    NAMES = ("answer", "parsed", "model", "finish_reason", "usage", "reasoning", "refusal", "request_id")

    @pytest.fixture
    def asked(self, ask):
        """Ask, and read the one line."""

        def run(*arguments):
            seen = ask(*arguments, "--json")
            assert 1 == len(seen.out.splitlines())
            return seen.status, json.loads(seen.out), seen.err

        return run

    def test_it_holds_the_answer_and_how_it_came_about(self, asked):
        """Every name is always there; those that say nothing are null."""
        status, found, err = asked("自然数50的后面是几?", "--model", "m")
        expected = {"answer": "51", "model": "m", "finish_reason": "stop", "error": None, "conversation": None}
        about = (status, err, [*found], {name: found[name] for name in expected}, found["usage"]["total_tokens"] > 0)
        assert (0, "", [*self.NAMES, "conversation", "error"], expected, True) == about

    @pytest.mark.parametrize(
        ("fault", "status", "kind", "code"),
        [("401", 3, "authentication", "invalid_api_key"), ("429", 4, "rate_limit", "rate_limit_exceeded")],
    )
    def test_a_failure_is_told_on_both(self, asked, served, fault, status, kind, code):
        """An object with the error on stdout, the line on stderr."""
        served.fail(fault, times=9, argument=0.01 if fault == "429" else None)
        seen, found, err = asked("?")
        error = {"kind": kind, "code": code, "message": err.removeprefix("skk: ").strip()}
        assert (status, None, error) == (seen, found["answer"], found["error"])

    def test_a_missing_key_has_its_kind(self, skk_here, simulator):
        """Programs read the kind, people the message."""
        assert "missing_key" == json.loads(skk_here("ask", "?", "--json").out)["error"]["kind"]

    def test_a_missing_file_is_a_file(self, asked):
        """What the system says has a kind, too."""
        status, found, _ = asked("?", "--attach", "no.png")
        assert (1, "file", "no.png: no such file or folder") == (
            status,
            found["error"]["kind"],
            found["error"]["message"],
        )

    def test_an_answer_that_is_not_whole_is_there(self, asked, served):
        """The text is in the object, the mark on stderr, the status 5."""
        served.reply("half", finish_reason="length")
        status, found, err = asked("?")
        assert (5, "half", "length", "[cut off") == (status, found["answer"], found["finish_reason"], err[:8])

    def test_a_refusal_is_there(self, asked, served):
        """It is the answer and the refusal, as in the library."""
        served.reply({"role": "assistant", "content": None, "refusal": "I will not."})
        status, found, _ = asked("?")
        assert (5, "I will not.", "I will not.") == (status, found["answer"], found["refusal"])

    def test_nothing_in_it_steers_or_splits(self, ask, served):
        """Control characters and ends of lines are escaped; what is read from it is what the model sent."""
        sent = "a\x1b[2J\x9b31m\u2028\x85\nb\x7f你好"
        served.reply(sent)
        out = ask("?", "--json").out
        assert (sent, 1, True) == (json.loads(out)["answer"], len(out.splitlines()), "你好" in out)
        assert set() == {c for c in out if c < " " or "\x7f" <= c <= "\x9f"} - {"\n"}

    def test_thoughts_are_in_it(self, asked):
        """What a reasoning model thinks aloud is not part of the answer."""
        _, found, _ = asked("What comes after the number 5?", "--model", "reasoner")
        assert ("6", "I look at the last message and apply my rules.") == (found["answer"], found["reasoning"])


class TestSchema:
    """--schema says what the answer must be."""

    STARS = {"type": "object", "properties": {"stars": {"type": "integer", "maximum": 5}}, "required": ["stars"]}

    @pytest.fixture
    def schema(self, tmp_path):
        """Write the schema; gives the options."""

        def write(schema=None, name="my stars.json"):
            text = schema if isinstance(schema, str) else json.dumps(schema or self.STARS)
            (tmp_path / name).write_text(text, encoding="utf-8")
            return "--schema", name

        return write

    def test_the_answer_is_json_alone(self, ask, schema):
        """One line on stdout that fits."""
        assert (0, '{"stars": 4}\n', "") == ask("A hotel with 4 stars", *schema())

    def test_a_fence_around_it_is_taken_off(self, ask, served, schema):
        """Models that know no schemas like to wrap what they send."""
        served.reply('```json\n{"stars":\n 4}\n```')
        assert '{"stars": 4}\n' == ask("?", *schema()).out

    def test_a_bare_schema_goes_out_strict_where_it_can(self, ask, served, schema):
        """As a pydantic model does: a service that can holds the model to it."""
        ask("4", *schema({"$schema": "https://json-schema.org/draft/2020-12/schema", **self.STARS}))
        strict = {**self.STARS, "additionalProperties": False}
        about = {"name": "my_stars", "schema": strict, "strict": True}
        assert {"type": "json_schema", "json_schema": about} == served.requests[-1].json["response_format"]

    def test_a_schema_that_cannot_be_strict_goes_out_as_it_is(self, ask, served, schema):
        """Nothing of it is left out."""
        bare = {"type": "object", "additionalProperties": {"type": "integer"}}
        ask("4", *schema(bare))
        assert {"name": "my_stars", "schema": bare} == served.requests[-1].json["response_format"]["json_schema"]

    def test_the_api_s_own_form_goes_out_as_it_is(self, ask, served, schema):
        """Name and strictness are then the person's."""
        about = {"name": "n", "strict": False, "schema": self.STARS}
        ask("4", *schema(about))
        assert about == served.requests[-1].json["response_format"]["json_schema"]

    def test_what_strict_mode_adds_is_not_asked_of_the_answer(self, ask, served, schema):
        """A service that takes the schema for a hint may leave out what the person's schema does not require."""
        served.reply("{}")
        assert (0, "{}\n", "") == ask("?", *schema({**self.STARS, "required": []}))

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            ('{"stars": 7}', "(stars: 7 breaks maximum 5)"),
            ('{"sta', "(whole answer: "),
            ('{"stars": NaN}', "(whole answer: "),
            ("[" * 100_000, "(whole answer: "),
        ],
    )
    def test_what_does_not_fit_is_6(self, ask, served, schema, reply, told):
        """Nothing is on stdout; the line says where and why."""
        served.reply(reply)
        seen = ask("?", *schema())
        assert (6, "", True) == (
            seen.status,
            seen.out,
            seen.err.startswith(f"skk: the answer does not fit my stars.json {told}"),
        )

    def test_json_shows_what_does_not_fit(self, ask, served, schema):
        """The answer as it came, and the error beside it."""
        served.reply("seven")
        found = json.loads(ask("?", "--json", *schema()).out)
        assert ("seven", None, "answer_format") == (found["answer"], found["parsed"], found["error"]["kind"])

    def test_json_has_the_value(self, ask, schema):
        """`parsed` is the value, `answer` the text."""
        found = json.loads(ask("4 stars", "--json", *schema()).out)
        assert ({"stars": 4}, '{"stars": 4}') == (found["parsed"], found["answer"])

    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            ('{"stars": 4}', "length"),
            ('{"sta', "length"),
            ({"role": "assistant", "content": None, "refusal": "I will not."}, "stop"),
        ],
    )
    def test_what_is_not_whole_is_5_and_no_json(self, ask, served, schema, reply, reason):
        """A cut-off answer is no misfit, and no value; it is on stderr."""
        served.reply(reply, finish_reason=reason)
        seen = ask("?", *schema())
        assert (5, "", True) == (seen.status, seen.out, "[" in seen.err)

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "3", '{"type": "strin"}', '{"$ref": "#/nowhere"}', '{"$ref": "other.json"}']
    )
    def test_what_is_no_schema_is_not_asked_with(self, ask, served, schema, text):
        """What could not be checked afterwards is refused before; the line names the file."""
        seen = ask("?", *schema(text))
        assert (1, True, []) == (
            seen.status,
            seen.err.startswith("skk: my stars.json is no JSON Schema"),
            served.requests,
        )

    def test_a_missing_file_is_named(self, ask, served):
        """As with every file."""
        assert (1, "", "skk: no.json: no such file or folder\n") == ask("?", "--schema", "no.json")


def test_each_kind_of_failure_has_one_status():
    """The table names kinds that there are, each once."""
    listed = [kind for _, _, kinds in _STATUSES for kind in kinds]
    there = {getattr(getattr(errors, name), "kind", None) for name in errors.__all__}
    assert (len(listed), set()) == (len({*listed}), {*listed} - there)


def test_the_help_lists_every_exit_status(skk_here):
    """Scripts are written from the help."""
    out = skk_here("ask", "--help").out
    assert [0, 1, 2, 3, 4, 5, 6, 130] == [int(found) for found in re.findall(r"^ +(\d+)  ", out, re.MULTILINE)]


class TestContinue:
    """-c goes on with the last conversation."""

    @pytest.fixture
    def counted(self, talk):
        """A talk in ``skk chat`` that has come to 51."""
        talk("自然数50的后面是几?", options=["--max-messages", "6", "--model", "m"])

    def test_a_talk_is_gone_on_with(self, ask, counted):
        """What `skk chat` began, one question after the other goes on with."""
        assert ["52\n", "53\n"] == [ask("-c", "再往后是几?").out, ask("--continue", "再往后是几?").out]

    def test_and_back_in_a_talk(self, ask, counted, talk):
        """`skk chat --resume 1` knows what was asked meanwhile."""
        ask("-c", "再往后是几?")
        assert "53\n" == talk("再往后是几?", options=["--resume", "1"]).out

    def test_its_settings_hold(self, ask, served, counted):
        """Model and limit are those of the conversation, where the command line says nothing else."""
        for _ in range(3):
            ask("-c", "再往后是几?")
        asked = served.requests[-1]
        ask("-c", "?", "--model", "other")
        assert ("m", 6, "other") == (asked.model, len(asked.json["messages"]), served.requests[-1].model)

    def test_options_are_for_this_question_alone(self, ask, served, counted):
        """Another model, system message and limit are sent with it, and not with the next one."""
        for _ in range(2):
            ask("-c", "再往后是几?")
        ask("-c", "再往后是几?", "--model", "x", "--system", "be short", "--max-messages", "2")
        ask("-c", "再往后是几?")
        sent = [(request.model, [m["role"] for m in request.json["messages"]]) for request in served.requests[-2:]]
        talk = ["assistant", "user"]
        assert [("x", ["system", *talk]), ("m", talk * 3)] == sent

    def test_a_limit_for_one_question_takes_nothing_out_of_the_talk(self, ask, counted, skk_here):
        """Whoever looks at the talk sees all of it, and question and answer at its end."""
        before = skk_here("show").out
        ask("-c", "再往后是几?", "--max-messages", "0")
        after = skk_here("show").out
        assert (True, True) == (after.startswith(before), "再往后是几?" in after[len(before) :])

    def test_without_it_nothing_is_kept(self, ask, served, counted):
        """A question of a script is no part of a talk."""
        ask("自然数90的后面是几?")
        assert "52\n" == ask("-c", "再往后是几?").out

    def test_json_names_the_conversation(self, ask, counted):
        """The same id each time."""
        ids = {json.loads(ask("-c", "再往后是几?", "--json").out)["conversation"] for _ in range(2)}
        assert (1, True) == (len(ids), None not in ids)

    def test_a_value_that_fits_is_kept(self, ask, counted, served, tmp_path):
        """A structured answer is an answer."""
        (tmp_path / "s.json").write_text(json.dumps(TestSchema.STARS))
        ask("-c", "4 stars", "--schema", "s.json")
        ask("-c", "?")
        assert '{"stars": 4}' in [message["content"] for message in served.requests[-1].json["messages"]]

    @pytest.mark.parametrize("reply", ["7", '{"stars": 7}', '{"sta'])
    def test_a_misfit_is_not_kept(self, ask, counted, served, tmp_path, reply):
        """What failed leaves the conversation as it was."""
        (tmp_path / "s.json").write_text(json.dumps(TestSchema.STARS))
        served.reply(reply)
        assert (6, "52\n") == (ask("-c", "x", "--schema", "s.json").status, ask("-c", "再往后是几?").out)

    def test_a_failure_is_not_kept(self, ask, counted, served):
        """Nothing was shown, so nothing was said."""
        served.fail("400")
        assert (1, "52\n") == (ask("-c", "x").status, ask("-c", "再往后是几?").out)

    def test_what_was_shown_before_a_break_is_kept(self, ask, counted, served):
        """What the person saw is what the model sees, with its mark."""
        served.reply("一二三四五六七八九十")
        served.fail("cut-stream")
        shown = ask("-c", "x").out.removesuffix("\n")
        ask("-c", "?")
        assert f"{shown}\n[interrupted]" == served.requests[-1].json["messages"][-2]["content"]

    @pytest.fixture
    def full(self, counted, tmp_path):
        """The store takes nothing more."""
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "skk.db")) as database:
            database.execute("CREATE TRIGGER full BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'full'); END")

    @pytest.mark.parametrize("options", [[], ["--schema", "s.json"]])
    def test_an_answer_that_cannot_be_kept_is_shown(self, ask, served, full, tmp_path, options):
        """It was paid for: it stands on stdout, that it is not kept on stderr, and the status is 1."""
        (tmp_path / "s.json").write_text(json.dumps(TestSchema.STARS))
        served.reply('{"stars": 4}')
        seen = ask("-c", "x", *options)
        assert (1, '{"stars": 4}\n', 1, True) == (seen.status, seen.out, seen.err.count("\n"), "full" in seen.err)

    @pytest.mark.parametrize("options", [[], ["--schema", "s.json"]])
    def test_json_holds_an_answer_that_cannot_be_kept(self, ask, served, full, tmp_path, options):
        """The answer, and why it is not kept."""
        (tmp_path / "s.json").write_text(json.dumps(TestSchema.STARS))
        served.reply('{"stars": 4}')
        seen = ask("-c", "x", "--json", *options)
        found = json.loads(seen.out)
        line = f"skk: {found['error']['message']}\n"
        assert (1, '{"stars": 4}', "store", line) == (
            seen.status,
            found["answer"],
            found["error"]["kind"],
            seen.err,
        )

    def test_a_break_that_cannot_be_kept_is_told_beside_its_reason(self, ask, served, full):
        """The status is that of the break, and both lines are there."""
        served.reply("一二三四五六七八九十")
        served.fail("cut-stream")
        seen = ask("-c", "x")
        assert (4, 2, True) == (seen.status, seen.err.count("\n"), "full" in seen.err)

    def test_no_conversation_is_told(self, ask, served):
        """There is nothing to go on with: the line says how to begin, and nothing is sent."""
        seen = ask("-c", "x")
        assert (1, "", True, []) == (seen.status, seen.out, "begin one with skk chat" in seen.err, served.requests)

    def test_another_user_has_another_conversation(self, ask, counted, talk):
        """--user names whose conversation is meant."""
        talk("自然数70的后面是几?", options=["--user", "小明"])
        found = [ask("-c", "再往后是几?", *options).out for options in ([], ["--user", "小明"])]
        assert ["52\n", "72\n"] == found

    def test_a_user_without_a_conversation_to_go_on_with_is_2(self, ask, served):
        """--user alone would do nothing."""
        assert (2, []) == (ask("x", "--user", "u").status, served.requests)
