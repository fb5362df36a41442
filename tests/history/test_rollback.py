"""Rolling back: whole turns, from the end."""

import pytest

COUNTING = ["u:q1", "a:a1", "u:q2", "a:a2", "u:q3", "a:a3", "u:q4", "a:a4"]


@pytest.mark.parametrize(("count", "words", "last"), [
    (0, ["q1", "a1", "q2", "a2", "q3", "a3", "q4", "a4"], ["q4", "a4"]),
    (1, ["q1", "a1", "q2", "a2", "q3", "a3"], ["q3", "a3"]),
    (3, ["q1", "a1"], ["q1", "a1"]),
    (4, [], []),
    (5, [], []),
    (10**9, [], []),
])  # fmt: skip
def test_the_last_turns_go(talk, count, words, last):
    """A rollback takes the last turns away and gives the turn that is last then."""
    history = talk(*COUNTING)
    assert (last, words) == (history.told(history.rollback(count)), history.words)


@pytest.mark.parametrize("count", [-1, -100])
def test_a_negative_count_is_refused(talk, count):
    """Turns are counted from the end; a negative count changes nothing."""
    history = talk(*COUNTING)
    with pytest.raises(ValueError, match="is negative"):
        history.rollback(count)
    assert 8 == len(history.messages)


@pytest.mark.parametrize("count", [1.5, 1.0, "1", None])
def test_a_count_that_is_no_int_is_refused(talk, count):
    """What does not count is a TypeError; nothing is changed."""
    history = talk(*COUNTING)
    with pytest.raises(TypeError):
        history.rollback(count)
    assert 8 == len(history.messages)


def test_nothing_before_a_change_of_nothing(talk):
    """An empty history has no last turn."""
    assert ((), ()) == (talk().rollback(0), talk().rollback(3))


def test_pinned_turns_go_too(talk):
    """A pin holds against the limit, not against a rollback."""
    history = talk("u:q1", "a:a1", "u:q2*", "a:a2*")
    assert (["q1", "a1"], ["q1", "a1"]) == (history.told(history.rollback(1)), history.words)


def test_a_turn_is_all_that_answered_the_user(talk):
    """Tool calls, their results and further answers belong to the turn of the question."""
    history = talk("u:q1", "a:a1", "u:q2", "cc:", "1:r1", "2:r2", "a:a2", "a:more")
    assert (["q1", "a1"], ["q1", "a1"]) == (history.told(history.rollback(1)), history.words)


def test_the_last_turn_is_given_whole(talk):
    """What is last then is shown with its tool calls."""
    history = talk("u:q1", "c:", "1:r1", "a:a1", "u:q2", "a:a2")
    assert ["q1", "", "r1", "a1"] == history.told(history.rollback(1))


def test_a_question_without_an_answer_is_a_turn(talk):
    """Each message of the user begins a turn."""
    assert ["q1", "a1", "q2"] == talk("u:q1", "a:a1", "u:q2", "u:q3").say().told(talk("u:q1", "a:a1", "u:q2").messages)
    history = talk("u:q1", "a:a1", "u:q2", "u:q3")
    assert (["q2"], ["q1", "a1", "q2"]) == (history.told(history.rollback(1)), history.words)


@pytest.mark.parametrize(("count", "words"), [(1, ["half", "r"]), (2, []), (3, [])])
def test_a_leading_half_turn_counts_as_one(talk, count, words):
    """What the limit left of a turn at the front is half a turn; it goes as one."""
    history = talk("a:half", "1:r", "u:q1", "a:a1")
    assert (words, words) == (history.told(history.rollback(count)), history.words)


@pytest.mark.parametrize("form", ["s", "d"])
@pytest.mark.parametrize("count", [2, 3])
def test_system_messages_stay(talk, form, count):
    """System messages belong to no turn: too large a count empties the turns, and keeps them in order."""
    history = talk(f"{form}:one", "u:q1", f"{form}:two*", "a:a1", "u:q2", "a:a2", f"{form}:three")
    assert ([], ["one", "two*", "three"]) == (history.told(history.rollback(count)), history.words)


def test_a_system_message_is_no_part_of_the_last_turn(talk):
    """What is last is what the user asked and what was answered."""
    history = talk("s:one", "u:q1", "s:two", "a:a1", "s:three", "u:q2", "a:a2")
    assert (["q1", "a1"], ["one", "q1", "two", "a1", "three"]) == (history.told(history.rollback(1)), history.words)
