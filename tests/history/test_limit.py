"""msg_max_count: the earliest unpinned messages go; what the API needs stays together."""

import warnings

import pytest

from skk.messages import message, user_msg


def test_the_last_six_stay_after_eight_turns(talk):
    """With a limit of 6 the last 6 messages are kept, exactly."""
    history = talk(limit=6)
    for i in range(8):
        history.turn(f"q{i}", f"a{i}")
    assert ["q5", "a5", "q6", "a6", "q7", "a7"] == history.words


@pytest.mark.parametrize("indexes", [(0, -2, -1), (-1, 0, -2), (5, 4, 0), (0, 0, 4, -2, 5)], ids=str)
def test_two_rounds_of_pinning_under_a_limit_of_six(talk, indexes):
    """The older documents' table: what is pinned stays in its place, the earliest of the others go."""
    history = talk(limit=6)
    for country, capital in [("英国", "伦敦"), ("日本", "东京"), ("意大利", "罗马")]:
        history.turn(country, capital)
    history.pin(*indexes)
    history.turn("美国", "华盛顿")
    assert ["英国*", "东京", "意大利*", "罗马*", "美国", "华盛顿"] == history.words
    history.pin(-2)
    for country, capital in [("法国", "巴黎"), ("德国", "柏林"), ("中国", "北京"), ("韩国", "首尔")]:
        history.turn(country, capital)
    assert ["英国*", "意大利*", "罗马*", "美国*", "韩国", "首尔"] == history.words


@pytest.mark.parametrize("limit", range(1, 8))
def test_exactly_as_many_stay_as_the_limit_says(talk, limit):
    """Without tools the count is the limit, odd ones too."""
    history = talk(limit=limit)
    for i in range(6):
        history.turn(f"q{i}", f"a{i}")
    assert [word for i in range(6) for word in (f"q{i}", f"a{i}")][-limit:] == history.words


def test_without_a_limit_all_stay(talk):
    """None keeps everything."""
    history = talk()
    for _ in range(100):
        history.turn("q", "a")
    assert 200 == len(history.messages)


def test_a_limit_of_none_at_all(talk):
    """A limit of 0 keeps nothing, sends the question, and says nothing about it."""
    history = talk(limit=0)
    history.turn("q", "a")
    assert ([], ["again"]) == (history.words, history.sent("u:again"))


def test_a_system_message_in_the_history_is_an_ordinary_message(talk):
    """The limit takes a system message like any other; a pin holds it."""
    assert ["q", "a"] == talk("s:be kind", "u:q", "a:a", limit=2).words
    assert ["be kind*", "a"] == talk("s:be kind*", "u:q", "a:a", limit=2).words


def test_added_messages_are_limited_too(talk):
    """The limit applies after every change."""
    assert ["a2", "q3", "a3"] == talk("u:q1", "a:a1", "u:q2", "a:a2", "u:q3", "a:a3", limit=3).words


def test_setting_the_limit_applies_it(talk):
    """A smaller limit takes effect at once, a larger one from then on."""
    history = talk("u:q1", "a:a1*", "u:q2", "a:a2")
    history.limit = 2
    assert ["a1*", "a2"] == history.words
    history.limit = None
    history.turn("q3", "a3")
    assert ["a1*", "a2", "q3", "a3"] == history.words


def test_unpinning_applies_the_limit(talk):
    """What stayed beyond the limit only by its pin goes with its pin; within the limit it stays."""
    history = talk("u:q1*", "a:a1*", "u:q2*", limit=2)
    history.pin(0, 1, pinned=False)
    assert ["a1", "q2*"] == history.words


@pytest.mark.parametrize("limit", [-1, -100])
def test_a_negative_limit_is_refused(talk, limit):
    """No number of messages is negative; the limit stays what it was."""
    history = talk("u:q", "a:a", limit=2)
    with pytest.raises(ValueError, match="is negative"):
        history.limit = limit
    assert (2, ["q", "a"]) == (history.limit, history.words)


@pytest.mark.parametrize("limit", [True, "6", 6.0, (6,)], ids=repr)
def test_a_limit_that_is_no_number_is_refused(talk, limit):
    """A limit is an int or None, at construction and later."""
    with pytest.raises(TypeError, match="msg_max_count"):
        talk(limit=limit)
    history = talk(limit=6)
    with pytest.raises(TypeError, match="msg_max_count"):
        history.limit = limit


# ---- everything pinned


def full(talk):
    return talk("u:q1*", "a:a1*", limit=2)


def test_pins_stay_the_question_is_sent_the_new_pair_is_not_kept(talk):
    """Where the pins fill the limit, the question is sent after them, and the new turn is not kept."""
    history = full(talk)
    assert ["q1*", "a1*", "q2"] == history.sent("u:q2")
    with pytest.warns(UserWarning, match="all 2 messages that msg_max_count allows are pinned"):
        history.turn("q2", "a2")
    assert ["q1*", "a1*"] == history.words


def test_one_warning_is_enough(talk):
    """That new turns are not kept is said once."""
    history = full(talk)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        history.turn("q2", "a2")
        history.turn("q3", "a3")
    assert 1 == len(said)


def test_a_turn_of_which_something_is_kept_is_no_reason_to_warn(talk):
    """With one place left the answer is kept: pins first, then the latest."""
    history = talk("u:q1*", "a:a1", limit=2)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        history.turn("q2", "a2")
    assert (["q1*", "a2"], []) == (history.words, said)


def test_a_warning_that_is_made_an_error_changes_nothing(talk):
    """A call that raises leaves the history as it was, even where the warning raises."""
    history = full(talk)
    question = (message({**user_msg("q2"), "pinned": True}),)
    before = history.messages
    with pytest.raises(UserWarning):  # as the tests are run
        history.append(question, history.made("a:a2"))
    assert history.messages is before


def test_pins_may_be_more_than_the_limit(talk):
    """Pinned messages stay, even where they are more than the limit."""
    assert ["q1*", "a1*", "q2*"] == talk("u:q1*", "a:a1*", "u:q2*", "a:a2", limit=2).words


def test_pins_stay_under_a_limit_of_none_at_all(talk):
    """A pin is stronger than a limit of 0, and nobody is warned."""
    history = talk("u:q1*", "a:a1*")
    history.limit = 0
    history.turn("q2", "a2")
    assert (["q1*", "a1*"], ["q1*", "a1*", "q3"]) == (history.words, history.sent("u:q3"))


# ---- tool calls and their results


def test_a_tool_call_and_its_results_leave_together(talk):
    """The count falls below the limit only where a group leaves as a whole."""
    history = talk("u:q1", "cc:", "1:r1", "2:r2", "a:a1", limit=5)
    history.say("u:q2")
    assert ["", "r1", "r2", "a1", "q2"] == history.words
    history.say("a:a2")
    assert ["a1", "q2", "a2"] == history.words


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_pin_in_a_group_holds_the_group(talk, place):
    """The API refuses half a group, so a pin on one of it holds all of it."""
    history = talk("u:q1", "cc:", "1:r1", "2:r2", "a:a1")
    history.pin(place)
    history.limit = 3
    assert ["", "r1", "r2"] == [word.rstrip("*") for word in history.words]


def test_a_group_larger_than_the_limit_leaves(talk):
    """The count is never above the limit."""
    assert ["a1"] == talk("u:q1", "cc:", "1:r1", "2:r2", "a:a1", limit=2).words


def test_results_added_one_by_one_belong_to_their_call(talk):
    """Results that a user adds by hand join the call before them."""
    history = talk("u:q1", limit=3)
    for word in ("cc:", "1:r1", "2:r2"):
        history.say(word)
    assert ["", "r1", "r2"] == history.words
