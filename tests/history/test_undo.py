"""Taking back: the last change, with the trimming that it caused and the pins that it changed."""

import sys

import pytest

VERBS = {
    "a turn": lambda history: history.turn("q9", "a9"),
    "added messages": lambda history: history.say("u:more", "a:and more*"),
    "a rollback": lambda history: history.rollback(2),
    "a removal": lambda history: history.remove(0, 2, -1),
    "clearing": lambda history: history.clear(),
    "a pin": lambda history: history.pin(1, 3),
    "an unpinning": lambda history: history.pin(0, pinned=False),
    "a limit": lambda history: setattr(history, "limit", 2),
}


@pytest.fixture
def six(talk):
    """A history that is full."""
    return talk("u:q1*", "a:a1", "u:q2", "c:", "1:r2", "a:a2", limit=6)


# ---- what is taken back


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_undo_is_the_inverse(six, verb):
    """What stood before a change stands again: the very messages, their pins, and the limit."""
    before, limit = six.messages, six.limit
    verb(six)
    assert before != six.messages
    six.undo()
    assert (before, limit) == (six.messages, six.limit)


def test_changes_are_taken_back_from_the_newest(talk):
    """One after the other."""
    history = talk("u:q1", "a:a1")
    history.turn("q2", "a2")
    history.pin(0)
    history.undo()
    assert ["q1", "a1", "q2", "a2"] == history.words
    history.undo()
    assert ["q1", "a1"] == history.words


def test_several_changes_at_once(talk):
    """`undo(2)` takes back two."""
    history = talk("u:q1").say("u:q2").say("u:q3")
    history.undo(2)
    assert ["q1"] == history.words


def test_what_the_limit_took_comes_back(talk):
    """A turn is taken back with the trimming that it caused, between pins too."""
    history = talk("u:q1", "a:a1*", "u:q2", "a:a2*", "u:q3", limit=5)
    history.turn("q4", "a4")
    assert ["a1*", "a2*", "q3", "q4", "a4"] == history.words
    history.undo()
    assert ["q1", "a1*", "q2", "a2*", "q3"] == history.words


def test_an_unpinning_comes_back_with_what_it_let_go(talk):
    """The limit applies when a pin is taken off; the way back puts pin and message there."""
    history = talk("u:q1*", "a:a1*", "u:q2*", limit=2)
    history.pin(0, 1, pinned=False)
    assert ["a1", "q2*"] == history.words
    history.undo()
    assert ["q1*", "a1*", "q2*"] == history.words


def test_a_message_comes_back_as_itself(talk):
    """Nothing is copied on the way back."""
    history = talk("u:q1", "a:a1", "u:q2")
    before = history.messages
    history.remove(1)
    history.undo()
    assert [True] * 3 == [a is b for a, b in zip(before, history.messages, strict=True)]


# ---- how many


@pytest.mark.parametrize(("count", "taken", "words"), [(0, 0, ["1", "2", "3"]), (2, 2, ["1"]), (3, 3, []), (9, 3, [])])
def test_undo_tells_what_it_took_back(talk, count, taken, words):
    """As many changes as are known, the newest first."""
    history = talk("u:1").say("u:2").say("u:3")
    assert (taken, words) == (len(history.undo(count)), history.words)


@pytest.mark.parametrize("count", [-1, -100])
def test_a_negative_count_is_refused(talk, count):
    """There is no way forward: a negative count changes nothing."""
    history = talk("u:1").say("u:2")
    with pytest.raises(ValueError, match="is negative"):
        history.undo(count)
    assert ["1", "2"] == history.words


@pytest.mark.parametrize("count", [1.5, "1", None])
def test_a_count_that_is_no_int_is_refused(talk, count):
    """What does not count is a TypeError; nothing is changed."""
    history = talk("u:1")
    with pytest.raises(TypeError):
        history.undo(count)
    assert ["1"] == history.words


def test_a_hundred_changes_are_known(talk):
    """What came before them stays."""
    history = talk()
    for number in range(1, 131):
        history.say(f"u:{number}")
    assert (100, 30) == (len(history.undo(1_000)), len(history.messages))


def test_nothing_to_take_back(talk):
    """An empty history has nothing to take back."""
    assert [] == talk().undo()


# ---- what is no change


NO_CHANGES = {
    "no messages": lambda history: history.say(),
    "a rollback of no turn": lambda history: history.rollback(0),
    "a removal of nothing": lambda history: history.remove(),
    "a pin that is there": lambda history: history.pin(0),
    "an unpinning of what has no pin": lambda history: history.pin(1, pinned=False),
    "a limit that takes nothing": lambda history: setattr(history, "limit", 40),
    "a trim_to": lambda history: setattr(history, "trim_to", 1),
    "undoing nothing": lambda history: history.undo(0),
}


@pytest.mark.parametrize("call", NO_CHANGES.values(), ids=NO_CHANGES)
def test_a_call_that_changes_nothing_is_no_change(talk, call):
    """The one before it is taken back."""
    history = talk("u:q1*", limit=20).say("a:a1")
    call(history)
    history.undo()
    assert ["q1*"] == history.words


@pytest.mark.parametrize("call", [lambda h: h.remove(9), lambda h: h.pin(9), lambda h: h.undo(-1)])
def test_a_call_that_raises_is_no_change(talk, call):
    """The one before it is taken back."""
    history = talk("u:q1").say("a:a1")
    with pytest.raises((IndexError, ValueError)):
        call(history)
    history.undo()
    assert ["q1"] == history.words


def test_clearing_nothing_is_no_change(talk):
    """Nothing is there before and after."""
    history = talk("u:q1")
    history.clear()
    history.clear()
    history.undo()
    assert ["q1"] == history.words


def test_a_turn_that_is_not_kept_is_no_change(talk):
    """Where pins fill the limit, a turn leaves the history as it was."""
    history = talk("u:q1*", limit=2).say("a:a1*")
    with pytest.warns(UserWarning, match="are pinned"):
        history.turn("q2", "a2")
    history.undo()
    assert ["q1*"] == history.words


def test_turns_under_a_limit_of_none_at_all_are_no_changes(talk):
    """A history that keeps nothing has nothing to take back."""
    history = talk(limit=0)
    history.turn("q1", "a1")
    assert [] == history.undo()


def test_a_turn_that_used_up_more_is_given_back(talk):
    """What a turn took besides messages comes back, also where the limit kept nothing of the turn."""
    history = talk(limit=0)
    history.append(history.made("u:q1"), history.made("a:a1"), beside=["a line"])
    assert [["a line"]] == [change.beside for change in history.undo()]


def test_undo_is_no_change(talk):
    """There is no redo."""
    history = talk("u:1").say("u:2").say("u:3")
    history.undo()
    history.undo()
    assert ["1"] == history.words


# ---- limits


def test_a_limit_comes_back_where_it_took_messages(talk):
    """The limits that stood before come back along with the messages."""
    history = talk("u:1", "u:2", "u:3", "u:4", limit=4)
    history.limit = 3
    history.limit = 2
    history.undo()
    assert (["2", "3", "4"], 3) == (history.words, history.limit)
    history.undo()
    assert (["1", "2", "3", "4"], 4) == (history.words, history.limit)


@pytest.mark.parametrize(("name", "number"), [("limit", 50), ("trim_to", 1)])
def test_limits_that_were_set_anew_since_stay(talk, name, number):
    """The messages come back; what was set later, without taking any, is not what is taken back."""
    history = talk("u:1", "u:2", "u:3", "u:4")
    history.limit = 3
    setattr(history, name, number)
    before = history.limit, history.trim_to
    history.undo()
    assert (["1", "2", "3", "4"], before) == (history.words, (history.limit, history.trim_to))


def test_a_limit_that_took_nothing_stays(talk):
    """It was no change, so it is not taken back."""
    history = talk("u:1").say("u:2")
    history.limit = 8
    history.undo()
    assert (["1"], 8) == (history.words, history.limit)


def longer_than_its_limit(talk):
    history = talk("u:1", "a:2", "u:3", "a:4")
    history.clear()
    history.limit = 2
    history.undo()
    return history


def test_what_was_cleared_comes_back_whole(talk):
    """Also where a lower limit came in between: it applies with the next change."""
    history = longer_than_its_limit(talk)
    assert (["1", "2", "3", "4"], 2) == (history.words, history.limit)
    history.say("u:5")
    assert ["4", "5"] == history.words


@pytest.mark.parametrize("call", [lambda h: h.rollback(0), lambda h: h.pin(0, pinned=False), lambda h: h.say()])
def test_a_call_that_changes_nothing_lets_no_limit_apply(talk, call):
    """It changes nothing, whatever came before."""
    history = longer_than_its_limit(talk)
    call(history)
    assert ["1", "2", "3", "4"] == history.words


# ---- what it costs


def kept_by(history):
    """Give the bytes that the ways back hold, besides the messages themselves."""
    return sum(
        sum(
            map(
                sys.getsizeof,
                [change.messages, change.splices, *change.splices, *(held for _, held, _ in change.splices)],
            )
        )
        for change in history.undo(1_000)
    )


def test_a_way_back_holds_no_copy(talk):
    """A hundred changes of 20,000 messages hold less than one copy of them."""
    history = talk(*["u:hello"] * 20_000)
    for number in range(25):
        history.turn("q", "a")
        history.pin(number)
        history.remove(-1)
        history.rollback(1)
    assert kept_by(history.fork()) < sys.getsizeof(history.messages) / 4


def test_the_usual_turn_at_the_limit_holds_what_went(talk):
    """Each turn at the limit holds the two messages that it pushed out."""
    history = talk(*["u:hello"] * 20_000, limit=20_000)
    for _ in range(100):
        history.turn("q", "a")
    assert 200 == sum(len(held) for change in history.undo(100) for _, held, _ in change.splices)


# ---- several changes as one


def test_joined_changes_are_taken_back_at_once(six):
    """What took another one's place goes, and that stands there again."""
    before = six.messages
    six.rollback(1)
    six.turn("q9", "a9")
    six.join(2)
    assert 1 == len(six.undo())
    assert before == six.messages


def test_what_the_limit_lets_go_is_handed_over(talk):
    """To one who keeps it elsewhere, and who asked for it."""
    history = talk("u:q1", "a:a1", limit=2)
    history.let_go = []
    history.turn("q2", "a2")
    assert ["q1", "a1"] == [m.data.decode().split('"')[-2] for m in history.let_go]
