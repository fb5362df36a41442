"""undo, remove, clear and fork of a chat: what the history does, with what a chat has beside it."""

import pytest

from skk.errors import BadRequestError, HistoryIndexError
from skk.openai import AKPool, Chat, assistant_msg, user_msg


def said(chat):
    return [given["content"] for given in chat.fetch_messages()]


def test_undo_tells_how_many_changes_it_took_back(chat):
    """Fewer than were asked for where no more are known; none and negative numbers are told apart."""
    chat.add_dialogs(user_msg("1+1=?"), assistant_msg("2"))
    chat.pin(0)
    assert (0, 2, 0) == (chat.undo(0), chat.undo(9), chat.undo())
    with pytest.raises(ValueError, match="-1 is negative"):
        chat.undo(-1)


def test_undo_prints_nothing(chat, capsys):
    """Unlike rollback, which tells what is last now."""
    chat.add_dialogs(user_msg("1+1=?"), assistant_msg("2"))
    chat.rollback()
    chat.undo(2)
    assert "" == capsys.readouterr().out


def test_a_turn_is_one_change(ask, chat):
    """In each form; a request that fails is none."""
    ask(chat, "自然数50的后面是几?")
    chat.model = "fault:400"
    with pytest.raises(BadRequestError):
        ask(chat, "再往后是几?")
    assert (["自然数50的后面是几?", "51"], 1, []) == (said(chat), chat.undo(), said(chat))


def test_load_is_one_change(chat, tmp_path):
    """With the trimming that it caused."""
    chat.add_dialogs(user_msg("1+1=?"), assistant_msg("2"))
    chat.dump(tmp_path / "talk.json")
    chat.msg_max_count = 3
    chat.load(tmp_path / "talk.json")
    assert (["2", "1+1=?", "2"], 1, ["1+1=?", "2"]) == (said(chat), chat.undo(), said(chat))


def test_remove_and_clear(chat):
    """All or nothing, and undone like any change."""
    chat.add_dialogs(user_msg("a"), assistant_msg("b"), user_msg("c", pinned=True))
    with pytest.raises(HistoryIndexError):
        chat.remove(0, 3)
    chat.remove(0, -1)
    assert ["b"] == said(chat)
    chat.clear()
    assert ([], 2, ["a", "b", "c"], [2]) == (said(chat), chat.undo(2), said(chat), chat.pinned)


# ---- fork


def test_a_fork_goes_its_own_way(ask, chat):
    """Both go on from the same history, and neither sees the other."""
    ask(chat, "自然数50的后面是几?")
    other = chat.fork()
    assert ("52", "101") == (ask(chat, "再往后是几?"), ask(other, "自然数100的后面是几?"))
    assert (["51", "52"], ["51", "101"]) == (said(chat)[1::2], said(other)[1::2])
    assert (2, [], ["51", "52"]) == (other.undo(9), said(other), said(chat)[1::2])


def test_a_fork_has_the_settings_and_may_change_them(ask, simulator):
    """Key, model, system, limits and options are the same until one of the two is told otherwise."""
    chat = Chat("sk-first", base_url=simulator.base_url, model="m", system="brief", msg_max_count=4, temperature=0)
    other = chat.fork()
    other.reset_api_key(AKPool(["sk-other"]))
    other.model, other.system, other.msg_max_count = "n", None, 2
    ask(chat, "hello")
    ask(other, "hello")
    first, second = simulator.requests
    assert [("sk-first", "m", 0, 2), ("sk-other", "n", 0, 1)] == [
        (r.key, r.model, r.json["temperature"], len(r.json["messages"])) for r in (first, second)
    ]
    assert (4, 2) == (chat.msg_max_count, other.msg_max_count)


def test_a_fork_counts_anew(ask, chat):
    """It has spent nothing yet; the last answer is the same until it asks."""
    ask(chat, "自然数50的后面是几?")
    other = chat.fork()
    assert (0, "51", "") == (other.usage.total_tokens, other.last_answer, other.last_partial)
    ask(other, "再往后是几?")
    assert ("51", "52") == (chat.last_answer, other.last_answer)


def test_a_fork_is_of_the_same_class(simulator):
    """A class of the user's own keeps its attributes."""

    class Teacher(Chat):
        patience = 0

    teacher = Teacher("sk-test-key", base_url=simulator.base_url, model="m")
    teacher.patience = 3
    assert (Teacher, 3) == (type(teacher.fork()), teacher.fork().patience)


# ---- a group


def test_lines_that_a_turn_told_are_new_again(ask, group):
    """Undoing a group's turn brings back the lines that it had used up, before those that came since."""
    group.add_dialog("A", ["B"], "first")
    ask(group, [("B", ["A"])])
    group.add_dialog("A", ["B"], "second")
    assert 1 == group.undo()
    ask(group, [("B", ["A"])])
    question = group.fetch_messages()[0]["content"]
    assert question.index("first") < question.index("second")


def test_lines_wait_once(simulator, group):
    """Two turns may tell the same line at once; undoing both brings it back once."""
    group.add_dialog("A", ["B"], "first")
    group._history.append((), (), beside=tuple(group._waiting))
    group.request([("B", ["A"])])
    assert (2, 1) == (group.undo(2), len(group._waiting))


def test_a_fork_of_a_group(ask, group):
    """Persons and waiting lines are copied; a turn of the one leaves the other's lines waiting."""
    group.roles["A"] = "a poet"
    group.add_dialog("A", ["B"], "first")
    other = group.fork()
    other.roles["B"] = "a cook"
    ask(group, [("B", ["A"])])
    assert ({"A": "a poet"}, True) == (group.roles, "first" in other.window([("B", ["A"])])[-1]["content"])
    ask(other, [("B", ["A"])])
    assert (1, True, False) == (
        group.undo(),
        "first" in group.window([("B", ["A"])])[-1]["content"],
        "first" in other.window([("B", ["A"])])[-1]["content"],
    )
