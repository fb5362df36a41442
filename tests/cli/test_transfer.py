"""Talks and files: import and export, backup and restore."""

import json

import pytest

from skk.openai import Chat

PERSONA = "一个有10年Python开发经验的资深算法工程师"


def classic(*said):
    """Give a talk as the classic program saved it."""
    roles = ("user", "assistant")
    talk = [{"role": roles[at % 2], "content": text} for at, text in enumerate(said)]
    return [{"role": "system", "content": PERSONA}, *talk]


USERS = {
    "小明": classic("自然数50的后面是几?", "51", "再往后是几?", "52"),
    "ada": classic("hi", "hello"),
    "nobody": classic(),
}


@pytest.fixture
def users_file(tmp_path):
    """Write the classic program's file."""

    def write(users=USERS):
        (tmp_path / "user_messages.json").write_text(json.dumps(users))

    write()
    return write


@pytest.fixture
def archive(tmp_path, served):
    """Begin a conversation in Python, and dump it."""
    chat = Chat(model="m")
    chat.request("自然数50的后面是几?")
    chat.pin(0)
    chat.dump(tmp_path / "talk.json")
    return chat


def listed(seen):
    """Give what stands at the end of each line of a list."""
    return [line.split("  ")[-1] for line in seen.out.splitlines()]


def shown(seen):
    return [message["content"] for message in json.loads(seen.out)]


# ---- import: the classic program's file


def test_every_user_s_talk_becomes_a_conversation(skk_here, users_file):
    """Under the user's name; where nothing was said there is none."""
    seen = skk_here("import", "user_messages.json")
    assert (0, "user_messages.json: 2 new, 0 kept already\n") == (seen.status, seen.err)
    assert ["【ada】hi", "【小明】自然数50的后面是几?"] == listed(seen) == listed(skk_here("history"))


def test_a_talk_of_the_classic_program_is_gone_on_with(skk_here, users_file, served):
    """The model sees what it saw there, the persona first."""
    skk_here("import", "user_messages.json")
    seen = skk_here("chat", "--user", "小明", "--resume", "1", lines=["再往后是几?"])
    assert "53\n" == seen.out
    assert [*USERS["小明"], {"role": "user", "content": "再往后是几?"}] == served.requests[-1].json["messages"]


def test_the_persona_is_pinned(skk_here, users_file, served):
    """A limit takes questions and answers away, never what the classic program sent each time."""
    skk_here("import", "user_messages.json")
    skk_here("chat", "--user", "小明", "--resume", "1", "--max-messages", "3", lines=["再往后是几?"])
    assert [PERSONA, "52", "再往后是几?"] == [m["content"] for m in served.requests[-1].json["messages"]]


def test_one_user_s_talk(skk_here, users_file):
    """--user leaves the others where they are."""
    skk_here("import", "user_messages.json", "--user", "ada")
    assert ["hi"] == listed(skk_here("history"))


def test_a_user_that_the_file_does_not_have(skk_here, users_file, tmp_path):
    """The error says which there are; nothing is made."""
    seen = skk_here("import", "user_messages.json", "--user", "eve")
    assert (1, True) == (seen.status, "'eve' is none of its users: ada, nobody, 小明" in seen.err)
    assert not (tmp_path / "data").exists()


def test_a_user_without_a_name_is_the_person(skk_here, users_file, monkeypatch):
    """The classic program took an empty line for a name."""
    monkeypatch.setenv("LOGNAME", "grace")
    users_file({"": classic("hi")})
    skk_here("import", "user_messages.json")
    assert ["hi"] == listed(skk_here("history", "--user", "grace"))


def test_importing_twice_doubles_nothing(skk_here, users_file):
    """It is said how many were new."""
    skk_here("import", "user_messages.json")
    users_file({**USERS, "eve": classic("you")})
    seen = skk_here("import", "user_messages.json")
    assert (["【eve】you"], "user_messages.json: 1 new, 2 kept already\n") == (listed(seen), seen.err)
    assert 3 == len(listed(skk_here("history")))


def test_what_was_gone_on_with_is_not_doubled(skk_here, users_file, served):
    """Its beginning is the talk of the file, also where the limit has let it go."""
    skk_here("import", "user_messages.json")
    skk_here("chat", "--user", "小明", "--resume", "1", "--max-messages", "2", lines=["再往后是几?"])
    assert "0 new, 2 kept already" in skk_here("import", "user_messages.json").err


def test_a_talk_that_has_grown_goes_on_where_it_is(skk_here, users_file, served):
    """No second conversation of the same words; it is listed, and gone on with under its number."""
    skk_here("import", "user_messages.json")
    skk_here("chat", "--user", "eve", lines=["hi"])
    users_file({**USERS, "小明": [*USERS["小明"], *classic("再往后是几?", "53")[1:]]})
    seen = skk_here("import", "user_messages.json")
    assert "user_messages.json: 0 new, 1 gone on with, 1 kept already\n" == seen.err
    assert ["【小明】自然数50的后面是几?"] == listed(seen) == listed(skk_here("history", "-n", "1"))
    assert 3 == len(listed(skk_here("history")))
    assert "54\n" == skk_here("chat", "--resume", "1", lines=["再往后是几?"]).out


def test_a_conversation_that_went_on_in_python_comes_back(skk_here, talk, tmp_path, served):
    """Begun here, exported, gone on with there: here it is one conversation."""
    talk("自然数50的后面是几?")
    skk_here("export", "1", "talk.json")
    chat = Chat(model="m")
    chat.load(tmp_path / "talk.json")
    chat.request("再往后是几?")
    chat.dump(tmp_path / "talk.json")
    skk_here("import", "talk.json")
    assert ["自然数50的后面是几?"] == listed(skk_here("history"))
    assert "53\n" == talk("再往后是几?", options=("--resume", "1")).out


def test_a_user_s_name_is_the_same_in_the_file(skk_here, users_file):
    """Composed letters or decomposed ones, blanks around."""
    users_file({" Rene\u0301": classic("hi")})
    assert ["【René】hi"] == listed(skk_here("import", "user_messages.json", "--user", "Ren\u00e9"))
    assert ["hi"] == listed(skk_here("history", "--user", "Ren\u00e9"))


def test_another_talk_with_the_same_beginning_is_new(skk_here, users_file):
    """Only what is there in full is not kept again."""
    skk_here("import", "user_messages.json")
    users_file({"ada": classic("hi", "good day")})
    assert "1 new, 0 kept already" in skk_here("import", "user_messages.json").err


def test_a_damaged_file_brings_nothing_in(skk_here, users_file, tmp_path):
    """All of it or nothing, and the error says where the trouble is."""
    users_file({**USERS, "eve": [{"role": "alien", "content": "x"}]})
    seen = skk_here("import", "user_messages.json")
    assert (1, True) == (seen.status, "eve, message 0: 'alien' is no role" in seen.err)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", ["", "[", "7", '{"a": 1}', '[{"role": "user"}]', "\xff"])
def test_what_holds_no_talk_is_told_in_a_line(skk_here, tmp_path, content):
    """Whatever the file is."""
    (tmp_path / "file").write_bytes(content.encode("latin-1"))
    seen = skk_here("import", "file")
    assert (1, "", 1, True) == (seen.status, seen.out, seen.err.count("\n"), "holds no conversation" in seen.err)


def test_a_file_in_which_nothing_was_said(skk_here, users_file, tmp_path):
    """Is no failure, and makes nothing."""
    users_file({"nobody": classic()})
    assert (0, "", "user_messages.json: nothing was said in it\n") == skk_here("import", "user_messages.json")
    assert not (tmp_path / "data").exists()


def test_the_file_stays_as_it_is(skk_here, users_file, tmp_path):
    """The classic program may go on with it: nothing is written, no lock is left beside it."""
    file = tmp_path / "user_messages.json"
    file.chmod(0o400)
    before = file.read_bytes()
    skk_here("import", "user_messages.json")
    assert (before, {"data", "user_messages.json"}) == (file.read_bytes(), {path.name for path in tmp_path.iterdir()})


# ---- import and export: Python's archives


def test_a_conversation_begun_in_python_is_gone_on_with_and_goes_back(skk_here, archive, tmp_path):
    """Begun with `chat.dump`, gone on with in `skk chat`, read back with `chat.load`: the count goes on."""
    skk_here("import", "talk.json", "--user", "Ada")
    assert "52\n" == skk_here("chat", "--user", "Ada", "--resume", "1", lines=["再往后是几?"]).out
    skk_here("export", "1", "back.json")
    chat = Chat(model="m")
    chat.load(tmp_path / "back.json")
    assert ("53", (0,)) == (chat.request("再往后是几?"), tuple(chat.pinned)[:1])


def test_an_archive_names_nobody(skk_here, archive, monkeypatch):
    """Without --user it is the person's who is logged in."""
    monkeypatch.setenv("LOGNAME", "grace")
    skk_here("import", "talk.json")
    assert ["自然数50的后面是几?"] == listed(skk_here("history", "--user", "grace"))


def test_the_same_talk_of_two_users_is_kept_twice(skk_here, archive):
    """Each has conversations of their own."""
    skk_here("import", "talk.json", "--user", "Ada")
    assert "1 new" in skk_here("import", "talk.json", "--user", "Grace").err


def test_what_is_exported_is_what_was_imported(skk_here, archive, tmp_path):
    """Byte for byte, as `chat.dump` writes it."""
    skk_here("import", "talk.json")
    seen = skk_here("export", "1", "again.json")
    assert (0, "again.json: 2 messages saved\n") == (seen.status, seen.err)
    assert (tmp_path / "talk.json").read_bytes() == (tmp_path / "again.json").read_bytes()


def test_a_document_is_exported(skk_here, users_file, tmp_path):
    """The same as `/export` writes, or `skk show --markdown`."""
    skk_here("import", "user_messages.json", "--user", "ada")
    skk_here("export", "1", "talk.md")
    text = (tmp_path / "talk.md").read_text()
    assert (True, skk_here("show", "--markdown").out) == (text.startswith("# hi\n"), text)


def test_what_the_limit_let_go_is_exported_with_all(skk_here, talk, tmp_path):
    """A document of everything that was said."""
    talk("a", "b", options=("--max-messages", "2"))
    skk_here("export", "1", "kept.json")
    skk_here("export", "1", "all.json", "--all")
    assert [2, 4] == [len(json.loads((tmp_path / name).read_text())) for name in ("kept.json", "all.json")]


@pytest.mark.parametrize("name", ["talk.json", "link.md"])
def test_no_file_is_overwritten(skk_here, archive, tmp_path, name):
    """Neither a file nor what a link leads to."""
    (tmp_path / "link.md").symlink_to("nowhere")
    before = (tmp_path / "talk.json").read_bytes()
    skk_here("import", "talk.json")
    seen = skk_here("export", "1", name)
    assert (1, True, before) == (seen.status, "is there already" in seen.err, (tmp_path / "talk.json").read_bytes())


def test_a_form_that_is_unknown(skk_here, archive):
    """The ending says which form is wanted."""
    seen = skk_here("export", "1", "talk.doc")
    assert (2, True) == (seen.status, "must end in .json, .md or .txt" in seen.err)


# ---- everything


@pytest.fixture
def backed_up(skk_here, users_file):
    """Two conversations of two users, and a backup of them; then one more."""
    skk_here("import", "user_messages.json")
    seen = skk_here("backup", "b.db")
    users_file({"eve": classic("you")})
    skk_here("import", "user_messages.json")
    return seen


def test_a_backup_brings_everything_back(skk_here, backed_up):
    """Both say what they hold."""
    assert (0, "", "b.db: saved (conversations: 2, users: 2)\n") == backed_up
    assert (0, "", "b.db: restored (conversations: 2, users: 2)\n") == skk_here("restore", "b.db", "-y")
    assert ["【ada】hi", "【小明】自然数50的后面是几?"] == listed(skk_here("history"))


def test_a_restored_conversation_is_gone_on_with(skk_here, backed_up, served):
    """On a machine that has nothing yet, too."""
    skk_here("rm", "1", "2", "3", "-y")
    skk_here("restore", "b.db", "-y")
    assert "53\n" == skk_here("chat", "--user", "小明", "--resume", "1", lines=["再往后是几?"]).out


@pytest.mark.parametrize(("answer", "left"), [(["y"], 2), (["n"], 3), ([], 3)])
def test_a_person_is_asked_before_everything_is_replaced(skk_here, backed_up, answer, left):
    """Anything but a yes leaves it."""
    seen = skk_here("restore", "b.db", lines=answer, terminal=True)
    assert (int(left == 3), True) == (seen.status, "replace all that is kept by what b.db holds? [y/N] " in seen.err)
    assert left == len(listed(skk_here("history")))


def test_a_pipe_needs_y(skk_here, backed_up):
    """Where nobody can be asked, it must be said."""
    assert 2 == skk_here("restore", "b.db", lines=["y"]).status
    assert 3 == len(listed(skk_here("history")))


def test_nothing_is_restored_under_a_program(skk_here, backed_up, program, served):
    """Who has the store open would go on with what is gone."""
    process = program("chat", "--user", "小明", "--resume", "1")
    process.stdin.write("再往后是几?\n".encode())
    process.stdin.flush()
    assert b"53\n" == process.stdout.readline()
    seen = skk_here("restore", "b.db", "-y")
    assert (1, True) == (seen.status, "is open in another program: close it first" in seen.err)
    out, _ = process.communicate("再往后是几?\n".encode(), timeout=60)
    assert ("54\n", 0) == (out.decode(), skk_here("restore", "b.db", "-y").status)


def test_a_backup_takes_the_place_of_the_one_before_and_of_nothing_else(skk_here, backed_up, tmp_path):
    """A name that is misspelt costs no other file."""
    assert (0, 1) == (skk_here("backup", "b.db").status, skk_here("backup", "user_messages.json").status)
    assert "eve" in (tmp_path / "user_messages.json").read_text()


def test_where_nothing_is_kept_there_is_no_backup(skk_here, tmp_path):
    """Said in a line; nothing is made."""
    seen = skk_here("backup", "b.db")
    assert (1, 1, []) == (seen.status, seen.err.count("\n"), list(tmp_path.iterdir()))


@pytest.mark.parametrize("name", ["user_messages.json", "nowhere"])
def test_what_is_no_backup_replaces_nothing(skk_here, backed_up, name):
    """Another sort of file, or none: nobody is even asked where there is none."""
    assert 1 == skk_here("restore", name, "-y").status
    assert 3 == len(listed(skk_here("history")))
    assert "[y/N]" not in skk_here("restore", "nowhere", lines=["y"], terminal=True).err


def test_chinese(skk_here, backed_up):
    """The same in the other language."""
    assert "b.db：恢复了 2 个用户的 2 个对话\n" == skk_here("restore", "b.db", "-y", "--lang", "zh").err
