"""What was said is found again: history, show, search; and rm forgets it."""

import json
import re
import shlex
import unicodedata

import pytest

from skk.openai import Chat

COUNTING = ["自然数50的后面是几?", "再往后是几?"]
# What steers a terminal in many ways: a title, a colour, and the same with one character.
STEERING = "\x1b]0;owned\x07red \x1b[31mtext\x9b2J\x7f end"


@pytest.fixture
def kept(skk_here, tmp_path):
    """Keep a talk: texts of the user and the model in turn, or whole messages."""

    def keep(*said, user="Ada"):
        roles = ("user", "assistant")
        talk = [
            one if isinstance(one, dict) else {"role": roles[at % 2], "content": one} for at, one in enumerate(said)
        ]
        (tmp_path / "talk.json").write_text(json.dumps(talk))
        assert 0 == skk_here("import", "talk.json", "--user", user).status

    return keep


@pytest.fixture
def drawing(monkeypatch):
    """The terminal of the tests draws, and has colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def titles(seen):
    """Give what stands at the end of each line of a list."""
    return [line.split("  ")[-1] for line in seen.out.splitlines()]


# ---- where nothing is kept


@pytest.mark.parametrize(
    ("arguments", "status", "out"),
    [
        ("history", 0, ""),
        ("history --json", 0, "[]\n"),
        ("show", 1, ""),
        ("show --json", 1, ""),
        ("search a", 1, ""),
        ("search a --json", 1, "[]\n"),
        ("rm 1 -y", 1, ""),
        ("export 1 a.md", 1, ""),
    ],
)
def test_looking_makes_no_database(skk_here, tmp_path, arguments, status, out):
    """Where nothing is kept, that is said in a line, and nothing is made."""
    seen = skk_here(*arguments.split())
    assert (status, out, 1, []) == (seen.status, seen.out, seen.err.count("\n"), list(tmp_path.iterdir()))


# ---- the list


def test_the_last_used_is_listed_first(skk_here, kept):
    """With its number, its length and its id."""
    kept("a", "b")
    kept("c")
    first, second = skk_here("history").out.splitlines()
    assert re.fullmatch(r"  1  \d{4}-\d\d-\d\d \d\d:\d\d      1  [a-z0-9]{10}  c", first)
    assert re.fullmatch(r"  2  .*      2  [a-z0-9]{10}  a", second)


def test_users_are_named_where_there_are_several(skk_here, kept):
    """Else the name would be the same on each line."""
    kept("a")
    alone = titles(skk_here("history"))
    kept("b", user="小明")
    assert (["a"], ["【小明】b", "【Ada】a"]) == (alone, titles(skk_here("history")))


def test_one_user_s_conversations(skk_here, kept):
    """Numbered as --user counts them."""
    kept("a")
    kept("b", user="小明")
    assert ["a"] == titles(skk_here("history", "--user", "Ada"))
    assert skk_here("show", "1", "--user", "Ada").out.endswith("  0  [user] a\n")


def test_n_lists_so_many_and_tells_of_more(skk_here, kept):
    """What is left out is no secret."""
    for each in "abc":
        kept(each)
    seen = skk_here("history", "-n", "2")
    assert (["c", "b"], True) == (titles(seen), "older ones" in seen.err)
    assert "" == skk_here("history", "-n", "3").err


def test_the_list_for_programs(skk_here, kept):
    """Everything about each conversation, times in UTC."""
    kept("a", "b")
    (row,) = json.loads(skk_here("history", "--json").out)
    assert ("Ada", "a", 2, None) == (row["user"], row["title"], row["messages"], row["model"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["used_at"])
    assert skk_here("show", row["id"]).out.startswith(row["id"])


def test_a_person_is_told_how_to_go_on(skk_here, kept):
    """The list is where one comes from; a program wants no advice."""
    kept("a")
    assert "skk chat --resume N" in skk_here("history", terminal=True).err
    assert "" == skk_here("history").err


# ---- one conversation


def test_the_last_conversation_is_shown(skk_here, kept):
    """As /history shows it: numbers, pins, who speaks."""
    kept("x")
    kept({"role": "user", "content": "1+1=?", "pinned": True}, "2\nor so")
    assert ["  0* [user] 1+1=?", "  1  [assistant] 2", "     or so"] == skk_here("show").out.splitlines()[1:]


def test_the_system_message_is_shown(skk_here, talk):
    """What the model was to be explains what it said."""
    talk("a", options=("--system", "brief"))
    assert "     [system] brief" == skk_here("show").out.splitlines()[1]


def test_what_the_limit_let_go_is_told_and_shown(skk_here, talk):
    """The rest of what was said is no further than --all."""
    talk(*COUNTING, options=("--max-messages", "2"))
    seen, everything = skk_here("show"), skk_here("show", "--all")
    assert ["  0  [user] 再往后是几?", "  1  [assistant] 52"] == seen.out.splitlines()[1:]
    assert "2 more that the limit has let go: --all shows them\n" == seen.err
    assert ["  -  ([user] 自然数50的后面是几?)", "  -  ([assistant] 51)"] == everything.out.splitlines()[1:3]
    assert "" == everything.err


def test_what_is_shown_as_json_is_an_archive(skk_here, kept, tmp_path):
    """`Chat.load` reads it, and dumps what `skk show --json` has shown."""
    kept({"role": "user", "content": "1+1=?", "pinned": True}, "2 😀")
    shown = skk_here("show", "--json").out
    (tmp_path / "shown.json").write_text(shown)
    chat = Chat()
    chat.load(tmp_path / "shown.json")
    chat.dump(tmp_path / "dumped.json")
    assert json.loads(shown) == json.loads((tmp_path / "dumped.json").read_text())


def test_a_document_is_shown(skk_here, kept):
    """--markdown is what `skk export` would write."""
    kept("1+1=?", "*2*")
    assert skk_here("show", "--markdown").out.endswith("**【Ada】**\n\n1+1=?\n\n---\n\n**【assistant】**\n\n*2*\n")


def test_two_forms_at_once_are_refused(skk_here):
    """Nobody can guess which."""
    assert 2 == skk_here("show", "--json", "--markdown").status


def test_an_answer_is_drawn_at_a_terminal(skk_here, kept, drawing):
    """Markdown as in a talk; what the person wrote stays as it was written."""
    kept("*so*", "some *text*")
    assert skk_here("show", terminal=True).out.endswith(
        "\x1b[1m  0  [user]\x1b[0m\n     *so*\n\n\x1b[1m  1  [assistant]\x1b[0m\n     some \x1b[3mtext\x1b[0m\n"
    )


def test_what_the_limit_let_go_is_grey_at_a_terminal(skk_here, talk, drawing):
    """Faint, and on lines of its own."""
    talk(*COUNTING, options=("--max-messages", "2"))
    assert "\n\x1b[2m  -  [assistant]\n     51\n\x1b[0m" in skk_here("show", "--all", terminal=True).out


@pytest.mark.parametrize("wanted", ["0", "2", "nobody", "zzzz", "9" * 400])
def test_what_is_not_there_is_said(skk_here, kept, wanted):
    """A number or an id that no conversation has."""
    kept("a")
    seen = skk_here("show", wanted)
    assert (1, "", True) == (seen.status, seen.out, "there is no conversation" in seen.err)


# ---- what is looked for


def test_the_newest_is_found_first(skk_here, kept):
    """Two lines a hit: where, and what was said."""
    kept("自然数50的后面是几?", "51")
    kept("1+1=?", "自然是2", user="小明")
    lines = skk_here("search", "自然").out.splitlines()
    assert re.fullmatch(r"[a-z0-9]{10}  \d{4}-\d\d-\d\d \d\d:\d\d  【小明】1\+1=\?", lines[0])
    assert ["    [assistant] 自然是2", "    [user] 自然数50的后面是几?"] == lines[1::2]


@pytest.mark.parametrize(("wanted", "found"), [("几", 1), ("%", 1), ("_", 1), ("50%", 1), ("a_b", 1), ("a%b", 0)])
def test_nothing_in_a_text_is_a_pattern(skk_here, kept, wanted, found):
    """One Chinese character is enough; % and _ are themselves."""
    kept("后面是几?", "50% of a_b", "axb")
    assert found == len(skk_here("search", wanted).out.splitlines()) // 2


def test_several_words_are_one_text(skk_here, kept):
    """As they were typed, with blanks between."""
    kept("the next number", "next the number")
    assert 2 == len(skk_here("search", "next", "number").out.splitlines())


def test_nothing_found_is_status_1(skk_here, kept):
    """Like grep; and a sentence for the person."""
    kept("a")
    assert (1, "", "'zebra' was not found in what is kept\n") == skk_here("search", "zebra")


def test_an_empty_text_is_refused(skk_here, kept):
    """It would be found everywhere."""
    kept("a")
    assert (1, "") == skk_here("search", "")[:2]


def test_what_the_limit_let_go_is_found(skk_here, talk):
    """The limit is for the model's eyes."""
    talk(*COUNTING, options=("--max-messages", "2"))
    assert 0 == skk_here("search", "自然数50").status


def test_one_user_s_words(skk_here, kept):
    """--user looks there alone."""
    kept("a")
    kept("a", user="小明")
    assert 2 == len(skk_here("search", "a", "--user", "Ada").out.splitlines())


def columns(line):
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


@pytest.mark.parametrize("around", ["数" * 300, "word " * 300, "词\n\n" * 100, ""], ids=["zh", "en", "lines", "alone"])
@pytest.mark.parametrize("wanted", ["几", "which number", "长" * 100], ids=["one", "two words", "long"])
@pytest.mark.parametrize("sides", [(1, 1), (1, 0), (0, 1)], ids=["middle", "end", "beginning"])
def test_a_hit_is_one_line_with_its_surroundings(skk_here, kept, drawing, around, wanted, sides):
    """Not wider than 80 columns with who said it, and as wide as the text allows; the hit is in it."""
    text = around * sides[0] + wanted + around * sides[1]
    kept(text)
    seen = skk_here("search", wanted, terminal=True)
    _, line = seen.out.splitlines()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", line.removeprefix("    [user] "))
    assert min(columns(text), 66 if around else 0) <= columns(plain) <= 72
    assert f"\x1b[1;31m{wanted[:10]}" in line


def test_a_hit_is_marked_where_colours_are_allowed(skk_here, kept, drawing, monkeypatch):
    """As it was written there, whatever its case; without a terminal or with NO_COLOR it is plain."""
    kept("Die STRASSE lang")
    plain = skk_here("search", "straße").out
    assert "    [user] Die \x1b[1;31mSTRASSE\x1b[0m lang\n" in skk_here("search", "straße", terminal=True).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert plain == skk_here("search", "straße", terminal=True).out
    assert plain.endswith("    [user] Die STRASSE lang\n")


def test_hits_for_programs(skk_here, kept):
    """With the whole text, and where it stands."""
    kept("1+1=?", "a\nlong\nanswer")
    (hit,) = json.loads(skk_here("search", "long", "--json").out)
    assert ("Ada", "1+1=?", "assistant", "a\nlong\nanswer") == (hit["user"], hit["title"], hit["role"], hit["text"])


# ---- what is forgotten


def test_several_are_removed_at_once(skk_here, kept):
    """Numbers mean what they meant when they were typed."""
    for each in "abc":
        kept(each)
    seen = skk_here("rm", "1", "2", "1", "-y")
    assert (0, "", "removed: 2\n") == seen
    assert ["a"] == titles(skk_here("history"))


def test_one_unknown_and_nothing_is_removed(skk_here, kept):
    """A word that is misspelt must not cost half of them."""
    kept("a")
    assert 1 == skk_here("rm", "1", "zzzz", "-y").status
    assert ["a"] == titles(skk_here("history"))


def test_another_user_s_conversation_is_not_removed(skk_here, kept):
    """--user says whose it must be."""
    kept("a")
    (row,) = json.loads(skk_here("history", "--json").out)
    assert 1 == skk_here("rm", row["id"], "--user", "小明", "-y").status


def test_a_pipe_needs_y(skk_here, kept):
    """Where nobody can be asked, it must be said."""
    kept("a")
    assert 2 == skk_here("rm", "1", lines=["y"]).status
    assert ["a"] == titles(skk_here("history"))


@pytest.mark.parametrize(("answer", "left"), [(["y"], []), (["是"], []), (["n"], ["a"]), ([""], ["a"]), ([], ["a"])])
def test_a_person_is_asked(skk_here, kept, answer, left):
    """What will go is shown first; anything but a yes leaves it."""
    kept("a")
    seen = skk_here("rm", "1", lines=answer, terminal=True)
    assert (int(bool(left)), True) == (seen.status, "【Ada】a\nremove for good what is listed here? [y/N] " in seen.err)
    assert left == titles(skk_here("history"))


# ---- whatever was said


@pytest.mark.parametrize(
    "arguments",
    [
        "history",
        "history --json",
        "show",
        "show --json",
        "show --markdown",
        "search red",
        "search red --json",
        "search \x1b[31m",
        "rm 1",
    ],
)
@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_that_was_said_steers_the_terminal(skk_here, kept, drawing, arguments, terminal):
    """Only our own colours reach it, whatever a model or a file has said."""
    kept(STEERING, STEERING, user=f"Ada{STEERING}")
    kept(STEERING, user="b")
    seen = skk_here(*arguments.split(), terminal=terminal)
    ours = re.compile(r"\x1b\[(?:0|1|2|1;31)m")
    assert "" == "".join(re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f]", ours.sub("", seen.out + seen.err)))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("history -n 1", "还有更早的"),
        ("search zebra", "没有找到"),
        ("rm 1", "永久删除"),
        ("show --help", "显示最近的"),
    ],
)
def test_chinese(skk_here, kept, arguments, text):
    """The same in the other language."""
    kept("a")
    kept("b")
    seen = skk_here(*arguments.split(), "--lang", "zh", terminal=True)
    assert text in seen.out + seen.err


@pytest.mark.parametrize("arguments", ["show", "show --json", "search word"])
def test_a_reader_that_has_enough(kept, program, arguments):
    """`skk show | head -1` ends without a word."""
    kept("word")
    process = program(*arguments.split())
    process.stdout.close()
    assert (1, b"") == (process.wait(60), process.stderr.read())


def test_ctrl_c_at_the_question(kept, terminal, own_store):
    """Nothing is removed, and the status says why."""
    kept("a")
    screen = terminal("rm", "1")
    screen.see("[y/N]")
    while not screen.has_ended:  # Python notes one that comes between its prompt and its wait, and acts at the next key
        screen.type("\x03")
        screen.wait(5)
    assert (130, False) == (screen.leave(), "Traceback" in screen.written)


def test_the_sdk_is_not_loaded(kept, program, tmp_path):
    """Who only looks does not pay for it, nor for rich in a pipe."""
    kept("a", "b")
    commands = (
        "history,show,show --json,show --markdown,search a,export 1 a.md,export 1 a.json,import a.json,backup b,rm 1 -y"
    )
    code = (
        "import sys; from skk.cli import main\n"
        f"for line in {commands!r}.split(','): assert 0 == main(line.split()), line\n"
        "print(*sys.modules.keys() & {'openai', 'httpx', 'httpx2', 'rich.console', 'prompt_toolkit'})"
    )
    out, err = program(python=("-c", code)).communicate(timeout=60)
    assert "" == out.decode().splitlines()[-1], err


def test_what_a_person_is_told_of_one_user_means_that_user(skk_here, kept, talk):
    """A number that --user counts is another conversation without it."""
    kept("a", "b", user="Ada L.")
    kept("c", user="小明")
    for user in ("Ada L.", "小明"):
        seen = skk_here("history", "--user", user, terminal=True)
        shown = re.search(r"skk (show .*) N shows", seen.err)[1]
        assert titles(seen) == [skk_here(*shlex.split(shown), "1").out.splitlines()[0].split("  ")[-1]]
        assert f"skk chat {shown.removeprefix('show ')} --resume N" in seen.err
    assert "--user" not in skk_here("history", terminal=True).err


@pytest.mark.parametrize("name", ["Rene\u0301", "Ren\u00e9", " Ren\u00e9 "])
@pytest.mark.parametrize("by", ["number", "id"])
def test_a_user_s_name_is_the_same_in_every_form(skk_here, kept, talk, name, by):
    """Composed letters, decomposed ones, blanks around: in every command, by number and by id."""
    kept("自然数50的后面是几?", "51", user="Ren\u00e9")
    (row,) = json.loads(skk_here("history", "--json", "--user", name).out)
    wanted = {"number": "1", "id": row["id"]}[by]
    assert skk_here("show", wanted, "--user", name).out.startswith(row["id"])
    assert "52\n" == talk("再往后是几?", options=("--user", name, "--resume", wanted)).out
    assert "53\n" == skk_here("ask", "-c", "--user", name, "再往后是几?").out
    assert 0 == skk_here("rm", wanted, "--user", name, "-y").status


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("show 3", "there is no conversation 3: skk history shows 2"),
        ("show 0", "there is no conversation 0: skk history shows 2"),
        ("rm 7 -y", "there is no conversation 7: skk history shows 2"),
        ("show 2 --user Ada", "there is no conversation 2 of Ada: skk history --user Ada shows 1"),
        ("chat --user Ada --resume 2", "there is no conversation 2 of Ada: skk history --user Ada shows 1"),
        ("show 1 --user eve", "nothing of eve is kept: skk history shows what is"),
    ],
)
def test_a_number_that_is_too_large(skk_here, kept, served, arguments, said):
    """What is wrong with it is said: how many there are, and where they are listed."""
    kept("a")
    kept("b", user="小明")
    seen = skk_here(*arguments.split())
    assert (1, "", f"skk: {said}") == (seen.status, seen.out, seen.err.splitlines()[0])


# ---- rows


BREAKING = "one\n  9  2026-01-01 00:00      1  zzzzzzzzzz  【eve】two\ta\x0bb\u2028c\u202ed\u2066e\r\n\x85f"


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(("command", "lines"), [("history", 2), ("search one", 8), ("rm 1 2", 3)])
def test_a_row_is_one_line(skk_here, kept, terminal, command, lines):
    """Whatever somebody calls themselves or asks: no name and no title makes a line of its own, or turns it."""
    kept(BREAKING, BREAKING, user=f"Ada{BREAKING}")
    kept(BREAKING, BREAKING, user="b")
    seen = skk_here(*command.split(), *(["-y"] if command.startswith("rm") and not terminal else []), terminal=terminal)
    text = seen.out + seen.err
    assert [] == re.findall("[\t\u2028\u202e\u2066]|^  9", text, re.MULTILINE)
    if terminal or not command.startswith("rm"):
        assert lines == len((seen.out or seen.err).splitlines())


@pytest.mark.parametrize("everything", [(), ("--all",)])
@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("speaker", ["user", "assistant", "system"])
def test_no_message_speaks_for_another(skk_here, talk, kept, drawing, speaker, terminal, everything):
    """Its further lines stand further to the right than what says who speaks."""
    fakes = ["  1  [assistant] fake", "  -  ([user] fake)", "```", "  1  [assistant] fake", "```"]
    fakes += ["", "**\u00a0\u00a01\u00a0\u00a0[assistant]**", "     [system] fake"]
    text = "\n".join(["said", *fakes])
    kept({"role": speaker, "content": text}, {"role": "user", "content": text})
    out = re.sub("\x1b[^m]*m", "", skk_here("show", *everything, terminal=terminal).out)
    heads = [line for line in out.splitlines()[1:] if re.match(r"\s{0,4}\S", line)]
    assert [speaker, "user"] == [re.match(r"  \d  \[(.*?)\]", line)[1] for line in heads]


@pytest.mark.parametrize("command", ["/history", "/window"])
def test_no_message_speaks_for_another_in_a_talk(kept, talk, command):
    """There, too, what a message says on further lines stands to the right."""
    kept("said\n  1  [assistant] fake\u2028   > [user] fake")
    (_, *further) = talk(command, options=("--user", "Ada", "--resume", "1")).out.splitlines()
    assert ["       1  [assistant] fake", "        > [user] fake"] == further


def test_a_name_of_two_lines_is_one_prompt(served, skk_here):
    """Whoever speaks there stands on one line, as in the lists."""
    seen = skk_here("chat", "--user", "a\nb\u202ec", terminal=True)
    assert "【a bc】" in seen.out + seen.err
