"""Removing and clearing: these messages, pinned or not, all or nothing."""

import pytest

from skk.errors import HistoryIndexError

FIVE = ["u:0", "a:1", "u:2*", "a:3", "u:4"]
TOOLS = ["u:q1", "cc:", "1:r1", "2:r2", "a:a1", "u:q2", "c:", "1:r3", "a:a2"]


@pytest.mark.parametrize(("indexes", "left"), [
    ((), ["0", "1", "2*", "3", "4"]),
    ((0,), ["1", "2*", "3", "4"]),
    ((-1,), ["0", "1", "2*", "3"]),
    ((2,), ["0", "1", "3", "4"]),
    ((4, 0, 2), ["1", "3"]),
    ((1, -4, 1), ["0", "2*", "3", "4"]),
    ((0, 1, 2, 3, 4), []),
    ((-5, -1), ["1", "2*", "3"]),
])  # fmt: skip
def test_these_messages_go(talk, indexes, left):
    """Python indexes, in any order; repeats are fine, and a pin does not hold against it."""
    history = talk(*FIVE)
    history.remove(*indexes)
    assert left == history.words


@pytest.mark.parametrize("indexes", [(5,), (-6,), (0, 5), (-6, 1), (10**9,)])
def test_a_bad_index_changes_nothing(talk, indexes):
    """All are checked first; the error is an IndexError too."""
    history = talk(*FIVE)
    before = history.messages
    with pytest.raises(HistoryIndexError):
        history.remove(*indexes)
    assert history.messages is before


@pytest.mark.parametrize("index", ["0", None, 1.5])
def test_an_index_that_is_no_int_changes_nothing(talk, index):
    """What does not count is a TypeError."""
    history = talk(*FIVE)
    before = history.messages
    with pytest.raises(TypeError):
        history.remove(0, index)
    assert history.messages is before


@pytest.mark.parametrize("index", [1, 2, 3, -8, -6])
def test_a_tool_call_goes_with_its_results(talk, index):
    """The API refuses the one without the other, so any of them takes them all."""
    history = talk(*TOOLS)
    history.remove(index)
    assert ["q1", "a1", "q2", "", "r3", "a2"] == history.words


def test_two_tool_calls_go_with_their_results(talk):
    """Each of them whole."""
    history = talk(*TOOLS)
    history.remove(7, 3)
    assert ["q1", "a1", "q2", "a2"] == history.words


def test_a_tool_call_next_to_another(talk):
    """Groups that meet are still two."""
    history = talk("c:", "1:r1", "c:again", "1:r2")
    history.remove(2)
    assert ["", "r1"] == history.words


def test_the_question_before_a_tool_call_goes_alone(talk):
    """Only the call and its results are one."""
    history = talk(*TOOLS)
    history.remove(0, 4)
    assert ["", "r1", "r2", "q2", "", "r3", "a2"] == history.words


def test_a_pinned_group_goes_too(talk):
    """A pin holds against the limit alone."""
    history = talk("u:q1", "c:", "1:r1*", "a:a1")
    history.remove(1)
    assert ["q1", "a1"] == history.words


@pytest.mark.parametrize(("words", "index", "left"), [
    (["1:r1", "u:q1"], 0, ["q1"]),
    (["1:r1", "2:r2", "u:q1"], 1, ["r1", "q1"]),
    (["u:q1", "1:r1", "2:r2"], 2, ["q1", "r1"]),
    (["a:a1", "1:r1", "u:q1"], 1, ["a1", "q1"]),
])  # fmt: skip
def test_a_result_without_its_call_goes_alone(talk, words, index, left):
    """It belongs to nothing."""
    history = talk(*words)
    history.remove(index)
    assert left == history.words


def test_the_others_are_the_very_same(talk):
    """Nothing is copied, no pin is lost."""
    history = talk(*FIVE)
    kept = history.messages[1:3]
    history.remove(0, 3, 4)
    assert [True, True] == [a is b for a, b in zip(kept, history.messages, strict=True)]


# ---- clearing


def test_clearing_takes_all(talk):
    """Pinned messages and system messages of the history too."""
    history = talk("s:be kind*", "u:q1", "c:*", "1:r1", "d:more")
    history.clear()
    assert () == history.messages


def test_clearing_keeps_the_limits(talk):
    """They belong to the chat, not to its messages."""
    history = talk("u:q1", limit=4, trim_to=2)
    history.clear()
    assert (4, 2) == (history.limit, history.trim_to)
