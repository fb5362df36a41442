"""What a request sends: what the limit leaves, and the question last."""

import pytest


def test_the_question_comes_last(talk):
    """A request sends the history, then the question."""
    assert ["q1", "a1", "q2", "more"] == talk("u:q1", "a:a1").sent("u:q2", "u:more")


@pytest.mark.parametrize(
    ("limit", "sent"),
    [(0, ["q3"]), (1, ["q3"]), (2, ["a2", "q3"]), (3, ["q2", "a2", "q3"]), (5, ["q1", "a1", "q2", "a2", "q3"])],
)
def test_the_question_is_counted(talk, limit, sent):
    """A request sends at most as many messages as the limit says, the question included."""
    history = talk("u:q1", "a:a1", "u:q2", "a:a2", limit=limit)
    assert sent == history.sent("u:q3")


def test_a_question_larger_than_the_limit_is_sent_whole(talk):
    """The question is always sent, and all of it."""
    assert ["p*", "q2", "q3", "q4"] == talk("u:p*", "a:a1", limit=2).sent("u:q2", "u:q3", "u:q4")


@pytest.mark.parametrize(("words", "sent"), [
    (["a:a1", "u:q2"], ["q2"]),
    (["u:q1", "c:", "1:r1"], ["", "r1"]),
    (["u:q1", "a:a1"], []),
])  # fmt: skip
def test_without_a_question_the_last_message_asks(talk, words, sent):
    """A message of the user or a result that stands last is the question then, and a question is always sent."""
    history = talk(*words)
    few = (0, lambda _: 1)
    assert sent == history.told(history.window((), tokens=few))


def test_without_a_question_the_last_message_asks_in_every_step(talk):
    """A call and its results answer it: they never push it out."""
    history = talk("u:q1", "a:a1", "u:q2", limit=3)
    history._state.limit = 1
    assert ["q2", "", "r1"] == history.told(history.window((), steps=history.made("c:", "1:r1")))


def test_asking_changes_nothing(talk):
    """The history is what it was before the question was sent."""
    history = talk("u:q1", "a:a1", limit=2)
    before = history.messages
    history.sent("u:q2")
    assert history.messages is before


def test_a_pin_in_the_question_is_no_pin_in_the_way(talk):
    """A pinned question is sent like any other."""
    assert ["a1", "q2*"] == talk("u:q1", "a:a1", limit=2).sent("u:q2*")


# ---- what the API would refuse


@pytest.mark.parametrize(
    "words",
    [
        ["cc:", "1:r1"],
        ["cc:", "2:r2"],
        ["c:"],
        ["c:", "2:r2"],
        ["c:", "1:r1", "1:r1"],
        ["1:r1"],
        ["1:r1", "2:r2"],
        ["cc:*", "1:r1*"],
    ],
    ids=str,
)
def test_half_a_tool_call_is_never_sent(talk, words):
    """Calls whose results are not all there, and results without their call, are left out."""
    assert ["q1", "a1", "q2"] == talk("u:q1", *words, "a:a1").sent("u:q2")


def test_a_call_apart_from_its_result_is_half_a_call(talk):
    """A result counts only where it follows its call."""
    assert ["q1", "but", "q2"] == talk("u:q1", "c:", "u:but", "1:r1").sent("u:q2")


def test_a_whole_tool_call_is_sent(talk):
    """A call with all of its results is sent, in whatever order they came."""
    assert ["q1", "", "r2", "r1", "a1", "q2"] == talk("u:q1", "cc:", "2:r2", "1:r1", "a:a1").sent("u:q2")


def test_half_a_tool_call_takes_no_place(talk):
    """What is left out does not count: as many others are sent as the limit allows."""
    assert ["q1", "a1", "q2", "q3"] == talk("u:q1", "a:a1", "u:q2", "c:", limit=4).sent("u:q3")


def test_half_a_tool_call_stays_in_the_history(talk):
    """It may still be completed."""
    history = talk("u:q1", "cc:", "1:r1")
    history.sent("u:q2")
    history.say("2:r2")
    assert ["q1", "", "r1", "r2", "q2"] == history.sent("u:q2")


def test_results_in_the_question_complete_the_call(talk):
    """A question may bring the results of the last call."""
    assert ["q1", "", "r1", "r2", "and now?"] == talk("u:q1", "cc:", "1:r1").sent("2:r2", "u:and now?")


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_call_stays_with_its_results_in_the_question(talk, limit):
    """The question and what it answers are sent, whatever the limit."""
    history = talk("u:q1", "c:")
    history._state.limit = limit
    assert ["", "r1"] == history.sent("1:r1")


@pytest.mark.parametrize("question", [["1:r1"], ["1:r1", "u:q2"], ["2:r2", "1:r1"], ["c:"], ["cc:", "1:r1"]], ids=str)
def test_a_question_is_sent_as_it_is(talk, question):
    """Nothing of a question is left out: where the API refuses it, its words are the best there are."""
    sent = talk("u:q1", "a:a1").sent(*question)
    assert [word.partition(":")[2] for word in question] == sent[2:]


def test_a_call_goes_along_with_too_few_results_in_the_question(talk):
    """Results in the question are sent with their call: the API then names the one that is missing."""
    assert ["q1", "", "r1", "go on"] == talk("u:q1", "cc:").sent("1:r1", "u:go on")


# ---- what it costs


def test_a_request_sends_the_messages_themselves(talk):
    """Nothing is encoded or copied again: a window holds the very messages of the history."""
    history = talk("u:q1", "a:a1", "u:q2", "a:a2", limit=4)
    question = history.made("u:q3")
    window = history.window(question)
    assert [True] * 4 == [a is b for a, b in zip(window, (*history.messages[1:], *question), strict=True)]


def test_a_snapshot_is_the_history_itself(talk):
    """Looking at the history copies nothing, and a later change leaves what was seen."""
    history = talk("u:q1", "a:a1")
    snapshot = history.messages
    assert history.messages is snapshot
    history.turn("q2", "a2")
    history.pin(0)
    history.rollback(1)
    assert ["q1", "a1"] == history.told(snapshot)


def test_a_window_of_a_snapshot(talk):
    """A turn asks from the history as it was when it was first sent."""
    history = talk("u:q1", "a:a1")
    snapshot = history.messages
    history.turn("q2", "a2")
    assert ["q1", "a1", "q3"] == history.told(history.window(history.made("u:q3"), snapshot))


def test_nothing_to_leave_out_gives_the_same_tuple(talk):
    """Without a question, a window of a history that fits is the history."""
    history = talk("u:q1", "a:a1", limit=2)
    assert history.window(()) is history.messages


def test_a_kept_message_is_the_same_message(talk):
    """Trimming, pinning others and rolling back keep the very messages that stay."""
    history = talk("u:q1", "a:a1", "u:q2", "a:a2")
    last = history.messages[1]
    history.pin(0)
    history.rollback(1)
    history.limit = 2
    assert history.messages[-1] is last
