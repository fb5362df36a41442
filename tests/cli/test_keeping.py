"""Talks that are kept: users, going on, two programs at once."""

import contextlib
import json
import sqlite3
import stat

import pytest

COUNTING = ["自然数50的后面是几?", "再往后是几?"]


@pytest.fixture
def ada(talk):
    """Say lines as Ada."""
    return lambda *lines, options=(): talk(*lines, options=("--user", "Ada", *options))


def asked(simulator):
    """Give the texts of the newest request."""
    return [message["content"] for message in simulator.requests[-1].json["messages"]]


# ---- going on


def test_a_talk_is_gone_on_with(ada):
    """What was said in one program is known in the next, and the count goes on."""
    ada(*COUNTING)
    assert "53\n" == ada("再往后是几?", options=("--resume", "1")).out


def test_a_talk_without_a_word_is_not_kept(ada, own_store):
    """Opening and leaving leaves nothing."""
    ada("")
    ada("/history")
    assert "skk: nothing of Ada is kept: skk history shows what is\n" == ada("x", options=("--resume", "1")).err


def test_resume_alone_takes_the_last_one_where_nobody_is_asked(ada):
    """In a pipe, --resume is the last conversation."""
    ada("自然数7的后面是几?")
    ada(*COUNTING)
    assert "53\n" == ada("再往后是几?", options=("--resume",)).out


def test_resume_alone_without_a_past_is_a_new_one(ada):
    """Nothing to go on with is no failure."""
    assert (0, "51\n") == ada(COUNTING[0], options=("--resume",))[:2]


def test_an_id_or_its_beginning_names_a_conversation(ada, conversations):
    """As git does it: four characters are enough."""
    ada(*COUNTING)
    (row,) = conversations()
    ada("自然数7的后面是几?")
    assert "53\n" == ada("再往后是几?", options=("--resume", row["id"][:6])).out


def test_the_owner_of_a_conversation_need_not_be_named(ada, talk):
    """An id says whose it is."""
    ada(*COUNTING)
    assert "53\n" == talk("再往后是几?", options=("--resume", "1")).out


def test_another_user_s_conversation_is_not_found(ada, talk):
    """Each user has conversations of their own."""
    ada(*COUNTING)
    seen = talk("x", options=("--user", "Grace", "--resume", "1"))
    assert (1, "") == seen[:2]


def test_settings_go_along(talk, ada, served):
    """Model, system message and limit hold when a conversation is gone on with."""
    ada("a", options=("--model", "m1", "--system", "brief", "--max-messages", "2"))
    ada("b", options=("--resume", "1"))
    request = served.requests[-1].json
    assert ("m1", "brief", 3) == (request["model"], request["messages"][0]["content"], len(request["messages"]))


def test_the_command_line_goes_before_settings_that_were_kept(ada, served):
    """They hold unless the command line says something else."""
    ada("a", options=("--model", "m1", "--system", "brief"))
    ada("b", options=("--resume", "1", "--model", "m2"))
    request = served.requests[-1].json
    assert ("m2", "brief") == (request["model"], request["messages"][0]["content"])


def test_pins_are_kept(ada):
    """A pin holds in the next program too."""
    ada(*COUNTING, "/pin 0")
    assert "  0* [user]" in ada("/history", options=("--resume", "1")).out


# ---- what is kept, and what is not


@pytest.fixture
def conversations(own_store):
    """Read what is kept with a program of Python's own."""

    def read():
        path = own_store.removeprefix("sqlite:///")
        with sqlite3.connect(path) as database:
            database.row_factory = sqlite3.Row
            found = list(database.execute("select * from conversations order by created_at"))
        database.close()
        return found

    return read


@pytest.fixture
def kept(own_store):
    """The questions that are kept, trimmed or not."""

    def read():
        path = own_store.removeprefix("sqlite:///")
        with sqlite3.connect(path) as database:
            found = [json.loads(data) for (data,) in database.execute("select data from contents order by position")]
        database.close()
        return [message["content"] for message in found if message["role"] == "user"]

    return read


@pytest.mark.parametrize(
    ("command", "left"),
    [
        ("/rollback", ["a"]),
        ("/remove 0 1", ["b"]),
        ("/clear", []),
        ("/undo", ["a"]),
    ],
)
def test_what_is_taken_back_is_deleted(ada, kept, command, left):
    """It is on no disk any more: somebody may have said what should not stay."""
    ada("a", "b", command)
    assert left == kept()


def test_what_is_brought_back_is_kept_again(ada, kept):
    """At its old place."""
    ada("a", "b", "/remove 0 1", "/undo", "c")
    assert ["a", "b", "c"] == kept()


def test_what_the_limit_lets_go_is_kept(ada, kept):
    """A limit is for the model's eyes: the person still finds it."""
    ada("a", "b", options=("--max-messages", "2"))
    assert ["a", "b"] == kept()


def test_no_save_keeps_nothing(ada, tmp_path):
    """Not even a file."""
    assert "51\n" == ada(COUNTING[0], options=("--no-save",)).out
    assert not (tmp_path / "data").exists()


def test_the_file_is_the_person_s_alone(ada, tmp_path):
    """0600, in a folder with 0700."""
    ada("a")
    assert (0o600, 0o700) == tuple(stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("data/skk.db", "data"))


def test_no_key_is_kept(ada, tmp_path):
    """The key is in no file."""
    ada("a")
    assert not any(b"sk-a-key" in path.read_bytes() for path in (tmp_path / "data").iterdir())


# ---- at a terminal


@pytest.fixture
def person(skk_here, served):
    """Say lines at a terminal."""
    return lambda *lines, options=(): skk_here("chat", *options, lines=lines, terminal=True)


def test_a_person_is_asked_for_a_name(person, conversations):
    """The prompt is the name."""
    seen = person("Ada", "a")
    assert seen.err.endswith("【Ada】【Ada】")
    assert "your name (" in seen.err


def test_a_name_that_is_not_given_is_the_system_s(person, monkeypatch):
    """Enter alone takes the login name."""
    monkeypatch.setenv("LOGNAME", "grace")
    assert person("", "a").err.endswith("【grace】【grace】")


def test_past_conversations_are_listed_and_one_is_chosen(person):
    """By number; its title is how it began."""
    person("Ada", *COUNTING)
    seen = person("Ada", "1", "再往后是几?")
    assert "53\n" == seen.out
    assert "自然数50的后面是几?" in seen.err


def test_enter_begins_a_new_conversation(person):
    """As if there were no past."""
    person("Ada", *COUNTING)
    assert "8\n" == person("Ada", "", "自然数7的后面是几?").out


def test_a_number_that_is_not_listed_is_asked_again(person):
    """The list stays, the next answer counts."""
    person("Ada", *COUNTING)
    seen = person("Ada", "9", "1", "再往后是几?")
    assert ("53\n", True) == (seen.out, "there is no conversation 9 of Ada" in seen.err)


def test_leaving_at_the_question_for_a_name(person):
    """The end of the input is no failure."""
    assert 0 == person().status


def test_past_users_are_told(person):
    """Who has talked here before."""
    person("Ada", "a")
    assert "users so far: Ada" in person("Grace", "a").err


@pytest.mark.parametrize("words", [[], ["/system be brief"], ["/quit"]])
def test_who_said_nothing_is_no_past_user(person, words):
    """A name that was typed, perhaps a wrong one, is not told later."""
    person("Grcae", *words)
    assert "users so far" not in person("Ada").err


def test_who_has_no_conversation_any_more_is_no_past_user(person, skk_here):
    """With the last one the name goes, too."""
    person("Grace", "a")
    skk_here("rm", "1", "-y")
    assert "users so far" not in person("Ada").err


# ---- two programs


def test_two_programs_in_one_conversation(program, served, own_store):
    """Each sees what the other has said, before it asks."""
    first = program("chat", "--user", "Ada")
    first.stdin.write(f"{COUNTING[0]}\n/model\n".encode())  # the latter is answered after the save
    first.stdin.flush()
    assert [b"51\n", b"gpt-6-luna\n"] == [first.stdout.readline() for _ in range(2)]
    second, _ = program("chat", "--user", "Ada", "--resume", "1").communicate("再往后是几?\n".encode(), timeout=60)
    assert b"52\n" == second
    out, err = first.communicate("再往后是几?\n".encode(), timeout=60)
    assert ("53\n", True) == (out.decode(), "4 messages now" in err.decode())


def test_a_removed_conversation_is_kept_anew(program, served, own_store, conversations):
    """What a program still holds is not lost with it."""
    process = program("chat", "--user", "Ada")
    process.stdin.write(f"{COUNTING[0]}\n".encode())
    process.stdin.flush()
    process.stdout.readline()
    process.stdin.write(b"/history\n")  # what is answered after the save
    process.stdin.flush()
    process.stdout.readline()
    with sqlite3.connect(own_store.removeprefix("sqlite:///"), timeout=30) as database:
        database.execute("pragma foreign_keys = on")
        database.execute("delete from conversations")
    database.close()
    out, _ = process.communicate("再往后是几?\n".encode(), timeout=60)
    assert "52" == out.decode().split()[-1]
    assert 1 == len(conversations())


# ---- what cannot be kept


def test_a_store_that_cannot_be_opened(talk, tmp_path, monkeypatch):
    """A clear sentence, and no talk that would be lost."""
    (tmp_path / "file").write_text("no database, but long enough to be none" * 100)
    monkeypatch.setenv("SKK_DATABASE_URL", f"sqlite:///{tmp_path}/file")
    seen = talk("a")
    assert (1, "", 2) == (seen.status, seen.out, seen.err.count("\n"))
    assert str(tmp_path / "file") in seen.err
    assert "to talk without keeping anything: skk chat --no-save" in seen.err


# ---- what the service has


def test_the_service_s_models_are_proposed(terminal, served):
    """Behind /model, as soon as the service has told them; without it nothing waits."""
    person = terminal("chat", "--user", "Ada", "--model", "mine")
    person.see("【Ada】")
    person.type("/model ")
    person.see("/model", "mine")
    person.type("g")
    # what is proposed is looked up at each key: when the service has told is to be seen by another one alone
    while not any("gpt-6-luna" in line for line in person.see("/model g")):
        person.type("\x7f")
        person.until(lambda lines: not any("/model g" in line for line in lines))
        person.type("g")


# ---- a store that does not answer


@pytest.fixture
def unwilling(own_store):
    """Let the store refuse to save, or be willing again."""

    def set_to(refuses):
        statement = "create trigger no before update on conversations begin select raise(abort, 'no'); end"
        with contextlib.closing(sqlite3.connect(own_store.removeprefix("sqlite:///"), timeout=30)) as database:
            database.execute(statement if refuses else "drop trigger no")

    return set_to


def test_what_could_not_be_saved_is_told_and_leaves_1(ada, unwilling):
    """With the last try at the end."""
    ada("a")
    unwilling(True)
    seen = ada("b", options=("--resume", "1"))
    assert 1 == seen.status
    assert "nothing was changed" in seen.err


def test_a_talk_goes_on_while_the_store_is_away(program, served, own_store, kept, unwilling):
    """What was said meanwhile is kept when it is back."""
    process = program("chat", "--user", "Ada")
    said = []
    for question, refuses in (("question one", None), ("question two", True), ("question three", False)):
        if refuses is not None:
            unwilling(refuses)
        process.stdin.write(f"{question}\n/model\n".encode())
        process.stdin.flush()
        while process.stdout.readline() != b"gpt-6-luna\n":
            pass
        said.append(question)
    process.communicate(b"/quit\n", timeout=60)
    assert (0, said) == (process.returncode, kept())


def test_commands_work_without_a_store(terminal, served, tmp_path):
    """What could not be kept is not asked, but one may look around and leave."""
    (tmp_path / "file").write_text("no database, but long enough to be none" * 100)
    person = terminal("chat", "--user", "Ada", columns=120, SKK_DATABASE_URL=f"sqlite:///{tmp_path}/file")
    person.see("【Ada】")
    person.type("a\r")
    person.see("no database", "to talk without keeping anything: skk chat --no-save")
    person.type("/model\r")
    person.see("gpt-6-luna")
    person.type("/quit\r")
    assert (0, []) == (person.leave(), served.requests)


@pytest.mark.parametrize("name", ["", " "])
def test_a_user_needs_a_name(talk, name):
    """Before anything is asked."""
    assert (1, "", "skk: --user needs a name\n") == talk("a", options=("--user", name))


def test_what_was_removed_is_not_written_anew_by_leaving(program, served, skk_here, conversations):
    """Looking and leaving says nothing."""
    process = program("chat", "--user", "Ada")
    process.stdin.write(b"a\n/model\n")
    process.stdin.flush()
    while process.stdout.readline() != b"gpt-6-luna\n":
        pass
    skk_here("rm", "1", "-y")
    _, err = process.communicate(b"/history\n/quit\n", timeout=60)
    assert ([], 1) == (conversations(), err.decode().count("[removed by another program"))


# ---- a question in the place of another


def test_undo_brings_the_replaced_turn_back(ada, kept):
    """In the talk and where it is kept."""
    seen = ada("/system brief", "自然数50的后面是几?", "/edit 自然数7的后面是几?", "/undo")
    assert "[assistant] 51" in seen.out
    assert ["自然数50的后面是几?"] == kept()
