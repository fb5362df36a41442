"""Forking: two histories from one, each going its own way."""

import tracemalloc

import pytest

from skk.messages import assistant_msg, message, user_msg

TURN = (message(user_msg("q9")),), (message(assistant_msg("a9")),)

ON = {
    "a turn": lambda history: history.append(*TURN),
    "a rollback": lambda history: history.rollback(1),
    "a removal": lambda history: history.remove(0),
    "clearing": lambda history: history.clear(),
    "a pin": lambda history: history.pin(0),
    "an undoing": lambda history: history.undo(),
    "a limit": lambda history: setattr(history, "limit", 3),
    "a trim_to": lambda history: setattr(history, "trim_to", 3),
}


def state(history):
    return history.messages, history.limit, history.trim_to, len(history.fork().undo(1_000))


@pytest.fixture
def four(talk):
    return talk("u:q1", "a:a1", limit=6).say("u:q2", "a:a2")


def test_a_fork_begins_where_its_origin_is(four):
    """Messages, pins, limits and all that can be taken back."""
    assert state(four) == state(four.fork())


@pytest.mark.parametrize("verb", ON.values(), ids=ON)
def test_a_change_of_the_fork_leaves_the_origin(four, verb):
    """Whatever is done with it."""
    before = state(four)
    verb(four.fork())
    assert before == state(four)


@pytest.mark.parametrize("verb", ON.values(), ids=ON)
def test_a_change_of_the_origin_leaves_the_fork(four, verb):
    """Whatever is done with it."""
    fork = four.fork()
    before = state(fork)
    verb(four)
    assert before == state(fork)


def test_what_came_before_can_be_taken_back_in_both(talk):
    """And what came after in each for itself."""
    history = talk("u:q1")
    history.extend(history.made("a:a1"))
    fork = history.fork()
    fork.extend(history.made("u:other"))
    fork.undo(2)
    history.undo()
    assert (["q1"], ["q1"]) == (history.words, history.told(fork.messages))


def test_a_fork_shares_the_messages(four):
    """They are one and the same tuple."""
    assert four.fork().messages is four.messages


def test_a_fork_costs_nothing_per_message(talk):
    """A hundred forks of 20,000 messages take less than one more copy would."""
    history = talk(*["u:hello"] * 20_000)
    tracemalloc.start()
    forks = [history.fork() for _ in range(100)]
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert (True, 100) == (taken < 8 * 20_000 / 2, len(forks))


def test_a_fork_sends_no_broken_tool_call(talk):
    """It knows of the tool calls that are among its messages."""
    fork = talk("u:q1", "c:", "u:q2").fork()
    assert ["q1", "q2"] == [m.data.decode().split('"')[-2] for m in fork.window(())]


def test_a_fork_has_warned_where_its_origin_has(talk):
    """Once is enough."""
    history = talk("u:q1*", limit=1)
    with pytest.warns(UserWarning, match="are pinned"):
        history.turn("q2", "a2")
    fork = history.fork()
    fork.append(*TURN)  # a warning would fail the test
    assert ["q1*"] == history.told(fork.messages)
