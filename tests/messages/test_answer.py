"""What comes back: an answer is a str, a reply answers attributes."""

import copy
import json
import pickle

import pytest

from skk.messages import Answer, Reply

USAGE = {"total_tokens": 9, "details": {"cached": 1}}
ABOUT = {"message": {"role": "assistant", "content": "51"}, "usage": Reply(USAGE), "finish_reason": "stop"}


def test_an_answer_is_its_text():
    """An answer equals its text, shows like it, and is found in a dict by it."""
    answer = Answer("51", **ABOUT)
    assert (True, "'51'", "51", {"51"}, 2, "5151", "51!") == (
        answer == "51", repr(answer), str(answer), {answer, "51"}, len(answer), answer * 2, f"{answer}!"
    )  # fmt: skip


def test_an_answer_goes_into_json():
    """JSON takes an answer for the str that it is."""
    assert '{"51": "51"}' == json.dumps({Answer("51"): Answer("51")})


def test_an_answer_says_how_it_came_about():
    """What is known about an answer stands on it."""
    answer = Answer("51", **ABOUT, model="m", request_id="r", reasoning="hm", refusal=None, parsed=7)
    assert ("stop", 9, 9, "m", "r", "hm", None, 7) == (
        answer.finish_reason, answer.usage.total_tokens, answer.usage["total_tokens"], answer.model,
        answer.request_id, answer.reasoning, answer.refusal, answer.parsed,
    )  # fmt: skip


def test_an_answer_of_which_nothing_is_known():
    """What nobody told is None; there are no tool calls."""
    answer = Answer()
    assert ("", None, None, None, None, None, None, None, None, []) == (
        answer, answer.message, answer.usage, answer.finish_reason, answer.reasoning, answer.refusal,
        answer.parsed, answer.model, answer.request_id, answer.tool_calls,
    )  # fmt: skip


def test_the_usage_answers_attributes_however_it_came():
    """It is made so when somebody looks; what came stays as it was. One as deep as a stack is none."""
    came, deep = {"total_tokens": 9, "details": {"cached": 1}}, {}
    answer = Answer("51", usage=came)
    answer.usage["details"]["cached"] = 2
    assert (9, 2, {"cached": 1}) == (answer.usage.total_tokens, answer.usage.details.cached, came["details"])
    answer.usage = None
    assert answer.usage is None
    for _ in range(100_000):
        deep = {"a": deep}
    assert Answer("51", usage=deep).usage is None


def test_tool_calls_come_from_the_message():
    """The calls are the message's, as dicts."""
    calls = [{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]
    assert calls == Answer("", message={"role": "assistant", "content": None, "tool_calls": calls}).tool_calls


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda answer: pickle.loads(pickle.dumps(answer))])
def test_an_answer_copies_and_pickles(twin):
    """A copy is the same answer, with all that is known about it."""
    answer = twin(Answer("51", **ABOUT))
    assert (Answer, "51", ABOUT, 1) == (type(answer), answer, vars(answer), answer.usage.details.cached)


def test_a_reply_answers_attributes_at_every_depth():
    """A reply is a dict that also answers attributes, in lists too."""
    reply = Reply({"choices": [{"message": {"content": "51"}}], "grid": [[{"x": 1}]]}, id="r")
    assert ("51", "51", 1, "r", None) == (
        reply["choices"][0]["message"]["content"], reply.choices[0].message.content, reply.grid[0][0].x, reply.id,
        reply.get("usage"),
    )  # fmt: skip


def test_a_reply_is_a_dict():
    """A reply equals its dict and goes into JSON."""
    assert (USAGE, json.dumps(USAGE)) == (Reply(USAGE), json.dumps(Reply(USAGE)))


def test_making_a_reply_leaves_what_was_given():
    """The dicts that came stay plain dicts."""
    given = {"a": {"b": [{"c": 1}]}}
    Reply(given)
    assert (dict, dict) == (type(given["a"]), type(given["a"]["b"][0]))


def test_a_reply_names_what_it_has():
    """An attribute that is not there is an AttributeError which lists those that are."""
    with pytest.raises(AttributeError, match="no 'usage'; it has id, choices"):
        _ = Reply(id="r", choices=[]).usage


def test_a_reply_can_be_explored():
    """dir() tells the fields, hasattr tells whether one is there."""
    reply = Reply({"id": "r", "a b": 1})
    assert (True, True, False) == ("id" in dir(reply), hasattr(reply, "id"), hasattr(reply, "usage"))


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda reply: pickle.loads(pickle.dumps(reply))])
def test_a_reply_copies_and_pickles(twin):
    """A copy of a reply answers attributes too."""
    assert 1 == twin(Reply(USAGE)).details.cached
