"""`trim_to`: one larger cut now and then, so that the beginning stays the same for many requests."""

import sys
import threading
from collections import Counter

import pytest

from skk.history import History

FULL = ["u:q1", "a:a1", "u:q2", "a:a2", "u:q3", "a:a3"]  # under a limit of 6 the next turn cuts


# ---- what is kept


def test_a_turn_that_passes_the_limit_leaves_trim_to_and_the_answer(talk):
    """History and question are cut to `trim_to` at once, then the answer is added."""
    history = talk(*FULL, limit=6, trim_to=3)
    history.turn("q4", "a4")
    assert ["q3", "a3", "q4", "a4"] == history.words


def test_a_turn_that_fits_cuts_nothing(talk):
    """As many messages as `msg_max_count` are kept."""
    history = talk(*FULL[:4], limit=6, trim_to=2)
    history.turn("q3", "a3")
    assert 6 == len(history.messages)


def test_the_answer_alone_may_pass_the_limit(talk):
    """Then history and question, which fit, are cut all the same: the answer is kept."""
    history = talk(*FULL[:5], limit=6, trim_to=2)
    history.turn("q4", "a4")
    assert ["q3", "q4", "a4"] == history.words


def test_added_messages_are_cut_to_trim_to(talk):
    """Messages that are added have no answer to wait for."""
    assert ["a3", "q4"] == talk(*FULL, limit=6, trim_to=2).say("u:q4").words


def test_a_lower_limit_cuts_to_trim_to(talk):
    """Setting the limit applies it."""
    history = talk(*FULL, limit=6, trim_to=2)
    history.limit = 4
    assert ["q3", "a3"] == history.words


def test_setting_trim_to_cuts_nothing(talk):
    """It holds from the next time on."""
    history = talk(*FULL, limit=6)
    history.trim_to = 2
    assert 6 == len(history.messages)


@pytest.mark.parametrize(
    ("trim_to", "words"), [(0, ["a4"]), (1, ["q4", "a4"]), (5, ["q2", "a2", "q3", "a3", "q4", "a4"])]
)
def test_any_number_up_to_the_limit(talk, trim_to, words):
    """The answer is kept beside them."""
    history = talk(*FULL, limit=6, trim_to=trim_to)
    history.turn("q4", "a4")
    assert words == history.words


def test_trim_to_of_the_limit_keeps_the_limit(talk):
    """The count is never above the limit."""
    history = talk(*FULL, limit=6, trim_to=6)
    history.turn("q4", "a4")
    assert ["q2", "a2", "q3", "a3", "q4", "a4"] == history.words


def test_pins_stay(talk):
    """The earliest messages without a pin go."""
    history = talk("s:be kind*", *FULL[:5], limit=6, trim_to=3)
    history.turn("q4", "a4")
    assert ["be kind*", "q3", "q4", "a4"] == history.words


def test_a_tool_call_leaves_whole(talk):
    """A cut falls below `trim_to` only where a group leaves."""
    history = talk("u:q1", "cc:", "1:r1", "2:r2", "a:a1", limit=5, trim_to=4)
    history.turn("q2", "a2")
    assert ["a1", "q2", "a2"] == history.words


def test_a_turn_with_tools_is_cut_before_its_calls(talk):
    """Calls, results and answer are added to what the cut left; then the limit holds."""
    history = talk(*FULL, limit=6, trim_to=3)
    history.append(*history.record("q4", "c:", "1:r1", "a:a4"))
    assert ["q3", "a3", "q4", "", "r1", "a4"] == history.words


# ---- what is sent


def test_a_request_that_passes_the_limit_sends_trim_to(talk):
    """History and question are cut at once."""
    assert ["q3", "a3", "q4"] == talk(*FULL, limit=6, trim_to=3).sent("u:q4")


def test_a_request_that_fits_is_sent_whole(talk):
    """Up to the limit."""
    assert 6 == len(talk(*FULL[:5], limit=6, trim_to=3).sent("u:q4"))


@pytest.mark.parametrize("pinned", [(), (0,), (0, 3)])
@pytest.mark.parametrize("trim_to", [4, 7, 9, 11])
def test_what_is_kept_is_what_was_sent(talk, pinned, trim_to):
    """The next request begins as this one did, wherever this one was cut."""
    history = talk(*FULL, *FULL, limit=12, trim_to=trim_to)
    history.pin(*pinned)
    for number in range(40):
        before = len(history.messages)
        sent = history.sent(f"u:question {number}")
        history.turn(f"question {number}", "answer")
        if before + 1 > 12:
            assert [*sent, "answer"] == history.words


@pytest.mark.parametrize(("trim_to", "turns"), [(None, 1), (37, 2), (30, 5), (20, 10), (0, 20)])
def test_the_beginning_stays_the_same_between_two_cuts(talk, trim_to, turns):
    """The further a cut goes, the more turns begin alike; without `trim_to` each begins anew."""
    history = talk(limit=40, trim_to=trim_to)
    beginnings = []
    for number in range(100):
        beginnings.append(history.sent(f"u:question {number}")[0])
        history.turn(f"question {number}", f"answer {number}")
    _first, _second, third, *_ = Counter(beginnings).values()
    assert turns == third


# ---- tools: a request for each step of a turn


def beginnings(history, question, *steps):
    """Give what each request of a turn sends, without its own messages."""
    question = history.made(*question)
    own = [history.made(*steps[:count]) for count in range(0, len(steps) + 1, 2)]
    return [
        history.told(found)[: len(found) - len(question) - len(made)]
        for made in own
        for found in [history.window(question, steps=made)]
    ]


def test_every_step_of_a_turn_begins_alike(talk):
    """The cut stays where the first request made it, also while calls and results are added."""
    history = talk(*FULL, limit=6, trim_to=3)
    assert [["q3", "a3"]] * 2 == beginnings(history, ["u:q4"], "c:", "1:r1")


def test_a_step_that_passes_the_limit_cuts_where_the_answer_would(talk):
    """What is kept of the turn begins as its last request did."""
    history = talk(*FULL[:5], limit=6, trim_to=3)
    assert [["q1", "a1", "q2", "a2", "q3"], ["a2", "q3"]] == beginnings(history, ["u:q4"], "c:", "1:r1")
    history.append(*history.record("q4", "c:", "1:r1", "a:a4"))
    assert ["a2", "q3", "q4", "", "r1", "a4"] == history.words


def test_steps_never_pass_the_limit(talk):
    """A request sends no more than the limit, as far as its own messages allow."""
    history = talk(*FULL, limit=6, trim_to=4)
    steps = ["c:", "1:r1", "c:", "1:r2"]
    assert [["a2", "q3", "a3"], ["a2", "q3", "a3"], ["a3"]] == beginnings(history, ["u:q4"], *steps)


# ---- what is refused


@pytest.mark.parametrize("limits", [(None, 3), (3, 4), (3, -1)])
def test_a_trim_to_that_cannot_be_is_refused(limits):
    """It says what to leave when the limit is passed: there is none without a limit, and it is no larger."""
    with pytest.raises(ValueError, match="trim_to"):
        History(*limits)


@pytest.mark.parametrize("trim_to", [True, 3.0, "3"])
def test_a_trim_to_that_is_no_number_is_refused(trim_to):
    """A number of messages is an int."""
    with pytest.raises(TypeError, match="trim_to"):
        History(8, trim_to)


@pytest.mark.parametrize(("name", "number"), [("limit", None), ("limit", 2), ("trim_to", 7), ("trim_to", -1)])
def test_a_refused_setting_changes_nothing(talk, name, number):
    """Limits that contradict each other are not taken."""
    history = talk(*FULL, limit=6, trim_to=3)
    with pytest.raises(ValueError, match="trim_to"):
        setattr(history, name, number)
    assert (6, 3, 6) == (history.limit, history.trim_to, len(history.messages))


def test_two_threads_may_each_set_one(talk):
    """Neither setting is lost to the other."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        found = {set_both_at_once(talk(limit=20, trim_to=1)) for _ in range(1_500)}
    finally:
        sys.setswitchinterval(usual)
    assert {(39, 19)} == found


def set_both_at_once(history):
    def rise(name, first):
        for number in range(first, first + 20):
            setattr(history, name, number)

    threads = [threading.Thread(target=rise, args=given) for given in (("limit", 20), ("trim_to", 0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return history.limit, history.trim_to
